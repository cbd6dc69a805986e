"""One query of a list while it is planned: what is asked for, and the statements that are run for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.orm import Session

from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.definition import Listing, Range, Selection
from webapp.listing.keyset import Edge
from webapp.listing.shape import Shape, parameters
from webapp.listing.types import AnyRow, AnySelect


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which rows, in the order of which sort."""

    sort: str
    descending: bool
    limit: int
    edge: Edge | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a slice, each with its ``sort_key``; and the count of all rows of the selection, where
    finding these told it.
    """

    rows: Sequence[AnyRow] = ()
    count: Count | None = None


class Query:
    """Runs statements with the values of one selection."""

    def __init__(self, session: Session, listing: Listing, selection: Selection) -> None:
        self.session = session
        self.listing = listing
        self.selection = selection
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"
        self.shape = Shape.of(selection, is_sqlite=self.is_sqlite)

    @property
    def is_void(self) -> bool:
        """Whether no row can fit, so that there is nothing to ask."""
        where = self.selection.range
        is_empty = where and where.low and where.before and where.low >= where.before
        return self.selection.segments == frozenset() or bool(is_empty)

    def range_of(self, sort: str) -> Range | None:
        """The chosen range, if the list is sorted by what it is about."""
        where = self.selection.range
        return where if where and where.sort == sort else None

    def run(self, statement: Executable, **values: Any) -> Sequence[AnyRow]:
        return self.session.execute(statement, parameters(self.selection, **values)).all()

    def count(self, statement: AnySelect, *, most: int | None = None, **values: Any) -> int:
        """What a counting statement counts, up to ``most``, which is by default one more than are counted."""
        return int(self.run(statement, most=most or MOST_COUNTED + 1, **values)[0][0])
