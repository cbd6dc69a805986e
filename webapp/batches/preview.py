"""What a batch would do now: to whom, to how many, and why not to others. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from webapp.access.actor import Actor
from webapp.batches.changes import change_of, undoing
from webapp.batches.models import Batch
from webapp.batches.queries import parts_of
from webapp.batches.rules import AT_ONCE, Action, digest_of
from webapp.db import get_session
from webapp.db.session import renew_time_limit
from webapp.errors import N_, DomainError, Invalid
from webapp.history.queries import get_stories
from webapp.listing.types import AnyRow
from webapp.users.many import Change, judge
from webapp.users.queries import Person, find_administrators, list_people, list_trashed

SAMPLE = 10
NAMES_OF_REFUSED = 5


@dataclass(slots=True)
class Refused:
    """Those who are left out for one reason: how many, and the names of some."""

    refusal: DomainError
    number: int = 0
    people: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """What a batch would do now. ``seen`` tells two previews apart that would not do the same to the same
    people: a digest of what is done, in which role, and one of to whom.
    """

    changing: int = 0
    same: int = 0
    sample: list[Person] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    seen: str = ""

    @property
    def left_out(self) -> int:
        return sum(item.number for item in self.refused)


def examine(batch: Batch, *, actor: Actor) -> Preview:
    """Nothing is written. Raises Invalid when the action's value is missing, Forbidden, Conflict."""
    administrators = set(find_administrators(changing=batch.total))
    preview = Preview()
    reasons: dict[str, Refused] = {}
    changing: list[int] = []
    change: Change | None = None
    for rows in parts_of(batch.id, size=AT_ONCE):
        renew_time_limit(get_session())
        if change is None or batch.action == Action.UNDO.value:
            change, _undoes = change_for(batch, rows)
        actor.require(change.permission)
        ids = [row.user_id for row in rows]
        planned, refused = judge(change, ids, actor=actor, administrators=administrators)
        changing += [person.id for person, _values in planned]
        preview.sample += [person for person, _values in planned[: SAMPLE - len(preview.sample)]]
        preview.same += len(rows) - len(planned) - len(refused)
        _collect(reasons, refused)
    preview.changing = len(changing)
    preview.seen = digest_of_what(batch, actor) + digest_of(sorted(changing))
    preview.refused = sorted(reasons.values(), key=lambda item: -item.number)
    return preview


def _collect(reasons: dict[str, Refused], refused: Mapping[int, DomainError]) -> None:
    shown: dict[int, Refused] = {}
    for user_id, refusal in refused.items():
        reason = reasons.setdefault(str(refusal), Refused(refusal))
        reason.number += 1
        if reason.number <= NAMES_OF_REFUSED:
            shown[user_id] = reason
    people = [*list_people(shown), *list_trashed(shown)] if shown else []
    names = {person.id: person.display_name for person in people}
    for user_id, reason in shown.items():
        reason.people.append((user_id, names.get(user_id, "")))


def change_for(batch: Batch, rows: Sequence[AnyRow]) -> tuple[Change, dict[int, int]]:
    """And which entry is undone of whom."""
    if batch.action is None:
        raise Invalid(N_("Choose what to do."), field="action")
    action = Action(batch.action)
    if action is not Action.UNDO:
        return change_of(action, batch.value), {}
    undoes = {row.user_id: row.undoes_entry_id for row in rows}
    by_id = get_stories(undoes.values())
    return undoing({user_id: by_id[entry_id] for user_id, entry_id in undoes.items()}), undoes


def digest_of_what(batch: Batch, actor: Actor) -> str:
    """By whom as well: with another role they would change others than were shown."""
    return digest_of([batch.action, batch.value, actor.role])
