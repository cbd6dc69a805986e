"""Notes that the people at the desk leave on a user for each other."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.history.rules import Kind
    from webapp.notes import services
    from webapp.notes.views import blueprint, render_notes
    from webapp.users.trash import on_purge
    from webapp.users.undoing import add_undoer
    from webapp.web.panels import add_panel

    for kind in (Kind.NOTE_ADDED, Kind.NOTE_EDITED, Kind.NOTE_DELETED):
        add_undoer(kind, services.undo_note_change)
    on_purge(services.forget_notes)
    add_panel(app, "user profile", render_notes)
    app.register_blueprint(blueprint)
