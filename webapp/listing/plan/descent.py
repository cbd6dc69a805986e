"""Down the order of the sort, stretch after stretch, each as coarse as can be looked at whole.

The search's index knows the stretches of the order: those without a hit are left out unread, and of one with
few the hits are gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from typing import Any

from webapp.listing import walks
from webapp.listing.keyset import BEFORE_ALL_IDS, LARGEST_ID, Edge
from webapp.listing.plan.candidates import Candidates
from webapp.listing.plan.query import Query, Slice
from webapp.listing.plan.scans import Scans
from webapp.listing.plan.sizes import Sizes
from webapp.listing.stretches import Stretch
from webapp.listing.types import AnyRow

TYPICAL_PAGE = 51
# So many times as many candidates are looked at of a stretch that is cut no further.
FINEST_SHARE = 2
MOST_LOOKED_AT_OF_A_RANGE = 500  # for to ask for the next costs less, as no list of a trigram is gone through


class Descent:
    """``most_looked_at``: candidates of a stretch that are looked at to find those of one page."""

    def __init__(
        self, query: Query, sizes: Sizes, candidates: Candidates, scans: Scans, *, most_looked_at: int
    ) -> None:
        self._query = query
        self._sizes = sizes
        self._candidates = candidates
        self._scans = scans
        self._most = most_looked_at if query.selection.words else MOST_LOOKED_AT_OF_A_RANGE

    def rows(self, wanted: Slice, *, skim: int = 0) -> Sequence[AnyRow]:
        """Where the hits lie close, a walk over ``skim`` rows fills the page at once."""
        rows: list[AnyRow] = []
        end, place, finished = wanted.offset + wanted.limit, wanted.edge, None
        while len(rows) < end:
            rest = replace(wanted, edge=place, offset=0, limit=end - len(rows))
            if skim and len(walked := self._scans.walk_bounded(rest, skim)) == rest.limit:
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
        shape = replace(self._candidates.shape(wanted), words=0, has_edge=place is not None)
        if shape.range != shape.sort:
            shape = replace(shape, range=None)
        rows = self._query.run(walks.first(self._query.listing, shape), edge=place)
        return rows[0].sort_key if rows else None

    def _look_around(self, key: Any, rest: Slice, finished: Any) -> tuple[Stretch, Sequence[AnyRow]]:
        """The coarsest stretch around ``key`` that was not begun and has few candidates, and its hits."""
        order = self._candidates.index.orders[rest.sort]
        stretches = list(order.stretches(key, is_sqlite=self._query.is_sqlite))
        finest, where = stretches[-1], self._query.range_of(rest.sort)
        for stretch in stretches:
            is_begun = stretch.is_begun(finished, descending=rest.descending)
            is_all = where is not None and stretch.holds(where.low, where.before)  # which was looked at
            if stretch is finest or not (is_begun or is_all):
                most = self._most * FINEST_SHARE if stretch is finest else self._most
                found = self._candidates.look(rest, stretch, most=most).rows
                if found is not None:
                    return stretch, found
        walked = self._scans.walk_bounded(rest, isqrt(TYPICAL_PAGE * self._sizes.table))
        if len(walked) == rest.limit:
            return finest, walked
        return finest, self._candidates.look(rest, finest, most=LARGEST_ID).rows or []
