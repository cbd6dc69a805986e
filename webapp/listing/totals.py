"""Exact totals at a flat cost: how many rows each segment of a table has.

Triggers keep them (``webapp/listing/ddl.py``), so no way of writing can forget to. On Postgres every
writing statement *adds* a row with its difference instead of updating a common one: writers never
wait for each other, and the sum is exact in every snapshot. One write in many folds the rows together
that nobody else holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Select, func, insert, select, union_all
from sqlalchemy.orm import Session

from webapp.listing.definition import Segments
from webapp.listing.types import AnySelect


def read_totals(session: Session, segments: Segments) -> dict[str, int]:
    """The number of rows of each segment that was ever used."""
    return {name: int(amount) for name, amount in session.execute(_sums(segments)).all()}


def find_differences(session: Session, segments: Segments) -> dict[str, int]:
    """How many rows each total lacks (or, negative, has too many); reads the whole index."""
    return {name: int(amount) for name, amount in session.execute(_differences(segments)).all()}


def correct_totals(session: Session, segments: Segments) -> None:
    """Add what is missing. Others may write meanwhile: their differences and this one add up."""
    if segments.totals is not None:
        statement = insert(segments.totals).from_select(["segment", "amount"], _differences(segments))
        session.execute(statement)


def _columns(segments: Segments) -> Any:
    if segments.totals is None:
        raise ValueError("nobody keeps totals of these segments")
    return segments.totals.c


@lru_cache
def _sums(segments: Segments) -> Select[str, int]:
    totals = _columns(segments)
    return select(totals.segment, func.sum(totals.amount)).group_by(totals.segment)


@lru_cache
def _differences(segments: Segments) -> AnySelect:
    totals = _columns(segments)
    counted = select(segments.column.label("segment"), func.count().label("amount")).group_by(segments.column)
    kept = select(totals.segment, (-func.sum(totals.amount)).label("amount")).group_by(totals.segment)
    both = union_all(counted, kept).subquery()
    difference = func.sum(both.c.amount)
    return select(both.c.segment, difference.label("amount")).group_by(both.c.segment).having(difference != 0)
