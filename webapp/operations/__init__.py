"""What those who run the service need: logs with request ids, and health."""

from __future__ import annotations

from flask import Flask

from webapp.config import Settings


def register(app: Flask, settings: Settings) -> None:
    from webapp.operations.health import blueprint
    from webapp.operations.logs import configure_logs
    from webapp.operations.requests import follow_requests

    configure_logs(settings)
    follow_requests(app)
    app.register_blueprint(blueprint)
