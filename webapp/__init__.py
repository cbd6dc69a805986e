"""Dossier: the front desk for an application's users."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

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
    trust_proxies(app, settings)
    bound_requests(app)
    operations.register(app, settings)
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
        TRUSTED_HOSTS=list(settings.trusted_hosts),
        MAX_CONTENT_LENGTH=settings.max_content_length,
        MAX_FORM_MEMORY_SIZE=settings.max_content_length,
        # "__Host-": bound to this very host and to https, which no subdomain can overwrite.
        SESSION_COOKIE_NAME="__Host-dossier" if settings.session_cookie_secure else "dossier",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: an old tab must not lose what was typed
        WTF_CSRF_SSL_STRICT=False,  # the token says it already, and proxies strip the Referer
    )


def trust_proxies(app: Flask, settings: Settings) -> None:
    """Believe X-Forwarded-* only from as many proxies as were named: anybody can send these headers."""
    count = settings.proxy_count
    if count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_prefix=0
        )
