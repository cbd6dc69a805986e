"""Entries as a person reads them: who did what to whom, from which value to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from webapp.access.actor import Actor
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.errors import N_
from webapp.history.queries import Story, find_undone
from webapp.history.rules import DOOR_LABELS, FIELD_LABELS, KIND_LABELS, Kind
from webapp.web.language import gettext
from webapp.web.times import format_cents, format_number

REASONS = {
    "unknown": N_("there is no such account"),
    "inactive": N_("the account is inactive"),
    "no_password": N_("no password is set"),
    "password": N_("the password was wrong"),
    "role": N_("this role may not sign in here"),
}
# What can be taken back, if no later change stands in its way.
UNDOABLE = frozenset(
    {
        *(Kind.CREATED, Kind.EDITED, Kind.ACTIVATED, Kind.DEACTIVATED, Kind.DELETED, Kind.RESTORED),
        *(Kind.NOTE_ADDED, Kind.NOTE_EDITED, Kind.NOTE_DELETED),
    }
)
UNDOABLE_FIELDS = frozenset({"full_name", "email", "role", "is_active", "note"})


class ChangeLine(NamedTuple):
    label: str
    old: str
    new: str


class Line(NamedTuple):
    """One entry. A name is empty where the person is forgotten; an id is None where there is nobody."""

    id: int
    at: datetime
    what: str
    subject_id: int | None
    subject_name: str
    actor_id: int | None
    actor_name: str
    actor_role: str
    door: str
    address: str
    request_id: str
    note: str
    changes: list[ChangeLine]
    undoes_id: int | None
    is_undone: bool
    is_undoable: bool
    batch_id: int | None  # it was done together with others


def make_lines(stories: Sequence[Story], actor: Actor, roles: Mapping[int, Role]) -> list[Line]:
    """As ``actor`` sees them, who is offered to undo what he may undo of whom. ``roles`` are those that the
    people have now; whoever is not among them is in the trash, or gone.
    """
    undone = find_undone([story.id for story in stories])
    return [_line(story, actor, roles, is_undone=story.id in undone) for story in stories]


def _line(story: Story, actor: Actor, roles: Mapping[int, Role], *, is_undone: bool) -> Line:
    role = story.actor_role if story.actor_id is not None else None
    return Line(
        id=story.id,
        at=story.at,
        what=gettext(KIND_LABELS[story.kind]),
        subject_id=story.subject_id,
        subject_name=story.subject_name,
        actor_id=story.actor_id,
        actor_name=story.actor_name,
        actor_role=gettext(ROLE_LABELS[Role(role)]) if role else "",
        door=_door(story),
        address=story.address,
        request_id=story.request_id,
        note=_note(story),
        changes=[_change(*item) for item in story.changes.items()],
        undoes_id=story.undoes_id,
        is_undone=is_undone,
        is_undoable=not is_undone and may_undo(story, actor, roles),
        batch_id=story.facts.get("batch"),
    )


def _door(story: Story) -> str:
    door = gettext(DOOR_LABELS[story.door])
    if story.token_id is None:
        return door
    return gettext("%(door)s, token %(number)s", door=door, number=story.token_id)


def is_undoable(story: Story) -> bool:
    return (
        story.kind in UNDOABLE
        and story.subject_id is not None
        and (bool(story.changes) or story.kind in {Kind.DELETED, Kind.RESTORED})
        and set(story.changes) <= UNDOABLE_FIELDS
    )


def find_undoable_people(stories: Iterable[Story]) -> set[int]:
    """Those about whom something might be undone, so that their roles are asked for."""
    return {story.subject_id for story in stories if story.subject_id is not None and is_undoable(story)}


def _undo_permission(story: Story) -> Permission:
    """What the service will ask for that undoes it."""
    if story.kind in {Kind.CREATED, Kind.DELETED, Kind.RESTORED}:
        return Permission.USERS_DELETE
    if story.kind in {Kind.ACTIVATED, Kind.DEACTIVATED}:
        return Permission.USERS_SET_STATUS
    return Permission.USERS_SET_ROLE if "role" in story.changes else Permission.USERS_EDIT


def may_undo(story: Story, actor: Actor, roles: Mapping[int, Role]) -> bool:
    """Whether it is offered to ``actor``: a later change may still stand in its way."""
    if not is_undoable(story) or not actor.may(Permission.USERS_EDIT):  # what every door asks for
        return False
    if story.kind is Kind.DELETED:
        return actor.may(_undo_permission(story))
    role = roles.get(story.subject_id or 0)
    if role is None or not actor.may(_undo_permission(story), on=role):
        return False
    if story.kind in {Kind.NOTE_ADDED, Kind.NOTE_EDITED} and story.facts.get("author_id") != actor.user_id:
        return story.kind is Kind.NOTE_ADDED and actor.may(Permission.USERS_DELETE, on=role)
    return True


def _note(story: Story) -> str:
    if "reason" in story.facts:
        return gettext(REASONS.get(str(story.facts["reason"]), ""))
    if "count" in story.facts:
        return _extent(story.facts)
    if "cents" in story.facts:
        return _movement(story.facts)
    return str(story.facts.get("rule") or story.facts.get("token", ""))


def _extent(facts: Mapping[str, Any]) -> str:
    """How many, and by which filters."""
    number = format_number(facts["count"])
    text = gettext("more than %(number)s", number=number) if facts.get("is_more") else number
    return " · ".join([text, *(f"{name}={value}" for name, value in facts.get("filters", {}).items())])


def _movement(facts: Mapping[str, Any]) -> str:
    """How much, and who was at the other side."""
    amount = format_cents(facts["cents"])
    if "to" in facts:
        return gettext("%(amount)s to user %(id)s", amount=amount, id=facts["to"])
    if "from" in facts:
        return gettext("%(amount)s from user %(id)s", amount=amount, id=facts["from"])
    return amount


def _change(name: str, change: tuple[Any, Any]) -> ChangeLine:
    old, new = (show_value(name, value) for value in change)
    return ChangeLine(gettext(FIELD_LABELS.get(name, name)), old, new)


def show_value(name: str, value: Any) -> str:
    """A value of a field as a page shows it; empty for none."""
    if value is None:
        return ""
    if name == "role" and value in ROLE_LABELS:
        return gettext(ROLE_LABELS[Role(value)])
    if name == "is_active":
        return gettext("Active") if value else gettext("Inactive")
    if name == "balance":
        return format_cents(value)
    return str(value)


class Told(NamedTuple):
    """Who gave a field its present value, when, and what it was before."""

    by: str
    at: datetime
    before: str


def explain_fields(stories: Iterable[Story]) -> dict[str, Told]:
    """For each field that one of the entries set, given newest first."""
    found: dict[str, Told] = {}
    for story in stories:
        for name, (old, _new) in story.changes.items():
            found.setdefault(name, Told(story.actor_name, story.at, show_value(name, old)))
    return found
