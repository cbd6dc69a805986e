"""Taking back a change of somebody, from the history or from the toast that told of it."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.errors import N_, Conflict, Invalid, Stale
from webapp.history.queries import find_own, get_story
from webapp.users import queries, undoing
from webapp.users.urls import back_to, show_url
from webapp.web.language import explain, gettext
from webapp.web.messages import tell

# A member who becomes staff loses their password, and becoming a member again does not bring it back.
NEEDS_LINK = N_("They have no password now and need a new password link.")

blueprint = Blueprint("undo", __name__, url_prefix="/users")


def undo_url(user_id: int) -> str | None:
    """Where the change is undone that this request has just made of somebody."""
    entry_id = find_own(user_id, current_actor())
    return url_for("undo.undo_change", entry_id=entry_id) if entry_id else None


@blueprint.post("/changes/<int:entry_id>/undo")
@requires(Permission.USERS_EDIT)
def undo_change(entry_id: int) -> Response:
    try:
        user = undoing.undo_change(entry_id, actor=current_actor())
    except (Conflict, Invalid, Stale) as error:
        tell(explain(error), level="bad")
        story = get_story(entry_id)
        if story.subject_id is not None and queries.find_user(story.subject_id) is not None:
            return redirect(url_for("users.show_user", user_id=story.subject_id), 303)
        return redirect(_trash_or_history(), 303)
    if user is None:
        tell(gettext("Undone: the user is in the trash."))
        return redirect(_trash_or_history(), 303)
    text = gettext("Undone: %(name)s is as before.", name=user.display_name)
    if user.is_invited and "role" in get_story(entry_id).changes:
        text += " " + gettext(NEEDS_LINK)
    tell(text, undo_url=undo_url(user.id))
    return redirect(show_url(user, back_to()), 303)


def _trash_or_history() -> str:
    """Where somebody is found who is no user now."""
    may_restore = current_actor().may(Permission.USERS_DELETE)
    return url_for("trash.list_trash" if may_restore else "history.list_history")
