"""What those who run the service need: logs with request ids, health, proxies, and a contact for reports."""

from __future__ import annotations

from flask import Flask

from webapp.config import Settings


def register(app: Flask, settings: Settings) -> None:
    from webapp.operations.health import blueprint
    from webapp.operations.logs import configure_logs
    from webapp.operations.proxies import TrustedProxies
    from webapp.operations.requests import follow_requests
    from webapp.operations.security_txt import blueprint as security_txt

    configure_logs(settings)
    app.wsgi_app = TrustedProxies(app.wsgi_app, count=settings.proxy_count)  # type: ignore[method-assign]
    follow_requests(app, settings)
    app.register_blueprint(blueprint)
    app.register_blueprint(security_txt)
