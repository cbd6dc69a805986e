"""What the search's index is asked for, and the hits among what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from webapp.listing import hits
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import SearchIndex
from webapp.listing.plan.index_query import IndexQuery, choose_trigrams, months_of
from webapp.listing.plan.query import Query, Slice
from webapp.listing.plan.sizes import Sizes
from webapp.listing.shape import Shape
from webapp.listing.stretches import Stretch
from webapp.listing.types import AnyRow

# Of the words together; but one of each.
MOST_TRIGRAMS = 4
# The search's index is asked for segments that hold no more than this part of the rows.
MARKED_SHARE = 2


@dataclass(frozen=True, slots=True)
class Gathered:
    """``rows`` is None where there were too many candidates to look at; ``count`` where it is known."""

    rows: Sequence[AnyRow] | None
    count: Count | None = None


class Candidates:
    """``sizes_of_trigrams`` says how often those of the words occur, in any unit."""

    def __init__(
        self, query: Query, sizes: Sizes, sizes_of_trigrams: Callable[[], Mapping[str, int]]
    ) -> None:
        self._query = query
        self._sizes = sizes
        self._sizes_of_trigrams = sizes_of_trigrams

    def ask(self, stretch: Stretch | None = None) -> IndexQuery:
        """For all candidates of the selection, or for those of a stretch."""
        return IndexQuery(
            trigrams=self.trigrams,
            segments=self._query.shape.segments if self._is_marked else None,
            months=self._months,
            stretch=stretch.mark if stretch else None,
        )

    def shape(self, wanted: Slice | None = None) -> Shape:
        """That of a statement which finds a slice, or all."""
        shape = replace(self._query.shape, is_marked=self._is_marked, has_months=self._months is not None)
        if wanted is None:
            return shape
        return replace(
            shape,
            sort=wanted.sort,
            descending=wanted.descending,
            has_edge=wanted.edge is not None,
            limit=wanted.limit,
        )

    def look(
        self, wanted: Slice, stretch: Stretch | None, *, most: int, is_counting: bool = False
    ) -> Gathered:
        """Gather the hits of a stretch, or of the whole order, where they have fewer candidates than
        ``most``.
        """
        question, where = self.ask(stretch), self._query.range_of(wanted.sort)
        if stretch and where and stretch.lies_in(where.low, where.before):
            question = replace(question, months=None)
        shape = replace(
            self.shape(wanted),
            trigrams=len(question.trigrams),
            has_months=question.months is not None,
            is_counted=is_counting,
        )
        if stretch is not None:
            has_low, has_end = stretch.low is not None, stretch.end is not None
            shape = replace(shape, has_stretch=True, has_stretch_low=has_low, has_stretch_end=has_end)
        rows = self._query.run(
            hits.look(self._query.listing, shape),
            **question.parameters,
            most=most,
            edge=wanted.edge,
            offset=wanted.offset,
            stretch=stretch,
            counted=MOST_COUNTED + 1,
        )
        total, is_too_many = rows[0].total, rows[0].candidates >= most
        is_known = total > MOST_COUNTED if is_too_many else stretch is None
        count = Count.capped(total) if is_known else None
        if is_too_many:
            return Gathered(None, count)
        return Gathered([] if rows[0].id is None else rows, count)

    @cached_property
    def trigrams(self) -> tuple[str, ...]:
        return choose_trigrams(self._query.selection.words, self._sizes_of_trigrams(), most=MOST_TRIGRAMS)

    @property
    def index(self) -> SearchIndex:
        if self._query.listing.search is None:
            raise ValueError("this list has no search index")
        return self._query.listing.search

    @cached_property
    def _months(self) -> tuple[str, ...] | None:
        return months_of(self._query.listing, self._query.selection)

    @cached_property
    def _is_marked(self) -> bool:
        """Whether the index is asked for the segments: where most rows are of them, to check is cheaper."""
        if self._query.selection.segments is None:
            return False
        sizes = self._sizes
        return sizes.totals is None or sizes.population * MARKED_SHARE <= sizes.table
