"""With whose rights a batch runs: those that its creator has at each step, whoever lets it go on.

So nothing that the preview left out for want of a right is changed because another person, or the command
line, resumes it; and what a person began stops when their account, their role or their sign-ins end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import func, select

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role, may
from webapp.batches.models import BATCHES, Batch
from webapp.batches.queries import INTERRUPTED_AFTER
from webapp.batches.rules import MAX_RUNNING, State
from webapp.db import get_session
from webapp.errors import N_, Conflict
from webapp.extensions import utc_now
from webapp.listing.types import AnyRow
from webapp.users.models import USERS
from webapp.users.queries import lock_administrators
from webapp.users.standing import lock_standing

GONE = N_("The person who began this is not a user any more. Start a new bulk change for the rest.")
INACTIVE = N_("%(name)s, who began this, is inactive. Start a new bulk change for the rest.")
OTHER_ROLE = N_("The role of %(name)s, who began this, has changed. Start a new bulk change for the rest.")
ENDED = N_("%(name)s, who began this, was signed out everywhere. Only %(name)s can continue it.")


def sign(batch: Batch, actor: Actor) -> None:
    """From here on it runs with the rights that ``actor``, its creator, has now."""
    batch.creator_epoch, batch.creator_role = actor.epoch, actor.role.value


def role_of_creator(batch: Batch) -> Role:
    """The one they began it with. The command line's is that of an administrator."""
    return Role(batch.creator_role or Role.ADMINISTRATOR)


def find_obstacle(batch: Batch, permission: Permission) -> Conflict | None:
    """Why its creator may not go on with it, if so."""
    if batch.creator_id is None:
        return None
    creator = _find(batch)
    if creator is None:
        return Conflict(GONE)
    if not creator.is_active:
        return Conflict(INACTIVE, name=creator.name)
    if batch.creator_role not in {None, creator.role} or not may(creator.role, permission):
        return Conflict(OTHER_ROLE, name=creator.name)
    if batch.creator_epoch not in {None, creator.session_epoch}:
        return Conflict(ENDED, name=creator.name)
    return None


def _find(batch: Batch) -> AnyRow | None:
    name = func.coalesce(func.nullif(USERS.c.full_name, ""), USERS.c.email).label("name")
    columns = name, USERS.c.role, USERS.c.is_active, USERS.c.session_epoch
    return get_session().execute(select(*columns).where(USERS.c.id == batch.creator_id)).one_or_none()


def lock_creator(
    batch: Batch, *, others: Iterable[int], permission: Permission, resumer: Actor
) -> Actor | None:
    """Lock the creator and the ``others``, and return the creator as the one who acts; None where they may
    not. The entries tell the door of the ``resumer``, and another person's address is not their own.
    """
    lock_administrators()  # before any user's row, as everywhere
    ids = {*others} if batch.creator_id is None else {*others, batch.creator_id}
    lock_standing(Actor.command_line(), others=ids)
    if find_obstacle(batch, permission) is not None:
        return None
    creator = _find(batch)
    if creator is None:
        return replace(Actor.command_line(), door=resumer.door, request_id=resumer.request_id)
    return Actor(
        user_id=batch.creator_id,
        name=creator.name,
        role=creator.role,
        door=resumer.door,
        address=resumer.address if resumer.user_id == batch.creator_id else "",
        request_id=resumer.request_id,
        epoch=batch.creator_epoch,
    )


def refuse_too_many(batch: Batch) -> None:
    """Raise Conflict where MAX_RUNNING others of the creator, whose row is locked, run already."""
    is_running = BATCHES.c.state == State.RUNNING.value, BATCHES.c.touched_at > utc_now() - INTERRUPTED_AFTER
    own = BATCHES.c.creator_id == batch.creator_id, BATCHES.c.id != batch.id
    running = get_session().scalar(select(func.count()).select_from(BATCHES).where(*own, *is_running))
    if (running or 0) >= MAX_RUNNING:
        raise Conflict(
            N_("%(most)s bulk changes of one person run already. Wait until one of them is through."),
            most=MAX_RUNNING,
        )
