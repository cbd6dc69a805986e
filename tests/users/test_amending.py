"""All that a program changes of a user is changed in one step, of the very version that it named."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import MakeUser, newest_entry, read_tables, read_user
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, Stale
from webapp.history.queries import list_stories
from webapp.history.rules import Kind
from webapp.users.amending import amend_user
from webapp.users.models import User
from webapp.users.services import update_user


def load(user: User) -> User:
    return get_session().get_one(User, user.id)


def test_everything_at_once_is_told_as_what_it_is(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = load(make_user())
    changed = amend_user(
        user,
        version=1,
        email="new@example.org",
        full_name="New",
        role="support",
        is_active=False,
        actor=actor,
    )
    assert changed
    assert (user.email, user.full_name, user.role) == ("new@example.org", "New", Role.SUPPORT)
    assert (user.is_active, user.version) == (False, 3)
    kinds = [story.kind for story in list_stories(user.id, most=5)]
    assert kinds == [Kind.DEACTIVATED, Kind.EDITED]


def test_what_is_left_out_stays(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = load(make_user(full_name="Ann", is_active=False))
    assert amend_user(user, version=1, is_active=True, actor=actor)
    assert (user.full_name, user.is_active, user.version) == ("Ann", True, 2)


def test_the_same_again_changes_nothing(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = load(make_user(full_name="Ann"))
    assert not amend_user(user, version=1, full_name="Ann", role="member", is_active=True, actor=actor)
    assert (user.version, list_stories(user.id, most=5)) == (1, [])


def test_another_version_is_never_merged(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    """Not even where a person's edit would be: the other one changed another field."""
    user = load(make_user())
    theirs = user.email
    update_user(user, version=1, full_name="Theirs", actor=actor)
    with pytest.raises(Stale):
        amend_user(user, version=1, email="mine@example.org", actor=actor)
    get_session().refresh(user)
    assert (user.email, user.full_name, user.version) == (theirs, "Theirs", 2)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"full_name": "New", "email": "no mail"}, Invalid),
        ({"full_name": "New", "email": "taken@example.org"}, Conflict),
        ({"full_name": "New", "role": "king"}, Invalid),
        ({"full_name": "New", "is_active": False}, Conflict),  # the last administrator
        ({"full_name": "New", "role": "member", "is_active": False}, Conflict),
    ],
    ids=str,
)
def test_all_or_nothing(
    app: Flask, make_user: MakeUser, actor: Actor, changes: dict[str, object], refusal: type[DomainError]
) -> None:
    make_user(email="taken@example.org")
    user = make_user(role=Role.ADMINISTRATOR)
    before = read_tables(app), newest_entry(app)
    with app.app_context(), pytest.raises(refusal):
        amend_user(load(user), version=1, **changes, actor=actor)  # type: ignore[arg-type]
    assert (read_tables(app), newest_entry(app)) == before


@pytest.mark.parametrize(
    "changes", [{"role": "support"}, {"role": "administrator", "is_active": False}], ids=str
)
def test_a_role_is_an_administrator_s_to_change(
    app: Flask, make_user: MakeUser, changes: dict[str, object]
) -> None:
    desk = Actor(user_id=1_000, name="Desk", role=Role.SUPPORT)
    user = make_user()
    with app.app_context(), pytest.raises(Forbidden):
        amend_user(load(user), version=1, **changes, actor=desk)  # type: ignore[arg-type]
    stored = read_user(app, user.id)
    assert stored is not None
    assert (stored.role, stored.version) == (Role.MEMBER, 1)
