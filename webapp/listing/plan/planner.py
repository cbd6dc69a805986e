"""Estimate, then choose: how the rows of a Selection are found, so that no search can be slow.

To *walk* is to read the index of the sort from the page's edge on and check each row: quick when many rows
fit, for then a page fills soon. To *gather* is to take all hits from another index (of the search, of a
range), sort them and cut: quick when they are few. The planners of databases guess how many there are, and a
wrong guess costs seconds. Here it is asked first, by an estimate that stops early.

Few are gathered. With many, which may lie together far down the order, the list *descends* through the
stretches of the order that the search's index knows.

What an estimate costs differs between the databases, so each has its own way to begin a search: ``sqlite.py``
and ``postgres.py``. All else is here. Nothing is remembered on the side: a fetch returns its rows, and the
count where it learned that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import isqrt

from sqlalchemy.orm import Session

from webapp.listing import hits, probes
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Selection
from webapp.listing.plan.candidates import Candidates
from webapp.listing.plan.descent import TYPICAL_PAGE, Descent
from webapp.listing.plan.index_query import IndexQuery
from webapp.listing.plan.query import Found, Query, Slice
from webapp.listing.plan.scans import SHORTEST_WALK, Scans
from webapp.listing.plan.sizes import Sizes
from webapp.listing.types import AnyRow

LONGEST_SKIM = 1 << 15
# To gather a row of a range costs so many times less than to walk past one, of several segments.
GATHERED_FOR_ONE_WALKED = 5


class QueryPlanner(ABC):
    """Finds and counts the rows of one selection, within one request."""

    def __init__(self, session: Session, listing: Listing, selection: Selection) -> None:
        self.query = Query(session, listing, selection)
        self.sizes = Sizes(self.query)
        self.candidates = Candidates(self.query, self.sizes, self.size_trigrams)
        self.scans = Scans(self.query, self.candidates)
        self.descent = Descent(
            self.query, self.sizes, self.candidates, self.scans, most_looked_at=self.most_looked_at
        )

    def fetch(self, wanted: Slice) -> Found:
        if self.query.is_void:
            return Found()
        if self.query.selection.words and not self.sizes.are_owned_few:
            return self.search(wanted)
        return Found(self._fetch_unsearched(wanted))

    def find_ids(self, most: int) -> list[int]:
        """Of all the rows, in no order; of more than ``most`` so many."""
        if self.query.is_void:
            return []
        question = self.candidates.ask() if self.query.selection.words else IndexQuery()
        shape = replace(self.candidates.shape(), trigrams=len(question.trigrams))
        statement = hits.row_ids(self.query.listing, shape)
        return [int(row[0]) for row in self.query.run(statement, most=most, **question.parameters)]

    @cached_property
    def count(self) -> Count:
        """Exact where no words are chosen, and no owner; else up to MOST_COUNTED."""
        selection, segments = self.query.selection, self.query.listing.segments
        if self.query.is_void:
            return Count(0)
        if selection.owners and (not selection.words or self.sizes.are_owned_few):
            return self.sizes.count_all()
        if selection.words:
            return self._count_search()
        if selection.range is not None:
            return self.sizes.in_range
        if segments is not None and segments.totals is not None:
            return Count(self.sizes.population)
        return self.sizes.count_all()

    def can_jump(self, sort: str, count: Count) -> bool:
        """Whether a page beyond row MOST_COUNTED is found by its number: not where all that lie before it
        would be gathered.
        """
        where = self.query.selection.range
        return count.is_exact and (not count.is_many or where is None or where.sort == sort)

    @property
    @abstractmethod
    def most_looked_at(self) -> int:
        """Candidates of a stretch that are looked at to find those of one page."""

    @abstractmethod
    def search(self, wanted: Slice) -> Found:
        """The rows that hold the words."""

    @abstractmethod
    def size_trigrams(self) -> Mapping[str, int]:
        """How often the trigrams of the words occur, in any unit."""

    @abstractmethod
    def is_surely_many(self) -> bool:
        """Whether something cheaper than the hits proves that there are more than MOST_COUNTED."""

    def _fetch_unsearched(self, wanted: Slice) -> Sequence[AnyRow]:
        where = self.query.selection.range
        if where is None or where.sort == wanted.sort or self.query.selection.owners:
            return self.scans.walk(wanted)
        count = self.sizes.in_range
        if count.is_many:
            if months := self.scans.months_by(wanted.sort):
                return self.scans.walk_months(wanted, months)
            rows = self.scans.walk_bounded(wanted, SHORTEST_WALK)
            if len(rows) == wanted.limit:
                return rows
        most = isqrt(GATHERED_FOR_ONE_WALKED * TYPICAL_PAGE * self.sizes.population)
        number = count.value if count.is_exact else self.sizes.count_range(most + 1)
        if number <= most:
            statement = hits.gather(self.query.listing, self.candidates.shape(wanted))
            return self.query.run(statement, edge=wanted.edge, offset=wanted.offset)
        return self.descent.rows(wanted, skim=LONGEST_SKIM)  # which reads the sort's index alone

    def _count_search(self) -> Count:
        if self.is_surely_many():
            return Count.capped(MOST_COUNTED + 1)
        question = self.candidates.ask()
        shape = replace(self.candidates.shape(), trigrams=len(question.trigrams))
        statement = probes.count_search(self.query.listing, shape)
        return Count.capped(self.query.count(statement, **question.parameters))
