"""A Listing and a Selection of its rows → paginate() → a Page.

Pages are found by key, not by counting rows off: the first, the last and any page after or before
a known row cost the same. ``page=N`` counts rows off and is there for jumping; from the middle on it
counts from the end. In the order of the ids it begins at the block in which the page lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Selection
from webapp.listing.keyset import BadCursor, Edge, decode_cursor, encode_cursor
from webapp.listing.plan.planner import QueryPlanner
from webapp.listing.plan.postgres import PostgresPlanner
from webapp.listing.plan.query import Found, Slice
from webapp.listing.plan.sqlite import SQLitePlanner
from webapp.listing.types import AnyRow

PAGE_SIZES = (20, 50, 100, 200)
LAST = "end"  # before=end is the last page
FURTHEST_ROW = 10**9
WALKED_AT_ONCE = 1_000
PLANNERS: dict[str, type[QueryPlanner]] = {"sqlite": SQLitePlanner, "postgresql": PostgresPlanner}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Where in the list. ``sort`` is a name of the listing, with "-" in front for descending."""

    sort: str
    size: int = 50
    after: str | None = None
    before: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. ``position`` is how many rows come before it, where that is known.

    ``next`` and ``previous`` are cursors for ``after`` and ``before``, None at the ends. ``pages`` is how
    many there are, if each is found by its number.
    ``is_past_end``: the page asked for does not exist, there are only ``count`` rows; ``is_too_far``: it
    may exist, but one jumps no further there than to row 10,000.
    """

    rows: Sequence[AnyRow]
    size: int
    count: Count
    position: int | None
    pages: int | None = None
    next: str | None = None
    previous: str | None = None
    is_past_end: bool = False
    is_too_far: bool = False
    had_bad_cursor: bool = False


def paginate(session: Session, listing: Listing, selection: Selection, request: PageRequest) -> Page:
    """Find the page and the count: two queries where no search and no range is asked for, else a few more."""
    return _Paging(session, listing, selection, request).run()


def find_ids(session: Session, listing: Listing, selection: Selection, *, most: int) -> list[int]:
    """The ids of all rows of the selection, in no order; of more than ``most`` just so many."""
    return _plan(session, listing, selection).find_ids(most)


def count_rows(session: Session, listing: Listing, selection: Selection) -> Count:
    """How many rows the selection has: exact up to MOST_COUNTED at least."""
    return _plan(session, listing, selection).count


def walk(
    session: Session, listing: Listing, selection: Selection, *, sort: str
) -> Iterator[Sequence[AnyRow]]:
    """All rows in the order of ``sort``, so many at a time that the session may be closed in between."""
    planner = _plan(session, listing, selection)
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    wanted = Slice(sort=name, descending=descending, limit=WALKED_AT_ONCE)
    while rows := planner.fetch(wanted).rows:
        yield rows
        wanted = replace(wanted, edge=Edge(rows[-1].sort_key, rows[-1].id, None))


def _plan(session: Session, listing: Listing, selection: Selection) -> QueryPlanner:
    return PLANNERS[session.get_bind().dialect.name](session, listing, selection)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """The rows of one page in their order, and what lies around them."""

    rows: Sequence[AnyRow]
    count: Count
    position: int | None
    has_previous: bool
    has_next: bool


class _Paging:
    """One call of paginate(): what all its steps need to know."""

    def __init__(
        self, session: Session, listing: Listing, selection: Selection, request: PageRequest
    ) -> None:
        self.request = request
        self.sort = request.sort.removeprefix("-")
        self.descending = request.sort.startswith("-")
        self.order = f"{listing.row_id.table.name} {request.sort}"
        self.key_type = listing.sorts[self.sort].type
        self.selected = selection.fingerprint
        self.planner = _plan(session, listing, selection)

    def run(self) -> Page:
        request = self.request
        if request.number is not None:
            return self._numbered(request.number)
        if request.before == LAST:
            return self._page(self._last())
        try:
            if request.before:
                return self._page(self._before(self._decode(request.before)))
            if request.after:
                return self._page(self._after(self._decode(request.after)))
        except BadCursor:
            return replace(self._page(self._first()), had_bad_cursor=True)
        return self._page(self._first())

    def _decode(self, text: str) -> Edge:
        return decode_cursor(text, order=self.order, key_type=self.key_type, of=self.selected)

    def _first(self) -> _Window:
        return self._forward(self._fetch(), position=0, has_previous=False)

    def _numbered(self, number: int) -> Page:
        offset = (number - 1) * self.request.size
        if offset > FURTHEST_ROW:
            return replace(self._page(self._nothing_at(offset)), is_past_end=True)
        count = self.planner.count
        if offset + self.request.size > MOST_COUNTED and not self.planner.can_jump(self.sort, count):
            return replace(self._page(self._nothing_at(offset)), is_past_end=True, is_too_far=True)
        is_near_end = count.is_exact and count.value // 2 < offset < count.value
        if is_near_end and self.planner.scans.blocks_of(self.sort) is None:
            found = self._fetch_from_end(offset, count.value)
        else:
            found = self._fetch(offset=offset)
        page = self._page(self._forward(found, position=offset, has_previous=offset > 0))
        return replace(page, is_past_end=not page.rows and number > 1)

    def _nothing_at(self, offset: int) -> _Window:
        return self._forward(Found(), position=offset, has_previous=offset > 0)

    def _fetch_from_end(self, offset: int, total: int) -> Found:
        """Count off from the nearer end."""
        first_of_next = max(0, total - offset - self.request.size - 1)
        size = min(self.request.size + 1, total - offset)
        found = self._fetch(offset=first_of_next, backward=True, limit=size)
        return replace(found, rows=found.rows[::-1])

    def _after(self, edge: Edge) -> _Window:
        position = None if edge.position is None else edge.position + 1
        found = self._fetch(edge=edge)
        return self._forward(found, position=position, has_previous=True) if found.rows else self._last()

    def _before(self, edge: Edge) -> _Window:
        found = self._fetch(edge=edge, backward=True)
        if len(found.rows) < self.request.size:  # rows before were deleted: the first page, filled up
            return self._first()
        position = None if edge.position is None else max(0, edge.position - self.request.size)
        return self._backward(found, position=position, has_next=True)

    def _last(self) -> _Window:
        found = self._fetch(backward=True)
        count = self._count(found)
        position = max(0, count.value - min(len(found.rows), self.request.size)) if count.is_exact else None
        return self._backward(found, position=position, has_next=False)

    def _fetch(
        self, *, edge: Edge | None = None, backward: bool = False, offset: int = 0, limit: int | None = None
    ) -> Found:
        """One row more than the page holds tells whether there is another page."""
        return self.planner.fetch(
            Slice(
                sort=self.sort,
                descending=self.descending is not backward,
                limit=limit or self.request.size + 1,
                edge=edge,
                offset=offset,
            )
        )

    def _count(self, found: Found) -> Count:
        """What finding the rows told, or else a count of its own."""
        return found.count or self.planner.count

    def _forward(self, found: Found, *, position: int | None, has_previous: bool) -> _Window:
        size = self.request.size
        return _Window(
            rows=found.rows[:size],
            count=self._count(found),
            position=position,
            has_previous=has_previous,
            has_next=len(found.rows) > size,
        )

    def _backward(self, found: Found, *, position: int | None, has_next: bool) -> _Window:
        """Of rows that were read against the order; the one too many lies before them."""
        size = self.request.size
        has_previous = len(found.rows) > size
        return _Window(
            rows=found.rows[:size][::-1],
            count=self._count(found),
            position=position if has_previous else 0,
            has_previous=has_previous,
            has_next=has_next,
        )

    def _page(self, window: _Window) -> Page:
        rows, count, position = window.rows, window.count, window.position
        if position is not None and count.is_exact and position + len(rows) > count.value:
            position = None  # rows came or went since the cursor was made
        last_position = None if position is None else position + len(rows) - 1
        can_jump = self.planner.can_jump(self.sort, count)
        return Page(
            rows=rows,
            size=self.request.size,
            count=count,
            position=position,
            pages=-(-count.value // self.request.size) if can_jump else None,
            next=self._cursor(rows[-1], last_position) if rows and window.has_next else None,
            previous=self._cursor(rows[0], position) if rows and window.has_previous else None,
        )

    def _cursor(self, row: AnyRow, position: int | None) -> str:
        return encode_cursor(self.order, Edge(row.sort_key, row.id, position), of=self.selected)
