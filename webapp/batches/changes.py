"""Which Change of many users an action stands for, and which one takes an earlier one back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches.rules import Action
from webapp.errors import Conflict
from webapp.history.queries import Story, find_latest_of, find_undone
from webapp.history.rules import Kind
from webapp.history.services import Happening
from webapp.notes.many import NoteAdding, NotePuttingBack, NoteRemoving
from webapp.users.many import Activation, Change, Deactivation, Planned, RoleChange, SignOut
from webapp.users.many_trash import Restoring, Trashing
from webapp.users.queries import Person
from webapp.users.rules import clean_role
from webapp.users.undoing import CANNOT, CHANGED_SINCE, NOT_IN_TRASH_NOW, UNDONE, refuse_later_changes


def change_of(action: Action, value: str) -> Change:  # noqa: PLR0911 - one line for each
    """Raises Invalid for a value that the action cannot have."""
    match action:
        case Action.ACTIVATE:
            return Activation()
        case Action.DEACTIVATE:
            return Deactivation()
        case Action.SET_ROLE:
            return RoleChange(clean_role(value))
        case Action.SIGN_OUT:
            return SignOut()
        case Action.ADD_NOTE:
            return NoteAdding(value)
        case Action.TRASH:
            return Trashing()
        case Action.RESTORE:
            return Restoring()
        case Action.UNDO:
            raise ValueError("what undoes depends on what was done: use undoing()")


def undoing(stories: Mapping[int, Story]) -> Change:
    """``stories``: what is to be undone of whom, all of one kind. Raises Conflict for one that cannot be."""
    return _Undoing(_inverse(stories), stories)


def _inverse(stories: Mapping[int, Story]) -> Change:  # noqa: PLR0911 - one line for each
    """Of who is forgotten by now a story tells nothing; he is read no more, so it does not matter."""
    kind = next((story.kind for story in stories.values()), Kind.ACTIVATED)
    match kind:
        case Kind.ACTIVATED:
            return Deactivation()
        case Kind.DEACTIVATED:
            return Activation()
        case Kind.EDITED:
            told = {user_id: story.changes for user_id, story in stories.items() if "role" in story.changes}
            roles = {user_id: Role(changes["role"][0]) for user_id, changes in told.items()}
            return RoleChange(Role.MEMBER, roles)
        case Kind.DELETED:
            return Restoring()
        case Kind.RESTORED:
            return Trashing()
        case Kind.NOTE_ADDED:
            return NoteRemoving(stories)
        case Kind.NOTE_DELETED:
            return NotePuttingBack(stories)
        case _:
            raise Conflict(CANNOT)


class _Undoing(Change):
    """The inverse change, of those where no later change stands in its way."""

    def __init__(self, inverse: Change, stories: Mapping[int, Story]) -> None:
        self.kind, self.permission, self.missing = inverse.kind, inverse.permission, inverse.missing
        self._inverse = inverse
        self._stories = stories
        self._undone: frozenset[int] = frozenset()
        self._latest: frozenset[int] = frozenset()

    def read(self, user_ids: Collection[int], *, is_locking: bool) -> list[Person]:
        people = self._inverse.read(user_ids, is_locking=is_locking)
        self._undone = find_undone([self._stories[user_id].id for user_id in user_ids])
        if self._inverse.kind is Kind.RESTORED:
            self._latest = find_latest_of(Kind.DELETED, user_ids)
        return people

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        story = self._stories[person.id]
        if story.id in self._undone:
            raise Conflict(UNDONE)
        if story.kind is Kind.DELETED and story.id not in self._latest:
            raise Conflict(NOT_IN_TRASH_NOW)
        if story.kind is Kind.RESTORED and person.version != story.version:
            raise Conflict(CHANGED_SINCE)
        if story.kind in {Kind.ACTIVATED, Kind.DEACTIVATED, Kind.EDITED}:
            refuse_later_changes(story, person)
        return self._inverse.plan(person, actor, administrators)

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        return self._inverse.write(planned, actor)
