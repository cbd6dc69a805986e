"""Whether the actor may still act: asked again inside a transaction, for what the request began with may
have ended since.

A new password, another role, a deactivation, "sign out everywhere" raise the user's epoch; signing one
device out, or revoking a token, takes its row away. Whatever gives lasting access (a token, a link, a
session, a password, a role), and whatever goes on after its request, asks here, under the lock under which
those ends are written, so that nothing that was let in before an end comes to life after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import select

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import get_session
from webapp.errors import N_, SignInEnded
from webapp.users.models import USERS

SIGN_IN_ENDED = N_("Your sign-in has ended meanwhile. Nothing was done. Sign in and try again.")


def find_standing(actor: Actor) -> Actor | None:
    """Return the actor with the role they have now; None when what they came with has ended.

    The command line always stands, and so does a visitor who is not signed in: neither has anything to end.
    """
    if actor.user_id is None:
        return actor
    columns = USERS.c.role, USERS.c.is_active, USERS.c.session_epoch
    row = get_session().execute(select(*columns).where(USERS.c.id == actor.user_id)).one_or_none()
    if row is None or not row.is_active or actor.epoch not in {None, row.session_epoch}:
        return None
    if actor.credential is not None and not actor.credential():
        return None
    return replace(actor, role=row.role)


def require_standing(actor: Actor, permission: Permission) -> Actor:
    """Ask between two parts of what goes on after its request began. Raises SignInEnded, Forbidden."""
    standing = find_standing(actor)
    if standing is None:
        raise SignInEnded(SIGN_IN_ENDED)
    standing.require(permission)
    return standing


def lock_standing(actor: Actor, *, others: Iterable[int] = ()) -> Actor:
    """Lock the actor's row and those of the ``others``, and return the actor as they are now.

    Call it after lock_administrators(), where that is needed too, and before any other row of the users is
    locked: then two who change each other cannot wait crosswise. An actor without an epoch came with no
    sign-in that could have ended: the command line, or the owner of a one-time link. Raises SignInEnded.
    """
    lock_users([*others, *([] if actor.user_id is None else [actor.user_id])])
    if actor.epoch is None:
        return actor
    standing = find_standing(actor)
    if standing is None:
        raise SignInEnded(SIGN_IN_ENDED)
    return standing


def lock_users(user_ids: Iterable[int]) -> None:
    """Keep these rows from other changes until the transaction ends, locked in the order of their ids.

    On Postgres others may still refer to them meanwhile (FOR NO KEY UPDATE): a mark that names the actor,
    such as who has a form open, does not wait for what they change.
    """
    ids = sorted(set(user_ids))
    rows = select(USERS.c.id).where(USERS.c.id.in_(ids)).order_by(USERS.c.id)
    if ids:
        get_session().execute(rows.with_for_update(key_share=True)).all()
