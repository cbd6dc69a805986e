"""The token of one call: from the Authorization header alone, and never from the address."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.conftest import MakeUser, user_maker
from tests.house.changes import own
from tests.visitor import Visitor
from webapp.access.actor import Door
from webapp.access.identity import Identity, find_identity
from webapp.access.permissions import Permission, Role
from webapp.db import atomic, get_session
from webapp.errors import Forbidden
from webapp.extensions import utc_now
from webapp.tokens import rules, services
from webapp.tokens.bearer import IN_ADDRESS
from webapp.tokens.models import Token
from webapp.tokens.queries import get_token
from webapp.users.models import User

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
