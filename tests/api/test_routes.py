"""Every call of the API, asked by everybody: with a session, with nothing, and with tokens of each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from tests.access.test_routes import assert_safe_headers, each_role, on_sqlite
from tests.api.asking import Program
from tests.api.conftest import WithToken
from tests.conftest import ROLES, MakeUser, SignedIn, newest_entry, read_tables
from webapp.access.actor import Actor
from webapp.access.guards import permission_of
from webapp.access.permissions import PERMISSIONS, Permission, Role, may, may_sign_in
from webapp.api.problems import CONTENT_TYPE
from webapp.api.views import all_calls
from webapp.credits.rules import order_grant
from webapp.credits.services import move
from webapp.db import get_session
from webapp.notes.models import Note
from webapp.tokens.rules import SCOPES, reading_of, scopes_of
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import update_user
from webapp.users.trash import delete_user

WHOLE = {"email": "row@example.org", "full_name": "New Name", "role": "member", "is_active": True}


@dataclass(frozen=True, kw_only=True)
class Route:
    """One call that changes something or shows something: what it answers to who may, sent ``body``.

    ``is_managing`` says that the role of the row decides as well.
    """

    name: str
    method: str
    path: str
    permission: Permission
    status: int = 200
    body: Mapping[str, Any] | None = None
    is_managing: bool = False

    def __str__(self) -> str:
        return self.name


ROUTES: tuple[Route, ...] = (
    Route(name="list_users", method="GET", path="/users", permission=Permission.USERS_READ),
    Route(name="search_users", method="GET", path="/users/search?query=a", permission=Permission.USERS_READ),
    Route(name="list_active_users", method="GET", path="/users/active", permission=Permission.USERS_READ),
    Route(
        name="create_user",
        method="POST",
        path="/users",
        permission=Permission.USERS_CREATE,
        status=201,
        body={"email": "new@example.org"},
    ),
    Route(name="show_user", method="GET", path="/users/{user}", permission=Permission.USERS_READ),
    Route(
        name="replace_user",
        method="PUT",
        path="/users/{user}",
        permission=Permission.USERS_EDIT,
        body=WHOLE,
        is_managing=True,
    ),
    Route(
        name="change_user",
        method="PATCH",
        path="/users/{user}",
        permission=Permission.USERS_EDIT,
        body={"full_name": "New Name"},
        is_managing=True,
    ),
    Route(
        name="delete_user",
        method="DELETE",
        path="/users/{user}",
        permission=Permission.USERS_DELETE,
        is_managing=True,
    ),
)
MANY = (
    Route(
        name="create_users",
        method="POST",
        path="/users/bulk",
        permission=Permission.USERS_CREATE,
        body={"rows": [{"email": "new@example.org"}]},
    ),
    Route(
        name="change_users",
        method="PATCH",
        path="/users/bulk",
        permission=Permission.USERS_EDIT,
        body={"rows": [{"id": 1, "version": 2, "full_name": "Other"}]},
    ),
)
NOTES = (
    Route(name="list_notes", method="GET", path="/users/{user}/notes", permission=Permission.USERS_READ),
    Route(
        name="add_note",
        method="POST",
        path="/users/{user}/notes",
        permission=Permission.USERS_EDIT,
        status=201,
        body={"text": "Called."},
    ),
    Route(name="show_note", method="GET", path="/notes/{note}", permission=Permission.USERS_READ),
    Route(
        name="edit_note",
        method="PUT",
        path="/notes/{note}",
        permission=Permission.USERS_EDIT,
        body={"text": "Called."},
    ),
    Route(name="delete_note", method="DELETE", path="/notes/{note}", permission=Permission.USERS_EDIT),
)
HISTORY = (
    Route(name="list_history", method="GET", path="/history", permission=Permission.HISTORY_READ),
    Route(
        name="list_user_history",
        method="GET",
        path="/users/{user}/history",
        permission=Permission.HISTORY_READ,
    ),
    Route(name="show_entry", method="GET", path="/history/{entry}", permission=Permission.HISTORY_READ),
    Route(name="undo_entry", method="POST", path="/history/{entry}/undo", permission=Permission.USERS_EDIT),
)
TRASH = (
    Route(name="list_trash", method="GET", path="/trash", permission=Permission.USERS_DELETE),
    Route(name="show_trashed", method="GET", path="/trash/{trashed}", permission=Permission.USERS_DELETE),
    Route(
        name="restore_user",
        method="POST",
        path="/trash/{trashed}/restore",
        permission=Permission.USERS_DELETE,
        body={},
    ),
    Route(name="purge_user", method="DELETE", path="/trash/{trashed}", permission=Permission.USERS_DELETE),
)
CREDITS = (
    Route(
        name="transfer_credits",
        method="POST",
        path="/transfer",
        permission=Permission.CREDITS_MOVE,
        status=201,
        body={"from_user_id": 3, "to_user_id": 1, "amount": 1},
    ),
    Route(
        name="grant_credits",
        method="POST",
        path="/users/{user}/credits/grants",
        permission=Permission.CREDITS_ISSUE,
        status=201,
        body={"amount": "1.00", "reason": "A present"},
    ),
    Route(
        name="withdraw_credits",
        method="POST",
        path="/users/{rich}/credits/withdrawals",
        permission=Permission.CREDITS_ISSUE,
        status=201,
        body={"amount": "1.00", "reason": "An error"},
    ),
    Route(
        name="show_credits", method="GET", path="/users/{user}/credits", permission=Permission.CREDITS_READ
    ),
    Route(
        name="list_ledger",
        method="GET",
        path="/users/{user}/credits/ledger",
        permission=Permission.CREDITS_READ,
    ),
)
ROUTES += (*MANY, *NOTES, *HISTORY, *TRASH, *CREDITS)
OPEN = {"api.show_document": "/api/openapi.json", "api.show_reference": "/api/"}
READING = [route for route in ROUTES if route.method == "GET"]
CHANGING = [route for route in ROUTES if route.method != "GET"]
each_route = pytest.mark.parametrize("route", ROUTES, ids=str)


def address(path: str, user_id: int = 1) -> str:
    """Where to find what the fixture ``row`` makes."""
    return "/api/v1" + path.format(user=user_id, trashed=user_id + 1, rich=user_id + 2, note=1, entry=1)


def ask(program: Program, route: Route, row: User, **options: Any) -> int:
    path = address(route.path, row.id)
    answer = program.change(route.method, path, route.body, **options)
    assert_safe_headers(answer)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="Dossier"')
    return answer.status_code


def scopes_without(permission: Permission, role: Role) -> set[Permission]:
    """All that somebody can give to a token, but for that one and those that need it."""
    return {it for it in scopes_of(role) if permission not in {it, reading_of(it)}}


def read_everything(app: Flask) -> object:
    """But when a token was last used, and refusals in the history."""
    return {name: rows for name, rows in read_tables(app).items() if name != "tokens"}


@pytest.fixture
def row(app: Flask, make_user: MakeUser) -> User:
    """Somebody with a past, and a note of whoever is stored next; somebody in the trash; one who is rich."""
    user, gone = make_user(email="row@example.org", full_name="Old"), make_user()
    rich = make_user()
    actor = Actor.command_line()
    with app.app_context():
        update_user(get_user(user.id), version=1, full_name="Row", actor=actor)
        delete_user(get_user(gone.id), version=1, actor=actor)
        move(order_grant(to_user_id=rich.id, amount_cents=1_000, reason="A present"), actor=actor)
        get_session().add(Note(user_id=user.id, author_id=rich.id + 1, author_name="", text="Old."))
        get_session().commit()
    return user


# The table itself


def test_every_call_has_a_row_and_every_row_a_call() -> None:
    declared = {(call.name, call.method, call.permission) for call in all_calls()}
    assert {(route.name, route.method, route.permission) for route in ROUTES} == declared


def test_every_route_below_api_is_a_call_or_the_document(app: Flask) -> None:
    real = {
        (rule.endpoint, method): permission_of(app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    calls = {(f"api.{call.name}", call.method): call.permission for call in all_calls()}
    assert real == {**calls, **{(endpoint, "GET"): Permission.PUBLIC for endpoint in OPEN}}


@each_route
def test_a_row_s_path_leads_to_its_call(app: Flask, route: Route) -> None:
    path = address(route.path).partition("?")[0]
    assert app.url_map.bind("localhost").match(path, route.method)[0] == f"api.{route.name}"


def test_every_permission_of_a_call_is_a_scope() -> None:
    assert {route.permission for route in ROUTES} <= set(SCOPES)


# Who gets in


@each_role
@each_route
def test_a_session_opens_nothing_here(
    app: Flask, signed_in: SignedIn, row: User, route: Route, role: Role | None
) -> None:
    program = Program(app)
    if role is not None:
        program.client = signed_in(role).client
    before = read_everything(app)
    assert ask(program, route, row) == 401
    assert read_everything(app) == before


@pytest.mark.parametrize("role", [role for role in ROLES if may_sign_in(role)])
@each_route
def test_a_token_with_the_scope_lets_in_whom_the_role_does(
    with_token: WithToken, row: User, route: Route, role: Role
) -> None:
    allowed = may(role, route.permission)
    scopes = {route.permission, reading_of(route.permission)} if allowed else scopes_of(role)
    assert ask(with_token(role, scopes), route, row) == (route.status if allowed else 403)


@pytest.mark.parametrize("role", [role for role in ROLES if may_sign_in(role)])
@each_route
def test_a_token_without_the_scope_lets_in_nobody(
    app: Flask, with_token: WithToken, row: User, route: Route, role: Role
) -> None:
    program = with_token(role, scopes_without(route.permission, role))
    before = read_everything(app)
    assert ask(program, route, row) == 403
    assert read_everything(app) == before


@on_sqlite
@pytest.mark.parametrize("row_role", ROLES)
@pytest.mark.parametrize("role", [role for role in ROLES if Permission.USERS_EDIT in PERMISSIONS[role]])
@pytest.mark.parametrize("route", [route for route in ROUTES if route.is_managing], ids=str)
def test_the_row_s_role_decides_as_well(
    app: Flask, with_token: WithToken, make_user: MakeUser, route: Route, role: Role, row_role: Role
) -> None:
    program, other = with_token(role), make_user(email="row@example.org", role=row_role)
    allowed = may(role, route.permission, on=row_role)
    before = read_everything(app)
    assert ask(program, route, other) == (200 if allowed else 403)
    assert (read_everything(app) != before) is allowed


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "bearer x", "Bearer dossier_" + "0" * 49, "Bearer a b"],
)
def test_what_is_no_token_opens_nothing(app: Flask, row: User, header: str) -> None:
    answer = Program(app).get("/api/v1/users", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Dossier", error="invalid_token"'


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearers x", "\u00e9"])
def test_who_sends_none_is_not_told_of_an_error(app: Flask, header: str | None) -> None:
    """RFC 6750, 3.1."""
    answer = Program(app).get("/api/v1/users", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Dossier"'


@on_sqlite
@each_route
def test_the_scope_that_is_lacking_is_named_for_programs(
    with_token: WithToken, row: User, route: Route
) -> None:
    program = with_token(scopes=scopes_without(route.permission, Role.ADMINISTRATOR))
    answer = program.change(route.method, address(route.path, row.id), route.body)
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="Dossier", error="insufficient_scope", scope="{route.permission}"'
    )


def test_what_another_token_could_not_do_either_is_no_matter_of_scopes(
    with_token: WithToken, make_user: MakeUser
) -> None:
    colleague = make_user(role=Role.SUPPORT)
    answer = with_token("support").change("PATCH", f"/api/v1/users/{colleague.id}", {"full_name": "New"})
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1", "application/json;q=0", "*/*;q=0"])
def test_whatever_is_accepted_the_answer_is_json(with_token: WithToken, row: User, accept: str) -> None:
    """As RFC 9110, 12.5.1 allows, and docs/api.md says."""
    program = with_token()
    for path, content_type in (("/users/1", "application/json"), ("/nothing", CONTENT_TYPE)):
        answer = program.get(f"/api/v1{path}", headers={"Accept": accept})
        assert answer.content_type == content_type


@pytest.mark.parametrize("path", ["/api", "/api/"])
def test_the_page_is_found_with_and_without_a_slash(app: Flask, path: str) -> None:
    assert Program(app).get(path).status_code == 200


def test_a_token_in_the_address_is_refused(with_token: WithToken) -> None:
    program = with_token()
    for query in (f"access_token={program.token}", f"query={program.token}", "api_key=x"):
        answer = program.get(f"/api/v1/users?{query}")
        assert answer.status_code == 400
        assert str(program.token) not in answer.text


def test_a_token_opens_no_page(with_token: WithToken) -> None:
    program = with_token()
    answer = program.client.get("/users/", headers={"Authorization": f"Bearer {program.token}"})
    assert answer.status_code == 303


# Open to everybody


@pytest.mark.parametrize("endpoint", OPEN)
def test_the_document_and_its_page_are_open_to_everybody(app: Flask, endpoint: str) -> None:
    answer = Program(app).get(OPEN[endpoint])
    assert answer.status_code == 200
    assert_safe_headers(answer)


# Methods


def paths() -> Iterator[tuple[str, set[str]]]:
    for path in sorted({route.path.partition("?")[0] for route in ROUTES}):
        yield path, {route.method for route in ROUTES if route.path.partition("?")[0] == path}


@on_sqlite
@pytest.mark.parametrize(("path", "methods"), list(paths()))
def test_other_methods_are_refused_and_change_nothing(
    app: Flask, with_token: WithToken, row: User, path: str, methods: set[str]
) -> None:
    program = with_token()
    before = read_everything(app)
    for method in sorted({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - methods):
        answer = program.change(method, address(path, row.id), {})
        assert (method, answer.status_code) == (method, 405)
        assert methods <= set(answer.headers["Allow"].split(", "))
        assert answer.content_type == CONTENT_TYPE
    assert read_everything(app) == before


@on_sqlite
@pytest.mark.parametrize("route", READING, ids=str)
def test_reading_changes_nothing_and_head_shows_nothing(
    app: Flask, with_token: WithToken, row: User, route: Route
) -> None:
    program = with_token()
    before = read_everything(app), newest_entry(app)
    path = address(route.path, row.id)
    shown, head = program.get(path), program.ask("HEAD", path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", shown.headers["ETag"])
    assert (read_everything(app), newest_entry(app)) == before


@pytest.mark.parametrize("route", CHANGING, ids=str)
def test_a_call_that_changes_does_change(app: Flask, with_token: WithToken, row: User, route: Route) -> None:
    program = with_token()
    before = read_everything(app)
    assert ask(program, route, row) == route.status
    assert read_everything(app) != before
