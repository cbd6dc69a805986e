"""The places equal count(*) of each block after any writes, and lead to the row of a number."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import case, delete, func, insert, select, text, update

from tests.conftest import insert_users
from tests.listing.ways import forced, write_much
from tests.racing import race
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.db.bulk import load_rows
from webapp.extensions import sqla
from webapp.listing.page import PageRequest, paginate
from webapp.listing.places import BLOCK_BITS, count_blocks, find_place
from webapp.users.models import PLACES, USERS, User, derive_keys
from webapp.users.queries import LISTING, PARTS, select_users

LARGEST, LARGE, SMALL = (1 << bits for bits in BLOCK_BITS)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# About where blocks begin and end, so that a few rows lie in many.
ids = st.builds(
    lambda block, step: block + step,
    st.sampled_from([0, SMALL, 5 * SMALL, LARGE, LARGE + SMALL, 7 * LARGE, LARGEST, LARGEST + LARGE, 2**40]),
    st.integers(1, 3) | st.integers(SMALL - 3, SMALL + 1),
)


def counted() -> Counter[tuple[int, int, str]]:
    """The oracle: asked of the rows."""
    rows = get_session().execute(select(USERS.c.id, USERS.c.segment)).all()
    return Counter((bits, row.id >> bits, row.segment) for row in rows for bits in BLOCK_BITS)


def kept() -> dict[tuple[int, int, str], int]:
    columns = (PLACES.c.bits, PLACES.c.block, PLACES.c.segment)
    statement = select(*columns, func.sum(PLACES.c.amount)).group_by(*columns)
    return {(*row[:3],): int(row[3]) for row in get_session().execute(statement) if row[3]}


def person(row_id: int, **columns: Any) -> dict[str, Any]:
    return {"id": row_id, "full_name": "Ann", "email": f"ann{row_id}@x.example", **columns}


@atomic
def clear() -> None:
    get_session().execute(delete(User))


@atomic
def run(statement: Any) -> None:
    get_session().execute(statement)


states = st.fixed_dictionaries({"role": st.sampled_from(list(Role)), "is_active": st.booleans()})
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(ids, min_size=1, max_size=6, unique=True), states),
        st.tuples(st.just("change"), st.integers(0, 2), states),
        st.tuples(st.just("move"), st.sampled_from([SMALL, LARGE, LARGEST, 2**41])),
        st.tuples(st.just("rename"), st.integers(0, 2)),
        st.tuples(st.just("delete"), st.integers(0, 2)),
    ),
    max_size=7,
)


def take(step: tuple[Any, ...], numbers: Iterator[int]) -> None:
    there = set(get_session().scalars(select(User.id)))
    get_session().rollback()
    match step:
        case "insert", new_ids, columns:
            if fresh := set(new_ids) - there:
                insert_users([{**person(next(numbers)), "id": row_id, **columns} for row_id in fresh])
        case "change", remainder, columns:
            run(update(User).where(User.id % 3 == remainder).values(**columns))
        case "move", distance:  # those who would meet another stay
            moving = [row_id for row_id in there if row_id + distance not in there][:2]
            run(update(User).where(User.id.in_(moving)).values(id=User.id + distance))
        case "rename", remainder:
            run(update(User).where(User.id % 3 == remainder).values(full_name="Bob"))
        case "delete", remainder:
            run(delete(User).where(User.id % 3 == remainder))


@slow
@given(steps=steps)
def test_after_any_sequence_of_writes_the_places_are_the_counts(
    context: Flask, steps: list[tuple[Any, ...]]
) -> None:
    clear()
    numbers = count()
    for step in steps:
        take(step, numbers)
        assert kept() == counted()
        get_session().rollback()


@slow
@given(
    row_ids=st.lists(ids, max_size=30, unique=True).map(sorted),
    inactive=st.sets(st.integers(0, 29)),
    status=st.sampled_from([None, "active", "inactive"]),
    descending=st.booleans(),
    size=st.integers(1, 4),
)
def test_each_page_by_number_is_its_part_of_the_list(
    context: Flask, row_ids: list[int], inactive: set[int], status: str | None, descending: bool, size: int
) -> None:
    clear()
    people = [person(row_id, is_active=place not in inactive) for place, row_id in enumerate(row_ids)]
    if people:
        insert_users(people)
    expected = [one["id"] for one in people if status is None or one["is_active"] is (status == "active")]
    sort = "-id" if descending else "id"
    if descending:
        expected.reverse()
    for number in range(1, len(expected) // size + 3):
        request = PageRequest(sort=sort, size=size, number=number)
        with forced({"MOST_COUNTED_OFF": 0}):
            page = paginate(get_session(), LISTING, select_users(status=status), request)
        assert [row.id for row in page.rows] == expected[(number - 1) * size : number * size]
        assert page.is_past_end is (number > 1 and not page.rows)
    get_session().rollback()


@slow
@given(row_ids=st.lists(ids, min_size=1, max_size=30, unique=True).map(sorted), data=st.data())
def test_a_place_is_the_small_block_of_the_row(context: Flask, row_ids: list[int], data: Any) -> None:
    clear()
    insert_users(map(person, row_ids))
    offset = data.draw(st.integers(0, len(row_ids) - 1))
    block = row_ids[offset] // SMALL
    place = find_place(get_session(), PARTS, None, offset=offset, descending=False)
    assert place is not None
    assert place.before == bisect_right(row_ids, block * SMALL - 1)
    place = find_place(get_session(), PARTS, None, offset=len(row_ids) - 1 - offset, descending=True)
    assert place is not None
    assert place.before == len(row_ids) - bisect_right(row_ids, (block + 1) * SMALL - 1)
    assert find_place(get_session(), PARTS, None, offset=len(row_ids), descending=False) is None
    get_session().rollback()


def test_rows_that_are_loaded_in_bulk_are_counted(context: Flask) -> None:
    @atomic
    def load(first: int) -> None:
        keys = derive_keys(full_name="", email="")
        columns = ("id", "email", "full_name", "role", "is_active", "session_epoch", "version")
        times = ("created_at", "updated_at")
        rows = [
            (row_id, f"a{row_id}@x.example", "", "member", True, 0, 1)
            + ("2024-01-01 00:00:00.000000",) * 2
            + (f"a{row_id}@x.example", "", keys["search_text"])
            for row_id in range(first, first + 3 * SMALL, 7)
        ]
        load_rows(get_session(), USERS, (*columns, *times, *keys), rows)

    load(LARGE - SMALL - 5)
    assert kept() == counted()
    assert {block for bits, block, _segment in kept() if bits == BLOCK_BITS[1]} == {0, 1}


def test_writers_at_once_lose_no_difference_and_pages_fail_for_none(file_app: Flask) -> None:
    def read() -> None:
        for number in range(1, 40):
            request = PageRequest(sort="id", size=3, number=number)
            page = paginate(get_session(), LISTING, select_users(), request)
            found = [row.id for row in page.rows]
            assert found == sorted(set(found))
            get_session().rollback()

    with forced({"MOST_COUNTED_OFF": 0}):
        outcomes = race(file_app, *(write_much(number, apart=SMALL) for number in range(5)), read)
    assert outcomes == [None] * 6
    with file_app.app_context():
        assert kept() == counted() != {}


@on_postgres
def test_writers_do_not_wait_for_each_other(context: Flask) -> None:
    """Two insert users into one block, and neither has committed yet."""
    with sqla.engine.begin() as one, sqla.engine.begin() as other:
        for connection in (one, other):
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        for number in range(100):
            for name, connection in (("one", one), ("other", other)):
                keys = {"email_key": f"{name}{number}", "name_key": "", "search_text": ""}
                connection.execute(insert(User).values(email=f"{name}{number}@x", **keys))
    assert kept() == counted()


@on_postgres
def test_differences_of_a_block_are_folded_together_now_and_then(context: Flask) -> None:
    insert_users([person(1), person(LARGE)])
    for turn in range(100):
        run(update(User).where(User.id == 1).values(is_active=bool(turn % 2)))
    rows = get_session().scalar(select(func.count()).select_from(PLACES)) or 0
    assert 4 <= rows < 400  # without any it would be that many
    assert kept() == counted()


@on_postgres
def test_a_table_that_is_emptied_at_once_has_no_places(context: Flask) -> None:
    insert_users([person(1), person(LARGE)])
    run(text("TRUNCATE users CASCADE"))
    assert kept() == counted() == {}


@pytest.mark.parametrize("sort", ["id", "-id"])
def test_where_the_small_blocks_say_less_rows_are_counted_off_in_the_large_one(
    context: Flask, sort: str
) -> None:
    """As when others delete between the two questions: the page is there all the same."""
    row_ids = [LARGE + 1, LARGE + 2, LARGE + SMALL, 2 * LARGE - 1, 2 * LARGE]
    insert_users(map(person, row_ids))
    run(delete(PLACES).where(PLACES.c.bits == BLOCK_BITS[-1]))
    for number, row_id in enumerate(row_ids if sort == "id" else row_ids[::-1], 1):
        with forced({"MOST_COUNTED_OFF": 0}):
            request = PageRequest(sort=sort, size=1, number=number)
            page = paginate(get_session(), LISTING, select_users(), request)
        assert [row.id for row in page.rows] == [row_id]


@pytest.mark.parametrize(("most", "queries"), [(0, 6), (10, 3)], ids=["by blocks", "counted off"])
def test_blocks_take_three_queries_more(
    context: Flask,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    most: int,
    queries: int,
) -> None:
    insert_users(map(person, range(LARGE - 5, LARGE + 6)))
    with forced({"MOST_COUNTED_OFF": most}), count_queries() as statements:
        page = paginate(get_session(), LISTING, select_users(), PageRequest(sort="id", size=2, number=5))
    assert [row.id for row in page.rows] == [LARGE + 3, LARGE + 4]
    assert len(statements) == queries


def test_a_difference_is_found_and_put_right(context: Flask) -> None:
    counts = count_blocks(PARTS)

    @atomic
    def correct() -> None:
        counts.correct(get_session())

    insert_users([person(1), person(LARGE + 1), person(LARGE + SMALL)])
    assert counts.find_faults(get_session()) == []
    run(update(PLACES).values(amount=PLACES.c.amount + case((PLACES.c.block == LARGE // SMALL, 3), else_=0)))
    run(insert(PLACES).values(bits=BLOCK_BITS[1], block=9, segment="#mi", amount=-2))
    assert counts.find_faults(get_session()) == [
        f"The rows of a block of ids that begins with {first} are counted wrongly."
        for first in (LARGE, 9 * LARGE)
    ]
    correct()
    assert counts.find_faults(get_session()) == []
    assert kept() == counted()
