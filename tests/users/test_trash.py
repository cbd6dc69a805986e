"""The trash: out of it one comes back as one was, or goes for good and is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.conftest import MakeUser, read_tables, read_user
from tests.history.ways import assert_intact, read_rows, read_stories, read_texts
from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.models import PasswordLink, SignInSession
from webapp.auth.services import create_password_link, open_session
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.users import services, trash
from webapp.users.models import TRASH, USERS, Trashed, User
from webapp.users.queries import find_user, find_user_by_email, get_user

DESK = Actor(user_id=1_000_000, name="Desk Person", role=Role.ADMINISTRATOR)
# What tells that one was away: nothing of a person's own.
COUNTED = {"version", "session_epoch", "updated_at"}
FULL: dict[str, object] = {
    "email": "Zoë.Adler+x@exämple.org",
    "full_name": "Zoë \u200d Straße 👩\u200d👧",
    "role": Role.SUPPORT,
    "is_active": False,
    "session_epoch": 7,
    "language": "fr",
    "time_zone": "Europe/Paris",
    "created_at": datetime(2020, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
    "updated_at": datetime(2021, 1, 1, tzinfo=UTC),
    "last_sign_in_at": datetime(2022, 6, 1, 12, 0, 0, 1, tzinfo=UTC),
    "version": 12,
}
ROWS: dict[str, dict[str, object]] = {
    "full": FULL,
    "bare": {"full_name": "", "hashed_password": None},
    "administrator": {"role": Role.ADMINISTRATOR},
}


def read_columns(app: Flask, user_id: int) -> dict[str, object]:
    with app.app_context():
        statement = select(USERS).where(USERS.c.id == user_id)
        return dict(get_session().execute(statement).mappings().one())


def discard(user_id: int, *, actor: Actor = DESK) -> None:
    user = get_user(user_id)
    trash.delete_user(user, version=user.version, actor=actor)


@pytest.mark.parametrize("name", ROWS)
def test_who_is_restored_is_as_before(app: Flask, make_user: MakeUser, name: str) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(**ROWS[name])
    before = read_columns(app, user.id)
    with app.app_context():
        discard(user.id)
    assert read_user(app, user.id) is None
    with app.app_context():
        trash.restore_user(user.id, actor=DESK)
        assert get_session().scalar(select(func.count()).select_from(Trashed)) == 0
    after = read_columns(app, user.id)
    assert {name: value for name, value in after.items() if name not in COUNTED} == {
        name: value for name, value in before.items() if name not in COUNTED
    }
    assert (after["version"], after["session_epoch"]) == (user.version + 1, user.session_epoch + 1)
    assert [story.kind for story in read_stories(app)] == [Kind.DELETED, Kind.RESTORED]


def test_every_column_that_is_stored_is_kept(app: Flask, make_user: MakeUser) -> None:
    """A new column of users is found here until a person comes back with it."""
    user = make_user(**FULL)
    with app.app_context():
        discard(user.id)
        row = trash.get_trashed(user.id).row
    assert set(json.loads(row)) == {column.name for column in USERS.columns if column.computed is None}


def test_who_is_in_the_trash_is_nowhere_else(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="ann@example.org", full_name="Ann Lee", role=Role.AUDITOR)
    with app.app_context():
        discard(user.id)
        assert find_user(user.id) is None
        assert find_user_by_email("ann@example.org") is None
        trashed = trash.get_trashed(user.id)
        assert (trashed.email, trashed.full_name, trashed.role) == (
            "ann@example.org",
            "Ann Lee",
            Role.AUDITOR,
        )
        assert abs(utc_now() - trashed.deleted_at) < timedelta(minutes=1)


def test_sessions_and_links_do_not_come_back(app: Flask, make_user: MakeUser) -> None:
    user = make_user(role=Role.AUDITOR)
    with app.app_context():
        open_session(user_id=user.id, epoch=0, address="", user_agent="")
        create_password_link(get_user(user.id), actor=DESK)
        discard(user.id)
        trash.restore_user(user.id, actor=DESK)
        for model in (SignInSession, PasswordLink):
            assert get_session().scalar(select(func.count()).select_from(model)) == 0
        assert get_user(user.id).session_epoch == 1, "a cookie of before opens nothing either"


# The e-mail


def test_the_address_is_free_meanwhile_and_the_clash_is_named(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="ann@example.org", full_name="Ann Lee")
    with app.app_context():
        discard(user.id)
        other = services.create_user(email="ANN@example.org", actor=DESK).id
    before, entries = read_tables(app), read_rows(app)
    with app.app_context(), pytest.raises(Conflict) as refusal:
        trash.restore_user(user.id, actor=DESK)
    assert refusal.value.field == "email"
    assert (read_tables(app), read_rows(app)) == (before, entries)
    with app.app_context():
        assert trash.restore_user(user.id, email="ann.lee@example.org", actor=DESK).id == user.id
    restored = read_user(app, user.id)
    assert restored is not None
    assert (restored.email, restored.email_key) == ("ann.lee@example.org", "ann.lee@example.org")
    assert "lee" in restored.search_text
    assert read_stories(app)[-1].changes == {"email": ("ann@example.org", "ann.lee@example.org")}
    with app.app_context():
        assert get_user(other).email == "ANN@example.org"


@pytest.mark.parametrize("email", ["", "ann", "a\0@example.org", "x" * 300 + "@example.org"])
def test_another_address_must_be_one(app: Flask, make_user: MakeUser, email: str) -> None:
    user = make_user()
    with app.app_context():
        discard(user.id)
    before = read_tables(app)
    with app.app_context(), pytest.raises(Invalid) as refusal:
        trash.restore_user(user.id, email=email, actor=DESK)
    assert refusal.value.field == "email"
    assert read_tables(app) == before


def test_the_same_address_typed_again_is_no_change(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="ann@example.org")
    with app.app_context():
        discard(user.id)
        trash.restore_user(user.id, email=" ann@EXAMPLE.org ", actor=DESK)
    assert read_stories(app)[-1].changes == {}


# For good


def test_who_is_purged_is_gone_and_forgotten(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="quixote@example.org", full_name="Ann Quixote")
    with app.app_context():
        services.update_user(get_user(user.id), version=1, full_name="Quixote Two", actor=DESK)
        discard(user.id)
        trash.purge_user(user.id, actor=DESK)
    assert "quixote" not in (read_texts(app) + str(read_tables(app))).casefold()
    stories = read_stories(app)
    assert [story.kind for story in stories] == [Kind.EDITED, Kind.DELETED, Kind.PURGED]
    assert [story.subject_id for story in stories] == [user.id] * 3
    assert [story.actor_name for story in stories] == ["Desk Person"] * 3
    assert_intact(app)
    with app.app_context():
        for act in (trash.purge_user, trash.restore_user):
            with pytest.raises(NotFound):
                act(user.id, actor=DESK)


def test_erasing_is_both_at_once(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="quixote@example.org", full_name="Ann Quixote")
    with app.app_context():
        trash.erase_user(get_user(user.id), actor=DESK)
    assert "quixote" not in (read_texts(app) + str(read_tables(app))).casefold()
    assert [story.kind for story in read_stories(app)] == [Kind.DELETED, Kind.PURGED]
    assert_intact(app)


def test_the_id_of_who_is_gone_is_nobody_else_s(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    with app.app_context():
        trash.erase_user(get_user(user.id), actor=DESK)
        assert services.create_user(email="new@example.org", actor=DESK).id > user.id


def test_only_who_is_in_it_for_longer_goes(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(4)]
    now = utc_now()
    with app.app_context():
        for days, user in enumerate(users):
            discard(user.id)
            moved = update(TRASH).where(TRASH.c.user_id == user.id)
            get_session().execute(moved.values(deleted_at=now - timedelta(days=days)))
            get_session().commit()
        assert trash.purge_older(now - timedelta(days=1, hours=12), actor=DESK) == 2
        assert trash.purge_older(now - timedelta(days=1, hours=12), actor=DESK) == 0
        left = set(get_session().scalars(select(TRASH.c.user_id)))
    assert left == {user.id for user in users[:2]}
    assert sum(story.kind is Kind.PURGED for story in read_stories(app)) == 2


# Who may, and whom not


Act = Callable[[int, Actor], object]
ACTS: dict[str, Act] = {
    "restore": lambda user_id, actor: trash.restore_user(user_id, actor=actor),
    "purge": lambda user_id, actor: trash.purge_user(user_id, actor=actor),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR, Role.SUPPORT])
def test_only_administrators_may(app: Flask, make_user: MakeUser, name: str, role: Role) -> None:
    user = make_user()
    with app.app_context():
        discard(user.id)
    before = read_tables(app)
    with app.app_context(), pytest.raises(Forbidden):
        ACTS[name](user.id, Actor(user_id=5, name="", role=role))
    assert read_tables(app) == before


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("user_id", [0, 999, 2**63 - 1, 2**63, 10**40])
def test_who_is_not_in_it_is_not_found(context: Flask, name: str, user_id: int) -> None:
    with pytest.raises(NotFound):
        ACTS[name](user_id, DESK)
    assert read_rows(context) == []


def test_neither_the_last_administrator_nor_oneself_can_be_deleted_or_erased(
    app: Flask, make_user: MakeUser
) -> None:
    last = make_user(role=Role.ADMINISTRATOR)
    own = Actor(user_id=last.id, name="", role=Role.ADMINISTRATOR)
    before = read_tables(app)
    for actor in (DESK, own):
        with app.app_context():
            with pytest.raises(Conflict):
                discard(last.id, actor=actor)
            with pytest.raises(Conflict):
                trash.erase_user(get_user(last.id), actor=actor)
    make_user(role=Role.ADMINISTRATOR)
    with app.app_context(), pytest.raises(Conflict):
        discard(last.id, actor=own)
    assert read_tables(app)["users"][: len(before["users"])] == before["users"]
    assert read_rows(app) == []


# At once


def in_trash(app: Flask) -> int:
    with app.app_context():
        user_id = services.create_user(email="ann@example.org", full_name="Ann Quixote", actor=DESK).id
        discard(user_id)
    return user_id


def test_of_many_who_restore_at_once_one_does(file_app: Flask) -> None:
    user_id = in_trash(file_app)
    outcomes = race(file_app, *[lambda: trash.restore_user(user_id, actor=DESK).id] * 6)
    assert outcomes.count(user_id) == 1
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 5
    assert [story.kind for story in read_stories(file_app)].count(Kind.RESTORED) == 1
    assert_intact(file_app)


def test_of_many_who_purge_at_once_one_does(file_app: Flask) -> None:
    user_id = in_trash(file_app)
    outcomes = race(file_app, *[lambda: trash.purge_user(user_id, actor=DESK)] * 6)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 5
    assert [story.kind for story in read_stories(file_app)].count(Kind.PURGED) == 1


@pytest.mark.parametrize("round_", range(5))
def test_who_is_restored_and_purged_at_once_is_either_back_or_forgotten(file_app: Flask, round_: int) -> None:
    user_id = in_trash(file_app)
    outcomes = race(
        file_app,
        lambda: trash.restore_user(user_id, actor=DESK).id,
        lambda: trash.purge_user(user_id, actor=DESK),
    )
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 1
    is_back = read_user(file_app, user_id) is not None
    assert is_back is (outcomes[0] == user_id)
    assert ("Quixote" in read_texts(file_app)) is is_back
    assert_intact(file_app)


def test_purging_all_while_one_is_restored_purges_the_others(file_app: Flask) -> None:
    with file_app.app_context():
        ids = [services.create_user(email=f"ann{n}@example.org", actor=DESK).id for n in range(12)]
        for user_id in ids:
            discard(user_id)
    later = utc_now() + timedelta(days=1)

    def restore_all() -> int:
        number = 0
        for user_id in ids[6:]:
            try:
                trash.restore_user(user_id, actor=DESK)
                number += 1
            except NotFound:
                pass
        return number

    restored, purged = race(file_app, restore_all, lambda: trash.purge_older(later, actor=DESK))
    assert isinstance(restored, int)
    assert isinstance(purged, int), "one who is gone meanwhile is no reason to stop"
    assert restored + purged == 12
    with file_app.app_context():
        assert get_session().scalar(select(func.count()).select_from(User)) == restored
        assert get_session().scalar(select(func.count()).select_from(Trashed)) == 0
