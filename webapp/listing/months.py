"""How many rows lie in a period, without counting them one by one.

Beside a table lies how many rows each month has of each segment, kept by triggers like the totals
(``webapp/listing/ddl.py``). Whole months are summed up; only what a period has of a month beside them, or
lacks of one, is counted: hours, where somebody's midnight is not that of UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, func, select
from sqlalchemy.orm import Session

from webapp.listing.clauses import bounds, is_of, quoted, segment_column
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.counts import Counts, off_by
from webapp.listing.ddl import months_triggers
from webapp.listing.definition import Listing, Range, month_number
from webapp.listing.periods import MONTHS, name_of_month
from webapp.listing.types import AnySelect

LAST_MONTH = MONTHS * MAXYEAR + MONTHS


class Remnant(NamedTuple):
    """What of a month a period has more than whole ones (``sign`` 1), or less (-1)."""

    sign: int
    low: datetime
    before: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """A period as the months from ``first`` to before ``end``, and the remnants that are left."""

    first: int
    end: int
    remnants: tuple[Remnant, ...]

    @classmethod
    def of(cls, where: Range) -> Span | None:
        """None for a period that is counted as it is, as its remnants would be no shorter."""
        first, low = (0, None) if where.low is None else _round(where.low, sign=-1)
        end, high = (LAST_MONTH + 1, None) if where.before is None else _round(where.before, sign=1)
        remnants = tuple(remnant for remnant in (low, high) if remnant)
        if where.low is not None and where.before is not None:
            rest = sum((remnant.before - remnant.low for remnant in remnants), timedelta())
            if rest >= where.before - where.low:
                return None
        return cls(first, end, remnants) if first < end else None


def count_period(
    session: Session, listing: Listing, where: Range, names: tuple[str, ...] | None
) -> Count | None:
    """How many rows of the segments of these ``names``, or of all, lie in a range that months are known of;
    None where too many rows of a month would be to count.
    """
    span = Span.of(where)
    if span is None:
        return None
    most = MOST_COUNTED + 1
    values: dict[str, int | datetime] = {"first": span.first, "end": span.end, "most": most}
    for number, remnant in enumerate(span.remnants):
        values |= {f"low_{number}": remnant.low, f"before_{number}": remnant.before}
    whole, *parts = session.execute(_count(listing, where.sort, names, len(span.remnants)), values).one()
    counted = list(zip((remnant.sign for remnant in span.remnants), map(int, parts), strict=True))
    if any(sign > 0 and part >= most for sign, part in counted):
        return Count.capped(most)
    if any(part >= most for _sign, part in counted):
        return None
    return Count(int(whole) + sum(sign * part for sign, part in counted))


def count_months(listing: Listing, sort: str) -> Counts:
    table, time, segment = listing.row_id.table, listing.sorts[sort].column, segment_column(listing)
    return Counts(
        table=listing.monthly[sort].totals,
        keys=({"month": month_number(time), "segment": segment},),
        triggers=lambda is_sqlite: months_triggers(table.name, segment.name, time.name, is_sqlite=is_sqlite),
        describe=lambda row: (
            f"The total of {row.segment} in {name_of_month(row.month)} is {off_by(row.amount)}."
        ),
    )


def _round(moment: datetime, *, sign: int) -> tuple[int, Remnant | None]:
    """The month that begins nearest, and what lies between; ``sign`` is of what lies before the moment."""
    moment = moment.astimezone(UTC)
    month = MONTHS * moment.year + moment.month
    begin = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    if moment == begin:
        return month, None
    if month < LAST_MONTH:
        year, number = divmod(month, MONTHS)  # of the next one
        end = datetime(year, number + 1, 1, tzinfo=UTC)
        if end - moment < moment - begin:
            return month + 1, Remnant(-sign, moment, end)
    return month, Remnant(sign, begin, moment)


@lru_cache(maxsize=1_000)
def _count(listing: Listing, sort: str, names: tuple[str, ...] | None, remnants: int) -> AnySelect:
    """The sum of the months, and the number of the rows in each remnant, up to ``most``."""
    kept = listing.monthly[sort].totals.c
    first, end = (bindparam(name, type_=Integer) for name in ("first", "end"))
    whole = select(func.coalesce(func.sum(kept.amount), 0)).where(kept.month >= first, kept.month < end)
    if names is not None:
        whole = whole.where(kept.segment.in_(list(map(quoted, names))))
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
    return select(whole.scalar_subquery(), *numbers)
