"""The users table: what is derived is never out of step, and the database itself refuses nonsense."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from tests.conftest import MakeUser, read_user
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.listing.search import searchable
from webapp.users.models import User, derive_keys
from webapp.users.queries import get_user


def test_a_new_user_is_an_active_member_who_was_invited(app: Flask, make_user: MakeUser) -> None:
    user = read_user(app, make_user(hashed_password=None).id)
    assert user is not None
    assert (user.role, user.is_active, user.is_invited, user.version, user.session_epoch) == (
        Role.MEMBER,
        True,
        True,
        1,
        0,
    )
    assert user.created_at == user.updated_at or user.updated_at - user.created_at < timedelta(seconds=1)
    assert user.last_sign_in_at is None


def test_the_keys_follow_name_and_address_in_any_order(app: Flask, make_user: MakeUser) -> None:
    user_id = make_user(full_name="Zoë Straße", email="Zoe@Example.org").id
    for name, value in (
        ("full_name", "Élodie  D'Été"),
        ("email", "ÉLODIE@example.org"),
        ("full_name", ""),
        ("email", "ｚｏｅ@example.org"),
    ):
        with app.app_context():
            setattr(get_user(user_id), name, value)
            get_session().commit()
        user = read_user(app, user_id)
        assert user is not None
        assert getattr(user, name) == value
        keys = derive_keys(full_name=user.full_name, email=user.email)
        assert {key: getattr(user, key) for key in keys} == keys


def test_the_keys_are_folded(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Łukasz Ångström", email="LUKASZ@Example.org")
    assert user.email_key == "lukasz@example.org"
    assert user.name_key == "łukasz angstrom"
    assert user.search_text == searchable("Łukasz Ångström", "lukasz@example.org")


def test_the_longest_name_has_keys_that_fit(make_user: MakeUser) -> None:
    assert len(make_user(full_name="ﷺ" * 200).name_key) == 200


@pytest.mark.parametrize("other", ["ANN@example.org", "ａｎｎ@example.org", "ann@EXAMPLE.org"])
def test_one_mailbox_can_be_stored_once_only(make_user: MakeUser, other: str) -> None:
    make_user(email="ann@example.org")
    with pytest.raises(IntegrityError):
        make_user(email=other)


def test_each_edit_counts_a_version(app: Flask, make_user: MakeUser) -> None:
    user_id = make_user().id
    for number in (2, 3):
        with app.app_context():
            get_user(user_id).full_name = f"Name {number}"
            get_session().commit()
        user = read_user(app, user_id)
        assert user is not None
        assert user.version == number


@pytest.mark.parametrize(
    "change",
    [
        "role = 'king'",
        "role = ''",
        "email = 'ab'",
        f"email = '{'e' * 255}'",
        f"full_name = '{'n' * 201}'",
        "email = NULL",
        "full_name = NULL",
        "role = NULL",
        "is_active = NULL",
        "created_at = NULL",
        "version = NULL",
    ],
    ids=lambda change: change[:20],
)
def test_the_database_refuses_what_no_rule_would_let_through(
    context: Flask, make_user: MakeUser, change: str
) -> None:
    user_id = make_user().id
    # Postgres reports a text over its column's length as DataError, before any CHECK.
    with pytest.raises((IntegrityError, DataError)):
        get_session().execute(text(f"UPDATE users SET {change} WHERE id = {user_id}"))
    get_session().rollback()


def test_a_time_without_a_zone_cannot_be_stored(make_user: MakeUser) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        make_user(created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_a_time_of_any_zone_comes_back_as_the_same_moment_in_utc(app: Flask, make_user: MakeUser) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    user = read_user(app, make_user(created_at=moment).id)
    assert user is not None
    assert user.created_at == moment
    assert user.created_at.utcoffset() == timedelta(0)


def test_the_id_of_a_deleted_user_is_never_given_again(app: Flask, make_user: MakeUser) -> None:
    first = make_user().id
    with app.app_context():
        get_session().delete(get_user(first))
        get_session().commit()
    assert make_user().id > first


@pytest.mark.parametrize(("name", "shown"), [("Ann Lee", "Ann Lee"), ("", "ann@example.org")])
def test_who_has_no_name_is_called_by_the_address(name: str, shown: str) -> None:
    assert User(full_name=name, email="ann@example.org").display_name == shown
