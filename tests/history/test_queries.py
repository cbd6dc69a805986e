"""Following the chains finds what was tampered with; filters find just the entries they describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from tests.conftest import MakeUser
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.listing.ways import forced
from tests.racing import race
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.errors import NotFound
from webapp.history.models import ENTRIES, LANES
from webapp.history.queries import (
    CHAINED,
    LISTING,
    Fault,
    describe_end,
    find_faults,
    find_own,
    find_undone,
    get_story,
    list_stories,
    list_stories_since,
    select_entries,
)
from webapp.history.rules import START, Kind, segment_of
from webapp.history.services import Subject, record
from webapp.listing.counting import Count
from webapp.listing.page import LAST, PageRequest, count_rows, paginate
from webapp.listing.search import pattern_of, searchable, split_words
from webapp.users import services
from webapp.users.queries import get_user

DESK = Actor(user_id=77, name="Desk Person", role=Role.ADMINISTRATOR, address="192.0.2.1", request_id="r-1")
LANE = 1  # with one writer all entries lie in the first


def write(app: Flask, number: int) -> None:
    with app.app_context():
        for each in range(number):
            subject = Subject(each, f"Person {each}", 1)
            record(Kind.EDITED, actor=DESK, subject=subject, changes={"full_name": ("a", "b")})


def faults(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        return [tuple(fault) for fault in find_faults()]


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
        return [fault for _ in range(10) for fault in find_faults()]

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


# Reading


def test_stories_are_told_newest_first_and_not_more_than_asked(context: Flask) -> None:
    ids = [record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", n)) for n in range(1, 6)]
    record(Kind.EDITED, actor=DESK, subject=Subject(6, "Bob", 1))
    assert [story.id for story in list_stories(5, most=3)] == ids[:1:-1]
    assert [story.id for story in list_stories_since(5, 2)] == ids[:1:-1]
    assert find_own(5, DESK) == ids[-1]
    assert find_own(5, replace(DESK, request_id="r-2")) is None
    assert find_own(99, DESK) is None
    assert list_stories(99, most=3) == list_stories_since(99, 0) == []


@pytest.mark.parametrize("entry_id", [0, 999, 2**31, 2**63 - 1, 2**63, 10**40])
def test_an_entry_that_is_not_there_is_not_found(context: Flask, entry_id: int) -> None:
    with pytest.raises(NotFound):
        get_story(entry_id)


def test_which_were_undone_is_told(context: Flask) -> None:
    ids = [record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", 1)) for _ in range(3)]
    record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", 1), undoes_id=ids[1])
    assert find_undone(ids) == {ids[1]}
    assert find_undone([]) == frozenset()


# Filters, against an oracle

KINDS = (Kind.EDITED, Kind.DELETED, Kind.SIGNED_IN)
DOORS = (Door.PAGE, Door.COMMAND)
NAMES = ("Ann Lee", "Zoë Adler", "Bob Lee-Adler", "")
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def stock(app: Flask) -> None:
    """Entries of all kinds, doors, persons and hours, some at the very same moment."""
    combinations = list(product(KINDS, DOORS, (1, 2, None), (1, 3, None)))

    @atomic
    def write_all() -> None:
        for number, (kind, door, subject_id, actor_id) in enumerate(combinations):
            actor_name = NAMES[number % 4]
            actor = Actor(user_id=actor_id, name=actor_name, role=Role.SUPPORT, door=door)
            subject = Subject(subject_id, NAMES[number % 3]) if subject_id else None
            record(kind, actor=actor, subject=subject)
        for row in get_session().execute(select(ENTRIES.c.id)).all():
            at = MIDNIGHT + timedelta(hours=row.id // 2)
            get_session().execute(update(ENTRIES).where(ENTRIES.c.id == row.id).values(at=at))

    with app.app_context():
        write_all()


asked = st.fixed_dictionaries(
    {},
    optional={
        "words": st.sampled_from(["lee", "adler", "ad", "zoe lee", "l", "nobody"]).map(split_words),
        "subject_id": st.sampled_from([1, 2, 9]),
        "actor_id": st.sampled_from([1, 3, 9]),
        "kind": st.sampled_from([*KINDS, Kind.PURGED]),
        "door": st.sampled_from([*DOORS, Door.API]),
        "since": st.integers(-1, 30).map(lambda hours: MIDNIGHT + timedelta(hours=hours)),
        "before": st.integers(-1, 30).map(lambda hours: MIDNIGHT + timedelta(hours=hours)),
    },
)


def expected(rows: list[Any], asked: dict[str, Any]) -> list[int]:
    """The ids, newest first, by looking at each row."""

    def fits(row: Any) -> bool:
        return (
            all(pattern_of(word) in row.search_text for word in asked.get("words", ()))
            and asked.get("subject_id") in {None, row.subject_id}
            and asked.get("actor_id") in {None, row.actor_id}
            and asked.get("kind") in {None, row.kind}
            and asked.get("door") in {None, row.door}
            and ("since" not in asked or asked["since"] <= row.at)
            and ("before" not in asked or row.at < asked["before"])
        )

    found = sorted((row for row in rows if fits(row)), key=lambda row: (row.at, row.id), reverse=True)
    return [row.id for row in found]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=asked, size=st.sampled_from([1, 3, 7, 50]))
def test_filters_and_paging_find_what_looking_at_each_row_finds(
    app: Flask, asked: dict[str, Any], size: int
) -> None:
    if not read_rows(app):
        stock(app)
    wanted = expected(read_rows(app), asked)
    assert page_forward(app, asked, size) == (wanted, {len(wanted)})
    assert page_backward(app, asked, size) == wanted


def page_forward(app: Flask, asked: dict[str, Any], size: int) -> tuple[list[int], set[int]]:
    """The ids of all pages from the first to the last; and the counts that they told."""
    ids: list[int] = []
    counts = set()
    after = None
    with app.app_context():
        while True:
            where = PageRequest(sort="-at", size=size, after=after)
            page = paginate(get_session(), LISTING, select_entries(**asked), where)
            ids += [row.id for row in page.rows]
            counts.add(page.count.value)
            after = page.next
            if after is None:
                return ids, counts


def page_backward(app: Flask, asked: dict[str, Any], size: int) -> list[int]:
    """The same from the last page to the first."""
    ids: list[int] = []
    before: str | None = LAST
    with app.app_context():
        while before is not None:
            where = PageRequest(sort="-at", size=size, before=before)
            page = paginate(get_session(), LISTING, select_entries(**asked), where)
            ids[:0] = [row.id for row in page.rows if row.id not in ids]  # the first page is always full
            before = page.previous
    return ids


def test_an_entry_is_in_the_segment_of_its_kind_and_door(app: Flask) -> None:
    stock(app)
    for row in read_rows(app):
        assert row.segment == segment_of(Kind(row.kind), Door(row.door))


def test_a_search_is_about_the_names_of_both(app: Flask) -> None:
    write(app, 1)
    (row,) = read_rows(app)
    assert row.search_text == searchable("Person 0", "Desk Person")


def test_a_short_word_is_counted_in_the_entries_of_one_alone(context: Flask) -> None:
    """The search's index says of no entry who made it, so it is not believed that there are many."""
    other = replace(DESK, user_id=78)
    for number in range(12):
        for actor, name in ((DESK, "Joe" if number < 3 else "Bob"), (other, "Joe")):
            record(Kind.EDITED, actor=actor, subject=Subject(number, name, 1), changes={})
    selection = select_entries(words=split_words("joe"), actor_id=DESK.user_id)
    few = {"MOST_GATHERED": 5, "MOST_LOOKED_AT": 1}
    with forced(few, most_counted=4):
        page = paginate(get_session(), LISTING, selection, PageRequest(sort="-at"))
        assert (page.count, len(page.rows)) == (Count(3), 3)
        assert count_rows(get_session(), LISTING, selection) == Count(3)
