"""What gunicorn and ``flask --app wsgi`` import."""

from __future__ import annotations

from webapp import create_app
from webapp.errors import ConfigurationError

try:
    app = create_app()
except ConfigurationError as error:
    raise SystemExit(f"Dossier does not start: {error}") from None
