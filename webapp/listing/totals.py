"""Exact totals at a flat cost: how many rows each segment of a table has (see ``counts.py``)."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Select, Table, func, select
from sqlalchemy.orm import Session

from webapp.listing.counts import Counts, off_by
from webapp.listing.ddl import totals_triggers
from webapp.listing.definition import Segments


def read_totals(session: Session, segments: Segments) -> dict[str, int]:
    """The number of rows of each segment that was ever used."""
    return {name: int(amount) for name, amount in session.execute(_sums(segments)).all()}


def count_segments(segments: Segments) -> Counts:
    column = segments.column
    return Counts(
        table=_table(segments),
        keys=({"segment": column},),
        triggers=lambda is_sqlite: totals_triggers(column.table.name, column.name, is_sqlite=is_sqlite),
        describe=lambda row: f"The total of {row.segment} is {off_by(row.amount)}.",
    )


def _table(segments: Segments) -> Table:
    if segments.totals is None:
        raise ValueError("nobody keeps totals of these segments")
    return segments.totals


@lru_cache
def _sums(segments: Segments) -> Select[str, int]:
    totals = _table(segments).c
    return select(totals.segment, func.sum(totals.amount)).group_by(totals.segment)
