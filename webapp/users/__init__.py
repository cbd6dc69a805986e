"""The people this application is about."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.users.views import blueprint

    app.register_blueprint(blueprint)
