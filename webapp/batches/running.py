"""Running batches.

Up to AT_ONCE rows are changed in one transaction, and only if each of them can be that the preview
promised. More are changed in steps, each a short transaction of its own, so that nobody waits long; a
batch that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, update

from webapp.access.actor import Actor
from webapp.batches.creators import find_obstacle, lock_creator, refuse_too_many, role_of_creator, sign
from webapp.batches.locks import (
    is_own,
    lock,
    lock_draft,
    lock_undoing,
    needed_for,
    renew,
    require_confirmation,
    require_hand,
)
from webapp.batches.models import ROWS, Batch
from webapp.batches.preview import change_for, digest_of_what
from webapp.batches.queries import get_batch, is_interrupted, list_rows, write_reason
from webapp.batches.rules import AT_ONCE, Result, State, digest_of
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, Stale
from webapp.extensions import utc_now
from webapp.history.services import NOTHING
from webapp.listing.types import AnyRow
from webapp.users.many import Change, Outcome, change_many
from webapp.users.queries import lock_administrators
from webapp.users.standing import lock_standing

CHANGED_MEANWHILE = N_("Some of them were changed since this was shown. Nothing was done yet: look again.")


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
    lock_administrators()  # before any user's row, as everywhere
    actor = lock_standing(actor, others=[row.user_id for row in rows])
    change, undoes = change_for(batch, rows)
    actor.require(change.permission)
    require_confirmation(batch, actor)
    sign(batch, actor)
    outcomes = _change_rows(batch, rows, change, undoes, actor)
    changed = [row.user_id for row in rows if outcomes[row.user_id].entry_id is not None]
    if digest_of_what(batch, actor) + digest_of(sorted(changed)) != seen:
        raise Stale(CHANGED_MEANWHILE)
    _finish(batch)


@atomic
def _start(batch: Batch, *, seen: str, actor: Actor) -> None:
    rows = _lock_for_run(batch, actor)
    actor = lock_standing(actor)
    change, _undoes = change_for(batch, rows[:1])
    actor.require(change.permission)
    require_confirmation(batch, actor)
    if not seen.startswith(digest_of_what(batch, actor)):
        raise Stale(CHANGED_MEANWHILE)
    refuse_too_many(batch)
    sign(batch, actor)
    batch.state, batch.touched_at = State.RUNNING.value, utc_now()


def _lock_for_run(batch: Batch, actor: Actor) -> Sequence[AnyRow]:
    """The rows that come first. Raises Stale for an undo of what is no longer all that was done."""
    undoes_id = renew(batch).undoes_id
    if undoes_id is not None:
        undone = lock(get_batch(undoes_id))
        if undone.state == State.RUNNING.value or undone.done != batch.total:
            raise Stale(N_("More was done since. Undo it anew from its page."))
    lock_draft(batch, actor)
    return list_rows(batch.id, most=AT_ONCE + 1)


@atomic
def run_step(batch_id: int, *, most: int, actor: Actor) -> bool:
    """Change the next ``most`` rows; tells whether there are more. Others who are at it wait.

    The rights are those that the creator has now: when they may not go on, the batch stops. Of another
    ``actor``, who lets it go on, the entries tell the door and who it is.
    """
    batch = lock(get_batch(batch_id))
    if batch.state != State.RUNNING.value:
        return False
    rows = list_rows(batch.id, after=batch.position, most=most)
    if rows:
        change, undoes = change_for(batch, rows)
        ids = [row.user_id for row in rows]
        creator = lock_creator(batch, others=ids, permission=change.permission, resumer=actor)
        if creator is None:
            batch.state = State.STOPPED.value
            return False
        facts = {} if is_own(batch, actor) else {"resumed_by": actor.user_id}
        _change_rows(batch, rows, change, undoes, creator, facts=facts)
    if batch.position >= batch.total:
        _finish(batch)
        return False
    return True


def _change_rows(
    batch: Batch,
    rows: Sequence[AnyRow],
    change: Change,
    undoes: Mapping[int, int],
    actor: Actor,
    *,
    facts: Mapping[str, Any] = NOTHING,
) -> dict[int, Outcome]:
    ids = [row.user_id for row in rows]
    outcomes = change_many(change, ids, actor=actor, facts={"batch": batch.id, **facts}, undoes=undoes)
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
    lock(batch)
    if not is_own(batch, actor):
        require_hand(batch, actor)
    if batch.state != State.RUNNING.value:
        raise Conflict(N_("This is not running any more."))
    batch.state = State.STOPPED.value


@atomic
def go_on(batch: Batch, *, actor: Actor) -> None:
    """Let a batch that was stopped or interrupted be run further.

    It runs with its creator's rights. After their sign-ins ended, only the creator lets it go on, signed in
    again and in the same role; nobody takes it over.
    """
    lock(batch)
    require_hand(batch, actor)
    if batch.state not in {State.STOPPED.value, State.RUNNING.value}:
        raise Conflict(N_("There is nothing left to do."))
    if batch.state == State.RUNNING.value and not is_interrupted(batch):
        raise Conflict(N_("This is running already."))
    undo = lock_undoing(batch)
    if undo is not None and undo.state != State.DRAFT.value:
        raise Conflict(N_("This was undone already."))
    require_confirmation(batch, actor)
    lock_standing(actor, others=[] if batch.creator_id is None else [batch.creator_id])
    if is_own(batch, actor) and actor.role is role_of_creator(batch):
        sign(batch, actor)
    obstacle = find_obstacle(batch, needed_for(batch))
    if obstacle is not None:
        raise obstacle
    refuse_too_many(batch)
    batch.state, batch.touched_at = State.RUNNING.value, utc_now()
