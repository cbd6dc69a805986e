"""The line in the form that says who else has it open; the page asks for it again every few seconds."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from webapp.access.guards import requires, unattended
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.users.presence import RENEWED_LASTS, find_presence, note_open
from webapp.users.queries import get_user

blueprint = Blueprint("presence", __name__, url_prefix="/users")


@blueprint.get("/<int:user_id>/presence")
@requires(Permission.USERS_EDIT)
@unattended
def show_presence(user_id: int) -> str:
    actor = current_actor()
    version = request.args.get("version", 0, type=int)
    presence = find_presence(get_user(user_id), version=version, actor=actor)
    line = render_template("users/presence.html", presence=presence)
    note_open(user_id, presence, lasts=RENEWED_LASTS, actor=actor)  # last: it ends what was read
    return line
