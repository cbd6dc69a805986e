"""Searching on SQLite: the full-text index gives candidates one by one, so it is asked how many there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from webapp.listing import probes
from webapp.listing.asking import Question, months_of, trigrams_of
from webapp.listing.choosing import SHORTEST_WALK, Finder, Slice
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.search import SHORTEST_SUBSTRING, pattern_of
from webapp.listing.types import AnyRow

ROWS_OF_A_PAGE = 4_000  # of a list in the full text
# Somewhat more than are counted are gathered all the same: to descend and to count costs more.
MOST_GATHERED = 15_000
# So many times what was expected may prove true.
ALLOWANCE = 2
MOST_LOOKED_AT = 2_000  # of the candidates of a stretch


class SQLiteFinder(Finder):
    """A candidate is a row that has some trigrams of the words, and the marks that are asked for."""

    is_sqlite: ClassVar[bool] = True

    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        found = self._look(wanted, None, most=MOST_GATHERED + 1, is_counting=not self._are_words_short)
        if found is not None:
            return found
        if self._expected_walk(wanted) * ALLOWANCE <= SHORTEST_WALK:
            walked = self._walk_bounded(wanted, SHORTEST_WALK)
            if len(walked) == wanted.limit:
                return walked
        return self._descend(wanted)

    def _expected_walk(self, wanted: Slice) -> int:
        """How many rows a walk looks at, if all that have the rarest trigram are hits and spread evenly."""
        where = self.selection.range
        if where is not None and where.sort != wanted.sort:  # the walk would read past those outside as well
            return self._table_rows
        hits = min((self._trigram_sizes[trigram] for trigram in self._trigrams), default=0)
        return (wanted.offset + wanted.limit) * self._table_rows // max(hits, 1)

    @property
    def _most_looked_at(self) -> int:
        return MOST_LOOKED_AT

    def _is_surely_many(self) -> bool:
        """The index alone says so: for words of one trigram it is exact."""
        if not self._are_words_short:
            return False
        # Those months that lie wholly within the range.
        months = months_of(self.listing, self.selection, is_inside=True)
        if self.selection.range is not None and not months:
            return False
        patterns = tuple(map(pattern_of, self.selection.words))
        question = Question(trigrams=patterns, segments=self.shape.segments, months=months)
        statement = probes.count_candidates(self.listing, self.shape)
        return self._count(statement, **question.parameters) > MOST_COUNTED

    @property
    def _are_words_short(self) -> bool:
        """Whether each word is one trigram, so that candidates are hits."""
        return all(len(pattern_of(word)) <= SHORTEST_SUBSTRING for word in self.selection.words)

    @cached_property
    def _trigram_sizes(self) -> dict[str, int]:
        asked = sorted({trigram for word in self.selection.words for trigram in trigrams_of(word)})
        if len(asked) <= 1:
            return dict.fromkeys(asked, 0)
        rows = self._run(probes.trigram_sizes(self.listing), trigrams=json.dumps(asked))
        return {row.trigram: row.pages * ROWS_OF_A_PAGE for row in rows}
