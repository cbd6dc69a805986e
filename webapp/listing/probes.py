"""The SQL that asks before a way is chosen: how many fit, counted up to a bound or seen in a sample."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
    table,
    tablesample,
)
from sqlalchemy.sql.util import ClauseAdapter

from webapp.listing.clauses import (
    holds,
    is_of,
    owner_checks,
    range_checks,
    search_index,
    segment_column,
    word_checks,
)
from webapp.listing.definition import Listing
from webapp.listing.hits import all_hits, candidates, hits_among
from webapp.listing.shape import Shape
from webapp.listing.types import AnySelect


@lru_cache(maxsize=1_000)
def count_hits(listing: Listing, shape: Shape, *, is_ranged: bool = False) -> AnySelect:
    """How many rows fit, up to ``most``; see all_hits()."""
    hits = all_hits(listing, shape, [listing.row_id], is_ranged=is_ranged).limit(
        bindparam("most", type_=BigInteger)
    )
    return select(func.count()).select_from(hits.subquery())


@lru_cache(maxsize=1_000)
def count_search(listing: Listing, shape: Shape) -> AnySelect:
    """How many hits the search has, up to ``most``."""
    hits = hits_among(listing, shape, candidates(listing, shape).subquery(), [listing.row_id])
    return select(func.count()).select_from(hits.limit(bindparam("most", type_=BigInteger)).subquery())


@lru_cache(maxsize=1_000)
def count_candidates(listing: Listing, shape: Shape) -> AnySelect:
    """How many rows the search's index gives, up to ``most``."""
    return select(func.count()).select_from(
        candidates(listing, shape).limit(bindparam("most", type_=BigInteger)).subquery()
    )


@lru_cache
def trigram_sizes(listing: Listing) -> AnySelect:
    """SQLite: how many pages the full text's list of each of the ``trigrams`` (as JSON) fills. FTS5 keeps the
    first term of each page, for each part that its index is written in.
    """
    page = table(f"{search_index(listing).name}_idx", *map(column, ("segid", "term", "pgno"))).c
    asked = func.json_each(bindparam("trigrams")).table_valued("value", name="asked")
    term = cast("0" + cast(asked.c.value, Text), LargeBinary)
    part = select(func.min(page.segid).label("id")).cte("part", recursive=True)
    following = select(func.min(page.segid)).where(page.segid > part.c.id).scalar_subquery()
    part = part.union_all(select(following).where(part.c.id.is_not(None)))
    numbers = select(page.pgno.op(">>")(1)).where(page.segid == part.c.id).limit(1).correlate(part, asked)
    first = numbers.where(page.term <= term).order_by(page.term.desc()).scalar_subquery()
    next_ = numbers.where(page.term > term).order_by(page.term).scalar_subquery()
    pages = select(func.coalesce(func.sum(next_ - first), 0)).select_from(part).correlate(asked)
    return select(asked.c.value.label("trigram"), pages.scalar_subquery().label("pages"))


@lru_cache(maxsize=1_000)
def sample(listing: Listing, shape: Shape) -> AnySelect:
    """Postgres: of ``percent`` of the table's blocks, how many rows there are, how many fit, and how many
    have each of the trigrams.
    """
    blocks = tablesample(listing.row_id.table, func.system(bindparam("percent")), name="sampled")
    here = ClauseAdapter(blocks)
    checks = [*word_checks(listing, shape), *range_checks(listing, shape, is_indexed=True)]
    checks += owner_checks(listing, shape)
    if shape.segments is not None:
        checks.append(is_of(listing, shape.segments))
    fitting = func.count().filter(*map(here.traverse, checks))
    trigrams = (holds(search_index(listing).column, bindparam(f"trigram_{n}")) for n in range(shape.trigrams))
    counts = [func.count().filter(here.traverse(check)) for check in trigrams]
    return select(func.count(), fitting, *counts).select_from(blocks)


@lru_cache(maxsize=1_000)
def count_in_scan(listing: Listing, shape: Shape) -> AnySelect:
    """Postgres: of ``scanned`` rows as they lie in the table, how many fit, up to ``most``."""
    checked: set[ColumnElement[Any]] = {search_index(listing).column}
    checked.update(listing.owners[name] for name in shape.owners)
    if shape.segments is not None:
        checked.add(segment_column(listing))
    if shape.range is not None:
        checked.update(listing.sorts[shape.range].column.base_columns)
    lying = select(*checked).limit(bindparam("scanned")).subquery()
    here = ClauseAdapter(lying)
    checks = [*word_checks(listing, shape), *range_checks(listing, shape, is_indexed=True)]
    checks += owner_checks(listing, shape)
    if shape.segments is not None:
        checks.append(is_of(listing, shape.segments))
    fitting = select(lying.c[0]).where(*map(here.traverse, checks)).limit(bindparam("most", type_=BigInteger))
    return select(func.count()).select_from(fitting.subquery())
