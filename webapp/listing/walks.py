"""The SQL of walking: read the index of the sort from the page's edge on and check each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, literal_column, select, union_all

from webapp.listing.clauses import (
    bounds,
    holds_words,
    is_of,
    key_columns,
    merged_segments,
    owner_checks,
    page_of,
    quoted,
    range_checks,
    search_index,
    segment_column,
    word_checks,
)
from webapp.listing.definition import Listing, month_number
from webapp.listing.keyset import beyond, order_by
from webapp.listing.shape import Shape
from webapp.listing.types import AnySelect


@lru_cache(maxsize=1_000)
def walk(listing: Listing, shape: Shape) -> AnySelect:
    """Read the index of the sort from the edge on and check each row: quick where many rows fit."""
    merged: AnySelect = _merge(listing, shape, [*listing.columns])
    return merged


@lru_cache(maxsize=1_000)
def walk_bounded(listing: Listing, shape: Shape, most: int) -> AnySelect:
    """The same, but look at no more than ``most`` rows: it may find fewer than there are."""
    texts: list[ColumnElement[Any]] = [search_index(listing).column.label("text")] if shape.words else []
    seen, checks = _seen(listing, shape, most, texts)
    if shape.words:
        checks += holds_words(shape, seen.text)
    return page_of(listing, shape, _first_of(shape, seen, checks))


def _seen(
    listing: Listing, shape: Shape, most: int, columns: list[ColumnElement[Any]]
) -> tuple[Any, list[ColumnElement[bool]]]:
    """The next ``most`` rows in order, of the segments alone, and what of the range is to be checked."""
    every = replace(shape, words=0, limit=most)
    if shape.range is None or shape.range == shape.sort:  # the sort's own index keeps to the range
        return _merge(listing, every, [listing.row_id.label("id"), *columns]).subquery().c, []
    time = listing.sorts[shape.range].column
    columns = [listing.row_id.label("id"), time.label("time"), *columns]
    seen = _merge(listing, replace(every, range=None), columns).subquery().c
    return seen, bounds(seen.time, "low" if shape.has_low else None, "before" if shape.has_before else None)


def _first_of(shape: Shape, seen: Any, checks: list[ColumnElement[bool]]) -> AnySelect:
    found = select(seen.id).where(*checks).limit(shape.limit).offset(bindparam("offset"))
    if shape.is_sqlite:  # it would read all rows first to sort them, and keeps their order anyhow
        return found
    return found.order_by(*order_by(seen.sort_key, seen.id, descending=shape.descending))


@lru_cache(maxsize=1_000)
def skip(listing: Listing, shape: Shape) -> AnySelect:
    """The one row that ``offset`` rows come before, found by the index alone."""
    columns = [listing.row_id.label("id")]
    row = _merge(listing, replace(shape, limit=1), columns, is_skipping=True).subquery().c
    return select(row.id, row.sort_key)


@lru_cache(maxsize=1_000)
def first(listing: Listing, shape: Shape) -> AnySelect:
    """The first row from the edge on, by the index of the sort alone."""
    row: AnySelect = _merge(listing, replace(shape, limit=1), [listing.row_id.label("id")])
    return row


@lru_cache(maxsize=1_000)
def walk_months(listing: Listing, shape: Shape) -> AnySelect:
    """Read, for each month that the range touches, the index that begins with it, and check each row."""
    found = _in_order(listing, shape, _of_months(listing, shape, []), is_skipping=True).subquery().c
    return page_of(listing, shape, select(found.id))


@lru_cache(maxsize=1_000)
def walk_months_bounded(listing: Listing, shape: Shape, most: int) -> AnySelect:
    """The same for words, but look at no more than ``most`` rows: it may find fewer than there are."""
    branches = _of_months(listing, shape, [search_index(listing).column.label("text")])
    seen = _in_order(listing, replace(shape, limit=most), branches, is_skipping=False).subquery().c
    return page_of(listing, shape, _first_of(shape, seen, holds_words(shape, seen.text)))


def _of_months(listing: Listing, shape: Shape, columns: list[ColumnElement[Any]]) -> list[AnySelect]:
    """The rows of the range and the segments from the edge on, one branch for each month."""
    time, key = listing.sorts[shape.range or ""].column, listing.sorts[shape.sort].column
    rows = select(*key_columns(listing, shape), *columns)
    rows = rows.where(*range_checks(listing, shape, is_indexed=False))
    if shape.segments is not None:
        rows = rows.where(is_of(listing, shape.segments, is_indexed=False))
    if shape.has_edge:
        rows = rows.where(beyond(key, listing.row_id, descending=shape.descending))
    names = [f"month_{number}" for number in range(shape.merged_months)]
    return [rows.where(month_number(time) == bindparam(name, type_=Integer())) for name in names]


def _merge(
    listing: Listing, shape: Shape, columns: Sequence[ColumnElement[Any]], *, is_skipping: bool = False
) -> Any:
    """The rows in the order of the sort, from one index scan for each segment, merged as they are read."""
    key = listing.sorts[shape.sort].column
    rows = select(*columns, key.label("sort_key")).where(
        *word_checks(listing, shape), *range_checks(listing, shape, is_indexed=shape.range == shape.sort)
    )
    if shape.has_edge:
        rows = rows.where(beyond(key, listing.row_id, descending=shape.descending))
    rows = rows.where(*owner_checks(listing, shape))
    branches = [rows]
    if shape.owners and shape.segments is not None:
        branches = [rows.where(is_of(listing, shape.segments, is_indexed=False))]
    elif key is listing.row_id and shape.segments is None:
        pass  # the primary key has all of them in order
    elif names := merged_segments(listing, shape):
        branches = [rows.where(segment_column(listing) == quoted(name)) for name in names]
    return _in_order(listing, shape, branches, is_skipping=is_skipping)


def _in_order(listing: Listing, shape: Shape, branches: list[AnySelect], *, is_skipping: bool) -> Any:
    """Those rows of the branches that the shape asks for, each branch having them in its index's order."""
    order = order_by(listing.sorts[shape.sort].column, listing.row_id, descending=shape.descending)
    if len(branches) == 1:
        merged: Any = branches[0].order_by(*order)
    else:
        if not shape.is_sqlite:  # Postgres merges lazily only what each branch has in order by itself
            branches = [branch.order_by(*order) for branch in branches]
            branches = [
                b.offset(literal_column("0")) if is_skipping else b.limit(shape.limit) for b in branches
            ]
        merged = union_all(*branches)
        found = merged.selected_columns
        merged = merged.order_by(*order_by(found["sort_key"], found["id"], descending=shape.descending))
    merged = merged.limit(shape.limit)
    return merged.offset(bindparam("offset")) if is_skipping else merged
