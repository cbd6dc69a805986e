"""The people this application is about."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.history.views import know_roles
    from webapp.users import export_views, presence_views, trash_views, undo_views, views
    from webapp.users.queries import find_roles

    know_roles(app, find_roles)
    for pages in (views, export_views, undo_views, trash_views, presence_views):
        app.register_blueprint(pages.blueprint)
