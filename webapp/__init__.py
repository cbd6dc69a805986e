"""Dossier: the front desk for an application's users."""

from __future__ import annotations

from flask import Flask

from webapp import api, auth, batches, cli, credits, history, notes, operations, tokens, users, web
from webapp.access.guards import guard_routes
from webapp.config import INSTANCE, ROOT, Settings
from webapp.db import bind_database
from webapp.extensions import csrf
from webapp.web.bounds import bound_requests

# In the order of the house: each may use those before it.
FEATURES = (web, history, users, notes, batches, auth, tokens, credits)


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Raises ConfigurationError when the environment does not allow it to start."""
    settings = settings or Settings.from_environment()
    app = Flask(
        __name__,
        instance_path=str(INSTANCE),
        template_folder=str(ROOT / "templates"),
        static_folder=None,  # webapp/web/assets.py serves them under hashed names
    )
    configure(app, settings)
    operations.register(app, settings)
    bound_requests(app)
    bind_database(app, settings)
    csrf.init_app(app)
    for feature in FEATURES:
        feature.register(app)
    api.register(app)
    guard_routes(app)
    cli.register(app)
    return app


def configure(app: Flask, settings: Settings) -> None:
    app.extensions["settings"] = settings
    app.url_map.merge_slashes = False  # a program would be redirected: to it an address has one spelling
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=list(settings.secret_key_fallbacks),
        TRUSTED_HOSTS=list(settings.trusted_hosts),
        MAX_CONTENT_LENGTH=settings.max_content_length,
        MAX_FORM_MEMORY_SIZE=settings.max_content_length,
        # The names of all other cookies begin with this one.
        SESSION_COOKIE_NAME=settings.cookie_name,
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_SECRET_KEY=settings.signing_keys,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: an old tab must not lose what was typed
        WTF_CSRF_SSL_STRICT=False,  # the token says it already, and proxies strip the Referer
    )
