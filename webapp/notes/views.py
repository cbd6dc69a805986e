"""The notes' pages, and their part of a user's page."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.errors import Conflict, Invalid, Stale
from webapp.history.queries import find_kept_names
from webapp.notes import queries, services
from webapp.notes.forms import NoteForm
from webapp.notes.models import Note
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.undo_views import undo_url
from webapp.web.language import gettext
from webapp.web.messages import tell

blueprint = Blueprint("notes", __name__)


@blueprint.route("/users/<int:user_id>/notes/new", methods=["GET", "POST"])
@requires(Permission.USERS_EDIT)
def add_note(user_id: int) -> Response:
    user = get_user(user_id)
    current_actor().require(Permission.USERS_EDIT, on=user.role)
    form = NoteForm()
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            services.add_note(user, text=form.text.data, actor=current_actor())
        except Invalid as error:
            form.show(error)
        else:
            return _done(user, gettext("The note is saved."))
    return _show_form(form, user, None, status)


@blueprint.route("/notes/<int:note_id>/edit", methods=["GET", "POST"])
@requires(Permission.USERS_EDIT)
def edit_note(note_id: int) -> Response:
    note = queries.get_note(note_id)
    user = get_user(note.user_id)
    services.require_author(note, user, current_actor())
    form = NoteForm(obj=note)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            changed = services.edit_note(
                note, text=form.text.data, version=form.version.data, actor=current_actor()
            )
        except (Invalid, Conflict, Stale) as error:
            form.show(error)
            form.version.data = note.version
            status = 422 if isinstance(error, Invalid) else 409
        else:
            return _done(user, gettext("The note is saved.") if changed else gettext("Nothing was changed."))
    return _show_form(form, user, note, status)


@blueprint.post("/notes/<int:note_id>/delete")
@requires(Permission.USERS_EDIT)
def delete_note(note_id: int) -> Response:
    note = queries.get_note(note_id)
    user = get_user(note.user_id)
    services.delete_note(note, actor=current_actor())
    return _done(user, gettext("The note is deleted."))


def _done(user: User, text: str) -> Response:
    tell(text, undo_url=undo_url(user.id))
    return redirect(url_for("users.show_user", user_id=user.id), 303)


def _show_form(form: NoteForm, user: User, note: Note | None, status: int) -> Response:
    return make_response(render_template("notes/form.html", form=form, user=user, note=note), status)


def render_notes(user: User) -> str:
    actor = current_actor()
    notes = queries.list_notes(user.id)
    return render_template(
        "notes/panel.html",
        user=user,
        notes=notes,
        deleted=find_kept_names(
            {note.author_id for note in notes if note.author_id and not note.author_name}
        ),
        own_id=actor.user_id,
        can_add=actor.may(Permission.USERS_EDIT, on=user.role),
        can_delete=actor.may(Permission.USERS_DELETE, on=user.role),
    )
