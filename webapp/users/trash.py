"""Deleting, and getting back: a deleted user goes to the trash, out of which he comes back as he was.

Raises Conflict, Stale, Forbidden, NotFound or SignInEnded, and then nothing was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import RowMapping, delete, insert, select

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role, may_sign_in
from webapp.db import atomic, get_session
from webapp.errors import N_, DomainError, NotFound
from webapp.extensions import UtcDateTime, utc_now
from webapp.history.rules import Kind
from webapp.history.services import Subject, forget, forget_names, record
from webapp.listing.keyset import LARGEST_ID
from webapp.users import rules
from webapp.users.models import TRASH, USERS, Trashed, User, derive_keys
from webapp.users.queries import get_user, lock_administrators
from webapp.users.services import about, check_deletion, lock_with_actor, refuse_stale
from webapp.users.standing import lock_standing

_first_cleaners: list[Callable[[int], None]] = []
_cleaners: list[Callable[[int], None]] = []


def on_purge(clean: Callable[[int], None], *, is_first: bool = False) -> None:
    """A later feature's part of deleting somebody for good, in the same transaction. ``is_first``: before any
    row of the users is locked, for rows that others lock before those.
    """
    cleaners = _first_cleaners if is_first else _cleaners
    if clean not in cleaners:
        cleaners.append(clean)


_sweepers: list[Callable[[], None]] = []


def on_sweep(sweep: Callable[[], None]) -> None:
    """What a later feature has kept for its time is cleared away together with the trash."""
    if sweep not in _sweepers:
        _sweepers.append(sweep)


class Keeper(Protocol):
    def __call__(self, user_ids: Collection[int], *, is_locking: bool) -> Mapping[int, DomainError]:
        """Whom of them something keeps from being deleted, and why. With ``is_locking`` nothing new may come
        up for any of them until the transaction ends.
        """


_keepers: list[Keeper] = []


def on_delete(find_kept: Keeper) -> None:
    """A later feature's say in whether somebody may be deleted."""
    if find_kept not in _keepers:
        _keepers.append(find_kept)


def find_kept(user_ids: Collection[int], *, is_locking: bool) -> dict[int, DomainError]:
    kept: dict[int, DomainError] = {}
    for keeper in _keepers:
        kept |= keeper(user_ids, is_locking=is_locking)
    return kept


STORED = tuple(column for column in USERS.columns if column.computed is None)


@atomic
def delete_user(user: User, *, version: int, actor: Actor, undoes_id: int | None = None) -> None:
    """Move the user to the trash: signed out everywhere, and the e-mail is free for somebody else."""
    administrators = lock_administrators()
    actor = lock_with_actor(user, actor)
    check_deletion(user, actor, administrators)
    refuse_stale(user, version)
    if user.id in (kept := find_kept([user.id], is_locking=True)):
        raise kept[user.id]
    if may_sign_in(user.role):
        actor.require_confirmation(N_("Delete %(name)s"), name=user.display_name)
    session = get_session()
    row = session.execute(select(*STORED).where(USERS.c.id == user.id)).mappings().one()
    session.execute(insert(TRASH).values(trash_row(row, utc_now())))
    session.execute(delete(User).where(User.id == user.id))
    record(Kind.DELETED, actor=actor, subject=about(user), undoes_id=undoes_id)


@atomic
def restore_user(
    user_id: int, *, email: str | None = None, actor: Actor, undoes_id: int | None = None
) -> User:
    """Bring the user back as he was; with another ``email`` where somebody else has his by now.

    Sessions and links do not come back. Raises NotFound when he is not in the trash (any more).
    """
    actor = lock_standing(actor)
    trashed = get_trashed(user_id)
    actor.require(Permission.USERS_DELETE, on=trashed.role)
    values = unpack(trashed.row)
    changes: dict[str, Any] = {}
    if email is not None and rules.clean_email(email) != values["email"]:
        changes["email"] = (values["email"], rules.clean_email(email))
        values["email"] = changes["email"][1]
        values |= derive_keys(full_name=values["full_name"], email=values["email"])
    if may_sign_in(trashed.role):  # with the password they had
        actor.require_confirmation(N_("Restore %(name)s"), name=trashed.display_name)
    _take_out(user_id)
    get_session().execute(insert(USERS).values(**restored(values, utc_now())))
    user = get_user(user_id)
    record(Kind.RESTORED, actor=actor, subject=about(user), changes=changes, undoes_id=undoes_id)
    return user


@atomic
def purge_user(user_id: int, *, actor: Actor) -> None:
    """Delete for good. The history keeps that something was done, and forgets about whom; who did it as staff
    stays named for a time (see forget()).
    """
    _clean_first(user_id)
    actor = lock_standing(actor)
    trashed = get_trashed(user_id)
    actor.require(Permission.USERS_DELETE, on=trashed.role)
    actor.require_confirmation(N_("Delete %(name)s for good"), name=trashed.display_name)
    _take_out(user_id)
    facts = forget(user_id)
    for clean in _cleaners:
        clean(user_id)
    record(Kind.PURGED, actor=actor, subject=Subject(user_id, ""), facts=facts)


def purge_older(than: datetime, *, actor: Actor) -> int:
    """All who were deleted before that, each in a transaction of its own; tells how many."""
    ids = get_session().scalars(select(Trashed.user_id).where(Trashed.deleted_at < than)).all()
    purged = 0
    for user_id in ids:
        with suppress(NotFound):  # restored meanwhile
            purge_user(user_id, actor=actor)
            purged += 1
    forget_names(actor=actor)
    for sweep in _sweepers:
        sweep()
    return purged


@atomic
def erase_user(user: User, *, actor: Actor) -> None:
    """The right to be forgotten: delete and purge at once."""
    user_id = user.id
    _clean_first(user_id)
    delete_user(user, version=user.version, actor=actor)
    purge_user(user_id, actor=actor)


def _clean_first(user_id: int) -> None:
    for clean in _first_cleaners:
        clean(user_id)


NOT_IN_TRASH = N_("This user is not in the trash.")


def _take_out(user_id: int) -> None:
    """Of two at once one does it. Raises NotFound for the other."""
    gone = delete(Trashed).where(Trashed.user_id == user_id).returning(TRASH.c.user_id)
    if get_session().execute(gone).one_or_none() is None:
        raise NotFound(NOT_IN_TRASH)


def find_trashed(user_id: int) -> Trashed | None:
    return get_session().get(Trashed, user_id, populate_existing=True) if user_id <= LARGEST_ID else None


def get_trashed(user_id: int) -> Trashed:
    """Raises NotFound."""
    trashed = find_trashed(user_id)
    if trashed is None:
        raise NotFound(NOT_IN_TRASH)
    return trashed


def is_trashed(user_id: int) -> bool:
    return find_trashed(user_id) is not None


def trash_row(row: RowMapping, deleted_at: datetime) -> dict[str, Any]:
    """What the trash holds of a row of the users."""
    return {
        "user_id": row["id"],
        "deleted_at": deleted_at,
        "row": pack(row),
        **{name: row[name] for name in ("email", "full_name", "role")},
    }


def restored(values: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """The row as it comes back: a version that nobody has seen, and earlier sign-ins over."""
    version, epoch = values["version"] + 1, values["session_epoch"] + 1
    return {**values, "version": version, "session_epoch": epoch, "updated_at": moment}


def pack(row: RowMapping) -> str:
    """As JSON: a time in ISO 8601, all else as it is."""

    def write(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else value

    return json.dumps({name: write(value) for name, value in row.items()}, ensure_ascii=False)


def unpack(text: str) -> dict[str, Any]:
    """The values of the columns that there are by now."""
    kept: dict[str, Any] = json.loads(text)
    values = {column.name: kept[column.name] for column in STORED if column.name in kept}
    for column in STORED:
        value = values.get(column.name)
        if value is not None and isinstance(column.type, UtcDateTime):
            values[column.name] = datetime.fromisoformat(value)
    values["role"] = Role(values["role"])
    return values
