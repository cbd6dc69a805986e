"""Making batches and running them.

Up to AT_ONCE rows are changed in one transaction, and only if each of them can be that the preview
promised. More are changed in steps, each a short transaction of its own, so that nobody waits long; a
batch that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import InvalidRequestError

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.batches.changes import change_of, undoing
from webapp.batches.models import BATCHES, ROWS, Batch
from webapp.batches.queries import (
    NO_SUCH_BATCH,
    Resolution,
    find_undoing,
    get_batch,
    is_interrupted,
    list_rows,
    parts_of,
    write_reason,
)
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
    permission_for,
)
from webapp.db import atomic, get_session
from webapp.db.bulk import load_rows
from webapp.db.session import renew_time_limit
from webapp.errors import N_, Conflict, DomainError, Forbidden, Invalid, NotFound, Stale
from webapp.extensions import utc_now
from webapp.history.queries import get_stories
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.types import AnyRow
from webapp.users.many import Change, Outcome, change_many, judge
from webapp.users.models import derive_keys
from webapp.users.queries import Person, find_administrators, list_people, list_trashed

DRAFTS_KEPT = timedelta(days=1)
UNRESOLVED_KEPT = timedelta(days=30)
SAMPLE = 10
WRITTEN_AT_ONCE = 25_000
NAMES_OF_REFUSED = 5


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
    actor.require(Permission.USERS_DELETE if source is Source.TRASH else Permission.USERS_EDIT)
    user_ids = _possible(user_ids)
    if len(user_ids) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    if not user_ids and not (resolution and resolution.unclear):
        raise Invalid(N_("Choose at least one user."))
    chosen = clean_action(action, source) if action else None
    if chosen:
        actor.require(PERMISSIONS[chosen])
    batch = Batch(
        creator_id=actor.user_id,
        source=source.value,
        action=chosen.value if chosen else None,
        unresolved=resolution.to_json() if resolution else "",
    )
    ordered = sorted(user_ids)
    _begin(batch, ordered[:WRITTEN_AT_ONCE])
    for start in range(WRITTEN_AT_ONCE, len(ordered), WRITTEN_AT_ONCE):
        _go_on_choosing(batch, ordered[start : start + WRITTEN_AT_ONCE])
    return batch


@atomic
def _begin(batch: Batch, user_ids: Sequence[int]) -> None:
    _sweep()
    batch.total = 0
    get_session().add(batch)
    get_session().flush()
    _append(batch, user_ids)
    get_session().flush()


@atomic
def _go_on_choosing(batch: Batch, user_ids: Sequence[int]) -> None:
    """On SQLite nobody else writes while a hundred thousand rows are: so they are written in parts."""
    _append(_lock(batch), user_ids)


def _append(batch: Batch, user_ids: Iterable[int]) -> None:
    rows = [(batch.id, position, user_id) for position, user_id in enumerate(user_ids, batch.total + 1)]
    load_rows(get_session(), ROWS, ("batch_id", "position", "user_id"), rows)
    batch.total += len(rows)


def _possible(user_ids: Iterable[int]) -> set[int]:
    """Without those that no database has room for."""
    return {user_id for user_id in user_ids if 0 < user_id <= LARGEST_ID}


def _sweep() -> None:
    """Of what nobody came back to, the oldest; and lists that people pasted are not kept for ever."""
    session, now = get_session(), utc_now()
    is_draft = BATCHES.c.state == State.DRAFT.value
    old = select(BATCHES.c.id).where(is_draft, BATCHES.c.created_at < now - DRAFTS_KEPT)
    oldest = BATCHES.c.id.in_(old.order_by(BATCHES.c.id).limit(1))
    session.execute(delete(BATCHES).where(oldest, is_draft))  # asked again: it may just have been run
    listed = BATCHES.c.created_at < now - UNRESOLVED_KEPT
    session.execute(update(BATCHES).where(listed, BATCHES.c.unresolved != "").values(unresolved=""))


@atomic
def choose_action(batch: Batch, *, action: str, value: str | None = None, actor: Actor) -> None:
    """What is to be done; ``value`` is None when it is still to be asked for. Raises Invalid on the field."""
    _lock_draft(batch, actor)
    chosen = clean_action(action, Source(batch.source))
    actor.require(PERMISSIONS[chosen])
    text = (value or "").strip() if chosen in WITH_VALUE else ""
    if value is not None:
        change_of(chosen, text)
    batch.action, batch.value = chosen.value, text


@atomic
def choose_namesakes(batch: Batch, *, user_ids: Collection[int], actor: Actor) -> None:
    """Of names that several have: who is meant. Their names are answered with that.

    Raises Invalid for more than can have been asked about; who has none of these names is left out.
    """
    _lock_draft(batch, actor)
    resolution = Resolution.from_json(batch.unresolved)
    if batch.source != Source.PASTED.value or len(user_ids) > AT_ONCE:
        raise Invalid(N_("At most %(most)s at once. Paste it in parts."), most=AT_ONCE)
    asked = {item.key for item in resolution.ambiguous}
    meant = {person.id: name_key_of(person) for person in list_people(_possible(user_ids))}
    meant = {user_id: key for user_id, key in meant.items() if key in asked}
    present = set(get_session().scalars(select(ROWS.c.user_id).where(ROWS.c.batch_id == batch.id)))
    if len(present | meant.keys()) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    _append(batch, sorted(meant.keys() - present))
    left = [item for item in resolution.ambiguous if item.key not in meant.values()]
    resolution.unclear -= len(resolution.ambiguous) - len(left)
    resolution.ambiguous = left
    batch.unresolved = resolution.to_json()


def name_key_of(person: Person) -> str:
    return derive_keys(full_name=person.full_name, email=person.email)["name_key"]


@atomic
def forget_lists(_user_id: int) -> None:
    """Somebody is deleted for good, and what was pasted and not found may have been his address."""
    listed = update(BATCHES).where(BATCHES.c.unresolved != "")
    get_session().execute(listed.values(unresolved=""))


# --- looking ahead ---


@dataclass(slots=True)
class Refused:
    """Those who are left out for one reason: how many, and the names of some."""

    refusal: DomainError
    number: int = 0
    people: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """What a batch would do now. ``seen`` tells two previews apart that would not do the same to the same
    people: a digest of what is done, and one of to whom.
    """

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
    administrators = set(find_administrators(changing=batch.total))
    preview = Preview()
    reasons: dict[str, Refused] = {}
    changing: list[int] = []
    change: Change | None = None
    for rows in parts_of(batch.id, size=AT_ONCE):
        renew_time_limit(get_session())
        if change is None or batch.action == Action.UNDO.value:
            change, _undoes = _change_for(batch, rows)
        actor.require(change.permission)
        ids = [row.user_id for row in rows]
        planned, refused = judge(change, ids, actor=actor, administrators=administrators)
        changing += [person.id for person, _values in planned]
        preview.sample += [person for person, _values in planned[: SAMPLE - len(preview.sample)]]
        preview.same += len(rows) - len(planned) - len(refused)
        _collect(reasons, refused)
    preview.changing = len(changing)
    preview.seen = _digest_of_what(batch) + digest_of(sorted(changing))
    preview.refused = sorted(reasons.values(), key=lambda item: -item.number)
    return preview


def _collect(reasons: dict[str, Refused], refused: Mapping[int, DomainError]) -> None:
    shown: dict[int, Refused] = {}
    for user_id, refusal in refused.items():
        reason = reasons.setdefault(str(refusal), Refused(refusal))
        reason.number += 1
        if reason.number <= NAMES_OF_REFUSED:
            shown[user_id] = reason
    people = [*list_people(shown), *list_trashed(shown)] if shown else []
    names = {person.id: person.display_name for person in people}
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


def _digest_of_what(batch: Batch) -> str:
    return digest_of([batch.action, batch.value])


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
    _start(batch, seen=seen, actor=actor)
    return False


@atomic
def _run_at_once(batch: Batch, *, seen: str, actor: Actor) -> None:
    rows = _lock_for_run(batch, actor)
    change, undoes = _change_for(batch, rows)
    actor.require(change.permission)
    outcomes = _change_rows(batch, rows, change, undoes, actor)
    changed = [row.user_id for row in rows if outcomes[row.user_id].entry_id is not None]
    if _digest_of_what(batch) + digest_of(sorted(changed)) != seen:
        raise Stale(CHANGED_MEANWHILE)
    _finish(batch)


CHANGED_MEANWHILE = N_("Some of them were changed since this was shown. Nothing was done yet: look again.")


@atomic
def _start(batch: Batch, *, seen: str, actor: Actor) -> None:
    rows = _lock_for_run(batch, actor)
    change, _undoes = _change_for(batch, rows[:1])
    actor.require(change.permission)
    if not seen.startswith(_digest_of_what(batch)):
        raise Stale(CHANGED_MEANWHILE)
    batch.state, batch.touched_at = State.RUNNING.value, utc_now()


def _lock_for_run(batch: Batch, actor: Actor) -> Sequence[AnyRow]:
    """The rows that come first. Raises Stale for an undo of what is no longer all that was done."""
    undoes_id = _renew(batch).undoes_id
    if undoes_id is not None:
        undone = _lock(get_batch(undoes_id))
        if undone.state == State.RUNNING.value or undone.done != batch.total:
            raise Stale(N_("More was done since. Undo it anew from its page."))
    _lock_draft(batch, actor)
    return list_rows(batch.id, most=AT_ONCE + 1)


@atomic
def run_step(batch_id: int, *, most: int, actor: Actor) -> bool:
    """Change the next ``most`` rows; tells whether there are more. Whoever else is at it waits.

    The actor is looked at anew each time: when he may not go on, the batch stops.
    """
    batch = _lock(get_batch(batch_id))
    if batch.state != State.RUNNING.value:
        return False
    rows = list_rows(batch.id, after=batch.position, most=most)
    if rows:
        change, undoes = _change_for(batch, rows)
        able = _as_of_now(actor)
        if able is None or not able.may(change.permission):
            batch.state = State.STOPPED.value
            return False
        _change_rows(batch, rows, change, undoes, able)
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
    return replace(actor, role=people[0].role)


def _change_rows(
    batch: Batch, rows: Sequence[AnyRow], change: Change, undoes: Mapping[int, int], actor: Actor
) -> dict[int, Outcome]:
    ids = [row.user_id for row in rows]
    outcomes = change_many(change, ids, actor=actor, facts={"batch": batch.id}, undoes=undoes)
    told = [_told(row, outcomes[row.user_id]) for row in rows]
    row_of = (ROWS.c.batch_id == batch.id, ROWS.c.position == bindparam("at"))
    results: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("outcome", "entry_id", "reason")}
    if told:
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
    if batch.state == State.RUNNING.value and not is_interrupted(batch):
        raise Conflict(N_("This is running already."))
    undo = _lock_undoing(batch)
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
    session = get_session()
    earlier = _lock_undoing(batch)
    if earlier is not None and earlier.state != State.DRAFT.value:
        raise Conflict(N_("This was undone already."))
    if earlier is not None:  # by somebody who did not go through with it: more may be done by now
        session.delete(earlier)
        session.flush()
    undo = Batch(
        creator_id=actor.user_id,
        source=Source.UNDO.value,
        action=Action.UNDO.value,
        value=batch.value if batch.action == Action.UNDO else batch.action or "",
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
    """Read it anew, and keep it from others until the transaction ends. Raises NotFound when it is gone."""
    return _renew(batch, is_locking=True)


def _renew(batch: Batch, *, is_locking: bool = False) -> Batch:
    try:
        get_session().refresh(batch, with_for_update=is_locking or None)
    except InvalidRequestError:
        raise NotFound(NO_SUCH_BATCH) from None
    return batch


def _lock_undoing(batch: Batch) -> Batch | None:
    """The batch that undoes this one, which is locked already: the undone one comes first, always."""
    undo = find_undoing(batch.id)
    with suppress(NotFound):
        return _lock(undo) if undo else None
    return None


def _require(batch: Batch, actor: Actor) -> None:
    """What the action asks of whoever takes a hand in it."""
    actor.require(permission_for(batch.action, batch.value) if batch.action else Permission.USERS_EDIT)


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
