"""What was done: every change, who made it, from where, and whether it is still as it was written."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.history.flood import start_counting
    from webapp.history.views import blueprint, record_refusals

    start_counting(app)
    app.register_blueprint(blueprint)
    app.after_request(record_refusals)
