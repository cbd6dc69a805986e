"""What was let in ends with what let it in: asked again under the lock, by whatever gives access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from tests.conftest import MakeUser, read_tables
from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role
from webapp.auth import services as auth
from webapp.auth.models import SignInSession
from webapp.auth.queries import get_own_session, is_session_open, list_sessions
from webapp.db import atomic, get_session
from webapp.errors import Conflict, Forbidden, SignInEnded
from webapp.history.models import ENTRIES
from webapp.tokens.queries import list_own_tokens
from webapp.tokens.services import create_token, revoke_token
from webapp.users import amending, services, trash, undoing
from webapp.users.many import Activation, RoleChange, change_many
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.standing import SIGN_IN_ENDED, find_standing, lock_standing

DESK = Actor.command_line()


@atomic
def lock(actor: Actor, *others: int) -> Actor:
    return lock_standing(actor, others=others)


@pytest.fixture
def admin(context: Flask, make_user: MakeUser) -> Actor:
    """An administrator as their request begins, in a session of their own; there is another one besides."""
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(role=Role.ADMINISTRATOR)
    auth.open_session(user_id=user.id, epoch=0, address="", user_agent="")
    (session,) = list_sessions(user.id, context.extensions["settings"])
    credential = partial(is_session_open, session.id)
    get_session().rollback()
    return Actor(user_id=user.id, name="Desk", role=Role.ADMINISTRATOR, epoch=0, credential=credential)


def present(actor: Actor) -> User:
    return get_user(actor.user_id or 0)


def sign_out_elsewhere(actor: Actor) -> None:
    get_session().execute(delete(SignInSession).where(SignInSession.user_id == actor.user_id))
    get_session().commit()


ENDS: dict[str, Callable[[Actor], object]] = {
    "a new password": lambda actor: services.store_password(present(actor), hashed="$argon2id$", actor=DESK),
    "sign out everywhere": lambda actor: services.sign_out_everywhere(present(actor), actor=DESK),
    "deactivation": lambda actor: services.deactivate_user(present(actor), actor=DESK),
    "another role": lambda actor: services.update_user(
        present(actor), version=1, role=Role.SUPPORT, actor=DESK
    ),
    "the trash": lambda actor: trash.delete_user(present(actor), version=1, actor=DESK),
    "the device signed out": sign_out_elsewhere,
}


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_a_sign_in_ends_the_standing(admin: Actor, end: str) -> None:
    assert lock(admin) == admin
    ENDS[end](admin)
    assert find_standing(admin) is None
    with pytest.raises(SignInEnded):
        lock(admin)


def test_the_role_is_taken_as_it_is_now(admin: Actor) -> None:
    """Even where the epoch would say nothing of it."""
    assert lock(replace(admin, role=Role.AUDITOR)).role is Role.ADMINISTRATOR


@pytest.mark.parametrize("actor", [DESK, Actor(user_id=None, name="", role=Role.MEMBER)])
def test_who_came_with_no_sign_in_stands(context: Flask, actor: Actor) -> None:
    assert (find_standing(actor), lock(actor)) == (actor, actor)


def tables(app: Flask) -> object:
    get_session().rollback()  # SQLite in memory has one connection
    return read_tables(app)


def member(make_user: MakeUser, **columns: object) -> int:
    get_session().rollback()
    return make_user(**columns).id


def inactive_staff(make_user: MakeUser) -> int:
    return member(make_user, role=Role.SUPPORT, is_active=False)


def trashed(make_user: MakeUser) -> int:
    user_id = member(make_user, role=Role.ADMINISTRATOR)
    trash.delete_user(get_user(user_id), version=1, actor=DESK)
    return user_id


def demoted(make_user: MakeUser) -> int:
    """The entry of a demotion."""
    user_id = member(make_user, role=Role.ADMINISTRATOR)
    services.update_user(get_user(user_id), version=1, role=Role.MEMBER, actor=DESK)
    return get_session().scalar(select(func.max(ENTRIES.c.id))) or 0


def new_user(actor: Actor, **values: object) -> object:
    return services.create_user(email="new@example.org", actor=actor, **values)  # type: ignore[arg-type]


def own_session(actor: Actor) -> SignInSession:
    user_id = actor.user_id or 0
    auth.open_session(user_id=user_id, epoch=present(actor).session_epoch, address="", user_agent="")
    return get_own_session(2, user_id)


# What gives or takes access, as (what is there before, what the actor does).
Given = Callable[[MakeUser], int]
ACTS: dict[str, tuple[Given, Callable[[int, Actor], object]]] = {
    "create staff": (lambda _: 0, lambda _, actor: new_user(actor, role=Role.SUPPORT)),
    "create with a password": (lambda _: 0, lambda _, actor: new_user(actor, hashed_password="$argon2id$")),
    "set a role": (
        member,
        lambda it, actor: services.update_user(get_user(it), version=1, role=Role.SUPPORT, actor=actor),
    ),
    "amend a role": (
        member,
        lambda it, actor: amending.amend_user(get_user(it), version=1, role=Role.SUPPORT, actor=actor),
    ),
    "amend a status": (
        inactive_staff,
        lambda it, actor: amending.amend_user(get_user(it), version=1, is_active=True, actor=actor),
    ),
    "set many roles": (
        member,
        lambda it, actor: change_many(RoleChange(Role.SUPPORT), [it], actor=actor, facts={}),
    ),
    "activate": (inactive_staff, lambda it, actor: services.activate_user(get_user(it), actor=actor)),
    "activate many": (
        inactive_staff,
        lambda it, actor: change_many(Activation(), [it], actor=actor, facts={}),
    ),
    "deactivate": (member, lambda it, actor: services.deactivate_user(get_user(it), actor=actor)),
    "set a password": (
        member,
        lambda it, actor: services.store_password(get_user(it), hashed="$argon2id$", actor=actor),
    ),
    "make a link": (member, lambda it, actor: auth.create_password_link(get_user(it), actor=actor)),
    "sign out": (member, lambda it, actor: services.sign_out_everywhere(get_user(it), actor=actor)),
    "delete": (member, lambda it, actor: trash.delete_user(get_user(it), version=1, actor=actor)),
    "restore": (trashed, lambda it, actor: trash.restore_user(it, actor=actor)),
    "purge": (trashed, lambda it, actor: trash.purge_user(it, actor=actor)),
    "undo": (demoted, lambda it, actor: undoing.undo_change(it, actor=actor)),
}


@pytest.mark.parametrize("end", ["sign out everywhere", "the device signed out", "another role"])
@pytest.mark.parametrize("act", ACTS)
def test_an_actor_whose_sign_in_has_ended_gives_no_access(
    context: Flask, admin: Actor, make_user: MakeUser, act: str, end: str
) -> None:
    given, do = ACTS[act]
    number = given(make_user)
    ENDS[end](admin)
    before = tables(context)
    with pytest.raises(SignInEnded):
        do(number, admin)
    assert tables(context) == before


@pytest.mark.parametrize("act", ACTS)
def test_an_actor_who_still_stands_does_the_same(
    context: Flask, admin: Actor, make_user: MakeUser, act: str
) -> None:
    given, do = ACTS[act]
    number = given(make_user)
    before = tables(context)
    do(number, admin)
    assert tables(context) != before


def test_of_ones_own_a_session_that_has_ended_makes_and_ends_nothing(context: Flask, admin: Actor) -> None:
    scopes = [Permission.USERS_READ]
    _secret, token = create_token(present(admin), name="Mine", scopes=scopes, days=1, actor=admin)
    other = own_session(admin)
    services.sign_out_everywhere(present(admin), actor=DESK)
    before = tables(context)
    for do in (
        lambda: create_token(present(admin), name="Late", scopes=scopes, days=1, actor=admin),
        lambda: revoke_token(token, actor=admin),
        lambda: auth.revoke_session(other, actor=admin),
        lambda: auth.revoke_other_sessions(keep=other.id, actor=admin),
    ):
        with pytest.raises(SignInEnded):
            do()
    assert tables(context) == before
    assert [token.name for token in list_own_tokens(admin.user_id or 0)] == ["Mine"]


def test_who_was_demoted_without_an_end_acts_by_the_role_of_now(
    context: Flask, admin: Actor, make_user: MakeUser
) -> None:
    """The services decide by what lock_standing() answers, not by the actor that the request began with."""
    auditor = make_user(role=Role.AUDITOR)
    stale = Actor(user_id=auditor.id, name="", role=Role.ADMINISTRATOR, epoch=0, credential=lambda: True)
    for act, (given, do) in ACTS.items():
        number = given(make_user)
        if act in {"set many roles", "activate many"}:  # which answer a refusal for each
            (outcome,) = do(number, stale).values()  # type: ignore[attr-defined]
            assert isinstance(outcome.refusal, Forbidden), act
            continue
        with pytest.raises(Forbidden):
            do(number, stale)


def test_nobody_makes_a_link_for_themselves(context: Flask, admin: Actor) -> None:
    with pytest.raises(Conflict, match="for yourself"):
        auth.create_password_link(present(admin), actor=admin)


@pytest.mark.parametrize(
    ("path", "kind"), [("/tokens/", "text/html"), ("/api/v1/users", "application/problem+json")]
)
def test_each_door_answers_401_and_how_to_go_on(app: Flask, path: str, kind: str) -> None:
    with app.test_request_context(path, method="POST"):
        answer = app.make_response(app.handle_user_exception(SignInEnded(SIGN_IN_ENDED)))
        assert (answer.status_code, answer.mimetype) == (401, kind)
