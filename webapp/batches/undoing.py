"""A bulk change taken back as a whole: its undo is a batch of its own."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select

from webapp.access.actor import Actor
from webapp.batches.creators import role_of_creator, sign
from webapp.batches.drafts import make_room
from webapp.batches.locks import is_own, lock, lock_undoing, needed_for
from webapp.batches.models import ROWS, Batch
from webapp.batches.rules import UNDOABLE, Action, Result, Source, State
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict
from webapp.users.standing import lock_standing


@atomic
def create_undo(batch: Batch, *, actor: Actor) -> Batch:
    """A batch that takes back what this one has done: the draft that there is already, or a new one."""
    lock(batch)
    actor.require(needed_for(batch))  # of whom is asked for each row, as for every undo
    if batch.state not in {State.STOPPED.value, State.DONE.value}:
        raise Conflict(N_("Wait until it is through, or stop it first."))
    if not batch.done or Action(batch.action or "") not in UNDOABLE:
        raise Conflict(N_("There is nothing to undo."))
    session = get_session()
    earlier = lock_undoing(batch)
    if earlier is not None and earlier.state != State.DRAFT.value:
        raise Conflict(N_("This was undone already."))
    if earlier is not None and not is_own(earlier, actor):
        actor.require(needed_for(batch), on=role_of_creator(earlier))
    if earlier is not None:  # of a person who did not go through with it: more may be done by now
        session.delete(earlier)
        session.flush()
    actor = lock_standing(actor)
    make_room(actor)
    undo = Batch(
        creator_id=actor.user_id,
        source=Source.UNDO.value,
        action=Action.UNDO.value,
        value=batch.value if batch.action == Action.UNDO else batch.action or "",
        undoes_id=batch.id,
        total=batch.done,
    )
    sign(undo, actor)
    session.add(undo)
    session.flush()
    done = ROWS.c.batch_id == batch.id, ROWS.c.outcome == Result.DONE.value
    position = func.row_number().over(order_by=ROWS.c.position)
    rows = select(bindparam("undo", undo.id), position, ROWS.c.user_id, ROWS.c.entry_id).where(*done)
    columns = ["batch_id", "position", "user_id", "undoes_entry_id"]
    session.execute(insert(ROWS).from_select(columns, rows))
    return undo
