"""How many rows lie in a period, without counting them one by one.

Beside a table lies how many rows each month and each day has of each segment, kept by triggers like the
totals (``webapp/listing/ddl.py``). They are summed up; only what a period has of a day beside them, or lacks
of one, is counted: hours, where somebody's midnight is not that of UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, func, literal_column, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from webapp.listing import periods
from webapp.listing.clauses import bounds, is_of, quoted, segment_column
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.counts import Counts, off_by
from webapp.listing.ddl import spans_triggers
from webapp.listing.definition import Listing, Range
from webapp.listing.periods import DAY, DAYS, MONTHS, day_number_of
from webapp.listing.types import AnyRow, AnySelect

LENGTHS = (DAYS, 1)  # of a month and of a day
LAST_DAY = day_number_of(date.max)


class day_number(FunctionElement[int]):
    """The day of a stored time: see ``periods.day_number``."""

    type = Integer()
    inherit_cache = True


@compiles(day_number, "sqlite")
def _day_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return periods.day_number(compiler.process(element.clauses, **options), is_sqlite=True)


@compiles(day_number)
def _day_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return periods.day_number(compiler.process(element.clauses, **options), is_sqlite=False)


class Remnant(NamedTuple):
    """What of a day a period has beside whole ones (``sign`` 1), or lacks of them (-1)."""

    sign: int
    low: datetime
    before: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """A period as the days from ``first`` to before ``end``, by their numbers, and what is left."""

    first: int
    end: int
    remnants: tuple[Remnant, ...]

    @classmethod
    def of(cls, where: Range) -> Span | None:
        """None where it is hours of one day."""
        first, low = (0, None) if where.low is None else _round(where.low, sign=-1)
        end, high = (LAST_DAY + 1, None) if where.before is None else _round(where.before, sign=1)
        return cls(first, end, tuple(rest for rest in (low, high) if rest)) if first < end else None

    @property
    def parts(self) -> dict[str, int]:
        """Its whole months, and its days before and after them: from … to before …"""
        month, after = -(-self.first // DAYS), self.end // DAYS
        if month >= after:
            return {"month": 0, "after": 0, "first": self.first, "first_end": self.end, "last": 0, "end": 0}
        return {
            "month": month,
            "after": after,
            "first": self.first,
            "first_end": month * DAYS,
            "last": after * DAYS,
            "end": self.end,
        }


def count_period(
    session: Session, listing: Listing, where: Range, names: tuple[str, ...] | None
) -> Count | None:
    """How many rows of the segments of these ``names``, or of all, lie in a range that has a calendar; None
    where they are to be counted as they are.
    """
    span = Span.of(where)
    if span is None:
        return None
    most = MOST_COUNTED + 1
    values: dict[str, int | datetime] = {**span.parts, "most": most}
    for number, remnant in enumerate(span.remnants):
        values |= {f"low_{number}": remnant.low, f"before_{number}": remnant.before}
    whole, *parts = session.execute(_count(listing, where.sort, names, len(span.remnants)), values).one()
    counted = list(zip((remnant.sign for remnant in span.remnants), map(int, parts), strict=True))
    if any(sign > 0 and part >= most for sign, part in counted):
        return Count.capped(most)
    if any(part >= most for _sign, part in counted):
        return None
    return Count(int(whole) + sum(sign * part for sign, part in counted))


def count_spans(listing: Listing, sort: str) -> Counts:
    table, time, segment = listing.row_id.table, listing.sorts[sort].column, segment_column(listing)
    day = day_number(time)
    lengths = [literal_column(str(days), Integer) for days in LENGTHS]
    return Counts(
        table=listing.calendars[sort].spans,
        keys=tuple(
            {"days": days, "number": day.op("/", return_type=Integer())(days), "segment": segment}
            for days in lengths
        ),
        triggers=lambda is_sqlite: spans_triggers(
            table.name, segment.name, time.name, LENGTHS, is_sqlite=is_sqlite
        ),
        describe=_describe,
    )


def _describe(row: AnyRow) -> str:
    day = row.number * row.days
    month, year = day // DAYS % MONTHS + 1, day // DAYS // MONTHS
    when = f"in {year:04}-{month:02}" if row.days > 1 else f"on {year:04}-{month:02}-{day % DAYS + 1:02}"
    return f"The total of {row.segment} {when} is {off_by(row.amount)}."


def _round(moment: datetime, *, sign: int) -> tuple[int, Remnant | None]:
    """The day that begins nearest, and what lies between; ``sign`` is of what lies before the moment."""
    moment = moment.astimezone(UTC)
    begin = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if moment == begin:
        return day_number_of(begin.date()), None
    if moment - begin > DAY / 2 and begin.date() < date.max:
        end = begin + DAY
        return day_number_of(end.date()), Remnant(-sign, moment, end)
    return day_number_of(begin.date()), Remnant(sign, begin, moment)


@lru_cache(maxsize=1_000)
def _count(listing: Listing, sort: str, names: tuple[str, ...] | None, remnants: int) -> AnySelect:
    """The sum of the months and days, and the number of the rows in each remnant, up to ``most``."""
    kept = listing.calendars[sort].spans.c
    whole = [
        select(kept.amount).where(
            kept.days == literal_column(str(days)),
            kept.number >= bindparam(low, type_=Integer),
            kept.number < bindparam(end, type_=Integer),
            *([] if names is None else [kept.segment.in_(list(map(quoted, names)))]),
        )
        for days, low, end in ((DAYS, "month", "after"), (1, "first", "first_end"), (1, "last", "end"))
    ]
    amounts = union_all(*whole).subquery().c.amount
    key, row, segments = listing.sorts[sort].column, listing.row_id, listing.segments
    indexed = names or (segments.names if segments else ())
    parts = [
        select(row)
        .where(*bounds(key, f"low_{number}", f"before_{number}"), is_of(listing, indexed))
        .limit(bindparam("most", type_=BigInteger))
        .subquery()
        for number in range(remnants)
    ]
    numbers = [select(func.count()).select_from(part).scalar_subquery() for part in parts]
    return select(select(func.coalesce(func.sum(amounts), 0)).scalar_subquery(), *numbers)
