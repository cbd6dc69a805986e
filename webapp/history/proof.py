"""Whether the history is still as it was written: its chains, what was erased from it, and its searches."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select

from webapp.access.actor import Door
from webapp.access.permissions import Permission, Role, may
from webapp.config import MIN_STAFF_DAYS
from webapp.db import get_session
from webapp.errors import N_
from webapp.history.models import ENTRIES, LANES
from webapp.history.queries import find_last_sweep
from webapp.history.rules import (
    START,
    Kind,
    digest,
    is_staff,
    link,
    read_named_since,
    search_text_of,
    segment_of,
)
from webapp.listing.search import searchable
from webapp.listing.types import AnyRow

_entries = ENTRIES.c
ROWS_AT_ONCE = 1_000
MOMENT = timedelta(microseconds=1)
FindExisting = Callable[[Collection[int]], Collection[int]]

CHAINED = (
    *("at", "kind", "door", "subject_id", "actor_id", "actor_role", "request_id", "version", "undoes_id"),
    *("details_digest", "origin_digest", "lane", "number"),
)


class Fault(NamedTuple):
    """The first thing that is wrong in one lane."""

    lane: int
    number: int
    what: str


def find_faults(find_existing: FindExisting) -> Iterator[Fault]:
    """Follow every lane from its start to its end; reads every entry.

    ``find_existing`` answers which of these are users, or in the trash: none of them was deleted for good.
    """
    session, deletions = get_session(), _Deletions(find_existing)
    lanes = session.execute(select(LANES).order_by(LANES.c.lane)).all()
    for lane in lanes:
        fault = _follow(lane, deletions)
        if fault is not None:
            yield fault
    known = [lane.lane for lane in lanes]
    lost = select(_entries.lane, func.min(_entries.number)).where(_entries.lane.not_in(known))
    for number, first in session.execute(lost.group_by(_entries.lane)).all():
        yield Fault(number, first, N_("is in a lane that is missing"))


def _follow(lane: AnyRow, deletions: _Deletions) -> Fault | None:
    previous, number = START, 0
    for rows in _pieces_of(lane.lane, up_to=lane.number):
        deletions.look_up(rows)
        for row in rows:
            number += 1
            if row.number != number:
                return Fault(lane.lane, number, N_("is missing"))
            what = _judge(row, previous, deletions)
            if what is not None:
                return Fault(lane.lane, number, what)
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


def _pieces_of(lane: int, *, up_to: int) -> Iterator[Sequence[AnyRow]]:
    """So that the memory stays small however many there are."""
    rows = select(ENTRIES).where(_entries.lane == lane, _entries.number <= up_to)
    rows = rows.order_by(_entries.number).limit(ROWS_AT_ONCE)
    last = -1
    while found := get_session().execute(rows.where(_entries.number > last)).all():
        yield found
        last = found[-1].number


def _judge(row: AnyRow, previous: str, deletions: _Deletions) -> str | None:
    """What is wrong with the entry that follows the one with the hash ``previous``."""
    facts = {name: getattr(row, name) for name in CHAINED}
    texts = ((row.details, row.details_digest), (row.origin, row.origin_digest))
    if link(previous, facts) != row.hash or any(
        text is not None and digest(text) != kept for text, kept in texts
    ):
        return N_("was changed")
    if row.kind == Kind.PURGED and not deletions.is_real(row):
        return N_("tells of a deletion that was not made")
    if (row.details is None and not deletions.explain_details(row)) or (
        row.origin is None and not deletions.explain_origin(row)
    ):
        return N_("was erased, and no deletion explains it")
    if row.segment != _segment(row) or row.search_text not in _search_texts(row):
        return N_("was hidden from filters or searches")
    return None


def _segment(row: AnyRow) -> str | None:
    try:
        return segment_of(Kind(row.kind), Door(row.door))
    except ValueError:
        return None


def _search_texts(row: AnyRow) -> Iterator[str]:
    told = [json.loads(text) if text else {} for text in (row.details, row.origin)]
    yield search_text_of(*told)
    if row.details is None or row.origin is None:  # as an earlier version left it when it erased the other
        notes = [note for it in told for note in it.get("changes", {}).get("note", []) if note]
        yield searchable(*(it["name"] for it in told if it), *notes)


class _Deletions:
    """Those that explain what is erased, looked up for a piece of a lane at a time.

    Each is an entry as well, and stands in a lane that is followed: one that was made up is a fault itself.
    """

    def __init__(self, find_existing: FindExisting) -> None:
        self._find_existing = find_existing
        self._named_since: Mapping[int, datetime] = {}  # by who was deleted
        self._existing: Collection[int] = ()
        self._swept: datetime | None = None
        self._is_swept_new = False

    def look_up(self, rows: Sequence[AnyRow]) -> None:
        erased = {row.subject_id for row in rows if row.details is None}
        erased |= {row.actor_id for row in rows if row.origin is None}
        self._named_since = _find_purges(erased - {None})
        gone = {row.subject_id for row in rows if row.kind == Kind.PURGED and row.subject_id is not None}
        self._existing = self._find_existing(gone) if gone else ()
        self._is_swept_new = False

    def is_real(self, row: AnyRow) -> bool:
        """Whether the person is gone, who did it may do that, and it lets no name go before its time. What it
        tells is of no person, and so never erased.
        """
        may_purge = row.actor_role in set(Role) and may(Role(row.actor_role), Permission.USERS_DELETE)
        named_since = read_named_since(row.details) or datetime.min.replace(tzinfo=UTC)
        return (
            row.details is not None
            and row.subject_id not in self._existing
            and may_purge
            and named_since <= row.at - timedelta(days=MIN_STAFF_DAYS)
        )

    def explain_details(self, row: AnyRow) -> bool:
        return row.kind != Kind.PURGED and row.subject_id in self._named_since

    def explain_origin(self, row: AnyRow) -> bool:
        if row.actor_id not in self._named_since:
            return False
        return (
            not is_staff(row.actor_role)
            or row.at < self._named_since[row.actor_id]
            or self._was_swept(row.at)
        )

    def _was_swept(self, at: datetime) -> bool:
        """A sweep tells of itself before it erases: asked again after the piece was read, it is found."""
        if not self._is_swept_new and (self._swept is None or at >= self._swept):
            self._swept, self._is_swept_new = find_last_sweep(), True
        return self._swept is not None and at < self._swept


def _find_purges(person_ids: Collection[int]) -> Mapping[int, datetime]:
    if not person_ids:
        return {}
    columns = _entries.subject_id, _entries.at, _entries.details
    purges = select(*columns).where(
        _entries.subject_id.in_(person_ids), _entries.kind == Kind.PURGED.value, _entries.details.is_not(None)
    )
    return {
        # An earlier version erased the names of all, up to the deletion.
        row.subject_id: read_named_since(row.details) or row.at + MOMENT
        for row in get_session().execute(purges)
    }


def describe_end() -> str:
    """The ends of all lanes in one digest."""
    ends = get_session().execute(select(LANES).where(LANES.c.number > 0).order_by(LANES.c.lane)).all()
    return digest(" ".join(f"{lane.lane}:{lane.number}:{lane.hash}" for lane in ends))
