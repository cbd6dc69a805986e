"""Searching on SQLite: the full-text index can stop early, so it is asked how many candidates it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import isqrt
from typing import Any, ClassVar

from webapp.listing import statements
from webapp.listing.choosing import SHORTEST_WALK, TYPICAL_PAGE, Finder, Slice, rounded
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Selection
from webapp.listing.search import SHORTEST_SUBSTRING, pattern_of
from webapp.listing.types import AnyRow, AnySelect

# Up to so many times the rows that are gathered at once, the candidates are counted; beyond, they are many.
FURTHER = 8
# Entries of the sort's index that are read in the time in which one candidate is gathered.
ENTRIES_PER_CANDIDATE = 4
# A walk that looks at each row may look at so many of the candidates that were counted.
WALK_SHARE = 8


class SQLiteFinder(Finder):
    """A candidate is a row that has the trigrams of the words, the segment and the month: to be looked at."""

    is_sqlite: ClassVar[bool] = True

    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        few = self._run(
            statements.gather_few(self.listing, self._shape(wanted)),
            most=self._most_gathered,
            edge=wanted.edge,
            offset=wanted.offset,
        )
        if few or self._candidates < self._most_gathered:
            return self._counted(few)
        rows = self._walk_many(wanted)
        return rows if len(rows) == wanted.limit else self._gather(wanted, "search")

    def _walk_many(self, wanted: Slice) -> Sequence[AnyRow]:
        """Fewer than wanted when they are not to be found by a walk."""
        trigrams = statements.count_trigrams(self.selection)  # each makes a candidate dearer
        rows = self._walk_bounded(wanted, SHORTEST_WALK * trigrams)
        if len(rows) == wanted.limit:
            return rows
        most = max(FURTHER // trigrams, 2) * self._most_gathered
        candidates = self._number(statements.count_candidates(self.listing), most=most)
        if candidates == most:
            return self._walk_bounded(wanted, most // WALK_SHARE)
        # So few that their ids make a small set: no other row need be looked at.
        entries = rounded(self._count_scattered(wanted, candidates) * ENTRIES_PER_CANDIDATE)
        statement = statements.walk_candidates(self.listing, self._shape(wanted), entries)
        return self._run(statement, edge=wanted.edge, offset=wanted.offset)

    def _count_scattered(self, wanted: Slice, candidates: int) -> int:
        """Those that do not lie together in the order of the sort, because its key begins with the word: to
        gather these costs little.
        """
        shape = self._shape(wanted)
        if not statements.begins_with_word(self.listing, shape):
            return candidates
        return candidates - self._number(statements.count_begins(self.listing, shape), most=candidates)

    def _count_search(self) -> Count:
        return Count.capped(MOST_COUNTED + 1) if self._is_surely_many() else self._count_hits("search")

    def _is_surely_many(self) -> bool:
        """Whether the index alone says so: for words of one trigram it is exact."""
        if any(len(pattern_of(word)) > SHORTEST_SUBSTRING for word in self.selection.words):
            return False
        if self.selection.range is None:
            return self._candidates > MOST_COUNTED
        return self._are_many_inside(self.selection)

    def _is_range_surely_many(self) -> bool:
        """The index holds the months of many rows in few pages; segments make it slower."""
        if self.selection.segments is not None or self.listing.search is None:
            return False
        return self._are_many_inside(replace(self.selection, words=()))

    def _are_many_inside(self, selection: Selection) -> bool:
        """Whether there are more than 10,000 in the months that lie wholly within the range."""
        match = statements.match_text(self.listing, selection, is_inside=True)
        if match is None:
            return False
        statement = statements.count_candidates(self.listing)
        return self._number(statement, most=MOST_COUNTED + 1, match=match) > MOST_COUNTED

    @cached_property
    def _candidates(self) -> int:
        """How many there are, up to where a probe stops; no row is looked at."""
        return self._number(statements.count_candidates(self.listing), most=self._most_gathered)

    @cached_property
    def _most_gathered(self) -> int:
        """Where a probe stops: with so many hits, walking is likely to be the better way."""
        return max(MOST_COUNTED, isqrt(TYPICAL_PAGE * self._population)) + 1

    def _run(self, statement: AnySelect, **values: Any) -> Sequence[AnyRow]:
        if self.selection.words:
            values.setdefault("match", self._match)
        return super()._run(statement, **values)

    @cached_property
    def _match(self) -> str | None:
        return statements.match_text(self.listing, self.selection)
