"""Searching on Postgres: its index always lists all hits, so a part of the table is looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from webapp.listing import probes
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.plan.index_query import trigrams_of
from webapp.listing.plan.planner import QueryPlanner
from webapp.listing.plan.query import Found, Slice

SAMPLED_ROWS, FEWEST_SAMPLED = 2_000, 5
MOST_SAMPLED_TRIGRAMS = 16
# So many times what was estimated may prove true.
ALLOWANCE = 2
MOST_LOOKED_AT = 4_000  # of the candidates of a stretch
# A walk that looks at each row is not worth its time beyond so many.
LONGEST_WALK = 1 << 13
# To read the table until 10,001 hits are counted beats the index where hits² / rows is more than this: the
# first takes about 2 ms × rows / hits, the second 0.2 µs × hits and then some (measured).
SCAN_BEATS_INDEX = 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Of ``rows`` of the table, how many meet every condition, and how many have each trigram."""

    rows: int
    fitting: int
    trigrams: dict[str, int]


class PostgresPlanner(QueryPlanner):
    """A candidate is a row that the index gives for the words and the marks that are asked for."""

    @property
    def most_looked_at(self) -> int:
        return MOST_LOOKED_AT

    def search(self, wanted: Slice) -> Found:
        if self._hits <= MOST_COUNTED:
            gathered = self.candidates.look(wanted, None, most=ALLOWANCE * MOST_COUNTED)
            if gathered.rows is not None:
                return Found(gathered.rows, gathered.count)
        months = self.scans.months_by(wanted.sort)
        if months and (number := self.sizes.in_range).is_exact:
            budget = self._expected_walk(wanted, number.value)
            if budget <= LONGEST_WALK:
                walked = self.scans.walk_months_bounded(wanted, months, budget)
                if len(walked) == wanted.limit:
                    return Found(walked)
        budget = self._expected_walk(wanted, self.sizes.population)
        return Found(self.descent.rows(wanted, skim=budget if budget <= LONGEST_WALK else 0))

    def _expected_walk(self, wanted: Slice, rows: int) -> int:
        """How many of these it looks at, if the hits are spread evenly, and then some."""
        return ALLOWANCE * (wanted.offset + wanted.limit) * rows // self._hits

    def is_surely_many(self) -> bool:
        """Whether a part of the table proves it that is read sooner than the index."""
        rows = self.sizes.table
        if self._sample.fitting < FEWEST_SAMPLED or self._hits**2 < SCAN_BEATS_INDEX * rows:
            return False
        scanned = ALLOWANCE * MOST_COUNTED * rows // self._hits
        statement = probes.count_in_scan(self.query.listing, self.query.shape)
        return self.query.count(statement, scanned=scanned) > MOST_COUNTED

    @cached_property
    def _hits(self) -> int:
        """About how many the whole table has, from the sample; never 0."""
        sample = self._sample
        return max(self.sizes.table * max(sample.fitting, 1) // sample.rows, 1)

    def size_trigrams(self) -> Mapping[str, int]:
        share = self.sizes.table / self._sample.rows
        return {trigram: round(rows * share) for trigram, rows in self._sample.trigrams.items()}

    @cached_property
    def _sample(self) -> Sample:
        words = self.query.selection.words
        share = max(1, MOST_SAMPLED_TRIGRAMS // max(1, len(words)))
        trigrams = sorted({trigram for word in words for trigram in trigrams_of(word)[:share]})
        shape = replace(self.query.shape, trigrams=len(trigrams))
        (row,) = self.query.run(
            probes.sample(self.query.listing, shape),
            percent=min(100.0, max(0.001, 100 * SAMPLED_ROWS / max(self.sizes.table, 1))),
            **{f"trigram_{number}": trigram for number, trigram in enumerate(trigrams)},
        )
        return Sample(max(row[0], 1), row[1], dict(zip(trigrams, row[2:], strict=True)))
