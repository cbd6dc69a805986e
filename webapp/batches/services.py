"""Making batches and running them.

Up to AT_ONCE rows are changed in one transaction, and only if each of them can be that the preview
promised. More are changed in steps, each a short transaction of its own, so that nobody waits long; a
batch that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.batches.changes import change_of, undoing
from webapp.batches.models import BATCHES, ROWS, Batch
from webapp.batches.queries import Resolution, find_undoing, get_batch, list_rows, parts_of, write_reason
from webapp.batches.rules import (
    AT_ONCE,
    MOST_ROWS,
    PERMISSIONS,
    UNDOABLE,
    WITH_VALUE,
    Action,
    Result,
    Source,
    State,
    clean_action,
    digest_of,
)
from webapp.db import atomic, get_session
from webapp.db.bulk import load_rows
from webapp.db.session import renew_time_limit
from webapp.errors import N_, Conflict, DomainError, Forbidden, Invalid, Stale
from webapp.extensions import utc_now
from webapp.history.queries import get_stories
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.types import AnyRow
from webapp.users.many import Change, Outcome, change_many, judge
from webapp.users.models import derive_keys
from webapp.users.queries import Person, find_administrators, list_people

DRAFTS_KEPT = timedelta(days=1)
UNRESOLVED_KEPT = timedelta(days=30)
SAMPLE = 10
NAMES_OF_REFUSED = 5


@atomic
def create_batch(
    user_ids: Collection[int],
    *,
    source: Source,
    action: str = "",
    resolution: Resolution | None = None,
    actor: Actor,
) -> Batch:
    """Freeze who is chosen. Nobody is changed yet; ``action`` may be chosen later.

    Raises Invalid when there is nobody, or more than MOST_ROWS.
    """
    actor.require(Permission.USERS_EDIT)
    if len(user_ids) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    if not user_ids and not (resolution and resolution.unclear):
        raise Invalid(N_("Choose at least one user."))
    chosen = clean_action(action, source) if action else None
    if chosen:
        actor.require(PERMISSIONS[chosen])
    _sweep()
    batch = Batch(
        creator_id=actor.user_id,
        source=source.value,
        action=chosen.value if chosen else None,
        unresolved=resolution.to_json() if resolution else "",
    )
    session = get_session()
    session.add(batch)
    session.flush()
    _append(batch, user_ids)
    session.flush()
    return batch


def _append(batch: Batch, user_ids: Iterable[int]) -> None:
    """In the order of the ids, in which the rows are locked later on."""
    ordered = sorted({user_id for user_id in user_ids if 0 < user_id <= LARGEST_ID})
    rows = [(batch.id, position, user_id) for position, user_id in enumerate(ordered, batch.total + 1)]
    load_rows(get_session(), ROWS, ("batch_id", "position", "user_id"), rows)
    batch.total += len(rows)


def _sweep() -> None:
    """Of what nobody came back to, the oldest; and lists that people pasted are not kept for ever."""
    session, now = get_session(), utc_now()
    old = select(BATCHES.c.id).where(
        BATCHES.c.state == State.DRAFT.value, BATCHES.c.created_at < now - DRAFTS_KEPT
    )
    session.execute(delete(BATCHES).where(BATCHES.c.id.in_(old.order_by(BATCHES.c.id).limit(1))))
    listed = BATCHES.c.created_at < now - UNRESOLVED_KEPT
    session.execute(update(BATCHES).where(listed, BATCHES.c.unresolved != "").values(unresolved=""))


@atomic
def choose_action(batch: Batch, *, action: str, value: str = "", actor: Actor) -> None:
    """What is to be done. Raises Invalid on the field."""
    _lock_draft(batch, actor)
    chosen = clean_action(action, Source(batch.source))
    actor.require(PERMISSIONS[chosen])
    value = value.strip() if chosen in WITH_VALUE else ""
    if value:
        change_of(chosen, value)
    batch.action, batch.value = chosen.value, value


@atomic
def choose_namesakes(batch: Batch, *, user_ids: Collection[int], actor: Actor) -> None:
    """Of names that several have: who is meant. Their names are answered with that."""
    _lock_draft(batch, actor)
    present = set(get_session().scalars(select(ROWS.c.user_id).where(ROWS.c.batch_id == batch.id)))
    if batch.total + len(user_ids) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    people = [person for person in list_people(user_ids) if person.id not in present]
    _reorder(batch, [*present, *(person.id for person in people)])
    resolution = Resolution.from_json(batch.unresolved)
    keys = {
        derive_keys(full_name=person.full_name, email=person.email)["name_key"]
        for person in list_people(user_ids)
    }
    left = [item for item in resolution.ambiguous if item.key not in keys]
    resolution.unclear -= len(resolution.ambiguous) - len(left)
    resolution.ambiguous = left
    batch.unresolved = resolution.to_json()


def _reorder(batch: Batch, user_ids: Sequence[int]) -> None:
    get_session().execute(delete(ROWS).where(ROWS.c.batch_id == batch.id))
    batch.total = 0
    _append(batch, user_ids)


# --- looking ahead ---


@dataclass(slots=True)
class Refused:
    """Those who are left out for one reason: how many, and the names of some."""

    refusal: DomainError
    number: int = 0
    people: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """What a batch would do now. ``seen`` tells two previews apart that would not change the same people."""

    changing: int = 0
    same: int = 0
    sample: list[Person] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    seen: str = ""

    @property
    def left_out(self) -> int:
        return sum(item.number for item in self.refused)


def examine(batch: Batch, *, actor: Actor) -> Preview:
    """Nothing is written. Raises Invalid when the action's value is missing, Forbidden, Conflict."""
    administrators = set(find_administrators())
    preview = Preview()
    reasons: dict[str, Refused] = {}
    changing: list[int] = []
    for rows in parts_of(batch.id, size=AT_ONCE):
        renew_time_limit(get_session())
        change, _undoes = _change_for(batch, rows)
        actor.require(change.permission)
        ids = [row.user_id for row in rows]
        planned, refused = judge(change, ids, actor=actor, administrators=administrators)
        changing += [person.id for person, _values in planned]
        preview.sample += [person for person, _values in planned[: SAMPLE - len(preview.sample)]]
        preview.same += len(rows) - len(planned) - len(refused)
        _collect(reasons, refused)
    preview.changing = len(changing)
    preview.seen = digest_of(iter(changing))
    preview.refused = sorted(reasons.values(), key=lambda item: -item.number)
    return preview


def _collect(reasons: dict[str, Refused], refused: Mapping[int, DomainError]) -> None:
    shown: dict[int, Refused] = {}
    for user_id, refusal in refused.items():
        reason = reasons.setdefault(str(refusal), Refused(refusal))
        reason.number += 1
        if reason.number <= NAMES_OF_REFUSED:
            shown[user_id] = reason
    names = {person.id: person.display_name for person in list_people(shown)} if shown else {}
    for user_id, reason in shown.items():
        reason.people.append((user_id, names.get(user_id, "")))


def _change_for(batch: Batch, rows: Sequence[AnyRow]) -> tuple[Change, dict[int, int]]:
    """And which entry is undone of whom."""
    if batch.action is None:
        raise Invalid(N_("Choose what to do."), field="action")
    action = Action(batch.action)
    if action is not Action.UNDO:
        return change_of(action, batch.value), {}
    undoes = {row.user_id: row.undoes_entry_id for row in rows}
    by_id = get_stories(undoes.values())
    return undoing({user_id: by_id[entry_id] for user_id, entry_id in undoes.items()}), undoes


# --- running ---


def run_batch(batch: Batch, *, seen: str, actor: Actor) -> bool:
    """Change all that the preview promised, or nobody: raises Stale when these would not be the people any
    more of whom the preview told that is called ``seen``.

    Of more than AT_ONCE it only says that they may be changed, and answers False: ``run_step()`` does it, and
    each has a result of his own.
    """
    if batch.total <= AT_ONCE:
        _run_at_once(batch, seen=seen, actor=actor)
        return True
    _start(batch, actor)
    return False


@atomic
def _run_at_once(batch: Batch, *, seen: str, actor: Actor) -> None:
    _lock_draft(batch, actor)
    rows = list_rows(batch.id, most=AT_ONCE + 1)
    change, _undoes = _change_for(batch, rows)
    actor.require(change.permission)
    outcomes = _change_rows(batch, rows, actor)
    changed = (row.user_id for row in rows if outcomes[row.user_id].entry_id is not None)
    if digest_of(changed) != seen:
        raise Stale(N_("Some of them were changed since this was shown. Nothing was done yet: look again."))
    _finish(batch)


@atomic
def _start(batch: Batch, actor: Actor) -> None:
    _lock_draft(batch, actor)
    change, _undoes = _change_for(batch, list_rows(batch.id, most=1))
    actor.require(change.permission)
    batch.state, batch.touched_at = State.RUNNING.value, utc_now()


@atomic
def run_step(batch_id: int, *, most: int, actor: Actor) -> bool:
    """Change the next ``most`` rows; tells whether there are more. Whoever else is at it waits.

    The actor is looked at anew each time: when he may not go on, the batch stops.
    """
    batch = _lock(get_batch(batch_id))
    if batch.state != State.RUNNING.value:
        return False
    able = _as_of_now(actor)
    rows = list_rows(batch.id, after=batch.position, most=most)
    if able is None:
        batch.state = State.STOPPED.value
        return False
    if rows:
        _change_rows(batch, rows, able)
    if batch.position >= batch.total:
        _finish(batch)
        return False
    return True


def _as_of_now(actor: Actor) -> Actor | None:
    if actor.user_id is None:
        return actor
    people = list_people([actor.user_id])
    if not people or not people[0].is_active:
        return None
    able = replace(actor, role=people[0].role)
    return able if able.may(Permission.USERS_EDIT) else None


def _change_rows(batch: Batch, rows: Sequence[AnyRow], actor: Actor) -> dict[int, Outcome]:
    change, undoes = _change_for(batch, rows)
    ids = [row.user_id for row in rows]
    outcomes = change_many(change, ids, actor=actor, facts={"batch": batch.id}, undoes=undoes)
    told = [_told(row, outcomes[row.user_id]) for row in rows]
    row_of = (ROWS.c.batch_id == batch.id, ROWS.c.position == bindparam("at"))
    results: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("outcome", "entry_id", "reason")}
    get_session().execute(update(ROWS).where(*row_of).values(results), told)
    batch.position = rows[-1].position if rows else batch.position
    batch.done += sum(1 for outcome in outcomes.values() if outcome.entry_id is not None)
    batch.refused += sum(1 for outcome in outcomes.values() if outcome.refusal is not None)
    batch.touched_at = utc_now()
    return outcomes


def _told(row: AnyRow, outcome: Outcome) -> dict[str, object]:
    result = Result.SAME
    if outcome.refusal is not None:
        result = Result.REFUSED
    elif outcome.entry_id is not None:
        result = Result.DONE
    return {
        "at": row.position,
        "new_outcome": result.value,
        "new_entry_id": outcome.entry_id,
        "new_reason": write_reason(outcome.refusal),
    }


def _finish(batch: Batch) -> None:
    batch.state, batch.finished_at = State.DONE.value, utc_now()


@atomic
def stop(batch: Batch, *, actor: Actor) -> None:
    """After the present step; what is done stays, and can be undone."""
    _lock(batch)
    _require(batch, actor)
    if batch.state != State.RUNNING.value:
        raise Conflict(N_("This is not running any more."))
    batch.state = State.STOPPED.value


@atomic
def go_on(batch: Batch, *, actor: Actor) -> None:
    """Let a batch that was stopped or interrupted be run further, by this actor."""
    _lock(batch)
    _require(batch, actor)
    if batch.state not in {State.STOPPED.value, State.RUNNING.value}:
        raise Conflict(N_("There is nothing left to do."))
    undo = find_undoing(batch.id)
    if undo is not None and undo.state != State.DRAFT.value:
        raise Conflict(N_("This was undone already."))
    batch.state, batch.touched_at = State.RUNNING.value, utc_now()


# --- undoing ---


@atomic
def create_undo(batch: Batch, *, actor: Actor) -> Batch:
    """A batch that takes back what this one has done: the draft that there is already, or a new one."""
    _lock(batch)
    _require(batch, actor)
    if batch.state not in {State.STOPPED.value, State.DONE.value}:
        raise Conflict(N_("Wait until it is through, or stop it first."))
    if not batch.done or Action(batch.action or "") not in UNDOABLE:
        raise Conflict(N_("There is nothing to undo."))
    earlier = find_undoing(batch.id)
    if earlier is not None and earlier.state != State.DRAFT.value:
        raise Conflict(N_("This was undone already."))
    session = get_session()
    if earlier is not None:  # by somebody who did not go through with it: more may be done by now
        session.delete(earlier)
        session.flush()
    undo = Batch(
        creator_id=actor.user_id,
        source=Source.UNDO.value,
        action=Action.UNDO.value,
        undoes_id=batch.id,
        total=batch.done,
    )
    session.add(undo)
    session.flush()
    done = ROWS.c.batch_id == batch.id, ROWS.c.outcome == Result.DONE.value
    position = func.row_number().over(order_by=ROWS.c.position)
    rows = select(bindparam("undo", undo.id), position, ROWS.c.user_id, ROWS.c.entry_id).where(*done)
    columns = ["batch_id", "position", "user_id", "undoes_entry_id"]
    session.execute(insert(ROWS).from_select(columns, rows))
    return undo


def _lock(batch: Batch) -> Batch:
    get_session().refresh(batch, with_for_update=True)
    return batch


def _require(batch: Batch, actor: Actor) -> None:
    """What the action asks of whoever takes a hand in it."""
    actor.require(PERMISSIONS[Action(batch.action)] if batch.action else Permission.USERS_EDIT)


def _lock_draft(batch: Batch, actor: Actor) -> None:
    """Raises Conflict when it was run already, also by another tab in this moment."""
    _lock(batch)
    actor.require(Permission.USERS_EDIT)
    refuse_foreign(batch, actor)
    if batch.state != State.DRAFT.value:
        raise Conflict(N_("This was run already."))


def refuse_foreign(batch: Batch, actor: Actor) -> None:
    """What somebody is still choosing is nobody else's."""
    if batch.state == State.DRAFT.value and batch.creator_id != actor.user_id:
        raise Forbidden(N_("Somebody else is still preparing this."))
