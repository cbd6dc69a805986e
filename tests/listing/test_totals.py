"""The totals equal count(*) after any writes, by whatever way, also by many writers at once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, insert, select, text, update

from tests.conftest import insert_users
from tests.listing.ways import write_much
from tests.racing import race
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.extensions import sqla
from webapp.listing.totals import count_segments, read_totals
from webapp.users.models import TOTALS, USERS, User, segment_of
from webapp.users.queries import PARTS, count_users

on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def counted() -> dict[str, int]:
    """The oracle: asked of the rows."""
    statement = select(USERS.c.segment, func.count().label("rows")).group_by(USERS.c.segment)
    return {row.segment: row.rows for row in get_session().execute(statement)}


def kept() -> dict[str, int]:
    return {segment: number for segment, number in read_totals(get_session(), PARTS).items() if number}


def person(number: int, **columns: Any) -> dict[str, Any]:
    return {"full_name": f"Ann {number}", "email": f"ann{number}@x.example", **columns}


roles = st.sampled_from(list(Role))
states = st.fixed_dictionaries(
    {"role": roles, "is_active": st.booleans(), "hashed_password": st.sampled_from([None, "no hash"])}
)
# What each step does to which rows: insert many, change those of a remainder, delete those, give up half way.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(states, min_size=1, max_size=5)),
        st.tuples(st.just("update"), st.integers(1, 4), states),
        st.tuples(st.just("rename"), st.integers(1, 4)),
        st.tuples(st.just("delete"), st.integers(1, 4)),
        st.tuples(st.just("fail"), st.integers(1, 4), states),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_after_any_sequence_of_writes_the_totals_are_the_counts(
    context: Flask, steps: list[tuple[Any, ...]]
) -> None:
    numbers = iter(range(1, 1_000))
    clear()
    for step in steps:
        with suppress(ZeroDivisionError):
            take(step, numbers)
        assert kept() == counted()
        assert sum(kept().values()) == count_users()
        get_session().rollback()


@atomic
def clear() -> None:
    get_session().execute(delete(User))


@atomic
def take(step: tuple[Any, ...], numbers: Any) -> None:
    match step:
        case "insert", people:
            insert_users([person(next(numbers), **columns) for columns in people])
        case "update", remainder, columns:
            get_session().execute(update(User).where(User.id % 5 == remainder).values(**columns))
        case "rename", remainder:
            get_session().execute(update(User).where(User.id % 5 == remainder).values(full_name="Bob"))
        case "delete", remainder:
            get_session().execute(delete(User).where(User.id % 5 == remainder))
        case "fail", remainder, columns:
            get_session().execute(update(User).where(User.id % 5 == remainder).values(**columns))
            insert_users([person(next(numbers), **columns)])
            raise ZeroDivisionError


def test_a_segment_says_the_role_and_the_status(context: Flask) -> None:
    people = [
        (role, active, password)
        for role in Role
        for active in (True, False)
        for password in (None, "no hash")
    ]
    insert_users(
        [
            person(number, role=role, is_active=active, hashed_password=password)
            for number, (role, active, password) in enumerate(people)
        ]
    )
    expected = Counter(
        segment_of(role, "inactive" if not active else "active" if password else "invited")
        for role, active, password in people
    )
    assert kept() == counted() == expected


def test_writers_at_once_lose_no_difference(file_app: Flask) -> None:
    outcomes = race(file_app, *(write_much(number) for number in range(6)))
    assert outcomes == [None] * 6
    with file_app.app_context():
        assert kept() == counted() != {}


def add(connection: Connection, key: str) -> None:
    values = {"email": key, "email_key": key, "name_key": "", "search_text": ""}
    connection.execute(insert(User).values(**values))


@on_postgres
def test_writers_do_not_wait_for_each_other(context: Flask) -> None:
    """Two insert users of one segment, and neither has committed yet."""
    with sqla.engine.begin() as one, sqla.engine.begin() as other:
        for connection in (one, other):
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        for number in range(200):
            add(one, f"one{number}")
            add(other, f"other{number}")
    assert kept() == {"#mi": 400}


@on_postgres
def test_differences_are_folded_together_now_and_then(context: Flask) -> None:
    with sqla.engine.begin() as connection:
        connection.execute(text("SELECT setseed(0.5)"))
        for number in range(400):
            add(connection, f"one{number}")
    rows = get_session().scalar(select(func.count()).select_from(TOTALS)) or 0
    assert 1 <= rows < 400
    assert kept() == {"#mi": 400}


def test_a_difference_is_found_and_put_right(context: Flask) -> None:
    insert_users([person(1), person(2), person(3, role=Role.ADMINISTRATOR)])
    counts = count_segments(PARTS)
    assert counts.find_faults(get_session()) == []
    spoil()
    assert counts.find_faults(get_session()) == [
        "The total of #ai is 1 too low.",
        "The total of #mi is 7 too high.",
    ]
    correct()
    assert counts.find_faults(get_session()) == []
    assert kept() == counted()


@atomic
def spoil() -> None:
    session = get_session()
    session.execute(delete(TOTALS).where(TOTALS.c.segment == "#ai"))
    session.execute(insert(TOTALS).values(segment="#mi", amount=7))


@atomic
def correct() -> None:
    count_segments(PARTS).correct(get_session())
