"""Following the chains finds what was tampered with, erased without a deletion, or hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from tests.conftest import MakeUser, empty_tables, user_maker
from tests.history.ways import DESK, age, assert_intact, let_names_go, read_rows, read_stories, write
from tests.racing import race
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.errors import DomainError, NotFound
from webapp.extensions import utc_now
from webapp.history.models import ENTRIES, LANES
from webapp.history.proof import CHAINED, Fault, describe_end, find_faults
from webapp.history.rules import START, Kind, segment_of
from webapp.history.services import Subject, forget_names, record
from webapp.listing.search import searchable
from webapp.notes import services as notes
from webapp.users import services, trash
from webapp.users.models import User
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


# What was erased, and what was hidden

ERASED = "was erased, and no deletion explains it"
HIDDEN = "was hidden from filters or searches"
UNMADE = "tells of a deletion that was not made"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"details": None}, ERASED),
        ({"origin": None}, ERASED),
        ({"details": None, "origin": None, "search_text": ""}, ERASED),
        ({"details": ""}, "was changed"),
        ({"origin": ""}, "was changed"),
        ({"segment": segment_of(Kind.SIGNED_IN, Door.PAGE)}, HIDDEN),
        ({"segment": segment_of(Kind.EDITED, Door.API)}, HIDDEN),
        ({"segment": ""}, HIDDEN),
        ({"search_text": ""}, HIDDEN),
        ({"search_text": searchable("Person 0", "Someone Else")}, HIDDEN),
        ({"search_text": searchable("Person 0", "Desk Person", "more")}, HIDDEN),
    ],
)
def test_what_was_erased_or_hidden_past_the_application_is_named(
    app: Flask, values: dict[str, object], what: str
) -> None:
    write(app, 3)
    run(app, update(ENTRIES).where(entry(2)).values(values))
    assert faults(app) == [(LANE, 2, what)]


@pytest.mark.parametrize("column", ["details", "origin"])
def test_texts_that_changed_places_are_named(app: Flask, column: str) -> None:
    write(app, 1)
    write(app, 1, replace(DESK, address="203.0.113.5"))
    first, second = (getattr(row, column) for row in read_rows(app))
    run(
        app,
        update(ENTRIES).where(entry(1)).values({column: second}),
        update(ENTRIES).where(entry(2)).values({column: first}),
    )
    assert faults(app)[0] == (LANE, 1, "was changed")


@pytest.fixture
def deleted(app: Flask, make_user: MakeUser) -> int:
    """The id of a member of the staff who did something, and was deleted for good: entries 1 to 4."""
    gone, user = make_user(full_name="Ann Quixote", role=Role.SUPPORT), make_user()
    own = Actor(user_id=gone.id, name="Ann Quixote", role=Role.SUPPORT)
    with app.app_context():
        services.deactivate_user(get_user(user.id), actor=own)
        services.sign_out_everywhere(get_user(gone.id), actor=own)
        trash.erase_user(get_user(gone.id), actor=DESK)
    assert faults(app) == []
    return gone.id


def test_who_acted_as_staff_is_not_erased_before_the_time(app: Flask, deleted: int) -> None:
    run(app, update(ENTRIES).where(entry(1)).values(origin=None, search_text=searchable("Person 2")))
    assert faults(app) == [(LANE, 1, ERASED)]


def test_a_sweep_explains_what_is_older_alone(app: Flask, deleted: int, make_user: MakeUser) -> None:
    age(app, days=390)
    user = make_user()
    own = Actor(user_id=deleted, name="Ann Quixote", role=Role.SUPPORT)  # as one whose request was under way
    with app.app_context():
        services.deactivate_user(get_user(user.id), actor=own)
    let_names_go(app)
    age(app, days=1)
    assert faults(app) == []
    rows = read_rows(app)
    assert [row.origin is None for row in rows] == [True, True, False, False, True, False]
    late = replace(DESK, user_id=deleted)
    write(app, 1, late)
    run(app, update(ENTRIES).where(entry(7)).values(origin=None, search_text=searchable("Person 0")))
    assert faults(app) == [(LANE, 7, ERASED)]


@pytest.mark.parametrize("number", [4, 3])
def test_a_deletion_s_own_entry_is_never_erased_nor_taken_away(app: Flask, deleted: int, number: int) -> None:
    run(app, update(ENTRIES).where(entry(4)).values(details=None, search_text=searchable("Desk Person")))
    first = {fault[1] for fault in faults(app)}
    assert first <= {2, 4}
    assert first
    run(app, delete(ENTRIES).where(entry(4)), update(LANES).where(LANES.c.lane == LANE).values(number=3))
    assert faults(app)


def test_without_its_deletion_what_is_erased_is_named(app: Flask, deleted: int) -> None:
    """The lane cut off before the deletion, with an end that fits: the person was never deleted then."""
    last = read_rows(app)[2]
    run(
        app,
        delete(ENTRIES).where(entry(4)),
        update(LANES).where(LANES.c.lane == LANE).values(number=3, hash=last.hash),
    )
    assert faults(app) == [(LANE, 2, ERASED)]


def forge(app: Flask, **facts: object) -> None:
    """A deletion that was never made, written as one, chained and all: as who owns the database can."""
    kind = facts.pop("kind", Kind.PURGED)
    actor, subject_id = facts.pop("actor", DESK), facts.pop("subject_id")
    assert isinstance(kind, Kind)
    assert isinstance(actor, Actor)
    assert subject_id is None or isinstance(subject_id, int)
    with app.app_context():
        record(kind, actor=actor, subject=Subject(subject_id, ""), facts=facts)


@pytest.mark.parametrize("place", ["users", "trash"])
def test_a_deletion_of_one_who_is_still_there_is_named(app: Flask, make_user: MakeUser, place: str) -> None:
    user = make_user()
    with app.app_context():
        services.deactivate_user(get_user(user.id), actor=DESK)
        if place == "trash":
            trash.delete_user(get_user(user.id), version=2, actor=DESK)
    number = len(read_rows(app)) + 1
    forge(app, subject_id=user.id)
    assert faults(app) == [(LANE, number, UNMADE)]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR, Role.SUPPORT])
def test_a_deletion_by_one_who_may_not_is_named(app: Flask, role: Role) -> None:
    forge(app, subject_id=999, actor=replace(DESK, role=role))
    assert faults(app) == [(LANE, 1, UNMADE)]


@pytest.mark.parametrize("subject_id", [999, None])
def test_a_deletion_that_lets_names_go_too_early_is_named(app: Flask, subject_id: int | None) -> None:
    early = (utc_now() - timedelta(days=29)).isoformat()
    forge(app, subject_id=subject_id, named_since=early)
    assert faults(app) == [(LANE, 1, UNMADE)]


def test_what_an_earlier_version_erased_is_explained_by_its_deletion(app: Flask, make_user: MakeUser) -> None:
    """It erased the names of staff at once, and all of a note stayed to be found by."""
    gone, user = make_user(full_name="Ann Quixote", role=Role.SUPPORT), make_user()
    own = Actor(user_id=gone.id, name="Ann Quixote", role=Role.SUPPORT)
    with app.app_context():
        note = notes.add_note(get_user(user.id), text="First.", actor=own)
        notes.edit_note(note, text="Second.", version=1, actor=own)
        session = get_session()
        session.execute(delete(User).where(User.id == gone.id))
        session.commit()
    forge(app, subject_id=gone.id)
    name = user.full_name
    run(
        app,
        update(ENTRIES).where(entry(1)).values(origin=None, search_text=searchable(name, "First.")),
        update(ENTRIES).where(entry(2)).values(origin=None, search_text=searchable(name, "First. Second.")),
    )
    assert faults(app) == []


STEPS = ("edit", "note", "as colleague", "promote", "delete", "restore", "purge", "erase", "sweep", "age")
EXAMPLES = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def live(app: Flask, make_user: MakeUser, steps: list[tuple[str, int]]) -> None:
    """Three people of whom things are told, who act, are deleted and come back, as the steps say."""
    ids = [make_user(role=role).id for role in (Role.MEMBER, Role.SUPPORT, Role.ADMINISTRATOR)]
    make_user(role=Role.ADMINISTRATOR)
    for step, which in steps:
        if step == "age":
            age(app, days=150)
            continue
        with app.app_context(), suppress(DomainError):
            act(step, ids[which], ids[(which + 1) % 3])


def act(step: str, user_id: int, other_id: int) -> None:
    if step == "sweep":
        forget_names(actor=DESK)
    elif step == "purge":
        trash.purge_user(user_id, actor=DESK)
    elif step == "restore":
        trash.restore_user(user_id, actor=DESK)
    else:
        user = get_user(user_id)
        own = Actor(user_id=user.id, name=user.display_name, role=user.role, address="203.0.113.7")
        if step == "edit":
            services.update_user(user, version=user.version, full_name=f"Name {user.version}", actor=DESK)
        elif step == "note":
            note = notes.add_note(get_user(other_id), text=f"On {other_id}", actor=own)
            notes.edit_note(note, text="Otherwise", version=1, actor=own)
        elif step == "as colleague":
            services.sign_out_everywhere(user, actor=own)
            services.deactivate_user(get_user(other_id), actor=own)
        elif step == "promote":
            services.update_user(user, version=user.version, role="administrator", actor=DESK)
        elif step == "delete":
            trash.delete_user(user, version=user.version, actor=DESK)
        else:
            trash.erase_user(user, actor=DESK)


TAMPERED = [it.name for it in ENTRIES.c if it.name != "id"]  # of which nothing is told: it only finds the row
OTHERS: dict[str, Sequence[object]] = {
    "kind": ["edited", "purged", "refused", ""],
    "door": ["page", "command", ""],
    "actor_role": ["member", "support", "administrator", None],
    "segment": ["#pp", "#bp", "#mc", ""],
    "search_text": ["", "  desk  person", "  x"],
    "request_id": ["", "other"],
    "at": [datetime(2020, 1, 1, tzinfo=UTC)],
    **dict.fromkeys(("subject_id", "actor_id", "version", "undoes_id"), (None, 1, 2, 77, 500)),
    **dict.fromkeys(("details", "origin"), (None, "", "{}", '{"name":"x","address":"","changes":{}}')),
    **dict.fromkeys(("details_digest", "origin_digest", "hash"), (START, "")),
    "lane": [2, 99],
    "number": [0, 500],
}


def test_every_column_is_tampered_with_here() -> None:
    assert set(TAMPERED) == set(OTHERS)


@EXAMPLES
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), min_size=3, max_size=14),
    tampering=st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(TAMPERED), st.integers(0, 9)), min_size=1, max_size=8
    ),
)
def test_whatever_is_done_nothing_is_wrong_and_whatever_is_tampered_with_something_is(
    app: Flask,
    make_user: MakeUser,
    steps: list[tuple[str, int]],
    tampering: list[tuple[int, str, int]],
) -> None:
    empty_tables(app)
    live(app, make_user, [("edit", 0), *steps])
    assert faults(app) == []
    rows = read_rows(app)
    for which, column, value in tampering:
        row = rows[which % len(rows)]
        old, others = getattr(row, column), OTHERS[column]
        new = others[value % len(others)]
        if new == old:
            continue
        changed = update(ENTRIES).where(ENTRIES.c.id == row.id)
        run(app, changed.values({column: new}))
        assert faults(app), (row, column, new)
        run(app, changed.values({column: old}))
    assert faults(app) == []


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


def test_following_while_people_are_deleted_and_names_go_finds_no_fault(
    file_app: Flask, hashed_password: str
) -> None:
    make = user_maker(file_app, hashed_password)
    gone = [make(role=Role.SUPPORT).id for _ in range(6)]
    with file_app.app_context():
        for user_id in gone:
            own = Actor(user_id=user_id, name="Ann", role=Role.SUPPORT)
            for _ in range(3):
                record(Kind.EDITED, actor=own, subject=Subject(user_id, "Ann", 1))
    age(file_app, days=401)
    with file_app.app_context():
        for user_id in gone[:3]:
            record(Kind.EDITED, actor=Actor(user_id=user_id, name="Ann", role=Role.SUPPORT))
            trash.erase_user(get_user(user_id), actor=DESK)
    age(file_app, days=401)

    def delete_all() -> None:
        for user_id in gone[3:]:
            trash.erase_user(get_user(user_id), actor=DESK)
        forget_names(actor=DESK)

    def follow() -> list[Fault]:
        return [fault for _ in range(8) for fault in find_faults(find_existing)]

    outcomes = race(file_app, delete_all, follow, follow)
    assert outcomes == [None, [], []]
    assert "Ann" not in "".join(row.origin or "" for row in read_rows(file_app))
    assert_intact(file_app)
