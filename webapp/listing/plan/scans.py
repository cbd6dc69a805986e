"""The ways that read an index in the order of the sort, and check each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from webapp.listing import walks
from webapp.listing.definition import Segments
from webapp.listing.keyset import Edge
from webapp.listing.places import find_place
from webapp.listing.plan.candidates import Candidates
from webapp.listing.plan.query import Query, Slice
from webapp.listing.types import AnyRow, AnySelect

SHORTEST_WALK = 1 << 10
MOST_COUNTED_OFF = 2_000  # rows before a page: to sum up the blocks before it takes as long
# Each is a part of an index to be merged with the others.
MOST_MONTHS = 36


class Scans:
    def __init__(self, query: Query, candidates: Candidates) -> None:
        self._query = query
        self._candidates = candidates

    def walk(self, wanted: Slice) -> Sequence[AnyRow]:
        """All rows of the slice; far from the start of the list only where blocks lead there."""
        wanted_ = self._begin_at_block(wanted)
        if wanted_ is None:
            return []
        shape, edge = self._candidates.shape(wanted_), wanted_.edge
        if wanted_.offset:
            skipped = self._query.run(
                walks.skip(self._query.listing, shape), edge=edge, offset=wanted_.offset - 1
            )
            if not skipped:
                return []
            edge = Edge(skipped[0].sort_key, skipped[0].id, None)
            shape = replace(shape, has_edge=True)
        return self._query.run(walks.walk(self._query.listing, shape), edge=edge)

    def _begin_at_block(self, wanted: Slice) -> Slice | None:
        """The slice as seen from the block of ids that it begins in; None past the end."""
        segments = self.blocks_of(wanted.sort)
        if wanted.offset <= MOST_COUNTED_OFF or segments is None:
            return wanted
        place = find_place(
            self._query.session,
            segments,
            self._query.shape.segments,
            offset=wanted.offset,
            descending=wanted.descending,
        )
        if place is None:
            return None
        return replace(wanted, edge=place.edge, offset=wanted.offset - place.before)

    def blocks_of(self, sort: str) -> Segments | None:
        """Those by which a row is found by its number, without counting off all before it."""
        segments, selection = self._query.listing.segments, self._query.selection
        if segments is None or segments.places is None:
            return None
        if selection.words or selection.owners or selection.range:
            return None
        listing = self._query.listing
        return segments if listing.sorts[sort].column is listing.row_id else None

    def walk_bounded(self, wanted: Slice, budget: int) -> Sequence[AnyRow]:
        """Fewer rows than wanted tell nothing: the hits may lie further on."""
        statement = walks.walk_bounded(self._query.listing, self._candidates.shape(wanted), rounded(budget))
        return self._query.run(statement, edge=wanted.edge, offset=wanted.offset)

    def walk_months(self, wanted: Slice, months: range) -> Sequence[AnyRow]:
        shape = replace(self._candidates.shape(wanted), merged_months=len(months))
        return self._run_months(walks.walk_months(self._query.listing, shape), wanted, months)

    def walk_months_bounded(self, wanted: Slice, months: range, budget: int) -> Sequence[AnyRow]:
        """Of a search; fewer rows than wanted tell nothing, as above."""
        shape = replace(self._candidates.shape(wanted), merged_months=len(months))
        statement = walks.walk_months_bounded(self._query.listing, shape, rounded(budget))
        return self._run_months(statement, wanted, months)

    def _run_months(self, statement: AnySelect, wanted: Slice, months: range) -> Sequence[AnyRow]:
        numbers = {f"month_{place}": month for place, month in enumerate(months)}
        return self._query.run(statement, edge=wanted.edge, offset=wanted.offset, **numbers)

    def months_by(self, sort: str) -> range | None:
        """Those of the range, where an index has each of them in the order of that sort, and they are few."""
        where, calendars = self._query.selection.range, self._query.listing.calendars
        if where is None or where.sort not in calendars or self._query.selection.owners:
            return None
        if sort not in calendars[where.sort].monthly or not where.months:
            return None
        return where.months if len(where.months) <= MOST_MONTHS else None


def rounded(rows: int) -> int:
    """Up to a power of two: each size of a walk is a statement of its own, to be compiled and planned."""
    return max(SHORTEST_WALK, 1 << max(rows - 1, 0).bit_length())
