"""Error pages: the right status, plain words, what to do, and the number under which the log has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError, TimeoutError

from tests.conftest import MakeUser, SignedIn, make_settings, read_tables
from tests.pages.asking import text_of
from tests.visitor import Visitor
from webapp import create_app
from webapp.access.guards import requires
from webapp.access.permissions import Permission, Role
from webapp.db import init_db
from webapp.errors import Busy, Conflict, Forbidden, Invalid, NotFound, Stale, Throttled
from webapp.extensions import sqla

FAILURES: dict[str, tuple[Exception, int, str, str | None]] = {
    "invalid": (Invalid("A sentence of ours."), 422, "A sentence of ours.", None),
    "conflict": (Conflict("Taken: %(what)s.", what="<script>canary"), 409, "Taken: <script>canary.", None),
    "stale": (Stale("Somebody was first."), 409, "Somebody was first.", None),
    "forbidden": (Forbidden("Not you."), 403, "Not you.", None),
    "not-found": (NotFound("Gone."), 404, "Gone.", None),
    "throttled": (Throttled("Slowly.", retry_after=77), 429, "Slowly.", "77"),
    "busy": (Busy("One moment."), 503, "One moment.", "5"),
    "defect": (RuntimeError("secret detail"), 500, "Something broke on our side", None),
    "recursion": (RecursionError("secret detail"), 500, "Something broke on our side", None),
    "locked": (
        OperationalError("SELECT secret detail", {}, Exception("database is locked")),
        503,
        "busy",
        "5",
    ),
    "no-tables": (
        OperationalError("SELECT secret detail", {}, Exception("no such table: users")),
        503,
        "flask --app wsgi init-db",
        None,
    ),
    "no-connection": (TimeoutError("QueuePool limit"), 503, "busy", "5"),
    "broken-rule": (
        IntegrityError("INSERT secret detail", {}, Exception("CHECK")),
        500,
        "Something broke",
        None,
    ),
}


@pytest.fixture(scope="module")
def failing_app() -> Iterator[Flask]:
    """An application with a page for each thing that can go wrong."""
    app = create_app(make_settings("sqlite://", log_level="CRITICAL"))

    @requires(Permission.PUBLIC)
    def fail(name: str) -> str:
        raise FAILURES[name][0]

    app.add_url_rule("/fail/<name>", "fail", fail, methods=["GET", "POST"])
    with app.app_context():
        init_db()
    yield app
    with app.app_context():
        sqla.engine.dispose()


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_has_its_page(failing_app: Flask, name: str) -> None:
    _, status, text, retry_after = FAILURES[name]
    answer = Visitor(failing_app).get(f"/fail/{name}")
    assert answer.status_code == status
    page = text_of(answer)
    assert text in page
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.headers["X-Request-ID"] in page
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert re.search(r'<a href="[^"]+"[^>]*role="button"', answer.text), "it says where to go on"
    assert "secret detail" not in page
    assert "Traceback" not in page
    assert "<script>canary" not in answer.text
    assert ">None<" not in answer.text, "what is not known is not printed"


def assert_page(visitor: Visitor, status: int, path: str, *, method: str = "GET", **options: object) -> None:
    answer = visitor.client.open(path, method=method, **options)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.headers["X-Request-ID"] in answer.text
    assert f"Error {status}" in text_of(answer)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/users/1/nothing", "/users/x", "/.git/config", "/auth/", "/static/x/y"]
)
def test_an_address_that_does_not_exist_is_said_to_anybody(
    app: Flask, visitor: Visitor, signed_in: SignedIn, path: str
) -> None:
    assert_page(visitor, 404, path)
    assert_page(signed_in(), 404, path)


@pytest.mark.parametrize("path", ["/auth/login", "/users/", "/", "/static/x"])
def test_a_query_of_bytes_that_are_no_text_is_not_understood(
    visitor: Visitor, signed_in: SignedIn, path: str
) -> None:
    query: dict[str, Any] = {
        "environ_overrides": {"QUERY_STRING": "q=\xff"}
    }  # as servers hand bytes on (PEP 3333)
    assert_page(visitor, 400, path, **query)
    assert_page(signed_in(), 400, path, **query)


def test_a_method_that_is_not_meant_is_named(visitor: Visitor) -> None:
    answer = visitor.client.delete("/auth/login")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert_page(visitor, 405, "/auth/logout")


def test_a_form_without_its_token_on_a_public_page_is_refused(app: Flask, visitor: Visitor) -> None:
    before = read_tables(app)
    assert_page(visitor, 400, "/auth/logout", method="POST")
    assert read_tables(app) == before


def test_a_role_that_may_not_is_told_whom_to_ask(signed_in: SignedIn) -> None:
    answer = signed_in("auditor").get("/users/new")
    assert answer.status_code == 403
    assert "Ask an administrator" in text_of(answer)
    assert 'href="/users/"' in answer.text


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
)
def test_a_body_over_the_limit_is_refused_unread(app: Flask, visitor: Visitor, content_type: str) -> None:
    size = app.config["MAX_CONTENT_LENGTH"] + 1
    assert_page(visitor, 413, "/auth/login", method="POST", data=b"a" * size, content_type=content_type)


def test_a_conflict_outside_a_form_has_a_page(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(is_active=False)
    token = {"csrf_token": visitor.csrf_token()}
    assert_page(visitor, 409, f"/users/{user.id}/password-link", method="POST", data=token)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "", "a b", "localhost@evil"]
)
def test_a_foreign_host_is_refused(visitor: Visitor, host: str) -> None:
    answer = visitor.get("/auth/login", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_a_forwarded_host_is_not_believed(visitor: Visitor, signed_in: SignedIn, make_user: MakeUser) -> None:
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example",
    }
    assert "evil" not in visitor.get("/auth/login", headers=headers).text
    page = signed_in().post(f"/users/{make_user().id}/password-link", headers=headers).text
    assert "http://localhost/auth/set-password/" in page
    assert "evil" not in page


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("en,fr;q=0.5", "en"),
        ("de", "en"),
        ("", "en"),
        ("\0;q=x", "en"),
    ],
)
def test_the_browsers_language_is_spoken(visitor: Visitor, header: str, language: str) -> None:
    answer = visitor.get("/nowhere", headers={"Accept-Language": header})
    assert f'<html lang="{language}"' in answer.text
    assert ("There is nothing here" in answer.text) is (language == "en")


def test_the_profiles_language_wins(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor", language="fr")
    assert '<html lang="fr"' in visitor.get("/users/", headers={"Accept-Language": "en"}).text


def test_the_error_page_asks_no_more_than_who_is_signed_in(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch, count_queries: object
) -> None:
    visitor = signed_in()
    with count_queries() as statements:  # type: ignore[operator]
        assert visitor.get("/nowhere").status_code == 404
    assert [statement.partition(" ")[0] for statement in statements] == ["SELECT"]


def test_errors_on_pages_of_members_and_nobody_look_the_same(
    app: Flask, make_user: MakeUser, visitor: Visitor
) -> None:
    member = Visitor(app, make_user(role=Role.MEMBER))
    assert member.get("/users/1").headers["Location"] == visitor.get("/users/1").headers["Location"]
