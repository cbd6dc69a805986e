"""What a list is (a Listing, declared once by its feature) and which of its rows are wanted (a Selection)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, ColumnElement, Index, Integer, MetaData, String, Table, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from webapp.extensions import BigId
from webapp.listing import periods
from webapp.listing.keyset import SortKey
from webapp.listing.periods import MONTHS
from webapp.listing.stretches import Order, TimeOrder

SEGMENT_NAME = re.compile(r"#[a-z0-9]{2}")


class month_number(FunctionElement[int]):
    """The month of a stored time in UTC, counted from the year 0."""

    type = Integer()
    inherit_cache = True


@compiles(month_number, "sqlite")
def _month_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return periods.month_number(compiler.process(element.clauses, **options), is_sqlite=True)


@compiles(month_number)
def _month_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return periods.month_number(compiler.process(element.clauses, **options), is_sqlite=False)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """A column of three characters that cuts the table into parts, such as role and status of a user.

    Every sort has an index that begins with it, so any union of parts is read in order. Where it does not
    ``lead``, there is an index without it as well, for all parts together. ``totals`` says exactly how many
    rows each part has (see ``webapp/listing/totals.py``), ``places`` how many in each block of ids (see
    ``webapp/listing/places.py``).
    """

    column: Column[str]
    names: tuple[str, ...]
    totals: Table | None = None
    places: Table | None = None
    leads: bool = True

    def __post_init__(self) -> None:
        wrong = [name for name in self.names if not SEGMENT_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"a segment is # and two letters, not {wrong[0]!r}")


@dataclass(frozen=True, slots=True, eq=False)
class SearchIndex:
    """A ``searchable`` column with a trigram index: the full-text table ``name`` on SQLite, a GIN index on
    Postgres (see ``webapp/listing/ddl.py``). ``time`` is what a range is about; ``orders`` are the sorts that
    the index knows the stretches of, that by ``time`` among them.
    """

    column: Column[str]
    name: str
    time: Column[datetime]
    orders: Mapping[str, Order]

    @property
    def time_order(self) -> TimeOrder:
        orders = (order for order in self.orders.values() if isinstance(order, TimeOrder))
        return next(order for order in orders if order.column == self.time.name)


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Of a sort by time: which other sorts have an index within each of its months, and in ``spans`` how many
    rows each month and each day has of each segment (see ``webapp/listing/spans.py``).
    """

    monthly: frozenset[str]
    spans: Table


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Listing:
    """What can be listed. ``columns`` is what a row shows, the id among them; a sort exists only where an
    index does. ``owners`` are columns that a row belongs to somebody by, each with an index of every sort.
    ``calendars`` say of the sort that a range is about what is known of its months and days.
    Declare it once: its identity keys the statements that were built for it.
    """

    columns: tuple[ColumnElement[Any], ...]
    row_id: Column[int]
    sorts: Mapping[str, SortKey]
    segments: Segments | None = None
    search: SearchIndex | None = None
    owners: Mapping[str, Column[Any]] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Range:
    """The rows whose sort key ``sort`` lies in [low, before); None is no bound."""

    sort: str
    low: datetime | None
    before: datetime | None

    @property
    def months(self) -> range | None:
        """Those that it touches, as numbers of ``month_number``; None without both bounds."""
        if self.low is None or self.before is None:
            return None
        first, last = (at.astimezone(UTC) for at in (self.low, self.before - timedelta.resolution))
        return range(MONTHS * first.year + first.month, MONTHS * last.year + last.month + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of a Listing; the conditions are ANDed. ``segments`` None is all of them.

    ``words`` come from ``split_words()``; ``owners`` are names of the Listing's, each with its value.
    """

    words: tuple[str, ...] = ()
    segments: frozenset[str] | None = None
    range: Range | None = None
    owners: tuple[tuple[str, int], ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same selection, on every worker; short enough for a cursor."""
        parts = (self.words, sorted(self.segments or ()), self.segments is None, self.range, self.owners)
        return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def search_index(name: str, column: Column[str], *, segment: Column[str], orders: Iterable[Order]) -> Index:
    """Postgres: trigrams of a search column, and as marks the segment and the stretches of each order. On
    SQLite there is a full-text table instead.
    """
    marks = [f"ARRAY[{segment.name}::text]", *(order.postgres_marks() for order in orders)]
    return Index(
        name,
        column,
        *(text(f"({array})") for array in marks),
        postgresql_using="gin",
        postgresql_ops={column.name: "gin_trgm_ops"},
    ).ddl_if(dialect="postgresql")


def totals_table(metadata: MetaData, of: str) -> Table:
    """The table of the exact totals of the table ``of``: the amounts of one segment are to be summed."""
    return Table(
        f"{of}_totals",
        metadata,
        Column("id", BigId, primary_key=True),
        Column("segment", String(3), nullable=False),
        Column("amount", BigId, nullable=False),
    )


def places_table(metadata: MetaData, of: str) -> Table:
    """How many rows of the table ``of`` each block of ids has of each segment: to be summed as well. The ids
    of a block are the same but for their last ``bits``.
    """
    return Table(
        f"{of}_places",
        metadata,
        Column("id", BigId, primary_key=True),
        Column("bits", Integer, nullable=False),
        Column("block", BigId, nullable=False),
        Column("segment", String(3), nullable=False),
        Column("amount", BigId, nullable=False),
        Index(f"ix_{of}_places", "bits", "block", "segment"),
    )


def spans_table(metadata: MetaData, of: str) -> Table:
    """How many rows of the table ``of`` each span of so many ``days`` has of each segment: to be summed as
    well. Its ``number`` is that of its first day (see ``day_number``) divided by them.
    """
    return Table(
        f"{of}_spans",
        metadata,
        Column("id", BigId, primary_key=True),
        Column("days", Integer, nullable=False),
        Column("number", Integer, nullable=False),
        Column("segment", String(3), nullable=False),
        Column("amount", BigId, nullable=False),
        Index(f"ix_{of}_spans", "days", "number", "segment"),
    )
