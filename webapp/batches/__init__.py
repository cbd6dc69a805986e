"""Changes of many users at once: chosen, looked at, made, and undone as a whole."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.batches.views import blueprint

    app.register_blueprint(blueprint)
