"""Where in the order of the ids a row of a given number lies, without counting all before it.

Beside a table lies how many rows each block of ids has of each segment, kept by triggers like the totals
(``webapp/listing/ddl.py``). Summed up they lead to a large block, within it to a smaller one, and so on; only
in the smallest rows are counted off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    Table,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import Session

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
    statement = _find_block(segments, names, descending)
    first, last, before = 0, LARGEST_ID, 0
    place = None
    for bits in BLOCK_BITS:
        asked = {"bits": bits, "first": first >> bits, "last": last >> bits, "offset": offset - before}
        found = session.execute(statement, asked).one_or_none()
        if found is None:  # in a large block: others have deleted rows of it since it was found
            break
        first, last = found.block << bits, ((found.block + 1) << bits) - 1
        before += int(found.before)
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
def _find_block(segments: Segments, names: tuple[str, ...] | None, descending: bool) -> AnySelect:
    """Of the blocks ``first`` to ``last`` that in which the row after ``offset`` of their rows lies."""
    kept = _table(segments).c
    rows = func.sum(kept.amount)
    until = func.sum(rows).over(order_by=kept.block.desc() if descending else kept.block.asc())
    first, last = (bindparam(name, type_=BigInteger) for name in ("first", "last"))
    blocks = (
        select(kept.block, rows.label("rows"), until.label("until"))
        .where(kept.bits == bindparam("bits", type_=Integer), kept.block.between(first, last))
        .group_by(kept.block)
        .having(rows > 0)  # an empty one ends where the one before it does
    )
    if names is not None:
        blocks = blocks.where(kept.segment.in_([literal_column(f"'{name}'") for name in names]))
    block = blocks.subquery().c
    return (
        select(block.block, (block.until - block.rows).label("before"))
        .where(block.until > bindparam("offset", type_=BigInteger))
        .order_by(block.until)
        .limit(1)
    )
