"""Searching on Postgres: its index always lists all hits, so a part of the table is looked at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from webapp.listing import statements
from webapp.listing.choosing import Finder, Slice
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.statements import Source
from webapp.listing.types import AnyRow

SAMPLED_ROWS, FEWEST_SAMPLED = 2_000, 5
# A walk may look at so many times the rows that it is expected to take.
ALLOWANCE = 2
WALK_SHARE = 8  # and at least at this part of what would be gathered otherwise
# The search's index is used together with others, so it is left aside only for one so much smaller.
SEARCH_ADVANTAGE = 8
# To read the table until 10,001 hits are counted beats the index where hits² / rows is more than this: the
# first takes about 2 ms × rows / hits, the second 0.2 µs × hits and then some (measured).
SCAN_BEATS_INDEX = 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Of ``rows`` of the table: how many the words match, lie in the range, and meet every condition."""

    rows: int
    searched: int
    ranged: int
    fitting: int


class PostgresFinder(Finder):
    """Costs are compared in rows fetched. To gather costs all that the best index gives, and counts them too;
    to walk costs the rows up to the page's last one, and up to 10,001 for the count.
    """

    is_sqlite: ClassVar[bool] = False

    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        budget, gathered = ALLOWANCE * self._expected_walk(wanted), self._sizes[self._source]
        if budget + MOST_COUNTED < gathered:
            budget = max(budget, gathered // WALK_SHARE)
            rows = self._walk_bounded(wanted, budget)
            if rows and len(rows) < wanted.limit:  # further on there may be as many
                budget = budget * wanted.limit // len(rows)
                if budget < gathered // ALLOWANCE:
                    rows = self._walk_bounded(wanted, budget)
            if len(rows) == wanted.limit:
                return rows
        return self._gather(wanted, self._source)

    def _expected_walk(self, wanted: Slice) -> int:
        """How many rows a walk looks at, if the hits are spread evenly."""
        return (wanted.offset + wanted.limit) * self._population // self._estimate(self._sample.fitting)

    def _count_search(self) -> Count:
        if self._is_surely_many():
            return Count.capped(MOST_COUNTED + 1)
        return self._count_hits(self._source)

    def _is_surely_many(self) -> bool:
        """Whether a part of the table proves it that is read sooner than the index."""
        hits = self._estimate(self._sample.fitting)
        if self._sample.fitting < FEWEST_SAMPLED or hits**2 < SCAN_BEATS_INDEX * self._table_rows:
            return False
        scanned = ALLOWANCE * MOST_COUNTED * self._table_rows // hits
        statement = statements.count_in_scan(self.listing, self.shape)
        return self._number(statement, most=MOST_COUNTED + 1, scanned=scanned) > MOST_COUNTED

    @cached_property
    def _source(self) -> Source:
        """Which index gives the hits."""
        sizes = self._sizes
        smallest = min(sizes, key=lambda name: sizes[name])
        return smallest if sizes[smallest] * SEARCH_ADVANTAGE < sizes["search"] else "search"

    @cached_property
    def _sizes(self) -> dict[Source, int]:
        """About how many rows each index would give."""
        sizes: dict[Source, int] = {"search": self._estimate(self._sample.searched)}
        if self.selection.segments is not None:
            sizes["segments"] = self._population
        if self.selection.range is not None:
            is_frequent = self._sample.ranged >= FEWEST_SAMPLED
            sizes["range"] = self._estimate(self._sample.ranged) if is_frequent else self._number_in_range
        return sizes

    def _estimate(self, sampled: int) -> int:
        """Of the whole table, from the sample; never 0."""
        return max(self._table_rows * max(sampled, 1) // self._sample.rows, 1)

    @cached_property
    def _sample(self) -> Sample:
        percent = min(100.0, max(0.001, 100 * SAMPLED_ROWS / max(self._table_rows, 1)))
        (row,) = self._run(statements.sample(self.listing, self.shape), percent=percent)
        return Sample(max(row.rows, 1), row.searched, row.ranged, row.fitting)
