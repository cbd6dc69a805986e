"""Changes of many users at once: chosen, looked at, made, and undone as a whole."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.batches.drafts import forget_lists
    from webapp.batches.views import blueprint
    from webapp.users.trash import on_purge

    on_purge(forget_lists, is_first=True)  # a bulk change locks itself, then users
    app.register_blueprint(blueprint)
