"""How many rows there are: of the table, of the chosen segments, of the range. Each is asked once at most."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from sqlalchemy import func, select

from webapp.listing import probes
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.plan.query import Query
from webapp.listing.spans import count_period
from webapp.listing.totals import read_totals


class Sizes:
    def __init__(self, query: Query) -> None:
        self._query = query

    @cached_property
    def totals(self) -> dict[str, int] | None:
        """The rows of each segment; None where no totals are kept."""
        segments = self._query.listing.segments
        if segments is None or segments.totals is None:
            return None
        return read_totals(self._query.session, segments)

    @cached_property
    def table(self) -> int:
        """About how many rows the table has: without totals, as many as were ever written."""
        if self.totals is None:
            return self._query.session.scalar(select(func.max(self._query.listing.row_id))) or 0
        return sum(self.totals.values())

    @cached_property
    def population(self) -> int:
        """How many rows the chosen segments have; without totals, at most."""
        chosen = self._query.selection.segments
        if self.totals is None or chosen is None:
            return self.table
        return sum(rows for name, rows in self.totals.items() if name in chosen)

    @cached_property
    def in_range(self) -> Count:
        """How many rows of the chosen segments lie in the range: exact where days tell, else up to
        MOST_COUNTED.
        """
        listing, selection = self._query.listing, self._query.selection
        where = selection.range
        if where and where.sort in listing.calendars and not selection.owners:
            count = count_period(self._query.session, listing, where, self._query.shape.segments)
            if count is not None:
                return count
        return Count.capped(self.count_range(MOST_COUNTED + 1))

    def count_range(self, most: int) -> int:
        """The same, up to ``most``."""
        shape = replace(self._query.shape, words=0)
        return self._query.count(probes.count_hits(self._query.listing, shape, is_ranged=True), most=most)

    @cached_property
    def are_owned_few(self) -> bool:
        """Whether the owner's rows, few as they are, are looked at one by one, whatever the words."""
        if not self._query.selection.owners:
            return False
        shape = replace(self._query.shape, words=0, segments=None, range=None)
        return self._query.count(probes.count_hits(self._query.listing, shape)) <= MOST_COUNTED

    def count_all(self) -> Count:
        """All that fit, one by one, up to MOST_COUNTED."""
        return Count.capped(self._query.count(probes.count_hits(self._query.listing, self._query.shape)))
