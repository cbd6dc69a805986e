"""Searching on SQLite: the full-text index gives candidates one by one, so it is asked how many there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from webapp.listing import probes
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.plan.index_query import IndexQuery, months_of, trigrams_of
from webapp.listing.plan.planner import QueryPlanner
from webapp.listing.plan.query import Found, Slice
from webapp.listing.plan.scans import SHORTEST_WALK
from webapp.listing.search import SHORTEST_SUBSTRING, pattern_of
from webapp.listing.types import AnyRow

ROWS_OF_A_PAGE = 4_000  # of a list in the full text
# Somewhat more than are counted are gathered all the same: to descend and to count costs more.
MOST_GATHERED = 15_000
# So many times what was expected may prove true.
ALLOWANCE = 2
LONGEST_WALK = 1 << 12  # that looks at each row
MOST_LOOKED_AT = 2_000  # of the candidates of a stretch


class SQLitePlanner(QueryPlanner):
    """A candidate is a row that has some trigrams of the words, and the marks that are asked for."""

    @property
    def most_looked_at(self) -> int:
        return MOST_LOOKED_AT

    def search(self, wanted: Slice) -> Found:
        gathered = self.candidates.look(
            wanted, None, most=MOST_GATHERED + 1, is_counting=not self._are_words_short
        )
        if gathered.rows is not None:
            return Found(gathered.rows, gathered.count)
        count = gathered.count
        if self._are_candidates_hits and MOST_GATHERED >= MOST_COUNTED:
            count = Count.capped(MOST_COUNTED + 1)
        walked = self._try_walk(wanted)
        rows = walked if len(walked) == wanted.limit else self.descent.rows(wanted)
        return Found(rows, count)

    def _try_walk(self, wanted: Slice) -> Sequence[AnyRow]:
        """A short one, where it would fill the page if all that have the rarest trigram were hits and spread
        evenly.
        """
        most, where = wanted.offset + wanted.limit, self.query.selection.range
        sizes = self._trigram_sizes
        hits = min((sizes[trigram] for trigram in self.candidates.trigrams), default=0)
        expected = ALLOWANCE * most * self.sizes.table // max(hits, 1)
        if where is None or where.sort == wanted.sort:
            return self.scans.walk_bounded(wanted, SHORTEST_WALK) if expected <= SHORTEST_WALK else []
        if not (months := self.scans.months_by(wanted.sort)):
            return []  # it would read past those outside of the range as well
        if (number := self.sizes.in_range).is_exact:
            # If all candidates of this search are hits, there are more than so many.
            expected = min(expected, ALLOWANCE * most * number.value // MOST_GATHERED)
        return self.scans.walk_months_bounded(wanted, months, expected) if expected <= LONGEST_WALK else []

    @property
    def _are_candidates_hits(self) -> bool:
        """Whether the index alone is exact, and was asked for all that is chosen."""
        asked, selection = self.candidates.ask(), self.query.selection
        is_within_months = asked.months is not None and asked.months == self._months_inside
        return (
            self._are_words_short
            and not selection.owners
            and {*map(pattern_of, selection.words)} == {*asked.trigrams}
            and (selection.segments is None or asked.segments is not None)
            and (selection.range is None or is_within_months)
        )

    def is_surely_many(self) -> bool:
        """The index alone says so: for words of one trigram it is exact."""
        selection = self.query.selection
        if not self._are_words_short or selection.owners:
            return False
        months = self._months_inside
        if selection.range is not None and not months:
            return False
        patterns = tuple(map(pattern_of, selection.words))
        question = IndexQuery(trigrams=patterns, segments=self.query.shape.segments, months=months)
        statement = probes.count_candidates(self.query.listing, self.query.shape)
        return self.query.count(statement, **question.parameters) > MOST_COUNTED

    @property
    def _months_inside(self) -> tuple[str, ...] | None:
        """Those that lie wholly within the range."""
        return months_of(self.query.listing, self.query.selection, is_inside=True)

    @property
    def _are_words_short(self) -> bool:
        """Whether each word is one trigram, so that candidates are hits."""
        return all(len(pattern_of(word)) <= SHORTEST_SUBSTRING for word in self.query.selection.words)

    def size_trigrams(self) -> Mapping[str, int]:
        return self._trigram_sizes

    @cached_property
    def _trigram_sizes(self) -> dict[str, int]:
        asked = sorted({trigram for word in self.query.selection.words for trigram in trigrams_of(word)})
        if len(asked) <= 1:
            return dict.fromkeys(asked, 0)
        rows = self.query.run(probes.trigram_sizes(self.query.listing), trigrams=json.dumps(asked))
        return {row.trigram: row.pages * ROWS_OF_A_PAGE for row in rows}
