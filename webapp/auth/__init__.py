"""Signing in and staying signed in."""

from __future__ import annotations

from flask import Flask

from webapp.access.identity import set_identity_loader


def register(app: Flask) -> None:
    from webapp.auth.browser import PageSessions, load_identity
    from webapp.auth.flood import refuse_floods
    from webapp.auth.refusals import add_refusals
    from webapp.auth.views import (
        blueprint,
        describe_deletion,
        render_obstacles_panel,
        render_sessions_panel,
    )
    from webapp.web.panels import add_panel

    app.session_interface = PageSessions()
    set_identity_loader(app, load_identity)
    add_refusals(app)
    add_panel(app, "user", render_obstacles_panel)
    add_panel(app, "user", render_sessions_panel)
    add_panel(app, "user deletion", describe_deletion)
    app.register_blueprint(blueprint)
    refuse_floods(app)
