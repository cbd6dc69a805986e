"""Reading history, and following its chains."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select

from webapp.access.actor import Actor, Door
from webapp.db import get_session
from webapp.errors import N_, NotFound
from webapp.history.models import ENTRIES, LANES, ORDERS
from webapp.history.rules import START, Kind, digest, link, segment_of
from webapp.listing.definition import Listing, Range, SearchIndex, Segments, Selection
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.types import AnyRow

_entries = ENTRIES.c

LISTING = Listing(
    columns=(
        _entries.id,
        _entries.at,
        _entries.kind,
        _entries.door,
        _entries.subject_id,
        _entries.actor_id,
        _entries.actor_role,
        _entries.request_id,
        _entries.version,
        _entries.undoes_id,
        _entries.details,
        _entries.origin,
    ),
    row_id=_entries.id,
    sorts={"at": SortKey(_entries.at, datetime)},
    segments=Segments(
        _entries.segment, tuple(segment_of(kind, door) for kind in Kind for door in Door), leads=False
    ),
    search=SearchIndex(_entries.search_text, "entries_search", _entries.at, ORDERS),
    owners={"subject": _entries.subject_id, "actor": _entries.actor_id},
)


def select_entries(
    *,
    words: tuple[str, ...] = (),
    subject_id: int | None = None,
    actor_id: int | None = None,
    kind: Kind | None = None,
    door: Door | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
) -> Selection:
    """Which entries to list; everything None or empty means all. Times are half-open: [since, before)."""
    segments = frozenset(
        segment_of(one, through)
        for one in ([kind] if kind else Kind)
        for through in ([door] if door else Door)
    )
    owners = {"subject": subject_id, "actor": actor_id}
    return Selection(
        words=words,
        segments=segments if kind or door else None,
        range=Range("at", since, before) if since or before else None,
        owners=tuple((name, owner) for name, owner in owners.items() if owner is not None),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """An entry as people read it. What was personal is empty once the person is forgotten."""

    id: int
    at: datetime
    kind: Kind
    door: Door
    subject_id: int | None
    subject_name: str
    actor_id: int | None
    actor_name: str
    actor_role: str | None
    token_id: int | None
    address: str
    request_id: str
    version: int | None
    undoes_id: int | None
    changes: Mapping[str, tuple[Any, Any]]
    facts: Mapping[str, Any]


def tell(row: AnyRow) -> Story:
    details: dict[str, Any] = json.loads(row.details) if row.details else {}
    origin: dict[str, Any] = json.loads(row.origin) if row.origin else {}
    changes = {name: (old, new) for name, (old, new) in details.pop("changes", {}).items()}
    details.pop("salt", None)
    return Story(
        id=row.id,
        at=row.at,
        kind=Kind(row.kind),
        door=Door(row.door),
        subject_id=row.subject_id,
        subject_name=details.pop("name", ""),
        actor_id=row.actor_id,
        actor_name=origin.get("name", ""),
        actor_role=row.actor_role,
        token_id=origin.get("token"),
        address=origin.get("address", ""),
        request_id=row.request_id,
        version=row.version,
        undoes_id=row.undoes_id,
        changes=changes,
        facts=details,
    )


def get_story(entry_id: int) -> Story:
    """Raises NotFound."""
    statement = select(*LISTING.columns).where(_entries.id == entry_id)
    row = get_session().execute(statement).one_or_none() if entry_id <= LARGEST_ID else None
    if row is None:
        raise NotFound(N_("There is no such entry in the history."))
    return tell(row)


def get_stories(entry_ids: Collection[int]) -> dict[int, Story]:
    """By their ids; one that is not there is left out."""
    statement = select(*LISTING.columns).where(_entries.id.in_(entry_ids))
    return {row.id: tell(row) for row in get_session().execute(statement)} if entry_ids else {}


def list_stories(subject_id: int, *, most: int) -> list[Story]:
    """The latest entries about somebody, the newest first."""
    statement = (
        select(*LISTING.columns)
        .where(_entries.subject_id == subject_id)
        .order_by(_entries.at.desc(), _entries.id.desc())
        .limit(most)
    )
    return [tell(row) for row in get_session().execute(statement)]


def list_stories_between(
    subject_id: int, kinds: Collection[Kind], *, since: datetime, until: datetime, most: int
) -> list[Story]:
    """Return the latest entries of these kinds about a person, from one time to the other, newest first."""
    statement = (
        select(*LISTING.columns)
        .where(
            _entries.subject_id == subject_id,
            _entries.kind.in_([kind.value for kind in kinds]),
            _entries.at.between(since, until),
        )
        .order_by(_entries.at.desc(), _entries.id.desc())
        .limit(most)
    )
    return [tell(row) for row in get_session().execute(statement)]


def find_own(subject_id: int, actor: Actor) -> int | None:
    """The id of the last entry that this request of the actor wrote about somebody."""
    statement = select(_entries.id).where(
        _entries.subject_id == subject_id,
        _entries.actor_id == actor.user_id,
        _entries.request_id == actor.request_id,
    )
    return get_session().scalar(statement.order_by(_entries.at.desc(), _entries.id.desc()).limit(1))


def find_latest_of(kind: Kind, subject_ids: Collection[int]) -> frozenset[int]:
    """The ids of the last entries of that kind about each of them."""
    statement = (
        select(func.max(_entries.id))
        .where(_entries.subject_id.in_(subject_ids), _entries.kind == kind.value)
        .group_by(_entries.subject_id)
    )
    return frozenset(get_session().scalars(statement)) if subject_ids else frozenset()


def list_stories_since(subject_id: int, version: int) -> list[Story]:
    """Those that made the subject's later versions, the newest first."""
    statement = (
        select(*LISTING.columns)
        .where(_entries.subject_id == subject_id, _entries.version > version)
        .order_by(_entries.version.desc(), _entries.id.desc())
    )
    return [tell(row) for row in get_session().execute(statement)]


def find_undone(entry_ids: Collection[int]) -> frozenset[int]:
    """Which of the entries were undone."""
    statement = select(_entries.undoes_id).where(_entries.undoes_id.in_(entry_ids))
    return frozenset(get_session().scalars(statement)) if entry_ids else frozenset()


ROWS_AT_ONCE = 1_000


class Fault(NamedTuple):
    """The first thing that is wrong in one lane."""

    lane: int
    number: int
    what: str


CHAINED = (
    *("at", "kind", "door", "subject_id", "actor_id", "actor_role", "request_id", "version", "undoes_id"),
    *("details_digest", "origin_digest", "lane", "number"),
)


def find_faults() -> Iterator[Fault]:
    """Follow every lane from its start to its end; reads every entry."""
    session = get_session()
    lanes = session.execute(select(LANES).order_by(LANES.c.lane)).all()
    for lane in lanes:
        fault = _follow(lane)
        if fault is not None:
            yield fault
    known = [lane.lane for lane in lanes]
    lost = select(_entries.lane, func.min(_entries.number)).where(_entries.lane.not_in(known))
    for number, first in session.execute(lost.group_by(_entries.lane)).all():
        yield Fault(number, first, N_("is in a lane that is missing"))


def _follow(lane: AnyRow) -> Fault | None:
    previous, number = START, 0
    for row in _rows_of(lane.lane, up_to=lane.number):
        number += 1
        if row.number != number:
            return Fault(lane.lane, number, N_("is missing"))
        facts = {name: getattr(row, name) for name in CHAINED}
        texts = ((row.details, row.details_digest), (row.origin, row.origin_digest))
        if link(previous, facts) != row.hash or any(text and digest(text) != kept for text, kept in texts):
            return Fault(lane.lane, number, N_("was changed"))
        previous = row.hash
    if (number, previous) != (lane.number, lane.hash):
        return Fault(lane.lane, number + 1, N_("is missing"))
    # Beyond the end, as it was read, there may be what others wrote meanwhile: then the end has moved too.
    beyond = select(func.min(_entries.number)).where(_entries.lane == lane.lane, _entries.number > number)
    first = get_session().scalar(beyond)
    end = get_session().scalar(select(LANES.c.number).where(LANES.c.lane == lane.lane))
    if first is not None and (end is None or first > end):
        return Fault(lane.lane, first, N_("is not of this history"))
    return None


def _rows_of(lane: int, *, up_to: int) -> Iterator[AnyRow]:
    """In pieces, so that the memory stays small however many there are."""
    rows = select(ENTRIES).where(_entries.lane == lane, _entries.number <= up_to)
    rows = rows.order_by(_entries.number).limit(ROWS_AT_ONCE)
    last = -1
    while found := get_session().execute(rows.where(_entries.number > last)).all():
        yield from found
        last = found[-1].number


def describe_end() -> str:
    """The ends of all lanes in one digest."""
    ends = get_session().execute(select(LANES).where(LANES.c.number > 0).order_by(LANES.c.lane)).all()
    return digest(" ".join(f"{lane.lane}:{lane.number}:{lane.hash}" for lane in ends))
