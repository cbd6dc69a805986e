"""A route without a permission stops the application; with one, it is asked before the view runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp.access.actor import Door
from webapp.access.guards import SignInRequired, guard_routes, permission_of, requires
from webapp.access.identity import (
    Identity,
    current_actor,
    current_identity,
    door_of_request,
    find_identity,
    page_actor,
    set_identity_loader,
)
from webapp.access.permissions import Permission, Role, may
from webapp.errors import Forbidden


class Tiny:
    """An application of one view; ``ran`` counts the view's runs, ``asked`` the loader's."""

    def __init__(self, permission: Permission | None, role: Role | None = None) -> None:
        self.ran = self.asked = 0
        self.role = role
        self.scopes: frozenset[Permission] | None = None
        self.app = Flask("tiny", static_folder=None)
        self.app.testing = True  # exceptions come out as they are
        set_identity_loader(self.app, self.load)
        view = _plain(self.view)
        self.app.add_url_rule("/", "view", requires(permission)(view) if permission else view)

    def view(self) -> str:
        self.ran += 1
        return "ran"

    def load(self) -> Identity | None:
        self.asked += 1
        if self.role is None:
            return None
        return Identity(
            id=1,
            email="a@b.example",
            full_name="",
            role=self.role,
            language=None,
            time_zone=None,
            session_id=1,
            scopes=self.scopes,
            epoch=0,
            credential=lambda: True,
        )

    def client(self) -> FlaskClient:
        guard_routes(self.app)
        return self.app.test_client()


def _plain(method: Callable[[], str]) -> Callable[[], str]:
    """A bound method takes no attributes."""
    return partial(method)


def test_a_view_that_names_no_permission_stops_the_application() -> None:
    with pytest.raises(RuntimeError, match=r"the route view names no permission: add @requires"):
        guard_routes(Tiny(None).app)


def test_flask_s_own_static_route_is_no_exception() -> None:
    with pytest.raises(RuntimeError, match="the route static names no permission"):
        guard_routes(Flask("with_static", static_folder="."))


@pytest.mark.parametrize("role", [None, *Role])
def test_a_public_page_asks_nobody_who_he_is(role: Role | None) -> None:
    tiny = Tiny(Permission.PUBLIC, role)
    assert tiny.client().get("/").text == "ran"
    assert tiny.asked == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_nobody_must_sign_in_first(method: str) -> None:
    tiny = Tiny(Permission.USERS_READ)
    client = tiny.client()
    with pytest.raises(SignInRequired):
        client.open("/", method=method)
    assert tiny.ran == 0


@pytest.mark.parametrize(
    ("role", "is_let_in"),
    [(Role.MEMBER, False), (Role.AUDITOR, False), (Role.SUPPORT, True), (Role.ADMINISTRATOR, True)],
)
def test_the_role_decides_before_the_view_runs(role: Role, is_let_in: bool) -> None:
    tiny = Tiny(Permission.USERS_EDIT, role)
    client = tiny.client()
    if is_let_in:
        assert client.get("/").text == "ran"
    else:
        with pytest.raises(Forbidden):
            client.get("/")
    assert (tiny.ran, tiny.asked) == (int(is_let_in), 1)


def test_each_door_asks_its_own_loader_and_what_has_none_knows_nobody() -> None:
    tiny = Tiny(Permission.USERS_READ, Role.ADMINISTRATOR)
    tiny.app.add_url_rule("/api/v1/users", "call", requires(Permission.USERS_READ)(_plain(tiny.view)))
    client = tiny.client()
    with pytest.raises(SignInRequired):
        client.get("/api/v1/users")
    assert (tiny.ran, tiny.asked) == (0, 0)
    set_identity_loader(tiny.app, tiny.load, door=Door.API)
    assert client.get("/api/v1/users").text == "ran"
    assert tiny.asked == 1


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/api", Door.API),
        ("/api/", Door.API),
        ("/api/v1/users?q=1", Door.API),
        ("/", Door.PAGE),
        ("/apis", Door.PAGE),
        ("/users/api/", Door.PAGE),
        ("/API/", Door.PAGE),
        ("//api/", Door.PAGE),
    ],
)
def test_the_path_says_which_door_it_is(path: str, door: Door) -> None:
    with Tiny(Permission.PUBLIC).app.test_request_context(path, base_url="http://localhost"):
        assert door_of_request() is door
        assert page_actor().door is door


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_scope_narrows_a_role_and_never_widens_it(role: Role, permission: Permission) -> None:
    if permission is Permission.PUBLIC:
        return
    tiny = Tiny(permission, role)
    client = tiny.client()
    for scopes in (frozenset[Permission](), frozenset({permission}), frozenset(Permission) - {permission}):
        tiny.scopes, tiny.ran = scopes, 0
        if permission in scopes and may(role, permission):
            assert client.get("/").text == "ran"
        else:
            with pytest.raises(Forbidden):
                client.get("/")
            assert tiny.ran == 0


def test_a_route_added_behind_the_guard_s_back_is_shut() -> None:
    tiny = Tiny(Permission.PUBLIC, Role.ADMINISTRATOR)
    guard_routes(tiny.app)
    tiny.app.add_url_rule("/later", "later", _plain(tiny.view))
    with pytest.raises(Forbidden):
        tiny.app.test_client().get("/later")
    assert tiny.ran == 0


def test_a_page_that_does_not_exist_is_asked_of_nobody() -> None:
    tiny = Tiny(Permission.USERS_READ)
    assert tiny.client().get("/nowhere").status_code == 404
    assert tiny.asked == 0


def test_the_database_is_asked_once_a_request_who_this_is() -> None:
    tiny = Tiny(Permission.PUBLIC, Role.AUDITOR)
    with tiny.app.test_request_context():
        assert find_identity() == find_identity()
        assert current_identity().actor == current_actor()
    assert tiny.asked == 1


def test_a_public_view_cannot_act_as_somebody() -> None:
    with Tiny(Permission.PUBLIC).app.test_request_context(), pytest.raises(RuntimeError, match="public"):
        current_actor()


def test_a_permission_can_be_read_from_the_view() -> None:
    @requires(Permission.USERS_DELETE)
    def view() -> str:
        return ""

    assert permission_of(view) is Permission.USERS_DELETE
    assert permission_of(lambda: None) is None
