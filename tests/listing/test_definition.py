"""A range touches the months that the database puts its rows in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from tests.conftest import insert_users
from webapp.db import atomic, get_session
from webapp.listing.definition import Range, month_number
from webapp.users.models import USERS

moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
INSTANT = timedelta(microseconds=1)


def number_of(year: int, month: int) -> int:
    return 12 * year + month


@pytest.mark.parametrize(
    ("low", "before", "first", "last"),
    [
        (datetime(2024, 3, 1), datetime(2024, 4, 1), (2024, 3), (2024, 3)),  # noqa: DTZ001
        (datetime(2024, 3, 31, 23), datetime(2024, 4, 1, 0, 0, 0, 1), (2024, 3), (2024, 4)),  # noqa: DTZ001
        (datetime(2023, 12, 31), datetime(2025, 1, 1), (2023, 12), (2024, 12)),  # noqa: DTZ001
    ],
)
def test_the_months_of_a_range(
    low: datetime, before: datetime, first: tuple[int, int], last: tuple[int, int]
) -> None:
    months = Range("created_at", low.replace(tzinfo=UTC), before.replace(tzinfo=UTC)).months
    assert months == range(number_of(*first), number_of(*last) + 1)


def test_months_are_those_of_utc() -> None:
    east = timezone(timedelta(hours=2))  # where a month begins while it is still the one before in UTC
    months = Range("at", datetime(2024, 5, 1, tzinfo=east), datetime(2024, 6, 1, tzinfo=east)).months
    assert months == range(number_of(2024, 4), number_of(2024, 5) + 1)


@pytest.mark.parametrize("bounds", [(None, datetime(2024, 1, 1, tzinfo=UTC)), (datetime.now(UTC), None)])
def test_an_open_range_has_no_months(bounds: tuple[datetime | None, datetime | None]) -> None:
    assert Range("at", *bounds).months is None


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(moments, min_size=1, max_size=20))
def test_the_database_counts_months_as_a_range_does(context: Flask, times: list[datetime]) -> None:
    empty_users()
    rows = [{"email": f"a{n}@example.org", "full_name": "", "created_at": at} for n, at in enumerate(times)]
    insert_users(rows)
    found = get_session().execute(select(USERS.c.created_at, month_number(USERS.c.created_at))).all()
    assert [number for _at, number in found] == [number_of(at.year, at.month) for at, _number in found]
    for at, number in found:
        assert Range("created_at", at, at + INSTANT).months == range(number, number + 1)


@atomic
def empty_users() -> None:
    get_session().execute(delete(USERS))
