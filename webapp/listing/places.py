"""Where in the order of the ids a row of a given number lies, without counting all before it.

Beside a table lies how many rows each block of ids has of each segment, kept by triggers like the totals
(``webapp/listing/ddl.py``). Summed up they lead to the block; only within it rows are counted off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import BigInteger, Table, bindparam, func, insert, literal_column, select
from sqlalchemy.orm import Session

from webapp.extensions import BigId
from webapp.listing.ddl import BLOCK_BITS
from webapp.listing.definition import Segments
from webapp.listing.keyset import BEFORE_ALL_IDS, LARGEST_ID, Edge
from webapp.listing.totals import differences
from webapp.listing.types import AnySelect


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
    found = session.execute(statement, {"offset": offset}).one_or_none()
    if found is None:
        return None
    first = found.block << BLOCK_BITS
    if descending:
        edge = Edge(first + (1 << BLOCK_BITS) - 1, LARGEST_ID, None)
    else:
        edge = Edge(first, BEFORE_ALL_IDS, None)
    return Place(edge, int(found.before))


def find_misplaced(session: Session, segments: Segments) -> list[int]:
    """The first ids of the blocks that are counted wrongly; reads the whole index."""
    blocks = {int(row.block) for row in session.execute(_differences(segments))}
    return [block << BLOCK_BITS for block in sorted(blocks)]


def correct_places(session: Session, segments: Segments) -> None:
    """Add what is missing. Others may write meanwhile: their differences and this one add up."""
    found = _differences(segments)
    session.execute(insert(_table(segments)).from_select(list(found.selected_columns.keys()), found))


def _table(segments: Segments) -> Table:
    if segments.places is None:
        raise ValueError("nobody keeps places of these segments")
    return segments.places


@lru_cache(maxsize=1_000)
def _find_block(segments: Segments, names: tuple[str, ...] | None, descending: bool) -> AnySelect:
    kept = _table(segments).c
    order = kept.block.desc() if descending else kept.block.asc()
    rows = func.sum(kept.amount)
    blocks = select(kept.block, rows.label("rows"), func.sum(rows).over(order_by=order).label("until"))
    if names is not None:
        blocks = blocks.where(kept.segment.in_([literal_column(f"'{name}'") for name in names]))
    block = blocks.group_by(kept.block).subquery().c
    found = select(block.block, (block.until - block.rows).label("before"))
    found = found.where(block.until > bindparam("offset", type_=BigInteger))
    return found.order_by(block.block.desc() if descending else block.block).limit(1)


@lru_cache
def _differences(segments: Segments) -> AnySelect:
    row_id = segments.column.table.c.id
    block = row_id.op(">>", return_type=BigId)(literal_column(str(BLOCK_BITS)))
    return differences(_table(segments), {"block": block, "segment": segments.column})
