"""One change made to many users: a few statements for a thousand of them, by the same rules as for one.

A Change says whom it reads, what it would do to each (or why not), and writes that to all of them at
once. ``judge()`` asks it without writing, for a preview; ``change_many()`` makes the change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, DomainError, NotFound
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.history.services import Happening, record_all
from webapp.users.models import USERS
from webapp.users.queries import Person, list_people, lock_administrators
from webapp.users.services import UNTOLD, about, activation, deactivation, role_change
from webapp.users.standing import lock_standing

# A person, and the new value of each column that changes; what else a Change needs to know of him.
Planned: TypeAlias = tuple[Person, dict[str, Any]]
NO_SUCH_USER = N_("There is no such user (any more).")


class Change(ABC):
    """``permission`` is what one must hold to make it of anybody at all."""

    kind: Kind
    permission: Permission
    missing: str = NO_SUCH_USER

    def read(self, user_ids: Collection[int], *, is_locking: bool) -> list[Person]:
        """Those whom it could be made of, in the order of their ids."""
        return list_people(user_ids, is_locking=is_locking)

    @abstractmethod
    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        """Empty when it is so already. Raises the refusal."""

    @abstractmethod
    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        """Write them all; answer for each, in the same order, what the history is to tell."""


class Judgement(NamedTuple):
    """Whoever is neither ``planned`` nor ``refused`` is as wanted already."""

    planned: list[Planned]
    refused: dict[int, DomainError]


class Outcome(NamedTuple):
    """Of one: the entry of the change, or the refusal; neither where it was so already."""

    entry_id: int | None = None
    refusal: DomainError | None = None


def judge(
    change: Change,
    user_ids: Collection[int],
    *,
    actor: Actor,
    administrators: set[int],
    is_locking: bool = False,
) -> Judgement:
    """What the change would do. ``administrators`` who would not be any more are taken out of that set, so
    that the last one is refused also when all of them are among the many.
    """
    people = change.read(user_ids, is_locking=is_locking)
    planned: list[Planned] = []
    found = {person.id for person in people}
    refused: dict[int, DomainError] = {
        user_id: NotFound(change.missing) for user_id in user_ids if user_id not in found
    }
    for person in people:
        try:
            values = change.plan(person, actor, administrators)
        except DomainError as refusal:
            refused[person.id] = refusal
        else:
            if values:
                planned.append((person, values))
    return Judgement(planned, refused)


@atomic
def change_many(
    change: Change,
    user_ids: Collection[int],
    *,
    actor: Actor,
    facts: Mapping[str, Any],
    undoes: Mapping[int, int] | None = None,
) -> dict[int, Outcome]:
    """Make the change of all whom it can be made of; the others have their refusal in the answer.

    ``facts`` stand in each entry; ``undoes`` says which entry is undone of whom. All lock the administrators
    first and then the rest by their ids, the actor among them, whatever the change, so that two of these
    cannot wait crosswise. Raises SignInEnded.
    """
    administrators = set(lock_administrators(changing=len(user_ids)))
    actor = lock_standing(actor, others=user_ids)
    planned, refused = judge(change, user_ids, actor=actor, administrators=administrators, is_locking=True)
    happenings = [
        happening._replace(facts={**happening.facts, **facts}, undoes_id=(undoes or {}).get(person.id))
        for (person, _values), happening in zip(planned, change.write(planned, actor), strict=True)
    ]
    entry_ids = record_all(change.kind, happenings, actor=actor)
    outcomes = {user_id: Outcome(refusal=refusal) for user_id, refusal in refused.items()}
    outcomes |= {
        person.id: Outcome(entry_id) for (person, _values), entry_id in zip(planned, entry_ids, strict=True)
    }
    return {user_id: outcomes.get(user_id, Outcome()) for user_id in user_ids}


class _ColumnChange(Change):
    """New values of columns, counted as an edit of each person."""

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        write_columns(planned)
        return [_tell(person, values) for person, values in planned]


class Activation(_ColumnChange):
    kind = Kind.ACTIVATED
    permission = Permission.USERS_SET_STATUS

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        return activation(person, actor)


class Deactivation(_ColumnChange):
    kind = Kind.DEACTIVATED
    permission = Permission.USERS_SET_STATUS

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        values = deactivation(person, actor, administrators)
        administrators.discard(person.id)
        return values


class RoleChange(_ColumnChange):
    """``roles`` are of those who get another one than ``role``."""

    kind = Kind.EDITED
    permission = Permission.USERS_SET_ROLE

    def __init__(self, role: Role, roles: Mapping[int, Role] | None = None) -> None:
        self._role = role
        self._roles = roles or {}

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        if actor.user_id == person.id:
            raise Conflict(N_("You cannot change your own role here. Edit yourself alone."))
        role = self._roles.get(person.id, self._role)
        values = role_change(person, role, actor, administrators)
        if values and role is not Role.ADMINISTRATOR:
            administrators.discard(person.id)
        return values


class SignOut(Change):
    """On every device; no edit of the person, so it disturbs nobody's open form."""

    kind = Kind.SIGNED_OUT_EVERYWHERE
    permission = Permission.USERS_SET_STATUS

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        actor.require(Permission.USERS_SET_STATUS, on=person.role)
        if actor.user_id == person.id:
            raise Conflict(N_("This is you. Sign out your own devices in your profile."))
        return {"session_epoch": person.session_epoch + 1}

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        ids = [person.id for person, _values in planned]
        raised = update(USERS).where(USERS.c.id.in_(ids)).values(session_epoch=USERS.c.session_epoch + 1)
        get_session().execute(raised)
        return [Happening(about(person)) for person, _values in planned]


def write_columns(planned: Iterable[Planned]) -> None:
    """One statement for all who get the same: Postgres keeps its totals for each statement."""

    def key(item: Planned) -> str:
        return repr(sorted((name, value) for name, value in item[1].items() if name != "session_epoch"))

    for _same, group in groupby(sorted(planned, key=key), key=key):
        members = list(group)
        values = dict(members[0][1])
        if "session_epoch" in values:
            values["session_epoch"] = USERS.c.session_epoch + 1
        changed = update(USERS).where(USERS.c.id.in_([person.id for person, _values in members]))
        get_session().execute(changed.values(**values, version=USERS.c.version + 1, updated_at=utc_now()))


def _tell(person: Person, values: Mapping[str, Any]) -> Happening:
    told = {name: (getattr(person, name), new) for name, new in values.items() if name not in UNTOLD}
    return Happening(about(person._replace(version=person.version + 1)), told)
