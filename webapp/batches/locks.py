"""A batch kept from others while it is changed, and who may take a hand in it."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.exc import InvalidRequestError

from webapp.access.actor import Actor
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.batches.creators import role_of_creator
from webapp.batches.models import Batch
from webapp.batches.queries import NO_SUCH_BATCH, find_undoing
from webapp.batches.rules import (
    CONFIRMED,
    CONFIRMED_OF_STAFF,
    PERMISSIONS,
    UNDOES,
    UNDOES_ROLES,
    Action,
    State,
    permission_for,
)
from webapp.db import get_session
from webapp.errors import N_, Conflict, Forbidden, NotFound


def lock(batch: Batch) -> Batch:
    """Read it anew, and keep it from others until the transaction ends. Raises NotFound when it is gone."""
    return renew(batch, is_locking=True)


def renew(batch: Batch, *, is_locking: bool = False) -> Batch:
    try:
        get_session().refresh(batch, with_for_update=is_locking or None)
    except InvalidRequestError:
        raise NotFound(NO_SUCH_BATCH) from None
    return batch


def lock_undoing(batch: Batch) -> Batch | None:
    """The batch that undoes this one, which is locked already: the undone one comes first, always."""
    undo = find_undoing(batch.id)
    with suppress(NotFound):
        return lock(undo) if undo else None
    return None


def lock_draft(batch: Batch, actor: Actor) -> None:
    """Raises Conflict when it was run already, also by another tab in this moment."""
    lock(batch)
    actor.require(Permission.USERS_EDIT)
    refuse_foreign(batch, actor)
    if batch.state != State.DRAFT.value:
        raise Conflict(N_("This was run already."))


def refuse_foreign(batch: Batch, actor: Actor) -> None:
    """What somebody is still choosing is nobody else's."""
    if batch.state == State.DRAFT.value and batch.creator_id != actor.user_id:
        raise Forbidden(N_("Somebody else is still preparing this."))


def require_confirmation(batch: Batch, actor: Actor) -> None:
    """What the same act asks for when it is done to one person."""
    count = batch.total - batch.position
    is_undo = batch.action == Action.UNDO
    act = Action(batch.value if is_undo and batch.value else batch.action or "")
    if act not in CONFIRMED:
        return
    if act in CONFIRMED_OF_STAFF and not actor.may(PERMISSIONS[act], on=Role.AUDITOR):
        return
    if is_undo:
        actor.require_confirmation(UNDOES_ROLES if act is Action.SET_ROLE else UNDOES, count=count)
        return
    role = (ROLE_LABELS[Role(batch.value)],) if act is Action.SET_ROLE else ()
    actor.require_confirmation(CONFIRMED[act], count=count, role=role)


def needed_for(batch: Batch) -> Permission:
    """What the action asks of all who take a hand in it."""
    return permission_for(batch.action, batch.value) if batch.action else Permission.USERS_EDIT


def require_hand(batch: Batch, actor: Actor) -> None:
    """Raise Forbidden unless the actor may stop and continue it: of others, only of people whom they may
    change themselves.
    """
    actor.require(needed_for(batch), on=None if is_own(batch, actor) else role_of_creator(batch))


def is_own(batch: Batch, actor: Actor) -> bool:
    return batch.creator_id == actor.user_id
