"""Probe, then choose: how the rows of a Selection are found, so that no search can be slow.

To *walk* is to read the index of the sort from the page's edge on and check each row: quick when many rows
fit, for then a page fills soon. To *gather* is to take all hits from another index (of the search, of a
range), sort them and cut: quick when they are few. The planners of databases guess how many there are, and a
wrong guess costs seconds. Here it is asked first, by a probe that stops early.

Few are gathered. With many, which may lie together far down the order, the list *descends* through the
stretches of the order that the search's index knows (``webapp/listing/stretches.py``): those without a hit
are left out unread, and of one with few these are gathered.

What a probe costs differs between the databases, so each has its own way to begin: see
``webapp/listing/sqlite.py`` and ``webapp/listing/postgres.py``. All else is here; the SQL of the probes is in
``probes.py``, that of the ways in ``walks.py`` and ``hits.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from typing import Any, ClassVar

from sqlalchemy import Executable, func, select
from sqlalchemy.orm import Session

from webapp.listing import hits, probes, walks
from webapp.listing.asking import Question, choose_trigrams, months_of
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Range, SearchIndex, Segments, Selection
from webapp.listing.keyset import BEFORE_ALL_IDS, LARGEST_ID, Edge
from webapp.listing.places import find_place
from webapp.listing.shape import Shape, parameters
from webapp.listing.spans import count_period
from webapp.listing.stretches import Stretch
from webapp.listing.totals import read_totals
from webapp.listing.types import AnyRow, AnySelect

TYPICAL_PAGE = 51
SHORTEST_WALK = 1 << 10
MOST_COUNTED_OFF = 2_000  # rows before a page: to sum up the blocks before it takes as long
LONGEST_SKIM = 1 << 15
# To gather a row of a range costs so many times less than to walk past one, of several segments.
GATHERED_FOR_ONE_WALKED = 5
# So many times as many candidates are looked at of a stretch that is cut no further.
FINEST_SHARE = 2
MOST_LOOKED_AT_OF_A_RANGE = 500  # for to ask for the next costs less, as no list of a trigram is gone through
# Of the words together; but one of each.
MOST_TRIGRAMS = 4
# Each is a part of an index to be merged with the others.
MOST_MONTHS = 36
# The search's index is asked for segments that hold no more than this part of the rows.
MARKED_SHARE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which rows, in the order of which sort."""

    sort: str
    descending: bool
    limit: int
    edge: Edge | None = None
    offset: int = 0


class Finder(ABC):
    """Finds and counts the rows of one selection, within one request."""

    is_sqlite: ClassVar[bool]

    def __init__(self, session: Session, listing: Listing, selection: Selection) -> None:
        self.session = session
        self.listing = listing
        self.selection = selection
        self.shape = Shape.of(selection, is_sqlite=self.is_sqlite)

    def fetch(self, wanted: Slice) -> Sequence[AnyRow]:
        """The rows, each with its ``sort_key``."""
        if self._is_void:
            return []
        if self.selection.words and not self._are_owned_few:
            return self._search(wanted)
        return self._fetch_unsearched(wanted)

    def find_ids(self, most: int) -> list[int]:
        """Of all the rows, in no order; of more than ``most`` so many."""
        if self._is_void:
            return []
        question = self._ask() if self.selection.words else Question()
        shape = replace(self._shape(None), trigrams=len(question.trigrams))
        statement = hits.row_ids(self.listing, shape)
        return [int(row[0]) for row in self._run(statement, most=most, **question.parameters)]

    @cached_property
    def count(self) -> Count:
        """Exact where no words are chosen, and no owner; else up to 10,000."""
        if self._is_void:
            return Count(0)
        if self.selection.owners and (not self.selection.words or self._are_owned_few):
            return self._count_all()
        if self.selection.words:
            return self._count_search()
        if self.selection.range is not None:
            return self._number_in_range
        if self.listing.segments is not None and self.listing.segments.totals is not None:
            return Count(self._population)
        return self._count_all()

    def may_jump_far(self, sort: str) -> bool:
        """Whether a page beyond row 10,000 is found by its number: not where all that lie before it would be
        gathered.
        """
        where = self.selection.range
        return self.count.is_exact and (not self.count.is_many or where is None or where.sort == sort)

    def places_of(self, sort: str) -> Segments | None:
        """Those by which a row is found by its number, without counting off all before it."""
        segments, selection = self.listing.segments, self.selection
        if segments is None or segments.places is None:
            return None
        if selection.words or selection.owners or selection.range:
            return None
        return segments if self.listing.sorts[sort].column is self.listing.row_id else None

    @abstractmethod
    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        """The rows that hold the words; sets ``count`` where that costs nothing."""

    @property
    @abstractmethod
    def _most_looked_at(self) -> int:
        """Candidates of a stretch that are looked at to find those of one page."""

    @cached_property
    def _is_void(self) -> bool:
        """Whether no row can fit, so that there is nothing to ask."""
        where = self.selection.range
        is_empty = where and where.low and where.before and where.low >= where.before
        return self.selection.segments == frozenset() or bool(is_empty)

    def _fetch_unsearched(self, wanted: Slice) -> Sequence[AnyRow]:
        where = self.selection.range
        if where is None or where.sort == wanted.sort or self.selection.owners:
            return self._walk(wanted)
        count = self._number_in_range
        if count.is_many:
            if months := self._months_by(wanted.sort):
                return self._walk_months(wanted, months)
            rows = self._walk_bounded(wanted, SHORTEST_WALK)
            if len(rows) == wanted.limit:
                return rows
        most = isqrt(GATHERED_FOR_ONE_WALKED * TYPICAL_PAGE * self._population)
        number = count.value if count.is_exact else self._count_range(most + 1)
        if number <= most:
            return self._run(
                hits.gather(self.listing, self._shape(wanted)), edge=wanted.edge, offset=wanted.offset
            )
        return self._descend(wanted, skim=LONGEST_SKIM)  # which reads the sort's index alone

    # --- the ways ---

    def _walk(self, wanted: Slice) -> Sequence[AnyRow]:
        if wanted.offset > MOST_COUNTED_OFF and (segments := self.places_of(wanted.sort)):
            place = find_place(
                self.session,
                segments,
                self.shape.segments,
                offset=wanted.offset,
                descending=wanted.descending,
            )
            if place is None:
                return []
            wanted = replace(wanted, edge=place.edge, offset=wanted.offset - place.before)
        shape, edge = self._shape(wanted), wanted.edge
        if wanted.offset:
            skipped = self._run(walks.skip(self.listing, shape), edge=edge, offset=wanted.offset - 1)
            if not skipped:
                return []
            edge = Edge(skipped[0].sort_key, skipped[0].id, None)
            shape = replace(shape, has_edge=True)
        return self._run(walks.walk(self.listing, shape), edge=edge)

    def _walk_bounded(self, wanted: Slice, budget: int) -> Sequence[AnyRow]:
        """Fewer rows than wanted tell nothing: the hits may lie further on."""
        statement = walks.walk_bounded(self.listing, self._shape(wanted), rounded(budget))
        return self._run(statement, edge=wanted.edge, offset=wanted.offset)

    def _walk_months(self, wanted: Slice, months: range) -> Sequence[AnyRow]:
        shape = replace(self._shape(wanted), merged_months=len(months))
        return self._run_months(walks.walk_months(self.listing, shape), wanted, months)

    def _walk_months_bounded(self, wanted: Slice, months: range, budget: int) -> Sequence[AnyRow]:
        """Of a search; fewer rows than wanted tell nothing, as above."""
        shape = replace(self._shape(wanted), merged_months=len(months))
        statement = walks.walk_months_bounded(self.listing, shape, rounded(budget))
        return self._run_months(statement, wanted, months)

    def _run_months(self, statement: AnySelect, wanted: Slice, months: range) -> Sequence[AnyRow]:
        numbers = {f"month_{place}": month for place, month in enumerate(months)}
        return self._run(statement, edge=wanted.edge, offset=wanted.offset, **numbers)

    def _descend(self, wanted: Slice, *, skim: int = 0) -> Sequence[AnyRow]:
        """Through the order of the sort, stretch after stretch, each as coarse as can be looked at whole.

        Where the hits lie close, a walk over ``skim`` rows fills the page at once.
        """
        rows: list[AnyRow] = []
        end, place, finished = wanted.offset + wanted.limit, wanted.edge, None
        while len(rows) < end:
            rest = replace(wanted, edge=place, offset=0, limit=end - len(rows))
            if skim and len(walked := self._walk_bounded(rest, skim)) == rest.limit:
                rows += walked
                break
            key = self._find_key(wanted, place)
            if key is None:
                break
            stretch, found = self._look_around(key, rest, finished)
            rows += found
            finished = stretch.low if wanted.descending else stretch.end
            if finished is None:
                break
            place = Edge(finished, BEFORE_ALL_IDS, None)
        return rows[wanted.offset :]

    def _find_key(self, wanted: Slice, place: Edge | None) -> Any:
        """That of the first row at or after a place in the order, whether it is a hit or not."""
        shape = replace(self._shape(wanted), words=0, has_edge=place is not None)
        if shape.range != shape.sort:
            shape = replace(shape, range=None)
        rows = self._run(walks.first(self.listing, shape), edge=place)
        return rows[0].sort_key if rows else None

    def _look_around(self, key: Any, rest: Slice, finished: Any) -> tuple[Stretch, Sequence[AnyRow]]:
        """The coarsest stretch around ``key`` that was not begun and has few candidates, and its hits."""
        stretches = list(self._search_index.orders[rest.sort].stretches(key, is_sqlite=self.is_sqlite))
        finest, where = stretches[-1], self._range_of(rest.sort)
        for stretch in stretches:
            is_begun = stretch.is_begun(finished, descending=rest.descending)
            is_all = where is not None and stretch.holds(where.low, where.before)  # which was looked at
            if stretch is finest or not (is_begun or is_all):
                most = self._most_looked_at if self.selection.words else MOST_LOOKED_AT_OF_A_RANGE
                if stretch is finest:
                    most *= FINEST_SHARE
                found = self._look(rest, stretch, most=most)
                if found is not None:
                    return stretch, found
        walked = self._walk_bounded(rest, isqrt(TYPICAL_PAGE * self._table_rows))
        if len(walked) == rest.limit:
            return finest, walked
        return finest, self._look(rest, finest, most=LARGEST_ID) or []

    def _months_by(self, sort: str) -> range | None:
        """Those of the range, where an index has each of them in the order of that sort, and they are few."""
        where = self.selection.range
        if where is None or where.sort not in self.listing.calendars or self.selection.owners:
            return None
        if sort not in self.listing.calendars[where.sort].monthly or not where.months:
            return None
        return where.months if len(where.months) <= MOST_MONTHS else None

    def _range_of(self, sort: str) -> Range | None:
        """The chosen range, if the list is sorted by what it is about."""
        where = self.selection.range
        return where if where and where.sort == sort else None

    def _look(
        self, wanted: Slice, stretch: Stretch | None, *, most: int, is_counting: bool = False
    ) -> Sequence[AnyRow] | None:
        """The hits of a stretch, or of the whole order; None when they have ``most`` candidates or more."""
        question, where = self._ask(stretch), self._range_of(wanted.sort)
        if stretch and where and stretch.lies_in(where.low, where.before):
            question = replace(question, months=None)
        shape = replace(
            self._shape(wanted),
            trigrams=len(question.trigrams),
            has_months=question.months is not None,
            is_counted=is_counting,
        )
        if stretch is not None:
            has_low, has_end = stretch.low is not None, stretch.end is not None
            shape = replace(shape, has_stretch=True, has_stretch_low=has_low, has_stretch_end=has_end)
        rows = self._run(
            hits.look(self.listing, shape),
            **question.parameters,
            most=most,
            edge=wanted.edge,
            offset=wanted.offset,
            stretch=stretch,
            counted=MOST_COUNTED + 1,
        )
        if rows[0].candidates >= most:
            if rows[0].total > MOST_COUNTED:
                self.count = Count.capped(rows[0].total)
            return None
        if stretch is None:
            self.count = Count.capped(rows[0].total)
        return [] if rows[0].id is None else rows

    # --- the search's index ---

    def _ask(self, stretch: Stretch | None = None) -> Question:
        """For all candidates of the selection, or for those of a stretch."""
        return Question(
            trigrams=self._trigrams,
            segments=self.shape.segments if self._is_marked else None,
            months=self._months,
            stretch=stretch.mark if stretch else None,
        )

    @cached_property
    def _trigrams(self) -> tuple[str, ...]:
        return choose_trigrams(self.selection.words, self._trigram_sizes, most=MOST_TRIGRAMS)

    @property
    @abstractmethod
    def _trigram_sizes(self) -> Mapping[str, int]:
        """How often those of the words occur, in any unit."""

    @cached_property
    def _months(self) -> tuple[str, ...] | None:
        return months_of(self.listing, self.selection)

    @cached_property
    def _is_marked(self) -> bool:
        """Whether the index is asked for the segments: where most rows are of them, to check is cheaper."""
        if self.selection.segments is None:
            return False
        return self._totals is None or self._population * MARKED_SHARE <= self._table_rows

    @property
    def _search_index(self) -> SearchIndex:
        if self.listing.search is None:
            raise ValueError("this list has no search index")
        return self.listing.search

    def _count_search(self) -> Count:
        if self._is_surely_many():
            return Count.capped(MOST_COUNTED + 1)
        question = self._ask()
        shape = replace(self._shape(None), trigrams=len(question.trigrams))
        return Count.capped(self._count(probes.count_search(self.listing, shape), **question.parameters))

    @abstractmethod
    def _is_surely_many(self) -> bool:
        """Whether something cheaper than the hits proves that there are more than 10,000."""

    # --- sizes ---

    def _count_all(self) -> Count:
        return Count.capped(self._count(probes.count_hits(self.listing, self.shape)))

    def _count(self, statement: AnySelect, *, most: int | None = None, **values: Any) -> int:
        """What a counting statement counts, up to ``most`` or 10,001."""
        return int(self._run(statement, most=most or MOST_COUNTED + 1, **values)[0][0])

    @cached_property
    def _number_in_range(self) -> Count:
        """How many rows of the chosen segments lie in the range: exact where days tell, else up to
        10,000.
        """
        where = self.selection.range
        if where and where.sort in self.listing.calendars and not self.selection.owners:
            count = count_period(self.session, self.listing, where, self.shape.segments)
            if count is not None:
                return count
        return Count.capped(self._count_range(MOST_COUNTED + 1))

    def _count_range(self, most: int) -> int:
        """The same, up to ``most``."""
        shape = replace(self.shape, words=0)
        return self._count(probes.count_hits(self.listing, shape, is_ranged=True), most=most)

    @cached_property
    def _are_owned_few(self) -> bool:
        """Whether the owner's rows, few as they are, are looked at one by one, whatever the words."""
        if not self.selection.owners:
            return False
        shape = replace(self.shape, words=0, segments=None, range=None)
        return self._count(probes.count_hits(self.listing, shape)) <= MOST_COUNTED

    @cached_property
    def _totals(self) -> dict[str, int] | None:
        """None where nobody keeps them."""
        segments = self.listing.segments
        if segments is None or segments.totals is None:
            return None
        return read_totals(self.session, segments)

    @cached_property
    def _table_rows(self) -> int:
        """About how many there are: without totals, as many as were ever written."""
        if self._totals is None:
            return self.session.scalar(select(func.max(self.listing.row_id))) or 0
        return sum(self._totals.values())

    @cached_property
    def _population(self) -> int:
        """How many rows the chosen segments have; without totals, at most."""
        chosen = self.selection.segments
        if self._totals is None or chosen is None:
            return self._table_rows
        return sum(rows for name, rows in self._totals.items() if name in chosen)

    # --- running ---

    def _shape(self, wanted: Slice | None) -> Shape:
        shape = replace(self.shape, is_marked=self._is_marked, has_months=self._months is not None)
        if wanted is None:
            return shape
        return replace(
            shape,
            sort=wanted.sort,
            descending=wanted.descending,
            has_edge=wanted.edge is not None,
            limit=wanted.limit,
        )

    def _run(self, statement: Executable, **values: Any) -> Sequence[AnyRow]:
        return self.session.execute(statement, parameters(self.selection, **values)).all()


def rounded(rows: int) -> int:
    """Up to a power of two: each size of a walk is a statement of its own, to be compiled and planned."""
    return max(SHORTEST_WALK, 1 << max(rows - 1, 0).bit_length())
