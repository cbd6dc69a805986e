"""The start page and the help."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission

blueprint = Blueprint("web", __name__)


@blueprint.get("/")
@requires(Permission.OWN_ACCOUNT)
def show_home() -> Response:
    able = current_actor().may(Permission.USERS_READ)
    return redirect(url_for("users.list_users" if able else "auth.edit_profile"))


@blueprint.get("/help")
@requires(Permission.OWN_ACCOUNT)
def show_help() -> str:
    return render_template("help.html")
