"""The history's pages, and its part of a person's page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request, url_for

from webapp.access.guards import requires
from webapp.access.identity import current_actor, known_identity
from webapp.access.permissions import Permission, Role
from webapp.db import get_session
from webapp.history import queries
from webapp.history.flood import refuse
from webapp.history.forms import HistoryFilterForm, page_request
from webapp.history.timeline import find_told_people, make_lines
from webapp.listing.page import paginate

blueprint = Blueprint("history", __name__, url_prefix="/history")
SHOWN_OF_A_PERSON = 20
RoleReader = Callable[[Collection[int]], Mapping[int, Role]]


def know_roles(app: Flask, read: RoleReader) -> None:
    """How the users' feature tells which roles people have now; whoever is none of the users is left out."""
    app.extensions["roles"] = read


@blueprint.get("/")
@requires(Permission.HISTORY_READ)
def list_history() -> Response:
    form = HistoryFilterForm(request.args)
    if not form.validate():
        return _show(form, status=422)
    where = page_request(request.args.get("after"), request.args.get("before"))
    page = paginate(get_session(), queries.LISTING, form.selection(), where)
    stories = [queries.tell(row) for row in page.rows]
    return _show(form, page=page, lines=make_lines(stories, current_actor(), _read_roles(stories)))


def _read_roles(stories: Sequence[queries.Story]) -> Mapping[int, Role]:
    read: RoleReader = current_app.extensions["roles"]
    return read(find_told_people(stories))


def _show(form: HistoryFilterForm, *, status: int = 200, **context: object) -> Response:
    page = render_template("history/list.html", **{"page": None, "lines": [], **context}, filters=form)
    return make_response(page, status)


def render_timeline(user_id: int, role: Role, stories: Sequence[queries.Story]) -> str:
    """The latest of what was done to somebody; of one more than are shown it is known that there are more."""
    shown = stories[:SHOWN_OF_A_PERSON]
    return render_template(
        "history/panel.html",
        lines=make_lines(shown, current_actor(), {**_read_roles(shown), user_id: role}),
        all_url=url_for("history.list_history", user=user_id) if len(stories) > SHOWN_OF_A_PERSON else None,
    )


def record_refusals(response: Response) -> Response:
    """What people signed in were not allowed to do stands in the history as well."""
    identity = known_identity()
    if response.status_code == 403 and identity is not None and request.url_rule is not None:  # noqa: PLR2004
        refuse("permission", identity.actor)
    return response
