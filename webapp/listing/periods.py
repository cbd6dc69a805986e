"""A range of time as marks of the years and months that it spans, for the full-text table.

The table holds two marks of each row's time, three characters like all its trigrams. With them a search
within a period is one intersection inside the index, and no row outside it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

FIRST_YEAR, LAST_YEAR = 1970, 2200
_FIRST, _LAST = FIRST_YEAR * 12, LAST_YEAR * 12 + 11  # in months since the year 0
_YEARS = 0x100  # the character that stands for 1970
_MONTHS = 0x60  # January is "a"


def year_mark(column: str) -> str:
    """SQLite: the mark of a stored time's year, as an expression."""
    return f"'<' || char({_YEARS - FIRST_YEAR} + {_year(column)}) || '>'"


def month_mark(column: str) -> str:
    """SQLite: the mark of a stored time's month, as an expression."""
    year, month = f"CAST(substr({column}, 1, 4) AS INTEGER)", f"CAST(substr({column}, 6, 2) AS INTEGER)"
    clamped = f"CASE WHEN {year} < {FIRST_YEAR} THEN 1 WHEN {year} > {LAST_YEAR} THEN 12 ELSE {month} END"
    return f"'~' || char({_YEARS - FIRST_YEAR} + {_year(column)}) || char({_MONTHS} + {clamped})"


def _year(column: str) -> str:
    """What lies before the first year counts as its first month, what lies after the last as its last."""
    return f"max({FIRST_YEAR}, min({LAST_YEAR}, CAST(substr({column}, 1, 4) AS INTEGER)))"


def marks_touching(low: datetime | None, before: datetime | None) -> list[str]:
    """The fewest years and months that together hold the whole range."""
    first, last = _month_of(low, _FIRST), _month_of(before, _LAST + 1)
    is_cut = before is not None and (before != _start_of(last) or last == _FIRST)
    return list(_marks(max(first, _FIRST), min(last + is_cut, _LAST + 1)))


def marks_inside(low: datetime | None, before: datetime | None) -> list[str]:
    """The years and months that lie wholly within the range."""
    first, last = _month_of(low, _FIRST), _month_of(before, _LAST + 1)
    # The first and the last month hold what lies beyond them too.
    is_cut = low is not None and (low != _start_of(first) or first == _FIRST)
    return list(_marks(first + is_cut, min(last, _LAST) if before is not None else last))


def _marks(month: int, end: int) -> Iterator[str]:
    while month < end:
        year = month // 12
        letter = chr(_YEARS - FIRST_YEAR + year)
        if month % 12 == 0 and month + 12 <= end:
            yield f"<{letter}>"
            month += 12
        else:
            yield f"~{letter}{chr(_MONTHS + 1 + month % 12)}"
            month += 1


def _month_of(moment: datetime | None, default: int) -> int:
    """Months since the year 0, no further than the first and the last there are."""
    if moment is None:
        return default
    moment = moment.astimezone(UTC)
    return max(_FIRST, min(_LAST, moment.year * 12 + moment.month - 1))


def _start_of(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
