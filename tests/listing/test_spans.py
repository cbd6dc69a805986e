"""The months and days equal count(*) of each after any writes, and tell how many rows a period has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import MAXYEAR, UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update

from tests.conftest import insert_users
from tests.listing.ways import forced
from tests.racing import race
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.listing.counting import Count
from webapp.listing.definition import Range
from webapp.listing.page import PageRequest, count_rows, paginate
from webapp.listing.spans import Span, count_period, count_spans
from webapp.users.models import SPANS, USERS, User
from webapp.users.queries import LISTING, STATUSES, select_users

on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
INSTANT, HOUR = timedelta(microseconds=1), timedelta(hours=1)
JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
# About where months begin, and in their midst; and as far away as a year can be written.
moments = st.builds(
    lambda month, step: month + step,
    st.sampled_from([JANUARY, datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)]),
    st.sampled_from([timedelta(0), -INSTANT, INSTANT, HOUR, -HOUR])
    | st.integers(0, 29).map(lambda days: timedelta(days=days)),
) | st.sampled_from([datetime(1, 1, 2, tzinfo=UTC), datetime(MAXYEAR, 12, 31, 23, 59, tzinfo=UTC)])


def spans_of(moment: datetime) -> list[tuple[int, int]]:
    day = 31 * (12 * moment.year + moment.month - 1) + moment.day - 1
    return [(31, day // 31), (1, day)]


def counted() -> Counter[tuple[int, int, str]]:
    """The oracle: asked of the rows."""
    rows = get_session().execute(select(USERS.c.created_at, USERS.c.segment)).all()
    return Counter((*span, row.segment) for row in rows for span in spans_of(row.created_at))


def kept() -> dict[tuple[int, int, str], int]:
    columns = (SPANS.c.days, SPANS.c.number, SPANS.c.segment)
    statement = select(*columns, func.sum(SPANS.c.amount)).group_by(*columns)
    return {(row[0], row[1], row[2]): int(row[3]) for row in get_session().execute(statement) if row[3]}


def person(number: int, **columns: Any) -> dict[str, Any]:
    return {"full_name": "Ann", "email": f"ann{number}@x.example", **columns}


@atomic
def run(statement: Any) -> None:
    get_session().execute(statement)


states = st.fixed_dictionaries(
    {"role": st.sampled_from(list(Role)), "is_active": st.booleans(), "created_at": moments}
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(states, min_size=1, max_size=5)),
        st.tuples(st.just("change"), st.integers(0, 2), states),
        st.tuples(st.just("rename"), st.integers(0, 2)),
        st.tuples(st.just("delete"), st.integers(0, 2)),
    ),
    max_size=7,
)


def take(step: tuple[Any, ...], numbers: Iterator[int]) -> None:
    match step:
        case "insert", people:
            insert_users([person(next(numbers), **columns) for columns in people])
        case "change", remainder, columns:
            run(update(User).where(User.id % 3 == remainder).values(**columns))
        case "rename", remainder:
            run(update(User).where(User.id % 3 == remainder).values(full_name="Bob"))
        case "delete", remainder:
            run(delete(User).where(User.id % 3 == remainder))


@slow
@given(steps=steps)
def test_after_any_sequence_of_writes_the_spans_are_the_counts(
    context: Flask, steps: list[tuple[Any, ...]]
) -> None:
    run(delete(User))
    numbers = count()
    for step in steps:
        take(step, numbers)
        assert kept() == counted()
        get_session().rollback()


@slow
@given(
    created=st.lists(moments, max_size=30),
    inactive=st.sets(st.integers(0, 29)),
    status=st.sampled_from([None, *STATUSES]),
    low=st.none() | moments,
    before=st.none() | moments,
    most=st.integers(1, 40),
)
def test_a_period_has_as_many_as_lie_in_it(
    context: Flask,
    created: list[datetime],
    inactive: set[int],
    status: str | None,
    low: datetime | None,
    before: datetime | None,
    most: int,
) -> None:
    run(delete(User))
    if created:
        insert_users(
            [
                person(number, created_at=moment, is_active=number not in inactive)
                for number, moment in enumerate(created)
            ]
        )
    fitting = [
        moment
        for number, moment in enumerate(created)
        if (low is None or moment >= low)
        and (before is None or moment < before)
        and status in (None, "inactive" if number in inactive else "active", number in inactive or "invited")
    ]
    selection = select_users(status=status, created_from=low, created_before=before)
    with forced({}, most_counted=most):
        counted_ = count_rows(get_session(), LISTING, selection)
    if counted_.is_exact:
        assert counted_.value == len(fitting)
    else:
        assert counted_.value == most < len(fitting)


@pytest.mark.parametrize(
    ("low", "before", "days", "remnants"),
    [
        (JANUARY, datetime(2025, 1, 1, tzinfo=UTC), 372, []),
        (JANUARY, datetime(2024, 1, 8, tzinfo=UTC), 7, []),
        (None, None, 372 * 10_000, []),
        # A year of Prague: an hour more at its beginning, and one less at its end.
        (JANUARY - HOUR, datetime(2025, 1, 1, tzinfo=UTC) - HOUR, 372, [(1, HOUR), (-1, HOUR)]),
        (JANUARY + HOUR, datetime(2025, 1, 1, tzinfo=UTC) + HOUR, 372, [(-1, HOUR), (1, HOUR)]),
        (JANUARY + 11 * HOUR, JANUARY + 13 * HOUR, 1, [(-1, 11 * HOUR), (-1, 11 * HOUR)]),
        (JANUARY, datetime(MAXYEAR, 12, 31, 23, tzinfo=UTC), None, [(1, 23 * HOUR)]),
    ],
)
def test_whole_days_leave_little_to_count(
    low: datetime | None,
    before: datetime | None,
    days: int | None,
    remnants: list[tuple[int, timedelta]],
) -> None:
    span = Span.of(Range("created_at", low, before))
    assert span is not None
    assert [(rest.sign, rest.before - rest.low) for rest in span.remnants] == remnants
    assert days in {None, span.end - span.first}


@given(first=st.integers(0, 4_000), days=st.integers(1, 4_000))
def test_months_and_days_are_the_span(first: int, days: int) -> None:
    parts = Span(first, first + days, ()).parts
    found = [*range(parts["first"], parts["first_end"])]
    found += [
        day for month in range(parts["month"], parts["after"]) for day in range(31 * month, 31 * month + 31)
    ]
    found += range(parts["last"], parts["end"])
    assert found == [*range(first, first + days)]
    assert len(found) - 31 * (parts["after"] - parts["month"]) <= 60


@pytest.mark.parametrize(("low", "before"), [(1, 2), (13, 14), (0, 11)])
def test_a_few_hours_are_counted_as_they_are(low: int, before: int) -> None:
    assert Span.of(Range("created_at", JANUARY + low * HOUR, JANUARY + before * HOUR)) is None


def test_a_whole_period_is_counted_beyond_the_most_that_are_counted(context: Flask) -> None:
    """And one jumps as far where the list is in the order of the period, but no further elsewhere."""
    insert_users([person(number, created_at=JANUARY + number * HOUR) for number in range(24)])
    insert_users([person(99, created_at=JANUARY - HOUR)])
    year = select_users(created_from=JANUARY, created_before=datetime(2025, 1, 1, tzinfo=UTC))
    with forced({}, most_counted=10):
        assert count_rows(get_session(), LISTING, year) == Count(24)
        far = paginate(get_session(), LISTING, year, PageRequest(sort="created_at", size=5, number=5))
        assert [row.created_at for row in far.rows] == [JANUARY + number * HOUR for number in range(20, 24)]
        assert (far.position, far.is_too_far) == (20, False)
        for sort in ("name", "email", "id"):
            near = paginate(get_session(), LISTING, year, PageRequest(sort=sort, size=5, number=2))
            assert (len(near.rows), near.is_too_far) == (5, False)
            far = paginate(get_session(), LISTING, year, PageRequest(sort=sort, size=5, number=3))
            assert (len(far.rows), far.is_past_end, far.is_too_far) == (0, True, True)


def test_a_remnant_with_too_many_rows_is_not_counted_to_its_end(context: Flask) -> None:
    insert_users([person(number, created_at=JANUARY + HOUR) for number in range(6)])
    begin, end = JANUARY + 2 * HOUR, datetime(2025, 1, 1, tzinfo=UTC)
    before, after = Range("created_at", JANUARY - HOUR, begin), Range("created_at", begin, end)
    for where, number in ((Range("created_at", JANUARY + INSTANT, end), 6), (before, None), (after, 0)):
        with forced({}, most_counted=6):
            count = count_period(get_session(), LISTING, where, None)
        assert count == (None if number is None else Count(number))
    with forced({}, most_counted=5):
        assert count_period(get_session(), LISTING, after, None) is None  # they would be to take off
        until = Range("created_at", JANUARY - 40 * 24 * HOUR, begin)
        assert count_period(get_session(), LISTING, until, None) == Count(5, is_exact=False)


def test_a_period_is_one_query(
    context: Flask, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    insert_users([person(number, created_at=JANUARY + number * HOUR) for number in range(3)])
    year = select_users(created_from=JANUARY - HOUR, created_before=datetime(2025, 1, 1, tzinfo=UTC) - HOUR)
    with count_queries() as statements:
        assert count_rows(get_session(), LISTING, year) == Count(3)
    assert len(statements) == 1


@atomic
def change_some(turn: int) -> None:
    """One writer's transaction of several statements."""
    numbers = count(turn * 100)
    insert_users([person(next(numbers), created_at=JANUARY - turn * HOUR) for _ in range(3)])
    rows = select(User.id).where(User.id % 5 == turn % 5).order_by(User.id).with_for_update()
    ids = get_session().scalars(rows).all()
    get_session().execute(update(User).where(User.id.in_(ids)).values(is_active=bool(turn % 2)))
    if ids and turn % 3 == 0:
        get_session().execute(delete(User).where(User.id == ids[-1]))


def test_writers_at_once_lose_no_difference(file_app: Flask) -> None:
    def work(number: int) -> Callable[[], None]:
        def write() -> None:
            for turn in range(6):
                change_some(number * 50 + turn)

        return write

    assert race(file_app, *(work(number) for number in range(5))) == [None] * 5
    with file_app.app_context():
        assert kept() == counted() != {}


@on_postgres
def test_differences_of_a_span_are_folded_together_now_and_then(context: Flask) -> None:
    insert_users([person(1, created_at=JANUARY)])
    for turn in range(100):
        run(update(User).values(is_active=bool(turn % 2)))
    assert 1 <= (get_session().scalar(select(func.count()).select_from(SPANS)) or 0) < 400
    assert kept() == counted()


@on_postgres
def test_a_table_that_is_emptied_at_once_has_no_spans(context: Flask) -> None:
    insert_users([person(1, created_at=JANUARY)])
    run(text("TRUNCATE users CASCADE"))
    assert kept() == counted() == {}


def test_a_difference_is_found_and_put_right(context: Flask) -> None:
    counts = count_spans(LISTING, "created_at")

    @atomic
    def correct() -> None:
        counts.correct(get_session())

    insert_users([person(1, created_at=JANUARY), person(2, created_at=JANUARY - HOUR)])
    assert counts.find_faults(get_session()) == []
    month, day = spans_of(JANUARY)
    run(update(SPANS).where(SPANS.c.number == month[1]).values(amount=9))
    run(insert(SPANS).values(days=1, number=day[1] + 1, segment="#aa", amount=-2))
    assert counts.find_faults(get_session()) == [
        "The total of #aa on 2024-01-02 is 2 too low.",
        "The total of #mi in 2024-01 is 8 too high.",
    ]
    correct()
    assert counts.find_faults(get_session()) == []
    assert kept() == counted()
