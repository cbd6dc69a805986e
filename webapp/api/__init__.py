"""The JSON API: a door for programs, onto the same services as the pages."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.access.identity import API_PATH
    from webapp.api.cors import allow_origins
    from webapp.api.keeping import forget_answers, forget_old_answers
    from webapp.api.limiting import limit_requests
    from webapp.api.problems import answer_problem
    from webapp.api.views import IdConverter, blueprint
    from webapp.extensions import csrf
    from webapp.users.trash import on_purge, on_sweep
    from webapp.web.pages import show_failures_below

    app.url_map.converters["id"] = IdConverter
    csrf.exempt(blueprint)  # a token is sent on purpose, never by a browser of itself
    show_failures_below(app, API_PATH, answer_problem)
    allow_origins(app, frozenset(app.extensions["settings"].api_cors_origins))
    limit_requests(app, app.extensions["settings"])
    on_purge(forget_answers)
    on_sweep(forget_old_answers)
    app.register_blueprint(blueprint)
