"""Time as marks of years, months and days, for the search's index.

The index holds marks of each row's time, three characters like its trigrams. With them a search within a
period is one intersection inside the index, and hardly a row outside it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

FIRST_YEAR, LAST_YEAR = 1970, 2200
MONTHS = 12  # of a year
DAYS = 31  # of a month, at most
_FIRST, _END = date(FIRST_YEAR, 1, 1), date(LAST_YEAR + 1, 1, 1)
DAY, NO_DAY, INSTANT = timedelta(days=1), timedelta(0), timedelta(microseconds=1)
_YEARS = 0x100  # the character that stands for 1970
_MONTHS = 0x60  # January is "a"
_DAYS = 0x100  # and so many for each month


@dataclass(frozen=True, slots=True)
class Signs:
    """What the marks of one time begin and end with; another time in the same index has others."""

    year: str = "<"
    year_end: str = ">"
    month: str = "~"
    day: str = "+"


CREATION = Signs()


def year_mark(column: str, signs: Signs = CREATION) -> str:
    """SQLite: the mark of a stored time's year, as an expression."""
    return f"'{signs.year}' || char({_YEARS - FIRST_YEAR} + {_year(column)}) || '{signs.year_end}'"


def month_mark(column: str, signs: Signs = CREATION) -> str:
    """SQLite: the mark of a stored time's month, as an expression."""
    year, month = f"CAST(substr({column}, 1, 4) AS INTEGER)", f"CAST(substr({column}, 6, 2) AS INTEGER)"
    clamped = f"CASE WHEN {year} < {FIRST_YEAR} THEN 1 WHEN {year} > {LAST_YEAR} THEN 12 ELSE {month} END"
    return f"'{signs.month}' || char({_YEARS - FIRST_YEAR} + {_year(column)}) || char({_MONTHS} + {clamped})"


def day_mark(column: str, signs: Signs = CREATION) -> str:
    """SQLite: the mark of a stored time's day, as an expression."""
    moment = f"max('{FIRST_YEAR}-01-01', min('{LAST_YEAR}-12-31', substr({column}, 1, 10)))"
    month, day = f"CAST(substr({moment}, 6, 2) AS INTEGER)", f"CAST(substr({moment}, 9, 2) AS INTEGER)"
    year = f"char({_YEARS - FIRST_YEAR} + {_year(column)})"
    return f"'{signs.day}' || {year} || char({_DAYS} + 32 * {month} + {day})"


def _year(column: str) -> str:
    """What lies before the first year counts as its first month, what lies after the last as its last."""
    return f"max({FIRST_YEAR}, min({LAST_YEAR}, CAST(substr({column}, 1, 4) AS INTEGER)))"


def postgres_marks(column: str, signs: Signs, *, has_days: bool) -> str:
    """Postgres: the marks of a time's year, month and perhaps day, as an array. NULL is the first of all."""
    first, last = f"timestamp '{FIRST_YEAR}-01-01'", f"timestamp '{LAST_YEAR}-12-31'"
    moment = f"least({last}, greatest({first}, {column} AT TIME ZONE 'UTC'))"  # it passes over NULL
    year, month, day = (f"date_part('{part}', {moment})::integer" for part in ("year", "month", "day"))
    letter = f"chr({_YEARS - FIRST_YEAR} + {year})"
    marks = [
        f"'{signs.year}' || {letter} || '{signs.year_end}'",
        f"'{signs.month}' || {letter} || chr({_MONTHS} + {month})",
        f"'{signs.day}' || {letter} || chr({_DAYS} + 32 * {month} + {day})",
    ]
    return f"ARRAY[{', '.join(marks if has_days else marks[:2])}]"


def month_number(moment: str, *, is_sqlite: bool) -> str:
    """The month of a stored time in UTC, counted from the year 0, as an expression."""
    if is_sqlite:
        year, month = (f"CAST(substr({moment}, {place}) AS INTEGER)" for place in ("1, 4", "6, 2"))
    else:
        year, month = (
            f"date_part('{part}', {moment} AT TIME ZONE 'UTC')::integer" for part in ("year", "month")
        )
    return f"({MONTHS} * {year} + {month})"


def day_number(moment: str, *, is_sqlite: bool) -> str:
    """The day of a stored time in UTC, as an expression: counted from the year 0 as if each month had 31, so
    that divided by them it is the month.
    """
    if is_sqlite:
        day = f"CAST(substr({moment}, 9, 2) AS INTEGER)"
    else:
        day = f"date_part('day', {moment} AT TIME ZONE 'UTC')::integer"
    return f"({DAYS} * ({month_number(moment, is_sqlite=is_sqlite)} - 1) + {day} - 1)"


def day_number_of(day: date) -> int:
    return DAYS * (MONTHS * day.year + day.month - 1) + day.day - 1


def marks_around(
    moment: datetime, signs: Signs, *, has_days: bool
) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    """The marks of a moment's year, month and perhaps day, each with its bounds [from, before)."""
    day = _day_of(moment)
    month = day.replace(day=1)
    year = month.replace(month=1)
    spans = [(year, _next_year(year)), (month, _next_month(month)), (day, day + DAY)]
    for start, end in spans if has_days else spans[:2]:
        (mark,) = _marks(start, end, signs)
        # The first of all holds what lies before it, too, and the last what lies after it.
        yield mark, None if start == _FIRST else _midnight(start), None if end == _END else _midnight(end)


def marks_touching(
    low: datetime | None, before: datetime | None, signs: Signs = CREATION, *, has_days: bool = False
) -> list[str]:
    """The fewest years, months and days that together hold the whole range."""
    start = _FIRST if low is None else _day_of(low)
    end = _END if before is None else _day_of(max(before, _midnight(_FIRST) + INSTANT) - INSTANT) + DAY
    if not has_days:
        start, end = start.replace(day=1), _month_from(end)
    return list(_marks(start, end, signs))


def marks_inside(
    low: datetime | None, before: datetime | None, signs: Signs = CREATION, *, has_days: bool = False
) -> list[str]:
    """The years, months and days that lie wholly within the range: not the first and the last of all, where
    it has bounds, for they hold what lies beyond them too.
    """
    start, end = _FIRST, _END
    if low is not None:
        start = _day_of(low)
        start += DAY if low > _midnight(start) or start == _FIRST else NO_DAY
    if before is not None:
        end = _day_of(before)
    if not has_days:
        start, end = _month_from(start), end.replace(day=1)
    return list(_marks(start, end, signs))


def _marks(day: date, end: date, signs: Signs) -> Iterator[str]:
    while day < end:
        letter = chr(_YEARS - FIRST_YEAR + day.year)
        if day.month == day.day == 1 and _next_year(day) <= end:
            yield f"{signs.year}{letter}{signs.year_end}"
            day = _next_year(day)
        elif day.day == 1 and _next_month(day) <= end:
            yield f"{signs.month}{letter}{chr(_MONTHS + day.month)}"
            day = _next_month(day)
        else:
            yield f"{signs.day}{letter}{chr(_DAYS + 32 * day.month + day.day)}"
            day += DAY


def _day_of(moment: datetime) -> date:
    return min(max(moment.astimezone(UTC).date(), _FIRST), _END - DAY)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _month_from(day: date) -> date:
    """The first that begins on that day or later."""
    return day if day.day == 1 else _next_month(day)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _next_year(day: date) -> date:
    return date(day.year + 1, 1, 1)
