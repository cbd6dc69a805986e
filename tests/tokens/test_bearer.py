"""The token of one call: from the Authorization header alone, and never from the address."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.conftest import MakeUser, SignedIn, user_maker
from tests.history.ways import assert_intact, read_stories, read_texts
from tests.house.changes import own
from tests.visitor import Visitor
from webapp.access.actor import Door
from webapp.access.identity import Identity, find_identity
from webapp.access.permissions import Permission, Role
from webapp.db import atomic, get_session
from webapp.errors import Forbidden
from webapp.extensions import utc_now
from webapp.history.flood import MAX_TOLD
from webapp.history.models import LANES
from webapp.history.rules import Kind
from webapp.tokens import rules, services
from webapp.tokens.bearer import IN_ADDRESS
from webapp.tokens.models import Token
from webapp.tokens.queries import get_token
from webapp.users.models import User
from webapp.users.services import sign_out_everywhere

HERE = "192.0.2.7"
CALL = "/api/v1/users"


@pytest.fixture
def secret(app: Flask, make_user: MakeUser) -> str:
    return make_secret(app, make_user(role=Role.SUPPORT, language="fr"))


def make_secret(app: Flask, owner: User, **changes: Any) -> str:
    values: dict[str, Any] = {"name": "Report", "scopes": ["users.read"], "days": 30, "actor": own(owner)}
    with app.app_context():
        user = get_session().get_one(User, owner.id)
        return services.create_token(user, **{**values, **changes})[0]


def identify(app: Flask, path: str = CALL, header: str | None = None, address: str = HERE) -> Identity | None:
    headers = {} if header is None else {"Authorization": header}
    with app.test_request_context(path, headers=headers, environ_base={"REMOTE_ADDR": address}):
        return find_identity()


def read_token(app: Flask) -> Token:
    with app.app_context():
        return get_token(1)


def test_a_call_is_its_owner_s_as_far_as_the_scopes_go(app: Flask, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    with app.test_request_context(CALL, headers=headers, environ_base={"REMOTE_ADDR": HERE}):
        identity = find_identity()
        assert identity is not None
        actor = identity.actor
    assert (identity.token_id, identity.session_id, identity.language) == (1, None, "fr")
    assert (actor.door, actor.user_id, actor.address) == (Door.API, identity.id, HERE)
    for permission in Permission:
        expected = permission is Permission.USERS_READ
        assert actor.may(permission) is expected
    with pytest.raises(Forbidden) as refused:
        actor.require(Permission.USERS_EDIT)
    assert str(refused.value) == "This token lacks the scope users.edit. Make one that has it."
    with pytest.raises(Forbidden, match="Ask an administrator"):
        actor.require(Permission.USERS_DELETE)


@pytest.mark.parametrize("path", ["/", "/users/", "/tokens/", "/apiary", "/ap", "/API/v1/users"])
def test_a_token_opens_no_page(app: Flask, secret: str, path: str) -> None:
    assert identify(app, path, f"Bearer {secret}") is None


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/users", "/api/nothing"])
def test_a_session_opens_no_call(app: Flask, make_user: MakeUser, path: str) -> None:
    visitor = Visitor(app, make_user(role=Role.ADMINISTRATOR))
    with visitor.client as client:
        client.get("/users/")
        assert find_identity() is not None
        client.get(path)
        assert find_identity() is None


def test_who_comes_with_no_token_of_ours_is_nobody(app: Flask, secret: str) -> None:
    assert identify(app) is None
    for header in (
        secret,
        f"Basic {secret}",
        f"Bearer {rules.new_secret()}",
        f"Bearer {secret[:-1]}",
        "Bearer",
    ):
        assert identify(app, CALL, header) is None


def test_a_token_of_who_became_a_member_past_the_services_opens_nothing(app: Flask, secret: str) -> None:
    with app.app_context():
        get_session().execute(update(User).values(role=Role.MEMBER))
        get_session().commit()
    assert identify(app, CALL, f"Bearer {secret}") is None


def test_a_role_that_shrank_past_the_services_narrows_the_scopes(app: Flask, make_user: MakeUser) -> None:
    secret = make_secret(app, make_user(role=Role.SUPPORT), scopes=["users.read", "users.edit"])
    with app.app_context():
        get_session().execute(update(User).values(role=Role.AUDITOR))
        get_session().commit()
    identity = identify(app, CALL, f"Bearer {secret}")
    assert identity is not None
    with app.test_request_context(CALL):
        actor = identity.actor
    assert [actor.may(it) for it in (Permission.USERS_READ, Permission.USERS_EDIT)] == [True, False]


def test_it_comes_from_its_addresses_alone(app: Flask, make_user: MakeUser) -> None:
    secret = make_secret(app, make_user(role=Role.SUPPORT), address_range="2001:db8::/32")
    assert identify(app, CALL, f"Bearer {secret}", "2001:db8::7") is not None
    assert identify(app, CALL, f"Bearer {secret}", HERE) is None
    assert read_token(app).last_used_address == "2001:db8::7"


def test_its_use_is_marked_at_most_once_a_minute(app: Flask, secret: str) -> None:
    identify(app, CALL, f"Bearer {secret}")
    first = read_token(app)
    assert first.last_used_at is not None
    assert first.last_used_address == HERE
    identify(app, CALL, f"Bearer {secret}", "192.0.2.8")
    assert read_token(app).last_used_at == first.last_used_at
    with app.app_context():
        get_session().execute(update(Token).values(last_used_at=utc_now() - timedelta(seconds=61)))
        get_session().commit()
    identify(app, CALL, f"Bearer {secret}", "192.0.2.8")
    assert read_token(app).last_used_address == "192.0.2.8"


def test_a_mark_that_cannot_be_made_stops_no_call(
    file_app: Flask, hashed_password: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else is writing, and goes on with it for longer than a call shall wait."""
    secret = make_secret(file_app, user_maker(file_app, hashed_password)(role=Role.SUPPORT))
    is_held, is_through = Event(), Event()

    @atomic
    def hold() -> None:
        get_session().execute(update(Token).values(last_used_address="held"))
        is_held.set()
        assert is_through.wait(timeout=20)

    def hold_aside() -> None:
        with file_app.app_context():
            hold()

    with ThreadPoolExecutor(1) as aside:
        writing = aside.submit(hold_aside)
        assert is_held.wait(timeout=20)
        try:
            assert identify(file_app, CALL, f"Bearer {secret}") is not None
        finally:
            is_through.set()
        writing.result(timeout=20)
    assert "could not note when token 1 was last used" in caplog.text
    assert read_token(file_app).last_used_at is None


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("name", sorted(IN_ADDRESS | {"Access_Token", "q", "anything"}))
def test_a_token_in_the_address_is_refused_and_written_nowhere(
    app: Flask, secret: str, name: str, logged: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    for path in (CALL, "/api/", "/api/nothing"):
        answer = app.test_client().get(f"{path}?{name}={secret}", headers=headers)
        assert answer.status_code == 400
        assert secret not in answer.text
    assert secret not in logged.text
    assert secret[-4:] not in logged.text


@pytest.mark.parametrize("query", ["q=x{}y", "{}", "q={}&q=2", "a=1&b={}", "q=%00{}"])
def test_wherever_it_stands_in_the_address(app: Flask, secret: str, query: str) -> None:
    assert app.test_client().get(f"/api/x?{query.format(secret)}").status_code == 400


def test_what_only_looks_like_one_is_no_token(app: Flask) -> None:
    wrong = "dossier_" + "a" * 49
    assert app.test_client().get(f"/api/x?q={wrong}").status_code == 404
    assert app.test_client().get("/users/?token=1").status_code == 303, "a page has its own names"


# What the history tells of tokens that open nothing


def call(app: Flask, secret: str, *, address: str = HERE) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    return app.test_client().get(CALL, headers=headers, environ_base={"REMOTE_ADDR": address}).status_code


def expire(app: Flask, owner: User) -> None:
    with app.app_context():
        get_session().execute(update(Token).values(expires_at=utc_now()))
        get_session().commit()


def end(app: Flask, owner: User) -> None:
    with app.app_context():
        sign_out_everywhere(get_session().get_one(User, owner.id), actor=own(owner))


def revoke(app: Flask, owner: User) -> None:
    with app.app_context():
        services.revoke_token(get_token(1), actor=own(owner))


@pytest.mark.parametrize(
    ("kill", "reason"),
    [(expire, "token_expired"), (end, "token_ended"), (revoke, "token_revoked"), (None, "token_address")],
)
def test_a_token_that_opens_nothing_is_told_with_its_owner(
    app: Flask, make_user: MakeUser, kill: Callable[[Flask, User], None] | None, reason: str
) -> None:
    owner = make_user(role=Role.SUPPORT, full_name="Ann Lee")
    secret = make_secret(app, owner, address_range="192.0.2.0/24")
    if kill is not None:
        kill(app, owner)
    address = "203.0.113.9" if kill is None else HERE
    before = len(read_stories(app))
    assert [call(app, secret, address=address) for _ in range(5)] == [401] * 5
    (story,) = read_stories(app)[before:]
    assert (story.kind, story.subject_id, story.subject_name) == (Kind.SIGN_IN_FAILED, owner.id, "Ann Lee")
    assert (story.actor_id, story.address, story.door) == (None, address, Door.API)
    assert story.facts == {"reason": reason, "token": f"Report (…{secret[-4:]})"}
    assert secret not in read_texts(app)
    assert_intact(app)


def test_tokens_that_never_were_are_counted(app: Flask) -> None:
    for _ in range(25):
        assert call(app, rules.new_secret()) == 401
    call(app, rules.new_secret(), address="203.0.113.9")
    stories = read_stories(app)
    assert [it.facts for it in stories] == [
        {"reason": "token_unknown"},
        {"reason": "token_unknown", "left_out": 8},
        {"reason": "token_unknown"},
    ]
    assert {it.subject_id for it in stories} == {None}


def test_what_is_no_token_is_not_told(app: Flask, secret: str) -> None:
    before = len(read_stories(app))
    for made_up in ("", "x", f"{secret}x", "dossier_" + "0" * 49):
        assert call(app, made_up) == 401
    assert call(app, secret) == 200
    assert len(read_stories(app)) == before


def test_a_flood_of_tokens_from_everywhere_fills_nothing(app: Flask) -> None:
    for number in range(MAX_TOLD + 40):
        assert call(app, rules.new_secret(), address=f"198.51.100.{number}") == 401
    assert len(read_stories(app)) == MAX_TOLD


def test_who_works_is_told_why_the_token_fails_on_the_person_s_page(
    app: Flask, make_user: MakeUser, signed_in: SignedIn
) -> None:
    owner = make_user(role=Role.SUPPORT, full_name="Ann Lee")
    secret = make_secret(app, owner)
    expire(app, owner)
    call(app, secret)
    page = signed_in().get(f"/users/{owner.id}").text
    assert "the access token has expired" in page
    assert f"Report (…{secret[-4:]})" in page


def test_a_call_is_refused_though_nothing_can_be_written(file_app: Flask, make_user: MakeUser) -> None:
    """Another change holds the history; the call is answered at once all the same."""
    is_held, is_done = Event(), Event()

    @atomic
    def hold() -> None:
        get_session().execute(select(LANES).with_for_update()).all()
        is_held.set()
        assert is_done.wait(20)

    def hold_in_context() -> None:
        with file_app.app_context():
            hold()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold_in_context)
        assert is_held.wait(20)
        started = monotonic()
        try:
            assert call(file_app, rules.new_secret()) == 401
            assert monotonic() - started < 5
        finally:
            is_done.set()
        holding.result()
    assert read_stories(file_app) == []
