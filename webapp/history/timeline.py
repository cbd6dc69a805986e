"""Entries as a person reads them: who did what to whom, from which value to which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from webapp.access.actor import Actor
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.errors import N_
from webapp.history.queries import Story, find_undone
from webapp.history.rules import DOOR_LABELS, FIELD_LABELS, KIND_LABELS, LEFT_OUT, NAMED_SINCE, Kind
from webapp.web.language import gettext, ngettext
from webapp.web.times import format_cents, format_day, format_number

REASONS = {
    "unknown": N_("there is no such account"),
    "inactive": N_("the account is inactive"),
    "no_password": N_("no password is set"),
    "password": N_("the password was wrong"),
    "role": N_("this role may not sign in here"),
    "throttled": N_("there were too many attempts"),
    "current_password": N_("the current password was wrong"),
    "token_unknown": N_("there is no such access token"),
    "token_expired": N_("the access token has expired"),
    "token_ended": N_("the access token ended with its owner’s sessions"),
    "token_revoked": N_("the access token was revoked"),
    "token_address": N_("the access token is not allowed from this address"),
    "link_unknown": N_("there is no such password link"),
    "link_ended": N_("the password link no longer works"),
    "csrf": N_("the form’s security token was missing or out of date"),
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
    actor_is_deleted: bool  # in the trash, or for good
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
        actor_is_deleted=is_by_deleted(story, roles),
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


def find_told_people(stories: Iterable[Story]) -> set[int]:
    """Whose roles are asked for: of those about whom something might be undone, and of those who did it."""
    stories = list(stories)
    undoable = {it.subject_id for it in stories if it.subject_id is not None and is_undoable(it)}
    return undoable | {it.actor_id for it in stories if it.actor_id is not None}


def is_by_deleted(story: Story, roles: Mapping[int, Role]) -> bool:
    """Whether who did it is deleted by now. ``roles``: see make_lines()."""
    return story.actor_id is not None and story.actor_id not in roles


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
        return " · ".join(filter(None, _refusal(story.facts)))
    if NAMED_SINCE in story.facts:
        return _sweep(story) if story.subject_id is None else ""
    if "count" in story.facts:
        return _extent(story.facts)
    if "cents" in story.facts:
        return _movement(story.facts)
    if "resumed_by" in story.facts:
        return _resumption(story.facts["resumed_by"])
    return str(story.facts.get("rule") or story.facts.get("token", ""))


def _refusal(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was refused, on what, and why; and how many more like it."""
    reason = REASONS.get(str(facts["reason"]), "")
    yield gettext(reason) if reason else ""
    rule = str(facts.get("rule", ""))
    for name, number in facts.get("object", {}).items():
        rule = re.sub(rf"<(\w+:)?{re.escape(name)}>", str(number), rule)
    yield rule
    yield str(facts.get("token", ""))
    if "permission" in facts:
        yield gettext("needs %(permission)s", permission=facts["permission"])
    if left_out := facts.get(LEFT_OUT):
        yield ngettext(
            "%(num)s more before it is not listed", "%(num)s more before it are not listed", left_out
        )


def _sweep(story: Story) -> str:
    """Of those who were deleted for good before: their names are gone from what they did before that day."""
    day = format_day(datetime.fromisoformat(story.facts[NAMED_SINCE]))
    return gettext("the names of deleted staff in entries before %(day)s", day=day)


def _extent(facts: Mapping[str, Any]) -> str:
    """How many, and by which filters."""
    number = format_number(facts["count"])
    text = gettext("more than %(number)s", number=number) if facts.get("is_more") else number
    if facts.get("is_stopped"):
        text = gettext("broke off after %(number)s: the sign-in had ended", number=number)
    return " · ".join([text, *(f"{name}={value}" for name, value in facts.get("filters", {}).items())])


def _resumption(person_id: int | None) -> str:
    """Who let a bulk change go on that another person had begun."""
    if person_id is None:
        return gettext("continued from the command line")
    return gettext("continued by user %(id)s", id=person_id)


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
