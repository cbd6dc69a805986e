"""Searching on Postgres: its index always lists all hits, so a part of the table is looked at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from webapp.listing import probes
from webapp.listing.asking import trigrams_of
from webapp.listing.choosing import Finder, Slice
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.types import AnyRow

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


class PostgresFinder(Finder):
    """A candidate is a row that the index gives for the words and the marks that are asked for."""

    is_sqlite: ClassVar[bool] = False

    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        if self._hits <= MOST_COUNTED:
            found = self._look(wanted, None, most=ALLOWANCE * MOST_COUNTED)
            if found is not None:
                return found
        months = self._months_by(wanted.sort)
        if months and (number := self._number_in_range).is_exact:
            budget = self._expected_walk(wanted, number.value)
            walked = self._walk_months_bounded(wanted, months, budget) if budget <= LONGEST_WALK else []
            if len(walked) == wanted.limit:
                return walked
        budget = self._expected_walk(wanted, self._population)
        return self._descend(wanted, skim=budget if budget <= LONGEST_WALK else 0)

    def _expected_walk(self, wanted: Slice, rows: int) -> int:
        """How many of these it looks at, if the hits are spread evenly, and then some."""
        return ALLOWANCE * (wanted.offset + wanted.limit) * rows // self._hits

    @property
    def _most_looked_at(self) -> int:
        return MOST_LOOKED_AT

    def _is_surely_many(self) -> bool:
        """Whether a part of the table proves it that is read sooner than the index."""
        if self._sample.fitting < FEWEST_SAMPLED or self._hits**2 < SCAN_BEATS_INDEX * self._table_rows:
            return False
        scanned = ALLOWANCE * MOST_COUNTED * self._table_rows // self._hits
        statement = probes.count_in_scan(self.listing, self.shape)
        return self._count(statement, scanned=scanned) > MOST_COUNTED

    @cached_property
    def _hits(self) -> int:
        """About how many the whole table has, from the sample; never 0."""
        sample = self._sample
        return max(self._table_rows * max(sample.fitting, 1) // sample.rows, 1)

    @property
    def _trigram_sizes(self) -> dict[str, int]:
        share = self._table_rows / self._sample.rows
        return {trigram: round(rows * share) for trigram, rows in self._sample.trigrams.items()}

    @cached_property
    def _sample(self) -> Sample:
        words = self.selection.words
        share = max(1, MOST_SAMPLED_TRIGRAMS // max(1, len(words)))
        trigrams = sorted({trigram for word in words for trigram in trigrams_of(word)[:share]})
        shape = replace(self.shape, trigrams=len(trigrams))
        (row,) = self._run(
            probes.sample(self.listing, shape),
            percent=min(100.0, max(0.001, 100 * SAMPLED_ROWS / max(self._table_rows, 1))),
            **{f"trigram_{number}": trigram for number, trigram in enumerate(trigrams)},
        )
        return Sample(max(row[0], 1), row[1], dict(zip(trigrams, row[2:], strict=True)))
