"""Many at once: choose, look, run, and see what became of each."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial
from typing import Any

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires, unattended
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.batches import drafts, queries, running
from webapp.batches.creators import find_obstacle, role_of_creator
from webapp.batches.forms import ActionForm, PasteForm, read_ids
from webapp.batches.locks import is_own, needed_for, refuse_foreign
from webapp.batches.models import Batch
from webapp.batches.preview import SAMPLE, examine
from webapp.batches.queries import Resolution, is_interrupted
from webapp.batches.rules import (
    AT_ONCE,
    MOST_ROWS,
    OF_TRASHED,
    PERMISSIONS,
    UNDOABLE,
    WITH_VALUE,
    Action,
    Result,
    Source,
    State,
)
from webapp.batches.runner import run_aside
from webapp.batches.undoing import create_undo
from webapp.batches.wording import BUTTONS, RESULTS, SOURCES, STATES, explain_action, name_action, tell_done
from webapp.db import get_session
from webapp.errors import Busy, Conflict, Invalid, Stale
from webapp.history.queries import find_kept_names
from webapp.listing.definition import Selection
from webapp.listing.page import PageRequest, find_ids, paginate
from webapp.users.forms import UserFilterForm
from webapp.users.queries import LISTING, TRASH_LISTING, Person, list_people, list_trashed
from webapp.users.urls import back_to, list_back
from webapp.web.language import explain, gettext
from webapp.web.messages import tell
from webapp.web.pages import STATUS

blueprint = Blueprint("batches", __name__, url_prefix="/batches")
ROWS_SHOWN = 100
NAMESAKES_SHOWN = 20
LONGEST_POSITION = 9
RETRY_SECONDS = 5


@blueprint.get("/")
@requires(Permission.HISTORY_READ)
def list_batches() -> str:
    where = PageRequest(
        sort="-created_at", after=request.args.get("after"), before=request.args.get("before")
    )
    page = paginate(get_session(), queries.LISTING, Selection(), where)
    return render_template(
        "batches/list.html",
        page=page,
        names=_name_people({row.creator_id for row in page.rows if row.creator_id}),
        own_id=current_actor().user_id,
        name_action=name_action,
        states=STATES,
        sources=SOURCES,
    )


@blueprint.post("/")
@requires(Permission.USERS_EDIT)
def create_batch() -> Response:
    """From the list, or from the trash: of those ticked, or of all that match, as they are now."""
    is_trash = request.form.get("where") == Source.TRASH
    back = url_for("trash.list_trash") if is_trash else list_back(back_to())
    source = Source.TRASH if is_trash else Source.MATCHING if request.form.get("all") else Source.SELECTED
    try:
        user_ids = _chosen_ids(source)
        batch = drafts.create_batch(
            user_ids, source=source, action=request.form.get("action", ""), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        tell(explain(error), level="bad")
        return redirect(back, 303)
    return redirect(url_for("batches.show_batch", batch_id=batch.id, back=back_to() or None), 303)


def _chosen_ids(source: Source) -> set[int]:
    if not request.form.get("all"):
        return read_ids(request.form.getlist("id"))
    if source is Source.TRASH:
        return set(find_ids(get_session(), TRASH_LISTING, Selection(), most=MOST_ROWS + 1))
    filters = UserFilterForm(request.form)
    if not filters.validate():
        raise Invalid(next(iter(filters.errors.values()))[0])
    return set(find_ids(get_session(), LISTING, filters.selection(), most=MOST_ROWS + 1))


@blueprint.route("/paste", methods=["GET", "POST"])
@requires(Permission.USERS_EDIT)
def paste_list() -> Response:
    form = PasteForm()
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        resolution = queries.resolve(form.wanted)
        try:
            batch = drafts.create_batch(
                resolution.found, source=Source.PASTED, resolution=resolution, actor=current_actor()
            )
        except Invalid:
            form.text.errors = [gettext("Nobody of this list was found.")]
        except Conflict as error:
            form.show(error)
            status = 409
        else:
            return redirect(url_for("batches.show_batch", batch_id=batch.id), 303)
    return make_response(render_template("batches/paste.html", form=form), status)


@blueprint.get("/<int:batch_id>")
@requires(Permission.HISTORY_READ)
def show_batch(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    refuse_foreign(batch, current_actor())
    if batch.state == State.DRAFT.value:
        return _show_draft(batch)
    if batch.state == State.RUNNING.value:
        return make_response(render_template("batches/running.html", **_about(batch)))
    return _show_results(batch)


@blueprint.get("/<int:batch_id>/progress")
@requires(Permission.HISTORY_READ)
@unattended
def show_progress(batch_id: int) -> Response:
    """The same page, as its own script asks for it each second."""
    return show_batch(batch_id)


def _show_draft(
    batch: Batch, *, form: ActionForm | None = None, notice: str = "", status: int = 200
) -> Response:
    actor = current_actor()
    is_wrong = form is not None  # what is stored is not what the form says
    if form is None:
        form = ActionForm()
        form.show_value(batch.action, batch.value)
    asks_value = batch.action in WITH_VALUE
    preview = None
    if batch.action and batch.total and (batch.value or not asks_value) and not is_wrong:
        preview = examine(batch, actor=actor)
    resolution = Resolution.from_json(batch.unresolved)
    page = render_template(
        "batches/draft.html",
        **_about(batch),
        form=form,
        asks_value=asks_value,
        preview=preview,
        sample=[] if preview else _sample(batch),
        run_label=name_action(batch.action, batch.value, preview.changing) if preview else "",
        explain=explain,
        explanation=explain_action(batch.action),
        notice=notice,
        buttons=[(action.value, gettext(BUTTONS[action])) for action in _possible_actions(batch)],
        resolution=resolution,
        namesakes=[
            (item, queries.list_namesakes(item.key)) for item in resolution.ambiguous[:NAMESAKES_SHOWN]
        ],
        is_large=batch.total > AT_ONCE,
    )
    return make_response(page, status)


def _sample(batch: Batch) -> list[Person]:
    """Some of those who are chosen."""
    ids = [row.user_id for row in queries.list_rows(batch.id, most=SAMPLE)]
    return list_trashed(ids) if batch.source == Source.TRASH.value else list_people(ids)


def _possible_actions(batch: Batch) -> list[Action]:
    if batch.source == Source.UNDO.value:
        return []
    is_trash = batch.source == Source.TRASH.value
    actor = current_actor()
    return [
        action for action in BUTTONS if actor.may(PERMISSIONS[action]) and (action in OF_TRASHED) is is_trash
    ]


def _about(batch: Batch) -> dict[str, Any]:
    """What every page of a batch shows."""
    back, actor, needed = back_to(), current_actor(), needed_for(batch)
    own, creator_role = is_own(batch, actor), role_of_creator(batch)
    rests = batch.state == State.STOPPED.value or is_interrupted(batch)
    obstacle = find_obstacle(batch, needed) if rests else None
    has_hand = actor.may(needed, on=None if own else creator_role)
    return {
        "may_act": actor.may(needed),
        "may_stop": own or has_hand,
        "may_continue": has_hand and (obstacle is None or (own and actor.role is creator_role)),
        "is_interrupted": is_interrupted(batch),
        "obstacle": explain(obstacle) if obstacle else "",
        "batch": batch,
        "title": name_action(batch.action, batch.value, batch.total),
        "back": back,
        "back_url": list_back(back) if back else url_for("batches.list_batches"),
    }


def _show_results(batch: Batch) -> Response:
    wanted = request.args.get("outcome", "")
    outcome = wanted if wanted in set(Result) else None
    after = request.args.get("after", "")
    is_number = after.isascii() and after.isdigit() and len(after) <= LONGEST_POSITION
    rows = queries.show_rows(
        batch.id, outcome=outcome, after=int(after) if is_number else 0, most=ROWS_SHOWN + 1
    )
    undo = queries.find_undoing(batch.id)
    is_undone = undo is not None and undo.state != State.DRAFT.value
    about = _about(batch)
    may_act, is_stopped = about["may_act"], batch.state == State.STOPPED.value
    page = render_template(
        "batches/results.html",
        **about,
        rows=rows[:ROWS_SHOWN],
        next_after=rows[ROWS_SHOWN - 1].position if len(rows) > ROWS_SHOWN else None,
        outcome=outcome,
        outcomes=_count_outcomes(batch),
        results=RESULTS,
        explain=explain,
        resolution=Resolution.from_json(batch.unresolved),
        undo=undo if is_undone else None,
        can_undo=may_act and batch.done > 0 and Action(batch.action or "") in UNDOABLE and not is_undone,
        can_continue=about["may_continue"] and is_stopped and not is_undone,
        can_begin_rest=may_act and is_stopped and batch.position < batch.total and not is_undone,
        creator=_name_people({batch.creator_id}).get(batch.creator_id) if batch.creator_id else None,
    )
    return make_response(page)


def _name_people(user_ids: Set[int]) -> dict[int, str]:
    """By id; of those who are users no more, as the history still names them."""
    names = {person.id: person.display_name for person in list_people(user_ids)}
    kept = find_kept_names(user_ids - names.keys())
    return names | {user_id: gettext("%(name)s (deleted)", name=name) for user_id, name in kept.items()}


def _count_outcomes(batch: Batch) -> list[tuple[str, str, int]]:
    numbers = {
        Result.DONE: batch.done,
        Result.SAME: batch.position - batch.done - batch.refused,
        Result.REFUSED: batch.refused,
    }
    return [(result.value, gettext(RESULTS[result]), number) for result, number in numbers.items() if number]


@blueprint.post("/<int:batch_id>/action")
@requires(Permission.USERS_EDIT)
def choose_action(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    form = ActionForm()
    try:
        drafts.choose_action(batch, action=form.action.data, value=form.value(), actor=current_actor())
    except Invalid as error:
        field = {"text": "note", "action": None}.get(error.field or "", error.field)
        form.show(Invalid(error.message, field=field, **error.params))
        return _show_draft(queries.get_batch(batch_id), form=form, status=422)
    return _to(batch)


@blueprint.post("/<int:batch_id>/namesakes")
@requires(Permission.USERS_EDIT)
def choose_namesakes(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    try:
        drafts.choose_namesakes(batch, user_ids=read_ids(request.form.getlist("id")), actor=current_actor())
    except Invalid as error:
        tell(explain(error), level="bad")
    return _to(batch)


@blueprint.post("/<int:batch_id>/run")
@requires(Permission.USERS_EDIT)
def run_batch(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    try:
        return _run(batch, seen=request.form.get("seen", ""))
    except (Stale, Invalid, Busy) as error:
        status = STATUS[type(error)]
        page = _show_draft(queries.get_batch(batch_id), notice=explain(error), status=status)
        if isinstance(error, Busy):
            page.headers["Retry-After"] = str(RETRY_SECONDS)
        return page
    except Conflict as error:  # pressed twice, or in another tab
        tell(explain(error), level="bad")
        return _to(batch)


def _run(batch: Batch, *, seen: str) -> Response:
    begin = partial(running.run_batch, batch, seen=seen, actor=current_actor())
    if batch.total > AT_ONCE:
        _run_aside(batch, begin=begin)
        return _to(batch)
    begin()
    undo_url = url_for("batches.undo_batch", batch_id=batch.id)
    text = tell_done(batch.action, batch.value, batch.done)
    tell(text, undo_url=undo_url if batch.done and Action(batch.action or "") in UNDOABLE else None)
    return _to(batch)


def _run_aside(batch: Batch, *, begin: Callable[[], object]) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    run_aside(app, batch.id, actor=current_actor(), begin=begin)


@blueprint.post("/<int:batch_id>/stop")
@requires(Permission.USERS_EDIT)
def stop_batch(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    try:
        running.stop(batch, actor=current_actor())
    except Conflict as error:
        tell(explain(error), level="bad")
    return _to(batch)


@blueprint.post("/<int:batch_id>/continue")
@requires(Permission.USERS_EDIT)
def continue_batch(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    try:
        _run_aside(batch, begin=partial(running.go_on, batch, actor=current_actor()))
    except (Conflict, Busy) as error:
        tell(explain(error), level="bad")
    return _to(batch)


@blueprint.post("/<int:batch_id>/rest")
@requires(Permission.USERS_EDIT)
def begin_rest(batch_id: int) -> Response:
    """Those whose turn never came, as a change of one's own: it is shown first."""
    batch = queries.get_batch(batch_id)
    try:
        return _to(drafts.create_rest(batch, actor=current_actor()))
    except (Conflict, Invalid) as error:
        tell(explain(error), level="bad")
        return _to(batch)


@blueprint.post("/<int:batch_id>/discard")
@requires(Permission.USERS_EDIT)
def discard_batch(batch_id: int) -> Response:
    batch = queries.get_batch(batch_id)
    back = back_to()
    try:
        drafts.discard(batch, actor=current_actor())
    except Conflict as error:
        tell(explain(error), level="bad")
        return _to(batch)
    return redirect(list_back(back) if back else url_for("batches.list_batches"), 303)


@blueprint.post("/<int:batch_id>/undo")
@requires(Permission.USERS_EDIT)
def undo_batch(batch_id: int) -> Response:
    """At once where all of it can be undone; else it is shown first what cannot."""
    batch = queries.get_batch(batch_id)
    actor = current_actor()
    try:
        undo = create_undo(batch, actor=actor)
        preview = examine(undo, actor=actor)
        if preview.left_out or preview.same:
            return _to(undo)
        return _run(undo, seen=preview.seen)
    except (Conflict, Stale, Busy) as error:
        tell(explain(error), level="bad")
        return _to(batch)


def _to(batch: Batch) -> Response:
    return redirect(url_for("batches.show_batch", batch_id=batch.id, back=back_to() or None), 303)
