"""What must be true of the database after all those edits, whatever became of the workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import func, select

from chaos.editors import Edit, Outcome
from webapp.db import get_session
from webapp.db.session import lift_time_limit
from webapp.history.models import ENTRIES
from webapp.history.proof import find_faults
from webapp.history.queries import Story, list_stories_since
from webapp.history.rules import Kind
from webapp.listing.maintenance import find_miscounts
from webapp.users.models import User, derive_keys
from webapp.users.queries import LISTING, find_existing, get_user


@dataclass
class Told:
    """What the history tells of the edited users. ``became`` holds, for each user and field, every value
    that it had, in order; ``saved`` by which version each typed value was saved.
    """

    became: dict[tuple[int, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    saved: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def compare(app: Flask, edits: Sequence[Edit]) -> Told:
    """Follow the history of each edited user, and hold it against the rows and what editors were told.

    Each typed value must be given once only, so that it says whose edit it is.
    """
    made = {edit.typed: edit for edit in edits}
    told = Told()
    with app.app_context():
        lift_time_limit(get_session())
        for user_id in sorted({edit.user_id for edit in edits}):
            told.violations += _follow(user_id, made, told)
        told.violations += _check_answers(edits, told)
        told.violations += _check_conflicts(edits, told)
        told.violations += _check_database(told)
    return told


def _follow(user_id: int, made: dict[str, Edit], told: Told) -> Iterator[str]:
    """From the creation on, entry by entry: nothing is missing, half, or of somebody else."""
    created, *stories = reversed(list_stories_since(user_id, 0))
    for name, (_, value) in created.changes.items():
        told.became[user_id, name].append(value)
    for version, story in enumerate(stories, start=created.version or 0):
        if story.version != version + 1:
            yield f"user {user_id}: after version {version} the history tells of {story.version}"
        yield from _check_entry(story, made, told)
    yield from _check_row(get_user(user_id), created.version or 0, len(stories), told)


def _check_entry(story: Story, made: dict[str, Edit], told: Told) -> Iterator[str]:
    if len(story.changes) != 1:
        yield f"entry {story.id} changes {sorted(story.changes)}, but everybody typed in one field"
    for name, (old, new) in story.changes.items():
        before = told.became[story.subject_id or 0, name]
        if old != before[-1]:
            yield f"entry {story.id} changes {name} from {old!r}, which was {before[-1]!r}"
        if new in told.saved:
            yield f"entry {story.id} saves {new!r} again"
        edit = made.get(new)
        truth = (story.subject_id, story.actor_id, name, old)
        if edit is None or (edit.user_id, edit.editor_id, edit.field, edit.seen) != truth:
            yield f"entry {story.id} is not what somebody sent: {name} from {old!r} to {new!r}"
        before.append(new)
        told.saved[new] = story.version or 0


def _check_row(user: User, first: int, changes: int, told: Told) -> Iterator[str]:
    last = {name: told.became[user.id, name][-1] for name in ("full_name", "email")}
    expected = {"version": first + changes, **last, **derive_keys(**last)}
    for name, value in expected.items():
        if getattr(user, name) != value:
            yield f"user {user.id}: {name} is {getattr(user, name)!r}, the history says {value!r}"


def _check_answers(edits: Sequence[Edit], told: Told) -> Iterator[str]:
    """Who was told that his edit is saved has an entry; who was refused has none."""
    for edit in edits:
        is_saved = edit.typed in told.saved
        if edit.outcome is Outcome.WRONG:
            yield f"{edit}: {edit.fault}"
        elif edit.outcome is not Outcome.LOST and is_saved != (edit.outcome is Outcome.SAVED):
            yield f"{edit}, but {'an' if is_saved else 'no'} entry tells of it"
        elif edit.outcome is Outcome.REFUSED:
            values = told.became[edit.user_id, edit.field]
            if edit.theirs not in values[values.index(edit.seen) + 1 :]:
                yield f"{edit}, by {edit.theirs!r}, which nobody saved after that"


def _check_conflicts(edits: Sequence[Edit], told: Told) -> Iterator[str]:
    """Of all who saw the same value and changed it, one is saved: none would be too few, two too many.

    Where nobody got an answer at all, none may be. Of different fields both are kept by the same rule.
    """
    rivals: dict[tuple[int, str, str], list[Edit]] = defaultdict(list)
    for edit in edits:
        rivals[edit.user_id, edit.field, edit.seen].append(edit)
    for (user_id, name, seen), some in rivals.items():
        winners = sum(edit.typed in told.saved for edit in some)
        if winners > 1 or (winners == 0 and any(edit.outcome is not Outcome.LOST for edit in some)):
            yield f"{len(some)} changed {name} of user {user_id} from {seen!r}, and {winners} are saved"


def _check_database(told: Told) -> Iterator[str]:
    session = get_session()
    edited = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == Kind.EDITED.value)
    if (number := session.scalar(edited)) != len(told.saved):
        yield f"the history has {number} edits, and {len(told.saved)} were made"
    for fault in find_faults(find_existing):
        yield f"the history, lane {fault.lane}: entry {fault.number} {fault.what}"
    yield from find_miscounts(session, LISTING)


def count_merged(edits: Sequence[Edit], told: Told) -> int:
    """The saved edits in whose form somebody else's were not to be seen yet."""
    return sum(told.saved.get(edit.typed, 0) > edit.version + 1 for edit in edits)


def count_outcomes(edits: Sequence[Edit]) -> Counter[Outcome]:
    return Counter(edit.outcome for edit in edits)
