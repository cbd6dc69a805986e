"""The corpus on every form, every query parameter and every address, on both databases.

Never a 500, the same status on both, nothing changed when refused, what was typed kept and its field
named, and no markup that somebody typed in any page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from urllib.parse import quote

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import Column, Table, select
from werkzeug.test import TestResponse

from tests.conftest import COUNTS, PASSWORD, empty_tables, make_settings, read_tables, user_maker
from tests.corpus import CANARY, RAW, TEXTS, encode, escape, received
from tests.pages.form_reader import read_form
from tests.visitor import Visitor, field_error, field_value
from webapp import create_app
from webapp.access.permissions import Role
from webapp.db import get_session, init_db
from webapp.extensions import Base
from webapp.history.models import LANES
from webapp.users import passwords
from webapp.web.forms import MAX_LINE


def stored_columns(table: Table) -> list[Column[object]]:
    """Those that can be written: the database computes the others."""
    return [column for column in table.columns if column.computed is None]


FORM = "application/x-www-form-urlencoded"
NEW = "harbour candle meadow"

# Each form with fields that are all right; 1 is the administrator who sends it, 2 and 3 are members.
FORMS: dict[str, dict[str, str]] = {
    "/users/new": {
        "full_name": "New",
        "email": "new@example.org",
        "role": "member",
        "create_link": "",
        "back": "",
    },
    "/users/2/edit": {
        "full_name": "Edited",
        "email": "edited@example.org",
        "role": "auditor",
        "version": "1",
        "back": "",
    },
    "/users/2/delete": {"version": "1", "back": ""},
    "/users/2/activate": {"back": ""},
    "/users/2/deactivate": {"back": ""},
    "/users/2/sign-out": {"back": ""},
    "/users/2/password-link": {"back": ""},
    "/batches/": {"id": "2", "action": "deactivate"},
    "/batches/paste": {"text": "2"},
    "/tokens/new": {"name": "Report", "scopes": "users.read", "days": "30", "address_range": "192.0.2.0/24"},
    "/auth/profile": {"full_name": "Own", "language": "fr", "time_zone": "Asia/Tokyo", "version": "1"},
    "/auth/password": {"current_password": PASSWORD, "new_password": NEW, "confirm_password": NEW},
    "/auth/login": {
        "email": "administrator@desk.example",
        "password": PASSWORD,
        "next": "/help",
        "resend": "",
    },
}
KEPT = {"full_name", "email", "time_zone", "name", "address_range"}
LIST_PARAMETERS = (
    "q",
    "status",
    "role",
    "created_from",
    "created_to",
    "sort",
    "page_size",
    "page",
    "after",
    "before",
    "unknown",
)
ADDRESSES = (
    ("GET", "/users/{}"),
    ("GET", "/users/{}/edit"),
    ("POST", "/users/{}/edit"),
    ("GET", "/users/{}/delete"),
    ("POST", "/users/{}/delete"),
    ("POST", "/users/{}/deactivate"),
    ("POST", "/users/{}/password-link"),
    ("POST", "/users/{}/lift-throttle"),
    ("POST", "/users/changes/{}/undo"),
    ("GET", "/trash/{}/restore"),
    ("POST", "/trash/{}/restore"),
    ("GET", "/trash/{}/purge"),
    ("POST", "/trash/{}/purge"),
    ("GET", "/batches/{}"),
    ("POST", "/batches/{}/run"),
    ("POST", "/auth/devices/{}/revoke"),
    ("POST", "/tokens/{}/revoke"),
    ("POST", "/tokens/all/{}/revoke"),
    ("GET", "/auth/set-password/{}"),
    ("POST", "/auth/set-password/{}"),
    ("GET", "/static/{}/css/nothing.css"),
    ("GET", "/{}"),
)


class Desk:
    """An administrator at one database, with two members; put back once something has changed."""

    def __init__(self, app: Flask, hashed_password: str) -> None:
        self.app = app
        empty_tables(app)
        make = user_maker(app, hashed_password)
        self.visitor = Visitor(
            self.app,
            make(full_name="Administrator", email="administrator@desk.example", role=Role.ADMINISTRATOR),
        )
        make(full_name=f"Ann {CANARY}", email="person2@example.org")
        make(full_name="Bob", email="bob@example.org")
        self.stored = read_tables(app)
        with self.visitor.client.session_transaction() as cookie:
            self.token = cookie["token"]
        with app.app_context():
            self.rows = {
                table: [dict(row) for row in get_session().execute(select(*stored_columns(table))).mappings()]
                for table in Base.metadata.sorted_tables
                if table not in {*COUNTS, LANES}  # kept by triggers, and there anyway
            }

    def put_back(self) -> None:
        """The rows as they were, and the administrator signed in."""
        empty_tables(self.app, restarts=False)
        with self.app.app_context():
            session = get_session()
            for table, rows in self.rows.items():
                if rows:
                    session.execute(table.insert(), rows)
            session.commit()
        with self.visitor.client.session_transaction() as cookie:
            cookie.clear()
            cookie["token"] = self.token

    def send(
        self,
        method: str,
        path: str,
        *,
        body: str | bytes = "",
        query: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """A refused POST must not have changed anything but the count of attempts."""
        answer = self.visitor.client.open(
            path, method=method, data=body, query_string=query, content_type=FORM, headers=headers
        )
        if method == "POST":
            changed = self.find_changes()
            if changed:
                self.put_back()
            assert answer.status_code < 400 or changed <= {"attempts"}, (
                f"{answer.status_code}, yet {changed} changed"
            )
        return answer

    def find_changes(self) -> set[str]:
        stored = read_tables(self.app)
        return {name for name in stored if stored[name] != self.stored[name]}


@pytest.fixture
def desks(
    _apps: dict[str, Flask], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Desk]]:
    """One on each database; passwords are hashed cheaply here. In the end nothing may have changed."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "CURRENT_METHOD", passwords.method_of(hasher.hash("")))
    for name, url in (("sqlite", "sqlite://"), ("postgres", postgres_url)):
        if name not in _apps:
            _apps[name] = create_app(make_settings(url))
            with _apps[name].app_context():
                init_db()
    desks = [Desk(_apps[name], hasher.hash(PASSWORD)) for name in ("sqlite", "postgres")]
    yield desks
    for desk in desks:
        assert not desk.find_changes()


def ask_both(desks: list[Desk], case: str, send: Callable[[Desk], TestResponse]) -> TestResponse:
    """The answer, after seeing that both databases give it and that it is a decent one."""
    answers = [send(desk) for desk in desks]
    statuses = [answer.status_code for answer in answers]
    assert statuses[0] == statuses[1], f"{case}: sqlite {statuses[0]}, postgres {statuses[1]}"
    answer = answers[0]
    assert answer.status_code < 500, f"{case}: {answer.status_code}"
    assert CANARY not in answer.text, f"{case}: markup came back as markup"
    assert "evil" not in answer.headers, case
    assert "X-Evil" not in answer.headers, case
    location = answer.headers.get("Location", "/")
    assert location.startswith(("/", "http://localhost/")), f"{case}: {location}"
    assert not location.startswith(("//", "/\\")), f"{case}: {location}"
    return answer


# "back" is read in one place for all of these buttons, so one of them is enough.
SAME_AS_DEACTIVATE = {"/users/2/activate", "/users/2/sign-out", "/users/2/password-link", "/users/2/delete"}
FORM_FIELDS = [
    (path, field)
    for path, fields in FORMS.items()
    for field in fields
    if not (field == "back" and path in SAME_AS_DEACTIVATE)
]


@pytest.mark.parametrize(("path", "field"), FORM_FIELDS)
def test_any_text_in_any_field_of_any_form(desks: list[Desk], path: str, field: str) -> None:
    for name, text in TEXTS.items():

        def send(desk: Desk, text: str = text) -> TestResponse:
            token = desk.visitor.csrf_token()
            return desk.send("POST", path, body=encode({**FORMS[path], field: text, "csrf_token": token}))

        answer = ask_both(desks, name, send)
        if answer.status_code in {409, 422} and answer.request.path == path:
            assert_kept(answer, path, field, text, name)


def assert_kept(answer: TestResponse, path: str, field: str, text: str, case: str) -> None:
    """A refused form: the alert is there, the field is named, and nothing that was typed is lost."""
    page = answer.text
    assert 'role="alert"' in page, case
    if answer.status_code == 422 and path != "/auth/login":
        wrong = {"new_password": ("new_password", "confirm_password")}.get(field, (field,))
        assert any(field_error(page, name) for name in wrong), f"{case}: the field is not named"
    for name, value in {**FORMS[path], field: text}.items():
        if name in KEPT:
            assert field_value(page, name) == received(value)[:MAX_LINE], f"{case}: {name} is lost"
        elif "password" in name:
            assert field_value(page, name) == "", f"{case}: a password came back"


@pytest.mark.parametrize("parameter", LIST_PARAMETERS)
def test_any_text_in_any_parameter_of_the_list(desks: list[Desk], parameter: str) -> None:
    for name, text in TEXTS.items():
        query = encode(
            {"q": "ann", "sort": "-created_at", parameter: text} if parameter != "q" else {"q": text}
        )
        answer = ask_both(desks, name, lambda desk, query=query: desk.send("GET", "/users/", query=query))  # type: ignore[misc]
        assert answer.status_code in {200, 422}, name
        if parameter in {"q", "created_from", "created_to"}:
            kept = field_value(answer.text, parameter)
            assert kept == received(text)[:MAX_LINE], f"{name}: the text is lost"


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/users/2", "back"),
        ("/users/2/edit", "back"),
        ("/users/2/delete", "back"),
        ("/auth/login", "next"),
    ],
)
def test_any_text_in_the_query_of_any_page(desks: list[Desk], path: str, parameter: str) -> None:
    for name, text in TEXTS.items():
        query = encode({parameter: text})
        answer = ask_both(desks, name, lambda desk, query=query: desk.send("GET", path, query=query))  # type: ignore[misc]
        assert answer.status_code in {200, 303}, name


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_any_text_in_any_address(desks: list[Desk], method: str, address: str) -> None:
    for name, text in TEXTS.items():
        if not text or (text in {"/", "."}):
            continue
        path = address.format(quote(text.encode("utf-8", "surrogatepass"), safe=""))

        def send(desk: Desk, path: str = path) -> TestResponse:
            body = encode({"csrf_token": desk.visitor.csrf_token()}) if method == "POST" else ""
            return desk.send(method, path, body=body)

        assert ask_both(desks, name, send).status_code in {301, 308, 404, 405}, name


@pytest.mark.parametrize("name", RAW)
def test_any_bytes_as_a_query_or_a_body(desks: list[Desk], name: str) -> None:
    raw = RAW[name]
    ask_both(desks, "list", lambda desk: desk.send("GET", "/users/", query=raw.decode("latin-1")))
    for path in FORMS:

        def send(desk: Desk, path: str = path) -> TestResponse:
            token = encode({"csrf_token": desk.visitor.csrf_token()}).encode()
            return desk.send("POST", path, body=token + b"&" + raw)

        ask_both(desks, path, send)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=\xff", ""],
)
def test_another_kind_of_body_is_no_form(desks: list[Desk], content_type: str) -> None:
    for path in FORMS:

        def send(desk: Desk, path: str = path) -> TestResponse:
            return desk.visitor.client.post(path, data=RAW["JSON"], content_type=content_type)

        assert ask_both(desks, path, send).status_code in {400, 413, 415}


@pytest.mark.parametrize(("content_type", "status"), [(FORM, 413), ("multipart/form-data", 415)])
def test_two_thousand_fields_are_too_many(desks: list[Desk], content_type: str, status: int) -> None:
    def send(desk: Desk) -> TestResponse:
        fields = {f"field{number}": "x" for number in range(2000)}
        return desk.visitor.client.post("/users/new", data=fields, content_type=content_type)

    assert ask_both(desks, "fields", send).status_code == status


HEADERS = ("Accept-Language", "X-Request-ID", "Cookie")


@pytest.mark.parametrize("header", HEADERS)
def test_any_text_in_any_header(desks: list[Desk], header: str) -> None:
    for name, text in TEXTS.items():
        value = received(text).replace("\r", "").replace("\n", "").encode()[:8_190].decode("latin-1")

        def send(desk: Desk, value: str = value) -> TestResponse:
            visitor = Visitor(desk.app) if header == "Cookie" else desk.visitor
            return visitor.client.get("/users/", headers={header: value})

        assert ask_both(desks, name, send).status_code in {200, 303}, name


def test_any_text_as_the_time_zone_of_the_browser(desks: list[Desk]) -> None:
    for name, text in TEXTS.items():

        def send(desk: Desk, value: str = escape(text)[:3000]) -> TestResponse:
            desk.visitor.client.set_cookie("dossier-tz", value)
            return desk.send("GET", "/users/", query="created_from=2026-01-01&created_to=2026-12-31")

        assert ask_both(desks, name, send).status_code == 200, name


def test_text_in_a_users_agent_is_only_shown(desks: list[Desk]) -> None:
    for name, text in TEXTS.items():
        value = received(text).replace("\r", "").replace("\n", "").encode()[:8_190].decode("latin-1")

        def send(desk: Desk, value: str = value) -> TestResponse:
            visitor = Visitor(desk.app)
            visitor.post("/auth/login", FORMS["/auth/login"], headers={"User-Agent": value})
            return visitor.get("/auth/devices")

        assert ask_both(desks, name, send).status_code == 200, name
    for desk in desks:
        desk.put_back()


OVERRIDES: tuple[Mapping[str, str], ...] = (
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-HTTP-Method": "POST"},
    {"X-Method-Override": "POST"},
)


@pytest.mark.parametrize("headers", OVERRIDES, ids=lambda headers: str(*headers))
def test_a_method_cannot_be_overridden(desks: list[Desk], headers: dict[str, str]) -> None:
    for path in ("/users/2/delete", "/users/2/edit"):

        def send(desk: Desk, path: str = path) -> TestResponse:
            query = encode({"_method": "POST", "version": "1", "full_name": "x", "email": "x@example.org"})
            return desk.send("GET", path, query=query, headers=headers)

        assert ask_both(desks, path, send).status_code == 200


def test_of_repeated_parameters_one_counts_and_nothing_breaks(desks: list[Desk]) -> None:
    pairs = [("q", "ann"), ("q", CANARY), ("sort", "email"), ("sort", "x"), ("page", "1"), ("page", "x")]
    for order in (pairs, pairs[::-1]):
        query = encode(order)
        answer = ask_both(desks, "list", lambda desk, query=query: desk.send("GET", "/users/", query=query))  # type: ignore[misc]
        assert answer.status_code in {200, 422}

    def send(desk: Desk) -> TestResponse:
        body = [*FORMS["/users/2/edit"].items(), ("csrf_token", desk.visitor.csrf_token())]
        return desk.send(
            "POST", "/users/2/edit", body=encode([*body, ("role", "administrator"), ("version", "9")])
        )

    assert ask_both(desks, "edit", send).status_code == 303


def test_fields_of_the_query_are_no_fields_of_the_form(desks: list[Desk]) -> None:
    def send(desk: Desk) -> TestResponse:
        token = encode({"csrf_token": desk.visitor.csrf_token()})
        answer = desk.send("POST", "/users/new", query=encode(FORMS["/users/new"]), body=token)
        assert not desk.find_changes()
        return answer

    assert ask_both(desks, "query", send).status_code == 422


@pytest.mark.parametrize(
    "body", ["[1]", "{}", '{"full_name": 1, "email": ["x"]}', "NaN", "[" * 5000, '"text"', ""]
)
def test_json_with_a_right_token_is_no_form_either(desks: list[Desk], body: str) -> None:
    for path in FORMS:

        def send(desk: Desk, path: str = path) -> TestResponse:
            headers = {"X-CSRFToken": desk.visitor.csrf_token()}
            answer = desk.visitor.client.post(
                path, data=body, content_type="application/json", headers=headers
            )
            desk.put_back()
            return answer

        ask_both(desks, path, send)


@pytest.mark.parametrize(("path", "field"), FORM_FIELDS)
def test_an_uploaded_file_is_no_text(desks: list[Desk], path: str, field: str) -> None:
    def send(desk: Desk) -> TestResponse:
        upload = {**FORMS[path], field: (BytesIO(CANARY.encode()), CANARY)}
        answer = desk.visitor.client.post(path, data={**upload, "csrf_token": desk.visitor.csrf_token()})
        desk.put_back()
        return answer

    ask_both(desks, field, send)


def test_the_next_id_is_another_person_and_is_asked_about_anew(desks: list[Desk]) -> None:
    """A form of one person sent to another's address changes neither without that one's version."""
    for desk in desks:
        form = read_form(desk.visitor.get("/users/2/edit").text, holding="full_name")
        desk.visitor.post("/users/3/edit", {**FORMS["/users/2/edit"], "full_name": "Bobby", "version": "1"})
        assert form.fields["version"] == "1"
        answer = desk.visitor.post_raw("/users/3/edit", form.fields)
        assert answer.status_code == 409
        desk.put_back()
