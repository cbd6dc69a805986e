"""Amounts that lie beside a table and are to be summed up, instead of counting its rows.

Triggers keep them (``webapp/listing/ddl.py``), so no way of writing can forget to. On Postgres every writing
statement *adds* rows with its differences instead of updating common ones: writers never wait for each other,
and the sum is exact in every snapshot. One write in ten folds those rows of its own keys together that nobody
else holds.

What is summed up: ``totals.py`` by segments, ``places.py`` by blocks of ids, ``spans.py`` by months and days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, select, union_all
from sqlalchemy.orm import Session

from webapp.listing.types import AnyRow, AnySelect


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The rows are counted in ``table`` once by each of the ``keys``, which say what they are of a row.

    ``triggers`` gives the statements that make them, for SQLite if it is true; ``describe`` says what
    is wrong, of a row of the keys and the ``amount`` that is lacking.
    """

    table: Table
    keys: tuple[Mapping[str, ColumnElement[Any]], ...]
    triggers: Callable[[bool], list[str]]
    describe: Callable[[AnyRow], str]

    def find_faults(self, session: Session) -> list[str]:
        """In words; reads every row."""
        found = session.execute(self._differences().order_by(*self.keys[0])).all()
        return list(dict.fromkeys(map(self.describe, found)))

    def correct(self, session: Session) -> None:
        """Add what is missing. Others may write meanwhile: their differences and this one add up."""
        session.execute(insert(self.table).from_select([*self.keys[0], "amount"], self._differences()))

    def _differences(self) -> AnySelect:
        """What the amounts lack (or, negative, have too many) beside the rows as they are counted."""
        kept, names = self.table.c, list(self.keys[0])
        counted = [
            select(*(key.label(name) for name, key in by.items()), func.count().label("amount")).group_by(*by)
            for by in self.keys
        ]
        columns = [kept[name] for name in names]
        summed = select(*columns, (-func.sum(kept.amount)).label("amount")).group_by(*columns)
        both = union_all(*counted, summed).subquery().c
        difference = func.sum(both.amount)
        grouped = select(*(both[name] for name in names), difference.label("amount")).group_by(
            *(both[name] for name in names)
        )
        return grouped.having(difference != 0)


def off_by(amount: int) -> str:
    """What is said of a sum that lacks so many."""
    return f"{abs(amount)} too {'low' if amount > 0 else 'high'}"
