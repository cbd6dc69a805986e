"""Exact totals at a flat cost: how many rows each segment of a table has.

Triggers keep them (``webapp/listing/ddl.py``), so no way of writing can forget to. On Postgres every
writing statement *adds* a row with its difference instead of updating a common one: writers never
wait for each other, and the sum is exact in every snapshot. One write in ten folds the rows of its segments
together that nobody else holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, insert, select, union_all
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


def _table(segments: Segments) -> Table:
    if segments.totals is None:
        raise ValueError("nobody keeps totals of these segments")
    return segments.totals


@lru_cache
def _sums(segments: Segments) -> Select[str, int]:
    totals = _table(segments).c
    return select(totals.segment, func.sum(totals.amount)).group_by(totals.segment)


@lru_cache
def _differences(segments: Segments) -> AnySelect:
    return differences(_table(segments), [{"segment": segments.column}])


def differences(kept: Table, keys: Sequence[Mapping[str, ColumnElement[Any]]]) -> AnySelect:
    """What the amounts of ``kept`` lack beside the rows as they are counted, once by each of the ``keys``."""
    counted = [
        select(*(key.label(name) for name, key in by.items()), func.count().label("amount")).group_by(*by)
        for by in keys
    ]
    columns = [kept.c[name] for name in keys[0]]
    summed = select(*columns, (-func.sum(kept.c.amount)).label("amount")).group_by(*columns)
    both = union_all(*counted, summed).subquery().c
    names, difference = [both[name] for name in keys[0]], func.sum(both.amount)
    return select(*names, difference.label("amount")).group_by(*names).having(difference != 0)
