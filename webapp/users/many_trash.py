"""Many users to the trash, and out of it, in a few statements."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Any

from sqlalchemy import delete, insert, select

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import get_session
from webapp.errors import N_, Conflict, DomainError
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.history.services import Happening
from webapp.users.many import Change, Planned
from webapp.users.models import TRASH, USERS
from webapp.users.queries import Person, list_trashed
from webapp.users.rules import email_key
from webapp.users.services import about, check_deletion
from webapp.users.trash import NOT_IN_TRASH, STORED, find_kept, restored, trash_row, unpack

MOVED = {"moved": True}  # nothing of the person changes but where he is


class Trashing(Change):
    kind = Kind.DELETED
    permission = Permission.USERS_DELETE

    def __init__(self) -> None:
        self._kept: dict[int, DomainError] = {}

    def read(self, user_ids: Collection[int], *, is_locking: bool) -> list[Person]:
        people = super().read(user_ids, is_locking=is_locking)
        self._kept = find_kept([person.id for person in people], is_locking=is_locking)
        return people

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        check_deletion(person, actor, administrators)
        if person.id in self._kept:
            raise self._kept[person.id]
        administrators.discard(person.id)
        return MOVED

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        session, now = get_session(), utc_now()
        ids = [person.id for person, _values in planned]
        rows = session.execute(select(*STORED).where(USERS.c.id.in_(ids))).mappings().all()
        if rows:
            session.execute(insert(TRASH), [trash_row(row, now) for row in rows])
            session.execute(delete(USERS).where(USERS.c.id.in_(ids)))
        return [Happening(about(person)) for person, _values in planned]


class Restoring(Change):
    """Whose e-mail somebody else has by now is left where he is: he comes back alone, with another one."""

    kind = Kind.RESTORED
    permission = Permission.USERS_DELETE
    missing = NOT_IN_TRASH

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def read(self, user_ids: Collection[int], *, is_locking: bool) -> list[Person]:
        people = list_trashed(user_ids, is_locking=is_locking)
        keys = [email_key(person.email) for person in people]
        taken = select(USERS.c.email_key).where(USERS.c.email_key.in_(keys))
        self._taken = set(get_session().scalars(taken)) | self._taken
        return people

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        actor.require(Permission.USERS_DELETE, on=person.role)
        key = email_key(person.email)
        if key in self._taken:
            raise Conflict(N_("Somebody else has this e-mail by now. Restore this user alone, with another."))
        self._taken.add(key)
        return MOVED

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        session, now = get_session(), utc_now()
        ids = [person.id for person, _values in planned]
        texts = session.execute(select(TRASH.c.user_id, TRASH.c.row).where(TRASH.c.user_id.in_(ids)))
        rows = {user_id: restored(unpack(text), now) for user_id, text in texts}
        if rows:
            session.execute(delete(TRASH).where(TRASH.c.user_id.in_(ids)))
            # One statement for all that have the same columns: a row that was deleted earlier may lack some.
            for _columns, same in groupby(sorted(rows.values(), key=sorted), key=sorted):
                session.execute(insert(USERS), list(same))
        return [
            Happening(about(person._replace(version=rows[person.id]["version"])))
            for person, _values in planned
        ]
