"""Making, using and revoking tokens: who may, what ends one, and what of it is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.conftest import PASSWORD
from tests.house.changes import put
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Permission, Role
from webapp.auth.services import change_password
from webapp.db import get_session
from webapp.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.extensions import utc_now
from webapp.history.queries import list_stories
from webapp.history.rules import Kind
from webapp.tokens import queries, rules, services
from webapp.tokens.models import Token
from webapp.users import services as users
from webapp.users.many import Deactivation, SignOut, change_many
from webapp.users.models import User
from webapp.users.trash import delete_user, erase_user, restore_user

DESK = Actor.command_line()
HERE = "192.0.2.7"


def own(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.display_name, role=user.role)


def make_token(user: User, **changes: Any) -> tuple[str, Token]:
    values: dict[str, Any] = {"name": "Report", "scopes": ["users.read"], "days": 30, "actor": own(user)}
    return services.create_token(user, **{**values, **changes})


def is_alive(secret: str, address: str = HERE) -> bool:
    get_session().expire_all()
    return queries.find_token(secret, address=address) is not None


@pytest.fixture
def owner(context: Flask) -> User:
    """Support, and there is an administrator besides."""
    put(role=Role.ADMINISTRATOR, email="other@example.org")
    return put(role=Role.SUPPORT)


def test_a_token_opens_what_it_was_made_for_and_only_its_hash_is_stored(owner: User) -> None:
    secret, token = make_token(owner, scopes=["users.edit", "users.read"], address_range="192.0.2.0/24")
    row = get_session().execute(select(Token.__table__)).one()
    assert secret not in repr(row)
    assert secret[8:51] not in repr(row)
    assert (row.token_hash, row.hint) == (rules.hash_secret(secret), secret[-4:])
    found = queries.find_token(secret, address=HERE)
    assert found is not None
    assert (found.token_id, found.user_id, found.role) == (token.id, owner.id, Role.SUPPORT)
    assert found.scopes == {Permission.USERS_READ, Permission.USERS_EDIT}
    assert timedelta(days=29, hours=23) < row.expires_at - utc_now() <= timedelta(days=30)


def test_its_making_and_its_end_are_told_without_the_secret(owner: User) -> None:
    secret, token = make_token(owner)
    services.revoke_token(token, actor=own(owner))
    revoked, made = list_stories(owner.id, most=5)
    assert (made.kind, revoked.kind) == (Kind.TOKEN_MADE, Kind.TOKEN_REVOKED)
    assert dict(revoked.facts).pop("digest") == token.token_hash[:32]
    for story in (made, revoked):
        assert {name: it for name, it in story.facts.items() if name != "digest"} == {
            "token": f"Report (…{secret[-4:]})",
            "scopes": ["users.read"],
        }
        assert (story.subject_id, story.actor_id) == (owner.id, owner.id)


def test_one_makes_a_token_for_oneself_alone(owner: User) -> None:
    other = put(role=Role.ADMINISTRATOR, email="boss@example.org")
    for actor in (own(other), Actor(user_id=None, name="", role=Role.MEMBER)):
        with pytest.raises(Forbidden):
            make_token(owner, actor=actor)
    assert queries.list_own_tokens(owner.id) == []
    assert make_token(owner, actor=DESK)[1].user_id == owner.id


def test_a_token_makes_and_revokes_no_token(owner: User) -> None:
    """Whatever its scopes are: else one that is stolen could outlive its revocation."""
    _secret, token = make_token(owner)
    program = Actor(
        user_id=owner.id, name="", role=Role.ADMINISTRATOR, door=Door.API, scopes=frozenset(rules.SCOPES)
    )
    with pytest.raises(Forbidden):
        make_token(owner, actor=program)
    with pytest.raises(Forbidden):
        services.revoke_token(token, actor=program)


@pytest.mark.parametrize("columns", [{"role": Role.MEMBER}, {"role": Role.SUPPORT, "is_active": False}])
def test_who_cannot_sign_in_gets_no_token(context: Flask, columns: dict[str, Any]) -> None:
    with pytest.raises(Conflict):
        make_token(put(**columns), actor=DESK)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": " "}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["users.delete", "users.read"]}),
        ("scopes", {"scopes": ["users.edit"]}),
        ("scopes", {"scopes": ["own_account"]}),
        ("days", {"days": 0}),
        ("days", {"days": 366}),
        ("address_range", {"address_range": "anywhere"}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(owner: User, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        make_token(owner, **changes)
    assert refused.value.field == field
    assert queries.list_own_tokens(owner.id) == []


def sign_out(user: User) -> None:
    users.sign_out_everywhere(user, actor=own(user))


def deactivate(user: User) -> None:
    users.deactivate_user(user, actor=DESK)


def demote(user: User) -> None:
    users.update_user(user, version=user.version, role="auditor", actor=DESK)


def promote(user: User) -> None:
    users.update_user(user, version=user.version, role="administrator", actor=DESK)


def make_a_member(user: User) -> None:
    users.update_user(user, version=user.version, role="member", actor=DESK)


def change_own_password(user: User) -> None:
    change_password(
        user,
        current=PASSWORD,
        new="harbour candle meadow",
        address=HERE,
        user_agent="",
        actor=own(user),
    )


def set_password(user: User) -> None:
    users.set_password(user, password="harbour candle meadow", actor=DESK)


def trash(user: User) -> None:
    delete_user(user, version=user.version, actor=DESK)


def erase(user: User) -> None:
    erase_user(user, actor=DESK)


def deactivate_many(user: User) -> None:
    change_many(Deactivation(), [user.id], actor=DESK, facts={})


def sign_out_many(user: User) -> None:
    change_many(SignOut(), [user.id], actor=DESK, facts={})


@pytest.mark.parametrize(
    "end",
    [
        sign_out,
        deactivate,
        demote,
        promote,
        make_a_member,
        change_own_password,
        set_password,
        trash,
        erase,
        deactivate_many,
        sign_out_many,
    ],
)
def test_what_ends_the_sign_ins_of_its_owner_ends_a_token(owner: User, end: Callable[[User], None]) -> None:
    secret, _token = make_token(owner)
    assert is_alive(secret)
    end(owner)
    assert not is_alive(secret)


def test_being_let_in_again_gives_no_token_back(owner: User) -> None:
    secret, _token = make_token(owner)
    deactivate(owner)
    users.activate_user(owner, actor=DESK)
    assert not is_alive(secret)
    again, _token = make_token(owner)
    user_id = owner.id
    delete_user(owner, version=owner.version, actor=DESK)
    restore_user(user_id, actor=DESK)
    assert not is_alive(again)
    assert queries.count_living(user_id) == 0


def test_what_is_no_sign_in_leaves_a_token_alone(owner: User) -> None:
    secret, _token = make_token(owner)
    users.update_user(owner, version=owner.version, full_name="Ann Loe", email="loe@example.org", actor=DESK)
    assert is_alive(secret)


def test_a_token_dies_at_its_time(owner: User) -> None:
    secret, token = make_token(owner, days=1)
    for seconds, expected in ((2, True), (-1, False)):
        moment = utc_now() + timedelta(seconds=seconds)
        get_session().execute(update(Token).where(Token.id == token.id).values(expires_at=moment))
        assert is_alive(secret) is expected


def test_it_comes_from_its_addresses_alone(owner: User) -> None:
    secret, _token = make_token(owner, address_range="192.0.2.0/28")
    assert [is_alive(secret, at) for at in ("192.0.2.15", "::ffff:192.0.2.1")] == [True, True]
    assert not any(is_alive(secret, at) for at in ("192.0.2.16", "2001:db8::1", "", "unix:"))


def test_a_revoked_token_is_gone_once(owner: User) -> None:
    secret, token = make_token(owner)
    services.revoke_token(token, actor=own(owner))
    assert not is_alive(secret)
    with pytest.raises(NotFound):
        services.revoke_token(token, actor=own(owner))
    with pytest.raises(NotFound):
        queries.get_token(token.id)


def test_who_manages_tokens_revokes_anybodys_and_others_only_their_own(
    owner: User,
) -> None:
    secret, token = make_token(owner)
    for role in (Role.AUDITOR, Role.SUPPORT):
        with pytest.raises(Forbidden):
            services.revoke_token(token, actor=own(put(role=role, email=f"{role}@desk.example")))
    assert is_alive(secret)
    services.revoke_token(token, actor=own(put(role=Role.ADMINISTRATOR, email="boss@example.org")))
    assert not is_alive(secret)


def test_there_are_at_most_so_many_of_one_person_and_dead_ones_are_swept(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_TOKENS", 2)
    make_token(owner, name="first")
    make_token(owner, name="second")
    with pytest.raises(Conflict):
        make_token(owner, name="third")
    sign_out(owner)
    make_token(owner, name="fourth")
    assert [token.name for token in queries.list_own_tokens(owner.id)] == ["fourth"]


def test_its_use_is_marked(owner: User) -> None:
    _secret, token = make_token(owner)
    now = utc_now()
    services.mark_used(token.id, address="2001:db8::1", now=now)
    get_session().refresh(token)
    assert (token.last_used_at, token.last_used_address) == (now, "2001:db8::1")


def test_who_is_forgotten_is_forgotten_with_his_tokens(owner: User) -> None:
    make_token(owner, name="Unforgettable")
    user_id = owner.id
    erase(owner)
    assert get_session().scalars(select(Token)).all() == []
    assert "nforgettable" not in repr(list_stories(user_id, most=20))
