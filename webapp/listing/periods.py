"""A range of time as marks of the years and months that it spans, for the full-text table.

The table holds two marks of each row's time, three characters like all its trigrams. With them a search
within a period is one intersection inside the index, and no row outside it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

FIRST_YEAR, LAST_YEAR = 1970, 2200
_YEARS = 0x100  # the character that stands for 1970
_MONTHS = 0x60  # January is "a"


def year_mark(column: str) -> str:
    """SQLite: the mark of a stored time's year, as an expression."""
    return f"'<' || char({_YEARS - FIRST_YEAR} + CAST(substr({column}, 1, 4) AS INTEGER)) || '>'"


def month_mark(column: str) -> str:
    """SQLite: the mark of a stored time's month, as an expression."""
    year = f"char({_YEARS - FIRST_YEAR} + CAST(substr({column}, 1, 4) AS INTEGER))"
    return f"'~' || {year} || char({_MONTHS} + CAST(substr({column}, 6, 2) AS INTEGER))"


def marks_touching(low: datetime | None, before: datetime | None) -> list[str]:
    """The fewest years and months that together hold the whole range."""
    first, last = _month_of(low), _month_of(before, default=(LAST_YEAR + 1) * 12)
    is_cut = before is not None and before != _start_of(last)
    return list(_marks(first, last + is_cut))


def marks_inside(low: datetime | None, before: datetime | None) -> list[str]:
    """The years and months that lie wholly within the range."""
    first, last = _month_of(low), _month_of(before, default=(LAST_YEAR + 1) * 12)
    is_cut = low is not None and low != _start_of(first)
    return list(_marks(first + is_cut, last))


def _marks(first: int, end: int) -> Iterator[str]:
    month = max(first, FIRST_YEAR * 12)
    end = min(end, (LAST_YEAR + 1) * 12)
    while month < end:
        year = month // 12
        letter = chr(_YEARS - FIRST_YEAR + year)
        if month % 12 == 0 and month + 12 <= end:
            yield f"<{letter}>"
            month += 12
        else:
            yield f"~{letter}{chr(_MONTHS + 1 + month % 12)}"
            month += 1


def _month_of(moment: datetime | None, default: int = FIRST_YEAR * 12) -> int:
    """Months since the year 0."""
    if moment is None:
        return default
    moment = moment.astimezone(UTC)
    return moment.year * 12 + moment.month - 1


def _start_of(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
