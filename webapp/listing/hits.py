"""The SQL of gathering: take the hits from the index of a search, an owner or a range, sort them and cut."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Text,
    bindparam,
    case,
    column,
    func,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import iterate

from webapp.listing.clauses import (
    bounds,
    is_of,
    key_columns,
    merged_segments,
    owner_checks,
    page_of,
    range_checks,
    search_index,
    segment_column,
    unindexed,
    word_checks,
)
from webapp.listing.definition import Listing
from webapp.listing.keyset import beyond, order_by
from webapp.listing.shape import Shape
from webapp.listing.types import AnySelect


@lru_cache(maxsize=1_000)
def gather(listing: Listing, shape: Shape) -> AnySelect:
    """Find all rows of the range in its index, of which only the page's are kept and sorted."""
    hit = all_hits(listing, shape, key_columns(listing, shape), is_ranged=True).subquery()
    return page_of(listing, shape, _cut(shape, hit))


@lru_cache(maxsize=1_000)
def look(listing: Listing, shape: Shape) -> AnySelect:
    """Ask the search's index for its candidates; if they are fewer than ``most``, sort their hits and cut the
    page.

    Each row says how many ``candidates`` there are, up to ``most``, and how many hits in ``total``: of too
    many candidates none, or with ``is_counted`` up to ``counted`` of the first. Without a hit there is a row
    of these numbers alone.
    """
    candidate = (
        candidates(listing, shape)
        .limit(bindparam("most", type_=BigInteger))
        .cte("candidates")
        .prefix_with("MATERIALIZED")
    )
    number = select(func.count()).select_from(candidate).scalar_subquery()
    hits = hits_among(listing, shape, candidate, key_columns(listing, shape)).where(
        number < bindparam("most", type_=BigInteger)
    )
    hit = hits.cte("hits").prefix_with("MATERIALIZED")
    total: ColumnElement[int] = select(func.count()).select_from(hit).scalar_subquery()
    if shape.is_counted:
        some = hits_among(listing, shape, candidate, [listing.row_id]).limit(bindparam("counted"))
        of_some = select(func.count()).select_from(some.subquery()).scalar_subquery()
        total = case((number < bindparam("most", type_=BigInteger), total), else_=of_some)
    sizes = select(number.label("candidates"), total.label("total")).subquery()
    found = _cut(shape, hit).subquery()
    key, row = listing.sorts[shape.sort].column, listing.row_id
    page = select(*listing.columns, key.label("sort_key"), sizes.c.candidates, sizes.c.total)
    page = page.select_from(sizes.outerjoin(found, true()).outerjoin(row.table, row == found.c.id))
    return page.order_by(*order_by(key, row, descending=shape.descending))


def _cut(shape: Shape, hit: Any) -> AnySelect:
    found = select(hit.c.id).order_by(*order_by(hit.c.sort_key, hit.c.id, descending=shape.descending))
    if shape.has_edge:
        found = found.where(beyond(hit.c.sort_key, hit.c.id, descending=shape.descending))
    return found.limit(shape.limit).offset(bindparam("offset"))


@lru_cache(maxsize=1_000)
def row_ids(listing: Listing, shape: Shape) -> AnySelect:
    """The ids of all that fit, in no order, up to ``most``."""
    if shape.words:
        hits = hits_among(listing, shape, candidates(listing, shape).subquery(), [listing.row_id])
    else:
        hits = all_hits(listing, shape, [listing.row_id], is_ranged=shape.range is not None)
    return hits.limit(bindparam("most", type_=BigInteger))


def all_hits(
    listing: Listing, shape: Shape, columns: list[ColumnElement[Any]], *, is_ranged: bool = False
) -> AnySelect:
    """All rows that fit, by the index of an owner or segment, or of the range."""
    names = merged_segments(listing, shape) if is_ranged else shape.segments
    statement = select(*columns).where(
        *word_checks(listing, shape),
        *owner_checks(listing, shape, is_indexed=not is_ranged),
        *range_checks(listing, shape, is_indexed=is_ranged),
    )
    return statement if names is None else statement.where(is_of(listing, names, is_indexed=not shape.owners))


def candidates(listing: Listing, shape: Shape) -> AnySelect:
    """What the search's index gives: on SQLite ids, on Postgres all that is needed of the rows."""
    if shape.is_sqlite:
        return select(_full_text(listing).c.rowid.label("id")).where(_matches(listing))
    search = search_index(listing)
    asked: list[ColumnElement[bool]] = [
        search.column.like(bindparam(f"like_{number}")) for number in range(shape.trigrams)
    ]
    if shape.is_marked:
        asked.append(_overlaps(f"ARRAY[{segment_column(listing).name}::text]", "marks_segments"))
    if shape.has_months:
        asked.append(_overlaps(search.time_order.postgres_marks(), "marks_months"))
    if shape.has_stretch:
        asked.append(_overlaps(search.orders[shape.sort].postgres_marks(), "marks_stretch"))
    # Without the OFFSET other conditions would be moved in here, and other indexes be chosen for them.
    return select(*_read_columns(listing, shape)).where(*asked).offset(literal_column("0"))


def _overlaps(marks: str, name: str) -> ColumnElement[bool]:
    return literal_column(f"({marks})").op("&&", is_comparison=True)(bindparam(name, type_=ARRAY(Text)))


def _read_columns(listing: Listing, shape: Shape) -> list[Column[Any]]:
    """What the checks and the sort read."""
    read: list[ColumnElement[Any]] = [listing.row_id, *(listing.owners[name] for name in shape.owners)]
    read += [listing.sorts[name].column for name in (shape.sort, shape.range) if name]
    if shape.words:
        read.append(search_index(listing).column)
    if shape.segments is not None:
        read.append(segment_column(listing))
    found = (part for expression in read for part in iterate(expression) if isinstance(part, Column))
    return list(dict.fromkeys(found))


def hits_among(
    listing: Listing, shape: Shape, candidate: Any, columns: list[ColumnElement[Any]]
) -> AnySelect:
    """The hits among the candidates."""
    checks = [*word_checks(listing, shape), *owner_checks(listing, shape, is_indexed=False)]
    checks += range_checks(listing, shape, is_indexed=False)
    if shape.segments is not None and not shape.is_marked:
        checks.append(is_of(listing, shape.segments, is_indexed=False))
    if shape.has_stretch:
        key = unindexed(listing.sorts[shape.sort].column)
        checks += bounds(
            key,
            "stretch_low" if shape.has_stretch_low else None,
            "stretch_end" if shape.has_stretch_end else None,
        )
    if shape.is_sqlite:
        return (
            select(*columns)
            .join_from(candidate, listing.row_id.table, listing.row_id == candidate.c.id)
            .where(*checks)
        )
    here = ClauseAdapter(candidate)
    return select(*map(here.traverse, columns)).where(*map(here.traverse, checks))


@lru_cache(maxsize=100)
def _full_text(listing: Listing) -> Any:
    return table(search_index(listing).name, column("rowid"))


def _matches(listing: Listing) -> ColumnElement[bool]:
    return literal_column(search_index(listing).name).op("MATCH", is_comparison=True)(bindparam("match"))
