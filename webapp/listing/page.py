"""A Listing and a Selection of its rows → paginate() → a Page.

Pages are found by key, not by counting rows off: the first, the last and any page after or before
a known row cost the same. ``page=N`` counts rows off and is there for jumping; from the middle on it
counts from the end. In the order of the ids it begins at the block in which the page lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from webapp.listing.choosing import Finder, Slice
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Selection
from webapp.listing.keyset import BadCursor, Edge, decode_cursor, encode_cursor
from webapp.listing.postgres import PostgresFinder
from webapp.listing.sqlite import SQLiteFinder
from webapp.listing.types import AnyRow

PAGE_SIZES = (20, 50, 100, 200)
LAST = "end"  # before=end is the last page
FURTHEST_ROW = 10**9
WALKED_AT_ONCE = 1_000
FINDERS: dict[str, type[Finder]] = {"sqlite": SQLiteFinder, "postgresql": PostgresFinder}


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
    return FINDERS[session.get_bind().dialect.name](session, listing, selection).find_ids(most)


def count_rows(session: Session, listing: Listing, selection: Selection) -> Count:
    """How many rows the selection has: exact up to MOST_COUNTED at least."""
    return FINDERS[session.get_bind().dialect.name](session, listing, selection).count


def walk(
    session: Session, listing: Listing, selection: Selection, *, sort: str
) -> Iterator[Sequence[AnyRow]]:
    """All rows in the order of ``sort``, so many at a time that the session may be closed in between."""
    finder = FINDERS[session.get_bind().dialect.name](session, listing, selection)
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    edge = None
    while rows := finder.fetch(Slice(sort=name, descending=descending, limit=WALKED_AT_ONCE, edge=edge)):
        yield rows
        edge = Edge(rows[-1].sort_key, rows[-1].id, None)


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
        self.finder = FINDERS[session.get_bind().dialect.name](session, listing, selection)

    def run(self) -> Page:
        request = self.request
        if request.number is not None:
            return self._numbered(request.number)
        if request.before == LAST:
            return self._last()
        try:
            if request.before:
                return self._before(self._decode(request.before))
            if request.after:
                return self._after(self._decode(request.after))
        except BadCursor:
            return self._page(self._fetch(), position=0, had_bad_cursor=True)
        return self._page(self._fetch(), position=0)

    def _decode(self, text: str) -> Edge:
        return decode_cursor(text, order=self.order, key_type=self.key_type, of=self.selected)

    def _numbered(self, number: int) -> Page:
        offset = (number - 1) * self.request.size
        if offset > FURTHEST_ROW:
            return self._page([], position=offset, is_past_end=True)
        count = self.finder.count
        if offset + self.request.size > MOST_COUNTED and not self.finder.may_jump_far(self.sort):
            return self._page([], position=offset, is_past_end=True, is_too_far=True)
        is_near_end = count.is_exact and count.value // 2 < offset < count.value
        if is_near_end and self.finder.places_of(self.sort) is None:
            rows = self._numbered_from_end(offset, count.value)
        else:
            rows = self._fetch(offset=offset)
        return self._page(rows, position=offset, is_past_end=not rows and number > 1)

    def _numbered_from_end(self, offset: int, total: int) -> Sequence[AnyRow]:
        """Count off from the nearer end."""
        first_of_next = max(0, total - offset - self.request.size - 1)
        size = min(self.request.size + 1, total - offset)
        return self._fetch(offset=first_of_next, backward=True, limit=size)[::-1]

    def _after(self, edge: Edge) -> Page:
        position = None if edge.position is None else edge.position + 1
        rows = self._fetch(edge=edge)
        return self._page(rows, position=position, has_previous=True) if rows else self._last()

    def _before(self, edge: Edge) -> Page:
        rows = self._fetch(edge=edge, backward=True)
        if len(rows) < self.request.size:  # rows before were deleted: the first page, filled up
            return self._page(self._fetch(), position=0)
        position = None if edge.position is None else max(0, edge.position - self.request.size)
        more = len(rows) > self.request.size
        rows = rows[: self.request.size][::-1]
        return self._page(rows, position=position if more else 0, has_previous=more, has_next=True)

    def _last(self) -> Page:
        rows = self._fetch(backward=True)
        more = len(rows) > self.request.size
        rows = rows[: self.request.size][::-1]
        position = max(0, self.finder.count.value - len(rows)) if self.finder.count.is_exact else None
        return self._page(rows, position=position if more else 0, has_previous=more, has_next=False)

    def _fetch(
        self, *, edge: Edge | None = None, backward: bool = False, offset: int = 0, limit: int | None = None
    ) -> Sequence[AnyRow]:
        """One row more than the page holds tells whether there is another page."""
        return self.finder.fetch(
            Slice(
                sort=self.sort,
                descending=self.descending is not backward,
                limit=limit or self.request.size + 1,
                edge=edge,
                offset=offset,
            )
        )

    def _page(
        self,
        rows: Sequence[AnyRow],
        *,
        position: int | None,
        has_previous: bool | None = None,
        has_next: bool | None = None,
        is_past_end: bool = False,
        is_too_far: bool = False,
        had_bad_cursor: bool = False,
    ) -> Page:
        if has_next is None:
            has_next = len(rows) > self.request.size
        if has_previous is None:
            has_previous = bool(position)
        rows = rows[: self.request.size]
        if (
            position is not None
            and self.finder.count.is_exact
            and position + len(rows) > self.finder.count.value
        ):
            position = None  # rows came or went since the cursor was made
        may_jump = self.finder.may_jump_far(self.sort)
        last_position = None if position is None else position + len(rows) - 1
        return Page(
            rows=rows,
            size=self.request.size,
            count=self.finder.count,
            position=position,
            pages=-(-self.finder.count.value // self.request.size) if may_jump else None,
            next=self._cursor(rows[-1], last_position) if rows and has_next else None,
            previous=self._cursor(rows[0], position) if rows and has_previous else None,
            is_past_end=is_past_end,
            is_too_far=is_too_far,
            had_bad_cursor=had_bad_cursor,
        )

    def _cursor(self, row: AnyRow, position: int | None) -> str:
        return encode_cursor(self.order, Edge(row.sort_key, row.id, position), of=self.selected)
