"""Marks of years and months hold just the times of a range: none is left out, few are too many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from webapp.extensions import sqla
from webapp.listing.periods import FIRST_YEAR, LAST_YEAR, marks_inside, marks_touching, month_mark, year_mark

quick = settings(max_examples=200, deadline=None)
days = st.datetimes(datetime(1970, 1, 1), datetime(2200, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
bounds = st.none() | days
INSTANT = timedelta(microseconds=1)


def marks_of(moment: datetime) -> set[str]:
    """What the database writes beside a row of that time."""
    with sqla.engine.connect() as connection:
        found = connection.execute(
            text(f"SELECT {year_mark(':time')}, {month_mark(':time')}"),
            {"time": moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")},
        ).one()
    return set(found)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_mark_is_three_characters_and_no_two_months_share_one(context: Flask) -> None:
    marks = [
        marks_of(datetime(year, month, 15, tzinfo=UTC)) for year in (1970, 2024, 2200) for month in (1, 12)
    ]
    assert {len(mark) for pair in marks for mark in pair} == {3}
    assert len(set().union(*marks)) == 3 + 6


@settings(max_examples=150, deadline=None)
@given(low=bounds, before=bounds, moment=days)
def test_a_time_in_the_range_has_a_mark_of_it_and_one_inside_has_no_other(
    low: datetime | None, before: datetime | None, moment: datetime
) -> None:
    is_within = (low is None or moment >= low) and (before is None or moment < before)
    marks = expected_marks(moment)
    if is_within:
        assert marks & set(marks_touching(low, before))
    if marks & set(marks_inside(low, before)):
        assert is_within


def expected_marks(moment: datetime) -> set[str]:
    """In Python what year_mark() and month_mark() say in SQL."""
    year = chr(0x100 - FIRST_YEAR + moment.year)
    return {f"<{year}>", f"~{year}{chr(0x60 + moment.month)}"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "moment",
    [datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), datetime(2200, 12, 31, tzinfo=UTC)],
)
def test_the_database_writes_what_python_expects(context: Flask, moment: datetime) -> None:
    assert marks_of(moment) == expected_marks(moment)


def test_whole_years_are_one_mark_each() -> None:
    start, end = datetime(2023, 11, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)
    assert len(marks_touching(start, end)) == len(marks_inside(start, end)) == 2 + 1 + 1


def test_a_month_that_is_cut_is_touched_and_not_inside() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert len(marks_touching(start, start + INSTANT)) == 1
    assert marks_inside(start, start + INSTANT) == []
    assert marks_inside(start + INSTANT, datetime(2024, 2, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("low", [datetime(2024, 3, 1, tzinfo=UTC), datetime(LAST_YEAR + 2, 1, 1, tzinfo=UTC)])
def test_where_nothing_can_lie_there_is_no_mark(low: datetime) -> None:
    assert marks_touching(low, datetime(2024, 1, 1, tzinfo=UTC)) == []


def test_no_bounds_are_every_year() -> None:
    assert len(marks_touching(None, None)) == LAST_YEAR - FIRST_YEAR + 1
