"""The people this application is about."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.users import presence_views, trash_views, views

    app.register_blueprint(views.blueprint)
    app.register_blueprint(trash_views.blueprint)
    app.register_blueprint(presence_views.blueprint)
