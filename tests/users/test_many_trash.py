"""Many go to the trash, and come back as they were, just as one does; only quicker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from tests.conftest import MakeUser, read_tables
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from tests.users.test_many import (
    AUDITOR,
    DESK,
    FACTS,
    NOBODY,
    SUPPORT,
    Somebody,
    actors,
    change,
    clear,
    crowds,
    insert_people,
    make_of,
    read_people,
    reasons,
    selections,
    settle_crowd,
    take_each,
    tell_apart,
    thorough,
)
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.models import PasswordLink, SignInSession
from webapp.auth.services import create_password_link, open_session
from webapp.db import atomic, get_session
from webapp.errors import Conflict, DomainError, Forbidden, NotFound
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.listing.maintenance import find_miscounts
from webapp.users import services, trash
from webapp.users.many import Change, Outcome
from webapp.users.many_trash import Restoring, Trashing
from webapp.users.models import TRASH, USERS
from webapp.users.queries import LISTING, find_administrators, get_user

LONG_AGO = datetime(2020, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
PEOPLE: tuple[dict[str, object], ...] = (
    {
        "email": "Zoë.Adler+x@exämple.org",
        "full_name": "Zoë \u200d Straße 👩\u200d👧",
        "role": Role.SUPPORT,
        "is_active": False,
        "session_epoch": 7,
        "language": "fr",
        "time_zone": "Europe/Paris",
        "created_at": LONG_AGO,
        "last_sign_in_at": LONG_AGO,
    },
    {"full_name": "", "hashed_password": None},
    {"role": Role.ADMINISTRATOR},
)
COUNTED = {"version", "session_epoch", "updated_at"}


def make_people(make_user: MakeUser) -> list[int]:
    make_user(role=Role.ADMINISTRATOR)
    return [make_user(**columns).id for columns in PEOPLE]


def read_kept(app: Flask, user_ids: Iterable[int]) -> list[dict[str, Any]]:
    """All of each row but what tells that one was away."""
    with app.app_context():
        statement = select(USERS).where(USERS.c.id.in_(list(user_ids))).order_by(USERS.c.id)
        rows = get_session().execute(statement).mappings().all()
    return [{name: value for name, value in row.items() if name not in COUNTED} for row in rows]


def read_trash(app: Flask) -> list[dict[str, Any]]:
    """All of each row but its times."""
    with app.app_context():
        rows = get_session().execute(select(TRASH).order_by(TRASH.c.user_id)).mappings().all()
    return [
        {
            name: {key: kept for key, kept in json.loads(value).items() if not key.endswith("_at")}
            if name == "row"
            else value
            for name, value in row.items()
            if name != "deleted_at"
        }
        for row in rows
    ]


# There and back


def test_who_comes_back_is_as_before(app: Flask, make_user: MakeUser) -> None:
    ids = make_people(make_user)
    before = read_kept(app, ids)
    deleted = change(app, Trashing(), reversed(ids))
    assert read_kept(app, ids) == []
    with app.app_context():
        assert [trash.get_trashed(user_id).user_id for user_id in ids] == ids
        assert find_miscounts(get_session(), LISTING) == []
    restored = change(app, Restoring(), reversed(ids))
    assert read_kept(app, ids) == before
    stories = read_stories(app)
    assert [story.kind for story in stories] == [Kind.DELETED] * 3 + [Kind.RESTORED] * 3
    assert [story.subject_id for story in stories] == ids * 2
    assert [story.version for story in stories] == [1, 1, 1, 2, 2, 2]
    assert [story.facts for story in stories] == [FACTS] * 6
    assert all(not story.changes for story in stories)
    assert [deleted[user_id] for user_id in ids] == [Outcome(story.id) for story in stories[:3]]
    assert [restored[user_id] for user_id in ids] == [Outcome(story.id) for story in stories[3:]]
    with app.app_context():
        assert get_session().scalar(select(func.count()).select_from(TRASH)) == 0
        assert [get_user(user_id).session_epoch for user_id in ids] == [8, 1, 1]
        assert find_miscounts(get_session(), LISTING) == []
    assert_intact(app)


def test_one_alone_brings_back_whom_many_sent_away_and_the_other_way_round(
    app: Flask, make_user: MakeUser
) -> None:
    ids = make_people(make_user)
    before = read_kept(app, ids)
    change(app, Trashing(), ids)
    with app.app_context():
        for user_id in ids:
            trash.restore_user(user_id, actor=DESK)
    assert read_kept(app, ids) == before
    with app.app_context():
        for user_id in ids:
            trash.delete_user(get_user(user_id), version=get_user(user_id).version, actor=DESK)
    change(app, Restoring(), ids)
    assert read_kept(app, ids) == before


def test_sessions_and_links_do_not_come_back(app: Flask, make_user: MakeUser) -> None:
    ids = make_people(make_user)
    with app.app_context():
        for user_id in ids:
            open_session(user_id=user_id, epoch=0, address="", user_agent="")
        create_password_link(get_user(ids[1]), actor=DESK)
    change(app, Trashing(), ids)
    change(app, Restoring(), ids)
    with app.app_context():
        for model in (SignInSession, PasswordLink):
            assert get_session().scalar(select(func.count()).select_from(model)) == 0


@pytest.mark.parametrize("place", [0, 1])
def test_who_was_deleted_before_a_column_was_there_takes_it_from_nobody(
    app: Flask, make_user: MakeUser, place: int
) -> None:
    """Rows from before a migration come back together with later ones, each with what it has."""
    ids = [make_user(language="fr", time_zone="Europe/Paris").id for _ in range(2)]
    change(app, Trashing(), ids)
    with app.app_context():
        session = get_session()
        old = TRASH.c.user_id == ids[place]
        row = json.loads(session.scalar(select(TRASH.c.row).where(old)) or "")
        del row["language"]
        session.execute(update(TRASH).where(old).values(row=json.dumps(row)))
        session.commit()
    change(app, Restoring(), ids)
    with app.app_context():
        assert [get_user(user_id).language for user_id in ids] == [
            None if at == place else "fr" for at in range(2)
        ]
        assert [get_user(user_id).time_zone for user_id in ids] == ["Europe/Paris"] * 2


# Who is left out, and why


def test_oneself_and_the_last_administrator_are_not_deleted(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user(role=Role.ADMINISTRATOR).id for _ in range(3)]
    actor = Actor(user_id=ids[1], name="", role=Role.ADMINISTRATOR)
    outcomes = change(app, Trashing(), [*ids, NOBODY], actor=actor)
    assert list(reasons(outcomes)) == [ids[1], NOBODY]
    assert "cannot delete yourself" in reasons(outcomes)[ids[1]]
    assert "no such user" in reasons(outcomes)[NOBODY]
    make_user(role=Role.ADMINISTRATOR)
    outcomes = change(app, Trashing(), [ids[1], ids[1] + 2])
    assert list(reasons(outcomes)) == [ids[1] + 2]
    assert "last administrator" in reasons(outcomes)[ids[1] + 2]


@pytest.mark.parametrize("actor", [AUDITOR, SUPPORT])
@pytest.mark.parametrize("make", [Trashing, Restoring])
def test_only_administrators_may(
    app: Flask, make_user: MakeUser, make: Callable[[], Change], actor: Actor
) -> None:
    ids = [make_user().id for _ in range(2)]
    if make is Restoring:
        change(app, Trashing(), ids)
    before, entries = read_tables(app), read_rows(app)
    outcomes = change(app, make(), ids, actor=actor)
    assert all(isinstance(outcome.refusal, Forbidden) for outcome in outcomes.values())
    assert (read_tables(app), read_rows(app)) == (before, entries)


def test_who_is_not_in_the_trash_is_not_restored(app: Flask, make_user: MakeUser) -> None:
    here, away = make_user().id, make_user().id
    change(app, Trashing(), [away])
    outcomes = change(app, Restoring(), [here, away, NOBODY])
    assert reasons(outcomes) == dict.fromkeys((here, NOBODY), "This user is not in the trash.")
    assert isinstance(outcomes[here].refusal, NotFound)


def test_whose_address_is_taken_stays_and_the_others_come_back(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user(email=f"{name}@example.org").id for name in ("ann", "bob")]
    change(app, Trashing(), ids)
    with app.app_context():
        services.create_user(email="ANN@example.org", actor=DESK)
    outcomes = change(app, Restoring(), ids)
    assert list(reasons(outcomes)) == [ids[0]]
    assert "has this e-mail by now" in reasons(outcomes)[ids[0]]
    assert isinstance(outcomes[ids[0]].refusal, Conflict)
    with app.app_context():
        assert trash.is_trashed(ids[0])
        assert get_user(ids[1]).email == "bob@example.org"


def test_of_several_with_one_address_the_first_comes_back(app: Flask, make_user: MakeUser) -> None:
    ids = []
    for email in ("ann@example.org", "ANN@example.org", "ann@EXAMPLE.org"):
        ids.append(make_user(email=email).id)
        change(app, Trashing(), ids[-1:])
    outcomes = change(app, Restoring(), reversed(ids))
    assert set(reasons(outcomes)) == set(ids[1:])
    with app.app_context():
        assert get_user(ids[0]).email == "ann@example.org"


# The same as one by one


def settle(app: Flask, crowd: Iterable[Somebody], trashed: Iterable[int], taken: Iterable[int]) -> None:
    """They alone are there; ``trashed`` are in the trash, ``taken`` the numbers whose address another has."""
    with app.app_context():
        clear()
    rows = [
        {"id": number, "email": f"p{number}@example.org", **vars(person)}
        for number, person in enumerate(crowd, 1)
    ]
    with app.app_context():
        insert_people(rows)
        throw_away([number for number in trashed if number <= len(rows)])
        insert_people(
            {"id": 100 + number, "email": f"P{number}@example.org", "full_name": ""} for number in taken
        )


@atomic
def throw_away(ids: list[int]) -> None:
    """Past the services, which would refuse the last administrator."""
    rows = get_session().execute(select(*trash.STORED).where(USERS.c.id.in_(ids))).mappings().all()
    for row in rows:
        get_session().execute(insert(TRASH).values(trash.trash_row(row, utc_now())))
    get_session().execute(delete(USERS).where(USERS.c.id.in_(ids)))


def delete_one(user_id: int, actor: Actor) -> None:
    trash.delete_user(get_user(user_id), version=get_user(user_id).version, actor=actor)


numbers = st.sets(st.integers(1, 7), max_size=5)


@thorough
@given(crowd=crowds, trashed=numbers, user_ids=selections, actor=actors)
def test_many_are_deleted_as_one_by_one(
    app: Flask, crowd: list[Somebody], trashed: set[int], user_ids: list[int], actor: Actor
) -> None:
    settle(app, crowd, trashed, ())
    refused = take_each(app, delete_one, user_ids, actor)
    found = read_people(app), read_trash(app), [tell_apart(story) for story in read_stories(app)]

    settle(app, crowd, trashed, ())
    outcomes = change(app, Trashing(), reversed(user_ids), actor=actor)
    assert (read_people(app), read_trash(app), [tell_apart(story) for story in read_stories(app)]) == found
    assert reasons(outcomes) == refused
    assert_intact(app)


@thorough
@given(crowd=crowds, trashed=numbers, taken=numbers, user_ids=selections, actor=actors)
def test_many_are_restored_as_one_by_one(
    app: Flask, crowd: list[Somebody], trashed: set[int], taken: set[int], user_ids: list[int], actor: Actor
) -> None:
    taken &= {number for number in trashed if number <= len(crowd)}  # another's address cannot be taken
    settle(app, crowd, trashed, taken)
    refused = take_each(app, lambda i, actor: trash.restore_user(i, actor=actor), user_ids, actor)
    found = read_people(app), read_trash(app), [tell_apart(story) for story in read_stories(app)]

    settle(app, crowd, trashed, taken)
    outcomes = change(app, Restoring(), reversed(user_ids), actor=actor)
    assert (read_people(app), read_trash(app), [tell_apart(story) for story in read_stories(app)]) == found
    words = "Another user already has this e-mail."  # of one alone, whom one gives another at once
    assert {
        user_id: words if "has this e-mail by now" in reason else reason
        for user_id, reason in reasons(outcomes).items()
    } == refused
    assert_intact(app)


# At once


def test_sent_away_and_brought_back_at_once_each_is_in_one_place(file_app: Flask) -> None:
    ids = settle_crowd(file_app, 24)
    change(file_app, Trashing(), ids[:12])
    outcomes = race(
        file_app,
        make_of(Trashing(), ids),
        make_of(Trashing(), reversed(ids)),
        make_of(Restoring(), ids),
        make_of(Restoring(), reversed(ids)),
    )
    assert all(isinstance(outcome, dict) for outcome in outcomes), outcomes
    with file_app.app_context():
        here = set(get_session().scalars(select(USERS.c.id)))
        away = set(get_session().scalars(select(TRASH.c.user_id)))
        assert find_miscounts(get_session(), LISTING) == []
    assert here | away == set(ids)
    assert here & away == set()
    kinds = [story.kind for story in read_stories(file_app)]
    assert kinds.count(Kind.DELETED) - kinds.count(Kind.RESTORED) == len(away)
    assert_intact(file_app)


def test_an_address_that_is_taken_in_the_same_moment_is_somebody_s_alone(file_app: Flask) -> None:
    ids = settle_crowd(file_app, 12)
    change(file_app, Trashing(), ids)

    def take_addresses() -> list[int]:
        taken = []
        for user_id in reversed(ids):
            with suppress(Conflict):  # he is back already
                insert_people([{"id": 100 + user_id, "email": f"P{user_id}@example.org", "full_name": ""}])
                taken.append(user_id)
        return taken

    restored, taken = race(file_app, make_of(Restoring(), ids), take_addresses)
    assert isinstance(taken, list)
    assert isinstance(restored, dict | Conflict), "all who could, or nobody"
    with file_app.app_context():
        keys = list(get_session().scalars(select(USERS.c.email_key)))
    assert len(keys) == len(set(keys))
    assert_intact(file_app)


@pytest.mark.parametrize("round_", range(2))
def test_of_all_administrators_one_is_not_deleted(file_app: Flask, round_: int) -> None:
    ids = settle_crowd(file_app, 6, role=Role.ADMINISTRATOR)

    def delete_alone() -> int:
        deleted = 0
        for user_id in reversed(ids):
            try:
                delete_one(user_id, DESK)
                deleted += 1
            except DomainError:
                pass  # gone already, or the last one
        return deleted

    race(file_app, make_of(Trashing(), ids), make_of(Trashing(), reversed(ids)), delete_alone)
    with file_app.app_context():
        assert len(find_administrators()) == 1
    assert_intact(file_app)
