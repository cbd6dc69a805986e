"""Every route, its methods and its permission in one table, and each of them really tried by everybody.

A new route fails here until it has a row, and then it is asked: who gets in, does a forged form
change anything, do its answers carry the security headers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.conftest import PASSWORD, ROLES, MakeUser, SignedIn, make_settings, newest_entry, read_tables
from tests.visitor import Visitor
from webapp import create_app
from webapp.access.actor import Actor
from webapp.access.guards import permission_of, requires
from webapp.access.permissions import PERMISSIONS, Permission, Role, may, may_sign_in
from webapp.auth.models import SignInSession
from webapp.auth.services import create_password_link, open_session
from webapp.auth.throttle import count_attempt
from webapp.batches.drafts import create_batch
from webapp.batches.preview import examine
from webapp.batches.queries import Ambiguous, Resolution
from webapp.batches.rules import Source, State, digest_of
from webapp.batches.running import run_batch
from webapp.credits.rules import order_grant
from webapp.credits.services import move
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.notes.models import Note
from webapp.tokens.services import create_token
from webapp.users.models import User, derive_keys
from webapp.users.services import create_user, update_user
from webapp.users.trash import delete_user

NEW_PASSWORD = "gravel pillow tangerine"
SEEN = "what the preview showed"
ROW_EMAIL, ROW_ID = "row@example.org", "1"  # it is the first that is stored
FRIEND_EMAIL = "friend@example.org"
EDIT = {"full_name": "New Name", "email": ROW_EMAIL, "version": "1"}


@dataclass(frozen=True, kw_only=True)
class Route:
    """``answers``: each method and the status it answers to somebody who may, sending ``form``.

    ``row`` is what the user it is about must be like for the form to change something;
    ``is_managing`` says that the row's role decides as well, ``is_unattended`` that a script asks for it,
    which has no use for a page to sign in.
    """

    endpoint: str
    path: str
    permission: Permission
    answers: Mapping[str, int]
    form: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    is_managing: bool = False
    is_unattended: bool = False


ROUTES = (
    Route(
        endpoint="operations.show_health",
        path="/healthz",
        permission=Permission.PUBLIC,
        answers={"GET": 200},
    ),
    Route(
        endpoint="operations.show_readiness",
        path="/readyz",
        permission=Permission.PUBLIC,
        answers={"GET": 200},
    ),
    Route(
        endpoint="security_txt.show_security_contact",
        path="/.well-known/security.txt",
        permission=Permission.PUBLIC,
        answers={"GET": 404},  # no contact is set
    ),
    Route(
        endpoint="static",
        path="/static/0/css/app.css",
        permission=Permission.PUBLIC,
        answers={"GET": 200},
    ),
    Route(
        endpoint="favicon",
        path="/favicon.ico",
        permission=Permission.PUBLIC,
        answers={"GET": 200},
    ),
    Route(
        endpoint="web.show_home",
        path="/",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 302},
    ),
    Route(
        endpoint="web.show_help",
        path="/help",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200},
    ),
    Route(
        endpoint="users.list_users",
        path="/users/",
        permission=Permission.USERS_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="users.create_user",
        path="/users/new",
        permission=Permission.USERS_CREATE,
        answers={"GET": 200, "POST": 303},
        form={"full_name": "New Name", "email": "new@example.org", "role": "member"},
    ),
    Route(
        endpoint="export.export_users",
        path="/users/export",
        permission=Permission.USERS_EXPORT,
        answers={"POST": 200},
    ),
    Route(
        endpoint="users.show_user",
        path="/users/{user}",
        permission=Permission.USERS_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="users.edit_user",
        path="/users/{user}/edit",
        permission=Permission.USERS_EDIT,
        answers={"GET": 200, "POST": 303},
        form=EDIT,
        is_managing=True,
    ),
    Route(
        endpoint="presence.show_presence",
        path="/users/{user}/presence",
        permission=Permission.USERS_EDIT,
        answers={"GET": 200},
        is_managing=True,
        is_unattended=True,
    ),
    Route(
        endpoint="users.activate_user",
        path="/users/{user}/activate",
        permission=Permission.USERS_SET_STATUS,
        answers={"POST": 303},
        row={"is_active": False},
        is_managing=True,
    ),
    Route(
        endpoint="users.deactivate_user",
        path="/users/{user}/deactivate",
        permission=Permission.USERS_SET_STATUS,
        answers={"POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="users.sign_out_user",
        path="/users/{user}/sign-out",
        permission=Permission.USERS_SET_STATUS,
        answers={"POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="users.delete_user",
        path="/users/{user}/delete",
        permission=Permission.USERS_DELETE,
        answers={"GET": 200, "POST": 303},
        form={"version": "1"},
        is_managing=True,
    ),
    Route(
        endpoint="undo.undo_change",
        path="/users/changes/{entry}/undo",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="notes.add_note",
        path="/users/{user}/notes/new",
        permission=Permission.USERS_EDIT,
        answers={"GET": 200, "POST": 303},
        form={"text": "A note"},
        is_managing=True,
    ),
    Route(
        endpoint="notes.edit_note",
        path="/notes/{note}/edit",
        permission=Permission.USERS_EDIT,
        answers={"GET": 200, "POST": 303},
        form={"text": "Another note", "version": "1"},
        is_managing=True,
    ),
    Route(
        endpoint="notes.delete_note",
        path="/notes/{note}/delete",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="credits.show_ledger",
        path="/users/{user}/credits/",
        permission=Permission.CREDITS_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="credits.transfer_credits",
        path="/users/{rich}/credits/transfer",
        permission=Permission.CREDITS_MOVE,
        answers={"GET": 200, "POST": 303},
        form={"to_user_id": FRIEND_EMAIL, "amount": "1", "confirmed": "yes"},
        is_managing=True,
    ),
    Route(
        endpoint="credits.grant_credits",
        path="/users/{user}/credits/grant",
        permission=Permission.CREDITS_ISSUE,
        answers={"GET": 200, "POST": 303},
        form={"amount": "1", "reason": "A present", "confirmed": "yes"},
        is_managing=True,
    ),
    Route(
        endpoint="credits.withdraw_credits",
        path="/users/{rich}/credits/withdraw",
        permission=Permission.CREDITS_ISSUE,
        answers={"GET": 200, "POST": 303},
        form={"amount": "1", "reason": "An error", "confirmed": "yes"},
        is_managing=True,
    ),
    Route(
        endpoint="credits.export_ledger",
        path="/users/{rich}/credits/export",
        permission=Permission.USERS_EXPORT,
        answers={"POST": 200},
    ),
    Route(
        endpoint="trash.list_trash",
        path="/trash/",
        permission=Permission.USERS_DELETE,
        answers={"GET": 200},
    ),
    Route(
        endpoint="trash.restore_user",
        path="/trash/{trashed}/restore",
        permission=Permission.USERS_DELETE,
        answers={"GET": 200, "POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="trash.purge_user",
        path="/trash/{trashed}/purge",
        permission=Permission.USERS_DELETE,
        answers={"GET": 200, "POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="batches.list_batches",
        path="/batches/",
        permission=Permission.HISTORY_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="batches.create_batch",
        path="/batches/",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        form={"id": ROW_ID, "action": "deactivate"},
    ),
    Route(
        endpoint="batches.paste_list",
        path="/batches/paste",
        permission=Permission.USERS_EDIT,
        answers={"GET": 200, "POST": 303},
        form={"text": ROW_EMAIL},
    ),
    Route(
        endpoint="batches.show_batch",
        path="/batches/{done}",
        permission=Permission.HISTORY_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="batches.show_progress",
        path="/batches/{done}/progress",
        permission=Permission.HISTORY_READ,
        answers={"GET": 200},
        is_unattended=True,
    ),
    Route(
        endpoint="batches.choose_action",
        path="/batches/{draft}/action",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        form={"action": "sign_out"},
    ),
    Route(
        endpoint="batches.choose_namesakes",
        path="/batches/{draft}/namesakes",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        form={"id": ROW_ID},
    ),
    Route(
        endpoint="batches.run_batch",
        path="/batches/{draft}/run",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
        form={"seen": SEEN},
    ),
    Route(
        endpoint="batches.begin_rest",
        path="/batches/{stopped}/rest",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="batches.discard_batch",
        path="/batches/{draft}/discard",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="batches.stop_batch",
        path="/batches/{running}/stop",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="batches.continue_batch",
        path="/batches/{stopped}/continue",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="batches.undo_batch",
        path="/batches/{done}/undo",
        permission=Permission.USERS_EDIT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="history.list_history",
        path="/history/",
        permission=Permission.HISTORY_READ,
        answers={"GET": 200},
    ),
    Route(
        endpoint="auth.sign_in",
        path="/auth/login",
        permission=Permission.PUBLIC,
        answers={"GET": 200, "POST": 303},
        form={"email": ROW_EMAIL, "password": PASSWORD},
        row={"role": Role.AUDITOR},
    ),
    Route(
        endpoint="auth.sign_out",
        path="/auth/logout",
        permission=Permission.PUBLIC,
        answers={"POST": 303},
    ),
    Route(
        endpoint="auth.change_password",
        path="/auth/password",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200, "POST": 303},
        form={
            "current_password": PASSWORD,
            "new_password": NEW_PASSWORD,
            "confirm_password": NEW_PASSWORD,
        },
    ),
    Route(
        endpoint="auth.list_devices",
        path="/auth/devices",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200},
    ),
    Route(
        endpoint="notices.show_notices",
        path="/auth/notices/",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200},
    ),
    Route(
        endpoint="notices.acknowledge_notices",
        path="/auth/notices/",
        permission=Permission.OWN_ACCOUNT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="auth.revoke_device",
        path="/auth/devices/{device}/revoke",
        permission=Permission.OWN_ACCOUNT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="auth.revoke_other_devices",
        path="/auth/devices/revoke-others",
        permission=Permission.OWN_ACCOUNT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="tokens.list_own_tokens",
        path="/tokens/",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200},
    ),
    Route(
        endpoint="tokens.create_token",
        path="/tokens/new",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200, "POST": 200},
        form={"name": "Report", "scopes": "users.read", "days": "30"},
    ),
    Route(
        endpoint="tokens.revoke_own_token",
        path="/tokens/{own_token}/revoke",
        permission=Permission.OWN_ACCOUNT,
        answers={"POST": 303},
    ),
    Route(
        endpoint="tokens.list_all_tokens",
        path="/tokens/all",
        permission=Permission.TOKENS_MANAGE,
        answers={"GET": 200},
    ),
    Route(
        endpoint="tokens.revoke_token",
        path="/tokens/all/{their_token}/revoke",
        permission=Permission.TOKENS_MANAGE,
        answers={"POST": 303},
        row={"role": Role.AUDITOR},
    ),
    Route(
        endpoint="auth.edit_profile",
        path="/auth/profile",
        permission=Permission.OWN_ACCOUNT,
        answers={"GET": 200, "POST": 303},
        form={"full_name": "New Name", "version": "1"},
    ),
    Route(
        endpoint="auth.create_password_link",
        path="/users/{user}/password-link",
        permission=Permission.USERS_PASSWORD_LINK,
        answers={"POST": 200},
        is_managing=True,
    ),
    Route(
        endpoint="auth.lift_throttle",
        path="/users/{user}/lift-throttle",
        permission=Permission.USERS_SET_STATUS,
        answers={"POST": 303},
        is_managing=True,
    ),
    Route(
        endpoint="auth.use_password_link",
        path="/auth/set-password/{token}",
        permission=Permission.PUBLIC,
        answers={"GET": 200, "POST": 200},
        form={"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD},
    ),
)
SAFE = ("GET", "HEAD", "OPTIONS")
UNSAFE = [route for route in ROUTES if not set(route.answers) <= set(SAFE)]


def cases(routes: Iterable[Route]) -> pytest.MarkDecorator:
    """Each of the routes with each of its methods."""
    pairs = [(route, method) for route in routes for method in route.answers]
    names = [f"{method}-{route.endpoint}" for route, method in pairs]
    return pytest.mark.parametrize(("route", "method"), pairs, ids=names)


def name_of(value: Route | Role | None) -> str:
    return value.endpoint if isinstance(value, Route) else value or "nobody"


each_route = pytest.mark.parametrize("route", ROUTES, ids=name_of)
each_unsafe_route = pytest.mark.parametrize("route", UNSAFE, ids=name_of)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # where no database has a say
each_role = pytest.mark.parametrize("role", [None, *ROLES], ids=name_of)


class Stage:
    """A person in front of a route: the row it is about is there (or in the trash, where the route wants it),
    with devices, a link to use, a change to undo, a note of the visitor's own, credits and a friend to give
    them to, and a bulk change in the state that the route wants.
    """

    def __init__(self, app: Flask, visitor: Visitor, route: Route, row: User) -> None:
        self.visitor = visitor
        self.route = route
        self.path = route.path.format(
            user=row.id,
            device=_open_device(app, visitor.user or row) if "{device}" in route.path else 0,
            token=_make_link(app, row) if "{token}" in route.path else "",
            trashed=_trash(app, row) if "{trashed}" in route.path else 0,
            entry=_change(app, row) if "{entry}" in route.path else 0,
            own_token=_make_token(app, visitor.user or row) if "{own_token}" in route.path else 0,
            their_token=_make_token(app, row) if "{their_token}" in route.path else 0,
            note=_make_note(app, visitor.user or row, row) if "{note}" in route.path else 0,
            rich=_make_rich(app, row) if "{rich}" in route.path else 0,
            **{
                state.value: _make_batch(app, visitor.user or row, row, state)
                for state in State
                if f"{{{state.value}}}" in route.path
            },
        )
        if route.endpoint == "auth.revoke_other_devices":
            _open_device(app, visitor.user or row)
        if route.endpoint == "notices.acknowledge_notices":
            with app.app_context():
                get_session().execute(update(SignInSession).values(notices_since=utc_now()))
                get_session().commit()
        if route.endpoint == "auth.lift_throttle":
            with app.app_context():
                count_attempt(email=row.email, address="192.0.2.1")

    def ask(self, method: str, *, has_token: bool = True) -> TestResponse:
        if method == "GET":
            return self.visitor.get(self.path)
        send = self.visitor.post if has_token else self.visitor.post_raw
        role = self.visitor.user.role if self.visitor.user else ""
        seen = digest_of(["deactivate", "", role]) + digest_of([ROW_ID])
        form = {name: seen if value == SEEN else value for name, value in self.route.form.items()}
        return send(self.path, form)


def _open_device(app: Flask, owner: User) -> int:
    with app.app_context():
        open_session(user_id=owner.id, epoch=owner.session_epoch, address="", user_agent="")
        return max(get_session().scalars(select(SignInSession.id)))


def _make_token(app: Flask, owner: User) -> int:
    """Of a member, who can have none, there is none."""
    with app.app_context():
        user = get_session().get_one(User, owner.id)
        if not may_sign_in(user.role):
            return 1
        terminal = Actor.command_line()
        return create_token(user, name="Report", scopes=["users.read"], days=30, actor=terminal)[1].id


def _make_link(app: Flask, row: User) -> str:
    with app.app_context():
        user = get_session().get_one(User, row.id)
        return create_password_link(user, actor=Actor.command_line())[0]


def _trash(app: Flask, row: User) -> int:
    with app.app_context():
        session = get_session()
        other = {"role": Role.ADMINISTRATOR, "hashed_password": "x"}  # so that nobody is the last one
        session.add(User(email="other@desk.example", **other))
        session.commit()
        delete_user(session.get_one(User, row.id), version=row.version, actor=Actor.command_line())
    return row.id


def _change(app: Flask, row: User) -> int:
    """Answer the entry of the change."""
    with app.app_context():
        user = get_session().get_one(User, row.id)
        update_user(user, version=row.version, full_name="Before", actor=Actor.command_line())
    return newest_entry(app)


def _make_note(app: Flask, author: User, row: User) -> int:
    with app.app_context():
        note = Note(user_id=row.id, author_id=author.id, author_name=author.full_name, text="A note")
        get_session().add(note)
        get_session().commit()
        return note.id


def _make_rich(app: Flask, row: User) -> int:
    """There is also a member who may get some."""
    terminal = Actor.command_line()
    with app.app_context():
        create_user(email=FRIEND_EMAIL, actor=terminal)
        move(order_grant(to_user_id=row.id, amount_cents=100, reason="A present"), actor=terminal)
    return row.id


def _make_batch(app: Flask, creator: User, row: User, state: State) -> int:
    """To deactivate the row, whose name was asked about; where it is through, that is really done."""
    terminal = Actor.command_line()
    name = derive_keys(full_name=row.full_name, email=row.email)["name_key"]
    asked = Resolution(ambiguous=[Ambiguous(name, row.full_name, 2)], unclear=1)
    with app.app_context():
        batch = create_batch(
            [row.id], source=Source.PASTED, action="deactivate", resolution=asked, actor=terminal
        )
        if state is State.DONE:
            run_batch(batch, seen=examine(batch, actor=terminal).seen, actor=terminal)
        batch.creator_id, batch.creator_role = creator.id, creator.role.value
        batch.state, batch.touched_at = state.value, utc_now()
        get_session().commit()
        return batch.id


@pytest.fixture(autouse=True)
def _nothing_runs_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread goes on with a bulk change: the test would not wait for it."""
    monkeypatch.setattr("webapp.batches.views.run_aside", lambda *_arguments, begin, **_options: begin())


SetStage = Callable[..., Stage]


@pytest.fixture
def set_stage(app: Flask, make_user: MakeUser, signed_in: SignedIn) -> SetStage:
    """``set_stage(route, role, role=…)``: the row may be given any column besides what the route needs."""

    def prepare(route: Route, visiting: Role | None, **columns: object) -> Stage:
        row = make_user(**{"email": ROW_EMAIL, **route.row, **columns})
        return Stage(app, signed_in(visiting) if visiting else Visitor(app), route, row)

    return prepare


def read_everything(app: Flask) -> tuple[dict[str, list[tuple[object, ...]]], set[tuple[object, ...]]]:
    """Every table, which sessions there are, and what they still have to show."""
    with app.app_context():
        rows = get_session().execute(select(SignInSession.id, SignInSession.notices_since)).all()
    return read_tables(app), {(row.id, row.notices_since) for row in rows}


# The table itself


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    real = {
        (rule.endpoint, method): permission_of(app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("api.")  # which have a table of their own: tests/api/test_routes.py
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    written = {(route.endpoint, method): route.permission for route in ROUTES for method in route.answers}
    assert written == real


@each_route
def test_a_row_s_path_leads_to_its_endpoint(app: Flask, route: Route) -> None:
    numbers = dict.fromkeys([*State, "own_token", "their_token"], 1)
    path = route.path.format(user=1, device=1, token="token", trashed=1, entry=1, note=1, rich=1, **numbers)
    for method in route.answers:
        assert app.url_map.bind("localhost").match(path, method)[0] == route.endpoint


def test_only_these_pages_are_open_to_everybody() -> None:
    """Written out a second time, so that nobody opens one by a slip in the table."""
    assert {route.endpoint for route in ROUTES if route.permission is Permission.PUBLIC} == {
        "operations.show_health",
        "operations.show_readiness",
        "security_txt.show_security_contact",
        "static",
        "favicon",
        "auth.sign_in",
        "auth.sign_out",
        "auth.use_password_link",
    }


# Who gets in


@each_role
@cases(ROUTES)
def test_a_route_lets_in_whom_its_permission_names(
    set_stage: SetStage, route: Route, method: str, role: Role | None
) -> None:
    response = set_stage(route, role).ask(method)
    assert response.status_code == expected_status(route, method, role)
    assert_safe_headers(response, is_kept=route.endpoint in {"static", "favicon"})
    assert response.headers["Content-Type"].endswith("; charset=utf-8")
    if response.status_code == 401:
        assert ('name="password"' in response.text) is not route.is_unattended


def expected_status(route: Route, method: str, role: Role | None) -> int:
    """On a row that everybody with the permission may change."""
    is_signed_in = role is not None and may_sign_in(role)  # a member has a session here, and it opens nothing
    if route.permission is Permission.PUBLIC:
        is_led_on = route.endpoint == "auth.sign_in" and is_signed_in
        return 303 if is_led_on else route.answers[method]
    if role is None or not is_signed_in:
        return 303 if method == "GET" and not route.is_unattended else 401
    return route.answers[method] if route.permission in PERMISSIONS[role] else 403


@on_sqlite
@pytest.mark.parametrize("row_role", ROLES, ids=name_of)
@pytest.mark.parametrize("role", [Role.SUPPORT, Role.ADMINISTRATOR], ids=name_of)
@cases(route for route in ROUTES if route.is_managing)
def test_a_row_s_role_decides_who_may_change_it(
    app: Flask, set_stage: SetStage, route: Route, method: str, role: Role, row_role: Role
) -> None:
    stage = set_stage(route, role, role=row_role)
    before = read_everything(app)
    allowed = may(role, route.permission, on=row_role)
    assert stage.ask(method).status_code == (route.answers[method] if allowed else 403)
    assert (read_everything(app) != before) is (allowed and method == "POST")


@pytest.mark.parametrize("role", [None, Role.MEMBER], ids=name_of)
@pytest.mark.parametrize("path", ["/users/", "/users/?q=ann&page=2", "/users/7/edit?back=q%3Dann"])
def test_a_page_asked_for_while_signed_out_comes_after_signing_in(
    app: Flask, make_user: MakeUser, path: str, role: Role | None
) -> None:
    visitor = Visitor(app, make_user(role=role) if role else None)
    response = visitor.get(path)
    target = urlsplit(response.location)
    assert (response.status_code, target.path) == (303, "/auth/login")
    assert parse_qs(target.query) == {"next": [path]}


def test_a_member_with_a_session_in_the_database_is_nobody(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("member")
    assert len(read_everything(app)[1]) == 1
    assert visitor.get("/").location == "/auth/login"
    assert visitor.get("/auth/login").status_code == 200


@on_sqlite
@each_route
def test_head_answers_as_get_does_and_without_a_page(set_stage: SetStage, route: Route) -> None:
    stage = set_stage(route, Role.SUPPORT)
    response = stage.visitor.client.head(stage.path)
    assert response.status_code == stage.ask("GET").status_code
    assert response.data == b""


@on_sqlite
@pytest.mark.parametrize("role", [None, Role.ADMINISTRATOR], ids=name_of)
@each_route
def test_other_methods_are_refused_and_change_nothing(
    app: Flask, set_stage: SetStage, route: Route, role: Role | None
) -> None:
    stage = set_stage(route, role)
    before = read_everything(app)
    answered = {method for other in ROUTES if other.path == route.path for method in other.answers}
    for method in sorted({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - answered):
        response = stage.visitor.client.open(stage.path, method=method, data=dict(route.form))
        assert (method, response.status_code) == (method, 405)
        assert set(route.answers) <= set(response.headers["Allow"].split(", "))
    assert read_everything(app) == before


@on_sqlite
@each_route
def test_options_tells_nobody_more_than_the_page_does(set_stage: SetStage, route: Route) -> None:
    stage = set_stage(route, None)
    response = stage.visitor.client.options(stage.path)
    assert response.status_code == (200 if route.permission is Permission.PUBLIC else 401)


@on_sqlite
@each_route
def test_a_get_changes_nothing(app: Flask, set_stage: SetStage, route: Route) -> None:
    stage = set_stage(route, Role.ADMINISTRATOR)
    before = read_everything(app)
    stage.ask("GET")
    assert read_everything(app) == before


# Forged forms


@each_unsafe_route
@pytest.mark.parametrize("role", [None, Role.ADMINISTRATOR], ids=name_of)
def test_a_form_without_the_right_token_is_refused_and_changes_nothing(
    app: Flask, set_stage: SetStage, route: Route, role: Role | None
) -> None:
    stage = set_stage(route, role)
    own = stage.visitor.csrf_token()
    stranger = Visitor(app)
    with stranger.client.session_transaction() as cookie:
        cookie["csrf_token"] = "fedcba9876543210"
    forgeries: list[dict[str, str]] = [
        {},
        {"csrf_token": ""},
        {"csrf_token": "wrong"},
        {"csrf_token": own[:-1]},
        {"csrf_token": stranger.csrf_token()},
    ]
    before = read_everything(app)
    is_asked_to_sign_in = role is None and route.permission is not Permission.PUBLIC
    for forgery in forgeries:
        response = stage.visitor.post_raw(stage.path, {**route.form, **forgery})
        assert (forgery, response.status_code) == (forgery, 401 if is_asked_to_sign_in else 400)
        assert PASSWORD not in response.text
        assert NEW_PASSWORD not in response.text
        assert_safe_headers(response)
    assert stage.visitor.post_raw(f"{stage.path}?csrf_token={own}", dict(route.form)).status_code >= 400
    assert read_everything(app) == before


@each_unsafe_route
def test_the_same_form_with_the_right_token_does_change_something(
    app: Flask, set_stage: SetStage, route: Route
) -> None:
    stage = set_stage(route, Role.ADMINISTRATOR)
    before = read_everything(app), newest_entry(app)
    assert stage.ask("POST").status_code == route.answers["POST"]
    assert (read_everything(app), newest_entry(app)) != before


# Headers of every answer


def assert_safe_headers(response: TestResponse, *, is_kept: bool = False) -> None:
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "unsafe-" not in str(policy)
    assert "http" not in str(policy)
    assert "*" not in str(policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] in {"same-origin", "strict-origin"}
    assert len(response.headers["X-Request-ID"]) >= 8
    if is_kept:
        assert "no-store" not in response.headers["Cache-Control"]
    else:
        assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.getlist("Content-Security-Policy")[1:] == []


@requires(Permission.PUBLIC)
def fail() -> str:
    raise ZeroDivisionError("a defect")


@on_sqlite
@pytest.mark.parametrize(
    ("status", "path", "options"),
    [
        (400, "/", {"headers": {"Host": "elsewhere.example"}}),
        (404, "/no-such-page", {}),
        (404, "/users/999", {}),
        (404, "/static/0/no-such-file.css", {}),
        (405, "/", {"method": "DELETE"}),
        (413, "/users/new", {"method": "POST", "data": {"full_name": "x" * 3_000_000}}),
        (308, "/users", {}),
        (422, "/users/?role=king", {}),
        (500, "/help", {}),
    ],
)
def test_an_error_s_answer_has_them_too(
    app: Flask,
    signed_in: SignedIn,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
    path: str,
    options: dict[str, Any],
) -> None:
    caplog.set_level(logging.CRITICAL)  # the defect's traceback belongs in the log, and not in this output
    monkeypatch.setitem(app.view_functions, "web.show_help", fail)
    response = signed_in().client.open(path, **options)
    assert response.status_code == status
    assert_safe_headers(response)
    assert "ZeroDivisionError" not in response.text
    assert ">None<" not in response.text


@on_sqlite
def test_over_https_browsers_are_told_to_stay_there(visitor: Visitor) -> None:
    assert "Strict-Transport-Security" not in visitor.get("/healthz").headers
    seconds = visitor.get("/healthz", base_url="https://localhost").headers["Strict-Transport-Security"]
    assert int(seconds.removeprefix("max-age=")) >= 31_536_000


@on_sqlite
def test_so_are_those_of_its_subdomains_where_that_is_set(database: str) -> None:
    app = create_app(make_settings("sqlite://", hsts_include_subdomains=True))
    answer = app.test_client().get("/healthz", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert "Strict-Transport-Security" not in app.test_client().get("/healthz").headers


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")


@on_sqlite
def test_every_address_answers_every_method_with_them(app: Flask, signed_in: SignedIn) -> None:
    """Of pages and of the API: also what no view answers, but Flask or Werkzeug."""
    paths = {re.sub(r"<[^>]+>", "1", rule.rule) for rule in app.url_map.iter_rules()}
    for visitor in (Visitor(app), signed_in()):
        for path in sorted(paths):
            for method in METHODS:
                response = visitor.client.open(path, method=method, headers={"Origin": "http://localhost"})
                is_kept = "max-age" in response.headers["Cache-Control"]
                assert path == "/favicon.ico" or not is_kept
                assert_safe_headers(response, is_kept=is_kept)


@on_sqlite
def test_two_requests_have_two_ids(visitor: Visitor) -> None:
    first, second = (visitor.get("/healthz").headers["X-Request-ID"] for _ in range(2))
    assert first != second
