"""Signing in and staying signed in."""

from __future__ import annotations

from flask import Flask

from webapp.access.identity import set_identity_loader


def register(app: Flask) -> None:
    from webapp.auth.browser import PageSessions, load_identity
    from webapp.auth.confirmation import add_confirmation
    from webapp.auth.flood import refuse_floods
    from webapp.auth.notice_views import blueprint as notices
    from webapp.auth.refusals import add_refusals
    from webapp.auth.services import carry_or_end_link
    from webapp.auth.views import (
        blueprint,
        describe_deletion,
        render_obstacles_panel,
        render_sessions_panel,
    )
    from webapp.users.services import on_new_bond
    from webapp.web.panels import add_panel

    app.session_interface = PageSessions()
    set_identity_loader(app, load_identity)
    add_refusals(app)
    add_confirmation(app)
    on_new_bond(carry_or_end_link)
    add_panel(app, "user", render_obstacles_panel)
    add_panel(app, "user", render_sessions_panel)
    add_panel(app, "user deletion", describe_deletion)
    app.register_blueprint(blueprint)
    app.register_blueprint(notices)
    refuse_floods(app)
