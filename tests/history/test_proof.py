"""Following the chains finds what was tampered with, erased without a deletion, or hidden."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, update

from tests.conftest import MakeUser
from tests.history.ways import DESK, assert_intact, read_rows, read_stories, write
from tests.racing import race
from webapp.db import atomic, get_session
from webapp.errors import NotFound
from webapp.history.models import ENTRIES, LANES
from webapp.history.proof import CHAINED, Fault, describe_end, find_faults
from webapp.history.rules import START, Kind
from webapp.history.services import Subject, record
from webapp.users import services
from webapp.users.queries import find_existing, get_user

LANE = 1  # with one writer all entries lie in the first


def faults(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        return [tuple(fault) for fault in find_faults(find_existing)]


def run(app: Flask, *statements: Any) -> None:
    """Past the application, as somebody at the database would."""
    with app.app_context():
        session = get_session()
        for statement in statements:
            session.execute(statement)
        session.commit()


def entry(number: int) -> Any:
    return (ENTRIES.c.lane == LANE) & (ENTRIES.c.number == number)


# Following the chains


def test_an_empty_history_and_a_written_one_are_intact(app: Flask) -> None:
    assert faults(app) == []
    write(app, 5)
    assert faults(app) == []
    assert [row.number for row in read_rows(app)] == [1, 2, 3, 4, 5]


FORGED: dict[str, object] = {
    "at": datetime(2020, 1, 1, tzinfo=UTC),
    "kind": "deleted",
    "door": "command",
    "subject_id": 5,
    "actor_id": 5,
    "actor_role": "member",
    "request_id": "r-2",
    "version": 9,
    "undoes_id": 1,
    "details_digest": START,
    "origin_digest": START,
    "details": '{"name":"Somebody else"}',
    "origin": '{"name":"Somebody else"}',
    "hash": START,
}


def test_every_column_of_the_chain_is_forged_here() -> None:
    assert set(CHAINED) - {"lane", "number"} <= set(FORGED)


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_first_that_was_changed_is_named(app: Flask, name: str, number: int) -> None:
    write(app, 5)
    value = FORGED[name]
    run(app, update(ENTRIES).where(entry(number)).values({name: value}))
    assert faults(app) == [(LANE, number, "was changed")]


def test_of_several_the_first_is_named(app: Flask) -> None:
    write(app, 6)
    run(
        app,
        *(update(ENTRIES).where(entry(number)).values(kind="deleted") for number in (4, 2)),
        delete(ENTRIES).where(entry(5)),
    )
    assert faults(app) == [(LANE, 2, "was changed")]


@pytest.mark.parametrize("number", [1, 3])
def test_the_first_that_is_missing_is_named(app: Flask, number: int) -> None:
    write(app, 5)
    run(app, delete(ENTRIES).where(entry(number)))
    assert faults(app) == [(LANE, number, "is missing")]


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_an_end_that_was_cut_off_is_named(app: Flask, kept: int) -> None:
    write(app, 5)
    run(app, delete(ENTRIES).where(ENTRIES.c.number > kept))
    assert faults(app) == [(LANE, kept + 1, "is missing")]


def test_an_entry_that_was_put_in_is_named(app: Flask) -> None:
    """After the end: copied from a real one, with the number that comes next."""
    write(app, 3)
    row = dict(read_rows(app)[-1]._mapping)
    run(app, insert(ENTRIES).values({**row, "id": 100, "number": 4}))
    assert [fault[:2] for fault in faults(app)] == [(LANE, 4)]


def test_two_that_changed_places_are_named(app: Flask) -> None:
    write(app, 4)
    run(
        app,
        update(ENTRIES).where(entry(2)).values(number=99),
        update(ENTRIES).where(entry(3)).values(number=2),
        update(ENTRIES).where(entry(99)).values(number=3),
    )
    assert faults(app) == [(LANE, 2, "was changed")]


def test_each_lane_has_its_own_first_fault(app: Flask) -> None:
    write(app, 3)
    with app.app_context():
        row = get_session().execute(select(LANES).where(LANES.c.lane == 2)).one()
    assert (row.number, row.hash) == (0, START)
    run(
        app,
        update(LANES).where(LANES.c.lane == 2).values(number=1),
        update(ENTRIES).where(entry(3)).values(kind="deleted"),
    )
    assert faults(app) == [(1, 3, "was changed"), (2, 1, "is missing")]


def test_writing_on_after_a_fault_does_not_hide_it(app: Flask) -> None:
    write(app, 3)
    run(app, update(ENTRIES).where(entry(2)).values(kind="deleted"))
    write(app, 3)
    assert faults(app) == [(LANE, 2, "was changed")]


def test_the_end_tells_what_following_alone_cannot(app: Flask) -> None:
    """A whole lane taken away with its end; whoever kept the description of the end sees it."""
    write(app, 3)
    with app.app_context():
        kept = describe_end()
        assert describe_end() == kept
    run(app, delete(ENTRIES), update(LANES).values(number=0, hash=START))
    assert faults(app) == []
    with app.app_context():
        assert describe_end() != kept


def test_more_than_one_batch_is_followed(app: Flask) -> None:
    @atomic
    def write_many() -> None:
        for each in range(2_100):
            record(Kind.REFUSED, actor=DESK, facts={"rule": str(each)})

    with app.app_context():
        write_many()
    assert faults(app) == []
    run(app, update(ENTRIES).where(entry(2_050)).values(kind="deleted"))
    assert faults(app) == [(LANE, 2_050, "was changed")]


# Many writers


def test_writers_at_once_keep_the_chains_whole(file_app: Flask) -> None:
    def write_some() -> None:
        for each in range(20):
            record(Kind.EDITED, actor=DESK, subject=Subject(each, "Ann", 1))

    race(file_app, *[write_some] * 8)
    assert len(read_rows(file_app)) == 160
    assert_intact(file_app)
    with file_app.app_context():
        ends = get_session().execute(select(LANES.c.number)).scalars().all()
    assert sum(ends) == 160


def test_more_writers_than_lanes_wait_and_lose_nothing(file_app: Flask) -> None:
    with file_app.app_context():
        lanes = len(get_session().execute(select(LANES)).all())
        get_session().execute(delete(LANES).where(LANES.c.lane > 2))
        get_session().commit()

    def write_some() -> None:
        for each in range(10):
            record(Kind.EDITED, actor=DESK, subject=Subject(each, "Ann", 1))

    try:
        race(file_app, *[write_some] * 6)
        assert len(read_rows(file_app)) == 60
        assert_intact(file_app)
    finally:
        rows = [{"lane": lane, "number": 0, "hash": START} for lane in range(3, lanes + 1)]
        run(file_app, insert(LANES).values(rows))


def test_writers_who_give_up_leave_no_gap(file_app: Flask) -> None:
    @atomic
    def give_up() -> None:
        record(Kind.EDITED, actor=DESK, subject=Subject(1, "Ann", 1))
        raise NotFound("given up")

    def write_some() -> None:
        for _ in range(10):
            record(Kind.EDITED, actor=DESK, subject=Subject(1, "Ann", 1))

    def give_up_often() -> None:
        for _ in range(10):
            with pytest.raises(NotFound):
                give_up()

    race(file_app, write_some, give_up_often, write_some, give_up_often)
    assert len(read_rows(file_app)) == 20
    assert_intact(file_app)


def test_following_while_others_write_finds_no_fault(file_app: Flask) -> None:
    def write_some() -> list[Fault]:
        for _ in range(40):
            record(Kind.EDITED, actor=DESK, subject=Subject(1, "Ann", 1))
        return []

    def follow() -> list[Fault]:
        return [fault for _ in range(10) for fault in find_faults(find_existing)]

    outcomes = race(file_app, write_some, follow, write_some, follow)
    assert outcomes == [[], [], [], []]


def test_two_changes_of_one_person_at_once_have_an_entry_each(file_app: Flask, make_user: MakeUser) -> None:
    with file_app.app_context():
        user_id = services.create_user(email="ann@example.org", actor=DESK).id

    def change(name: str) -> Callable[[], object]:
        return lambda: services.update_user(get_user(user_id), version=1, full_name=name, actor=DESK)

    outcomes = race(file_app, *[change(f"Name {number}") for number in range(6)])
    assert sum(outcome is True for outcome in outcomes) == 1, "the others are stale"
    stories = read_stories(file_app, subject_id=user_id)
    assert [story.version for story in stories] == [1, 2]
    with file_app.app_context():
        assert stories[1].changes["full_name"][1] == get_user(user_id).full_name
    assert_intact(file_app)
