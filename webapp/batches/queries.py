"""Reading batches, and finding the users that a pasted list names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import func, select

from webapp.batches.models import BATCHES, ROWS, Batch
from webapp.batches.rules import MOST_UNRESOLVED, State, Wanted
from webapp.db import get_session
from webapp.errors import N_, DomainError, NotFound
from webapp.extensions import utc_now
from webapp.listing.definition import Listing
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.types import AnyRow
from webapp.users.models import USERS
from webapp.users.queries import PARTS, PERSON, Person, list_people, list_trashed

_batches, _rows, _users = BATCHES.c, ROWS.c, USERS.c
AT_A_TIME = 500
MOST_NAMESAKES = 5
NO_SUCH_BATCH = N_("There is no such bulk change (any more).")

LISTING = Listing(
    columns=(
        *(_batches.id, _batches.created_at, _batches.creator_id, _batches.source, _batches.action),
        *(_batches.value, _batches.state, _batches.total, _batches.position, _batches.done),
        *(_batches.refused, _batches.undoes_id),
    ),
    row_id=_batches.id,
    sorts={"created_at": SortKey(_batches.created_at, datetime)},
)


def get_batch(batch_id: int) -> Batch:
    """Raises NotFound."""
    batch = get_session().get(Batch, batch_id, populate_existing=True) if batch_id <= LARGEST_ID else None
    if batch is None:
        raise NotFound(NO_SUCH_BATCH)
    return batch


def list_running() -> Sequence[Batch]:
    """Those that somebody should be working at."""
    return get_session().scalars(select(Batch).where(Batch.state == State.RUNNING.value)).all()


INTERRUPTED_AFTER = timedelta(seconds=20)


def is_interrupted(batch: Batch) -> bool:
    """Whether nobody works at it any more, although it is not through."""
    is_running = batch.state == State.RUNNING.value
    return is_running and (batch.touched_at is None or utc_now() - batch.touched_at > INTERRUPTED_AFTER)


def find_undoing(batch_id: int) -> Batch | None:
    """The batch that undoes this one."""
    return get_session().scalar(select(Batch).where(Batch.undoes_id == batch_id))


def list_rows(batch_id: int, *, after: int = 0, most: int) -> Sequence[AnyRow]:
    """The next ones in order, to be worked at."""
    statement = select(_rows.position, _rows.user_id, _rows.undoes_entry_id)
    statement = statement.where(_rows.batch_id == batch_id, _rows.position > after)
    return get_session().execute(statement.order_by(_rows.position).limit(most)).all()


class ShownRow(NamedTuple):
    """``name`` and ``email`` are empty for somebody who is gone for good."""

    position: int
    user_id: int
    name: str
    email: str
    is_trashed: bool
    outcome: str | None
    refusal: DomainError | None
    entry_id: int | None


def show_rows(batch_id: int, *, outcome: str | None, after: int, most: int) -> list[ShownRow]:
    """What became of the next ones, or of those with that outcome."""
    statement = select(_rows.position, _rows.user_id, _rows.outcome, _rows.reason, _rows.entry_id)
    statement = statement.where(_rows.batch_id == batch_id, _rows.position > after)
    if outcome is not None:
        statement = statement.where(_rows.outcome == outcome)
    rows = get_session().execute(statement.order_by(_rows.position).limit(most)).all()
    ids = [row.user_id for row in rows]
    people = {person.id: person for person in list_people(ids)} if ids else {}
    trashed = {person.id: person for person in list_trashed(ids)} if ids else {}
    shown = []
    for row in rows:
        person = people.get(row.user_id) or trashed.get(row.user_id)
        shown.append(
            ShownRow(
                row.position,
                row.user_id,
                person.display_name if person else "",
                person.email if person else "",
                row.user_id in trashed,
                row.outcome,
                read_reason(row.reason),
                row.entry_id,
            )
        )
    return shown


def write_reason(refusal: DomainError | None) -> str | None:
    return None if refusal is None else json.dumps([refusal.message, refusal.params])


def read_reason(text: str | None) -> DomainError | None:
    if text is None:
        return None
    message, params = json.loads(text)
    texts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in params.items()
    }
    return DomainError(message, **texts)


# --- pasted lists ---


class Ambiguous(NamedTuple):
    """A name that several have: its key, as it was written, how many there are."""

    key: str
    text: str
    number: int


@dataclass(slots=True)
class Resolution:
    """Whom a list names. Of what is unclear as much is kept as can be shown, and counted all."""

    found: set[int] = field(default_factory=set)
    not_found: list[str] = field(default_factory=list)
    missing: int = 0
    ambiguous: list[Ambiguous] = field(default_factory=list)
    unclear: int = 0

    def to_json(self) -> str:
        unclear = {"missing": self.missing, "not_found": self.not_found[:MOST_UNRESOLVED]}
        unclear |= {"unclear": self.unclear, "ambiguous": self.ambiguous[:MOST_UNRESOLVED]}
        return json.dumps(unclear) if self.missing or self.unclear else ""

    @classmethod
    def from_json(cls, text: str) -> Resolution:
        kept: dict[str, Any] = json.loads(text) if text else {}
        pairs = [Ambiguous(*item) for item in kept.pop("ambiguous", [])]
        return cls(**kept, ambiguous=pairs)


def resolve(wanted: Sequence[Wanted]) -> Resolution:
    """Find them: a name must be somebody's whole name, but for case and accents."""
    numbers: dict[str, dict[int | str, tuple[int, int]]] = {
        kind: _find(kind, [item.key for item in wanted if item.kind == kind])
        for kind in ("id", "email", "name")
    }
    resolution = Resolution()
    for item in wanted:
        user_id, number = numbers[item.kind].get(item.key, (0, 0))
        if number == 1:
            resolution.found.add(user_id)
        elif number == 0:
            resolution.missing += 1
            if len(resolution.not_found) < MOST_UNRESOLVED:
                resolution.not_found.append(item.text)
        else:
            resolution.unclear += 1
            if len(resolution.ambiguous) < MOST_UNRESOLVED:
                resolution.ambiguous.append(Ambiguous(str(item.key), item.text, number))
    return resolution


def _find(kind: str, keys: Sequence[int | str]) -> dict[int | str, tuple[int, int]]:
    """Key → one of those who have it, and how many have it."""
    column: Any = {"id": _users.id, "email": _users.email_key, "name": _users.name_key}[kind]
    found: dict[int | str, tuple[int, int]] = {}
    rest = iter(keys)
    while part := list(islice(rest, AT_A_TIME)):
        statement = select(column, func.min(_users.id), func.count()).where(column.in_(part))
        if kind == "name":  # the index of the names begins with the segment
            statement = statement.where(_users.segment.in_(PARTS.names))
        for key, user_id, number in get_session().execute(statement.group_by(column)):
            found[key] = (user_id, number)
    return found


def list_namesakes(key: str) -> list[Person]:
    """Some of those who have that name, in the order of their ids."""
    statement = select(*PERSON).where(_users.name_key == key, _users.segment.in_(PARTS.names))
    return sorted(Person(*row) for row in get_session().execute(statement.limit(MOST_NAMESAKES)))


def parts_of(batch_id: int, *, after: int = 0, size: int) -> Iterator[Sequence[AnyRow]]:
    """All rows of a batch, some at a time."""
    while part := list_rows(batch_id, after=after, most=size):
        yield part
        after = part[-1].position
