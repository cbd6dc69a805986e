"""Where in the order of the ids a row of a given number lies, without counting all before it.

Beside a table lies how many rows each block of ids has of each segment, kept by triggers like the totals
(``webapp/listing/ddl.py``). Summed up they lead to a large block, within it to a smaller one, and so on, in
one statement; only in the smallest rows are counted off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from webapp.extensions import BigId
from webapp.listing.counts import Counts
from webapp.listing.ddl import places_triggers
from webapp.listing.definition import Segments
from webapp.listing.keyset import BEFORE_ALL_IDS, LARGEST_ID, Edge
from webapp.listing.types import AnySelect

# Rows are counted in blocks of ids, which differ in no more than so many of their last bits: of ten million
# rows there are five large blocks, 32 in each of them, and 32 in each of those.
BLOCK_BITS = (21, 16, 11)


class Place(NamedTuple):
    """The edge that a block of rows begins after, and how many rows lie before it."""

    edge: Edge
    before: int


def find_place(
    session: Session, segments: Segments, names: tuple[str, ...] | None, *, offset: int, descending: bool
) -> Place | None:
    """The block of the row that so many others come before, of the segments of these ``names``, or of all;
    None where there is no such row.
    """
    found = session.execute(_find_blocks(segments, names, descending), {"offset": offset}).one_or_none()
    blocks = found._mapping if found else {}
    place, before = None, 0
    for bits in BLOCK_BITS:
        block = blocks.get(f"block_{bits}")
        if block is None:  # there is none, or smaller blocks say less than the larger one
            break
        before += int(blocks[f"before_{bits}"])
        first, last = block << bits, ((block + 1) << bits) - 1
        edge = Edge(last, LARGEST_ID, None) if descending else Edge(first, BEFORE_ALL_IDS, None)
        place = Place(edge, before)
    return place


def count_blocks(segments: Segments) -> Counts:
    column = segments.column
    table = column.table
    sizes = [literal_column(str(bits), Integer) for bits in BLOCK_BITS]
    return Counts(
        table=_table(segments),
        keys=tuple(
            {"bits": bits, "block": table.c.id.op(">>", return_type=BigId)(bits), "segment": column}
            for bits in sizes
        ),
        triggers=lambda is_sqlite: places_triggers(table.name, column.name, BLOCK_BITS, is_sqlite=is_sqlite),
        describe=lambda row: (
            f"The rows of a block of ids that begins with {int(row.block) << row.bits} are counted wrongly."
        ),
    )


def _table(segments: Segments) -> Table:
    if segments.places is None:
        raise ValueError("nobody keeps places of these segments")
    return segments.places


@lru_cache(maxsize=1_000)
def _find_blocks(segments: Segments, names: tuple[str, ...] | None, descending: bool) -> AnySelect:
    """The ``block`` of each size in which the row after ``offset`` rows lies, and how many lie ``before`` it
    in the one of the size before. No row where there is none of the largest.
    """
    kept = _table(segments).c
    offset: ColumnElement[int] = bindparam("offset", type_=BigInteger)
    levels: list[CTE] = []
    for bits in BLOCK_BITS:
        within: list[ColumnElement[bool]] = []
        if levels:
            larger, finer = levels[-1].c, BLOCK_BITS[len(levels) - 1] - bits
            block = select(larger.block).scalar_subquery()
            first = block.op("<<", return_type=BigId)(literal_column(str(finer)))
            within = [kept.block.between(first, first + literal_column(str((1 << finer) - 1)))]
            offset = offset - select(larger.before).scalar_subquery()
        found = _block_of(kept, bits, names, offset, descending, *within)
        levels.append(found.cte(f"of_{bits}").prefix_with("MATERIALIZED"))
    joined: FromClause = levels[0]
    for level in levels[1:]:
        joined = joined.outerjoin(level, true())
    columns = [
        column.label(f"{name}_{bits}")
        for bits, level in zip(BLOCK_BITS, levels, strict=True)
        for name, column in (("block", level.c.block), ("before", level.c.before))
    ]
    return select(*columns).select_from(joined)


def _block_of(
    kept: ReadOnlyColumnCollection[str, Any],
    bits: int,
    names: tuple[str, ...] | None,
    offset: ColumnElement[int],
    descending: bool,
    *within: ColumnElement[bool],
) -> AnySelect:
    """Of the blocks of one size the one in which the row after ``offset`` of their rows lies."""
    rows = func.sum(kept.amount)
    until = func.sum(rows).over(order_by=kept.block.desc() if descending else kept.block.asc())
    blocks = (
        select(kept.block, rows.label("rows"), until.label("until"))
        .where(kept.bits == literal_column(str(bits)), *within)
        .group_by(kept.block)
        .having(rows > 0)  # an empty one ends where the one before it does
    )
    if names is not None:
        blocks = blocks.where(kept.segment.in_([literal_column(f"'{name}'") for name in names]))
    block = blocks.subquery().c
    return (
        select(block.block, (block.until - block.rows).label("before"))
        .where(block.until > offset)
        .order_by(block.until)
        .limit(1)
    )
