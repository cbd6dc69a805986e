"""Probe, then choose: how the rows of a Selection are found, so that no search can be slow.

There are two ways. To *walk* is to read the index of the sort from the page's edge and check each row:
quick when many rows fit, for then a page fills soon. To *gather* is to take all hits from another index
(of the search, of a segment, of a range), sort them and cut: quick when they are few. With N rows of
which h fit, walking looks at about page × N / h rows and gathering at h, so that the better of the two
never looks at many more than √(page × N): 7,000 of a million, 22,000 of ten millions.

The planners of databases guess h, and a wrong guess costs seconds. Here h is asked first, by a probe
that stops early; a walk that was chosen looks at a bounded number of rows, and when it finds too few
(the hits lie together far down the order), the hits are gathered after all.

What a probe costs differs between the databases, so each has its own way to search: see
``webapp/listing/sqlite.py`` and ``webapp/listing/postgres.py``. All else is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.listing import statements
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Selection
from webapp.listing.keyset import Edge
from webapp.listing.statements import Shape, Source, parameters
from webapp.listing.totals import read_totals
from webapp.listing.types import AnyRow, AnySelect

TYPICAL_PAGE = 51
SHORTEST_WALK = 1 << 10


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
        source: Source | None = "range" if self.selection.range is not None else None
        if self.selection.words:
            source = "search"
        statement = statements.row_ids(self.listing, self.shape, source)
        return [int(row[0]) for row in self._run(statement, most=most)]

    @cached_property
    def count(self) -> Count:
        """Exact where only segments are chosen, else up to 10,000."""
        if self._is_void:
            return Count(0)
        if self.selection.owners and (self._are_owned_few or not self.selection.words):
            return self._count_hits(None)
        if self.selection.words:
            return self._count_search()
        if self.selection.range is not None:
            return Count.capped(self._number_in_range)
        if self.listing.segments is not None and self.listing.segments.totals is not None:
            return Count(self._population)
        return self._count_hits(None)

    @abstractmethod
    def _search(self, wanted: Slice) -> Sequence[AnyRow]:
        """The rows that hold the words; sets ``count`` where that costs nothing."""

    @abstractmethod
    def _count_search(self) -> Count: ...

    def _is_range_surely_many(self) -> bool:
        """Whether something cheaper than the rows says so."""
        return False

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
        number = self._number_in_range  # either way is read in an index alone
        is_many = number > MOST_COUNTED or number**2 > TYPICAL_PAGE * self._population
        return self._walk(wanted) if is_many else self._gather(wanted, "range")

    # --- the two ways ---

    def _walk(self, wanted: Slice) -> Sequence[AnyRow]:
        shape, edge = self._shape(wanted), wanted.edge
        if wanted.offset:
            skipped = self._run(statements.skip(self.listing, shape), offset=wanted.offset - 1)
            if not skipped:
                return []
            edge = Edge(skipped[0].sort_key, skipped[0].id, None)
            shape = replace(shape, has_edge=True)
        return self._run(statements.walk(self.listing, shape), edge=edge)

    def _walk_bounded(self, wanted: Slice, budget: int) -> Sequence[AnyRow]:
        """Fewer rows than wanted tell nothing: the hits may lie further on."""
        statement = statements.walk_bounded(self.listing, self._shape(wanted), rounded(budget))
        return self._run(statement, edge=wanted.edge, offset=wanted.offset)

    def _gather(self, wanted: Slice, source: Source) -> Sequence[AnyRow]:
        statement = statements.gather(self.listing, self._shape(wanted), source)
        return self._counted(self._run(statement, edge=wanted.edge, offset=wanted.offset))

    def _counted(self, rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
        """All hits were seen, so they are counted as well."""
        if rows:
            self.count = Count.capped(rows[0].total)
        return rows

    # --- sizes ---

    def _count_hits(self, source: Source | None) -> Count:
        statement = statements.count_hits(self.listing, self.shape, source)
        return Count.capped(self._number(statement, most=MOST_COUNTED + 1))

    @cached_property
    def _number_in_range(self) -> int:
        """How many rows of the chosen segments lie in the range, up to 10,001."""
        if self._is_range_surely_many():
            return MOST_COUNTED + 1
        statement = statements.count_hits(self.listing, replace(self.shape, words=0), "range")
        return self._number(statement, most=MOST_COUNTED + 1)

    @cached_property
    def _are_owned_few(self) -> bool:
        """Whether the owner's rows, few as they are, are looked at one by one, whatever the words."""
        if not self.selection.owners:
            return False
        shape = replace(self.shape, words=0, segments=None, range=None)
        statement = statements.count_hits(self.listing, shape, None)
        return self._number(statement, most=MOST_COUNTED + 1) <= MOST_COUNTED

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

    def _shape(self, wanted: Slice) -> Shape:
        return replace(
            self.shape,
            sort=wanted.sort,
            descending=wanted.descending,
            has_edge=wanted.edge is not None,
            limit=wanted.limit,
        )

    def _run(self, statement: AnySelect, **values: Any) -> Sequence[AnyRow]:
        return self.session.execute(statement, parameters(self.selection, **values)).all()

    def _number(self, statement: AnySelect, *, most: int, **values: Any) -> int:
        """What a counting statement counts, up to ``most``."""
        return int(self._run(statement, most=most, **values)[0][0])


def rounded(rows: int) -> int:
    """Up to a power of two: each size of a walk is a statement of its own, to be compiled and planned."""
    return max(SHORTEST_WALK, 1 << max(rows - 1, 0).bit_length())
