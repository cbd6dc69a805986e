"""What users have, in credits, and the double entry that explains it to the cent."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.credits import services
    from webapp.credits.views import blueprint, render_credits, render_trashed_link
    from webapp.users.trash import on_delete, on_purge
    from webapp.web.panels import add_panel

    on_delete(services.find_kept)
    on_purge(services.forget_reasons)
    add_panel(app, "user profile", render_credits)
    add_panel(app, "trash", render_trashed_link)
    app.register_blueprint(blueprint)
