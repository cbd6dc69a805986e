"""The trash: who is in it, back out of it, or gone for good."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.db import get_session, get_settings
from webapp.errors import Conflict, Invalid
from webapp.listing.definition import Selection
from webapp.listing.page import PageRequest, paginate
from webapp.users import queries, trash
from webapp.users.forms import RestoreForm
from webapp.users.urls import show_url
from webapp.web.language import gettext
from webapp.web.messages import tell
from webapp.web.panels import collect_panels

blueprint = Blueprint("trash", __name__, url_prefix="/trash")


@blueprint.get("/")
@requires(Permission.USERS_DELETE)
def list_trash() -> str:
    where = PageRequest(
        sort="-deleted_at", after=request.args.get("after"), before=request.args.get("before")
    )
    page = paginate(get_session(), queries.TRASH_LISTING, Selection(), where)
    panels = {row.id: [Markup(html) for html in collect_panels("trash", row)] for row in page.rows}  # noqa: S704
    return render_template("users/trash.html", page=page, panels=panels)


@blueprint.route("/<int:user_id>/restore", methods=["GET", "POST"])
@requires(Permission.USERS_DELETE)
def restore_user(user_id: int) -> Response:
    """Sent without an e-mail from the list; the form, which has one, is for when that is taken."""
    trashed = trash.get_trashed(user_id)
    form = RestoreForm(obj=trashed)
    status = 200
    if request.method == "POST" and ("email" not in request.form or form.validate()):
        try:
            email = form.email.data if "email" in request.form else None
            user = trash.restore_user(user_id, email=email, actor=current_actor())
        except (Conflict, Invalid) as error:
            form.show(error)
            form.email.data = form.email.data or trashed.email
            status = 422 if isinstance(error, Invalid) else 409
        else:
            tell(gettext("%(name)s is back.", name=user.display_name))
            return redirect(show_url(user, ""), 303)
    elif request.method == "POST":
        status = 422
    return make_response(render_template("users/restore.html", form=form, trashed=trashed), status)


@blueprint.route("/<int:user_id>/purge", methods=["GET", "POST"])
@requires(Permission.USERS_DELETE)
def purge_user(user_id: int) -> Response:
    trashed = trash.get_trashed(user_id)
    if request.method == "POST":
        name = trashed.display_name
        trash.purge_user(user_id, actor=current_actor())
        tell(gettext("%(name)s is deleted for good.", name=name))
        return redirect(url_for("trash.list_trash"), 303)
    return make_response(
        render_template("users/purge.html", trashed=trashed, staff_days=get_settings().history_staff_days)
    )
