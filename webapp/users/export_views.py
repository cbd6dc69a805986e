"""All that the list would show, as a file."""

from __future__ import annotations

from flask import Blueprint, request
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.extensions import utc_now
from webapp.users import export
from webapp.users.forms import UserFilterForm
from webapp.users.views import show_list
from webapp.web.csv import stream_csv
from webapp.web.times import current_zone

blueprint = Blueprint("export", __name__, url_prefix="/users")


@blueprint.post("/export")
@requires(Permission.USERS_EXPORT)
def export_users() -> Response:
    form = UserFilterForm(request.form)
    if not form.validate():
        return show_list(form, empty="bad_filters", status=422)
    selection, actor = form.selection(), current_actor()
    filters = {name: value for name, value in form.state().items() if name != "page_size"}
    if selection.range is not None:  # its days are those of a zone
        filters["time_zone"] = current_zone().key
    return stream_csv(
        f"users-{utc_now():%Y-%m-%d}",
        export.HEAD,
        export.end_with(actor, export.read_users(selection, sort=form.sort.data)),
        owner_id=actor.user_id or 0,
        begin=lambda: export.note_export(selection, filters=filters, actor=actor),
    )
