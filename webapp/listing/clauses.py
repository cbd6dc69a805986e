"""What the statements of a list are made of: the checks of a row, and the page of the rows found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, bindparam, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from webapp.listing.definition import Listing, SearchIndex
from webapp.listing.keyset import order_by
from webapp.listing.shape import Shape
from webapp.listing.types import AnySelect


class holds(FunctionElement[bool]):
    """``text`` contains ``pattern``: a check of the row, which no index answers."""

    type = Boolean()
    inherit_cache = True


@compiles(holds, "sqlite")
def _holds_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}) > 0"


@compiles(holds)
def _holds_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}) > 0"


class unindexed(FunctionElement[Any]):
    """The column itself, hidden from the planner, which would pick the wrong index for it."""

    inherit_cache = True

    def __init__(self, hidden: ColumnElement[Any]) -> None:
        super().__init__(hidden)
        self.type = hidden.type


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + compiler.process(element.clauses, **options)


@compiles(unindexed)
def _unindexed_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    hidden = compiler.process(element.clauses, **options)
    return f"coalesce({hidden}, {hidden})"


def key_columns(listing: Listing, shape: Shape) -> list[ColumnElement[Any]]:
    return [listing.row_id.label("id"), listing.sorts[shape.sort].column.label("sort_key")]


def page_of(listing: Listing, shape: Shape, found: AnySelect) -> AnySelect:
    key = listing.sorts[shape.sort].column
    page = select(*listing.columns, key.label("sort_key")).where(listing.row_id.in_(found))
    return page.order_by(*order_by(key, listing.row_id, descending=shape.descending))


def word_checks(listing: Listing, shape: Shape) -> list[ColumnElement[bool]]:
    return holds_words(shape, search_index(listing).column) if shape.words else []


def holds_words(shape: Shape, text: ColumnElement[str]) -> list[ColumnElement[bool]]:
    return [holds(text, bindparam(f"pattern_{number}")) for number in range(shape.words)]


def range_checks(listing: Listing, shape: Shape, *, is_indexed: bool) -> list[ColumnElement[bool]]:
    if shape.range is None:
        return []
    key = listing.sorts[shape.range].column
    low, before = "low" if shape.has_low else None, "before" if shape.has_before else None
    return bounds(key if is_indexed else unindexed(key), low, before)


def bounds(key: ColumnElement[Any], low: str | None, before: str | None) -> list[ColumnElement[bool]]:
    """That the key lies in [low, before): each the name of a parameter, or None."""
    checks = []
    if low is not None:
        checks.append(key >= bindparam(low, type_=key.type))
    if before is not None:
        checks.append(key < bindparam(before, type_=key.type))
    return checks


def owner_checks(listing: Listing, shape: Shape, *, is_indexed: bool = True) -> list[ColumnElement[bool]]:
    checks = []
    for name in shape.owners:
        column_ = listing.owners[name]
        checks.append((column_ if is_indexed else unindexed(column_)) == bindparam(f"owner_{name}"))
    return checks


def merged_segments(listing: Listing, shape: Shape) -> tuple[str, ...] | None:
    """Those whose parts of an index are read, one after the other or merged; None for an index without."""
    if shape.segments is not None or listing.segments is None or not listing.segments.leads:
        return shape.segments
    return listing.segments.names


def segment_column(listing: Listing) -> Column[str]:
    if listing.segments is None:
        raise ValueError("this list has no segments")
    return listing.segments.column


def is_of(listing: Listing, names: Sequence[str], *, is_indexed: bool = True) -> ColumnElement[bool]:
    segment = segment_column(listing)
    return (segment if is_indexed else unindexed(segment)).in_([quoted(name) for name in names])


def quoted(segment: str) -> ColumnElement[str]:
    """Written out, so that Postgres knows how large the segment is; Segments checked the name."""
    return literal_column(f"'{segment}'")


def search_index(listing: Listing) -> SearchIndex:
    if listing.search is None:
        raise ValueError("this list has no search index")
    return listing.search
