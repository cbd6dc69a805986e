"""Whatever fails below /api is a problem that a program can read, and repeats nothing of what was sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.access.test_routes import assert_safe_headers
from tests.api.asking import USERS, Program
from tests.api.conftest import WithToken
from tests.conftest import make_settings
from tests.pages.test_errors import FAILURES
from webapp import create_app
from webapp.access.guards import requires
from webapp.access.permissions import Permission
from webapp.api.problems import CONTENT_TYPE, PROBLEMS
from webapp.api.views import blueprint
from webapp.db import init_db
from webapp.errors import Conflict
from webapp.extensions import sqla

CANARY = "canary"


@pytest.fixture(scope="module")
def failing_app() -> Iterator[Flask]:
    """An application with an address for each thing that can go wrong, in the API and outside."""
    app = create_app(make_settings("sqlite://", log_level="CRITICAL"))

    @requires(Permission.PUBLIC)
    def fail(name: str) -> str:
        raise FAILURES[name][0]

    app.add_url_rule("/api/fail/<name>", f"{blueprint.name}.fail", fail)
    app.add_url_rule("/fail/<name>", "fail", fail)
    app.add_url_rule("/apiary/<name>", "apiary", fail)
    with app.app_context():
        init_db()
    yield app
    with app.app_context():
        sqla.engine.dispose()


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_a_problem(failing_app: Flask, name: str) -> None:
    _error, page_status, text, retry_after = FAILURES[name]
    answer = Program(failing_app).get(f"/api/fail/{name}")
    status = 412 if name == "stale" else page_status  # a version comes as a precondition here
    assert answer.status_code == status
    problem = answer.json
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["X-Request-ID"])
    assert text in f"{problem['title']} {problem['detail']}"
    assert problem["detail"]
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.headers["Cache-Control"] == "no-store"
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/fail/conflict", "/apiary/conflict", "/nowhere"])
def test_elsewhere_a_failure_stays_a_page(failing_app: Flask, path: str) -> None:
    answer = failing_app.test_client().get(path)
    assert answer.content_type.startswith("text/html")


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1", "/api/v1/", "/api/nowhere", "/api/v1/users/", "/api/v2/users", "/api/v1/users/x"),
        *("/api//v1/users", "/api/v1//users", "/api/v1/users//1", "/api//", "/api///openapi.json"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_does_not_exist(with_token: WithToken, method: str, path: str) -> None:
    answer = with_token().ask(method, f"{path}?{CANARY}=<{CANARY}>")
    assert answer.status_code == 404
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (415, b"{}", None),
        (415, b"email=a", "application/x-www-form-urlencoded"),
        (415, b"{}", "text/json"),
        (415, b"{}", "application/json; charset=latin-1"),
        (415, b"{}", "application/problem+json"),
        (415, b"{}", "\xff/json"),
        (400, b"", "application/json"),
        (400, b'{"canary": ', "application/json"),
        (400, b'{"canary": 1, "canary": 2}', "application/json; charset=UTF-8"),
        (422, b'{"email": "canary"}', "application/json"),
        (422, b'["canary"]', "application/json"),
        (422, b'{"<canary>": 1}', "application/json"),
        (413, b"canary" * 500_000, "application/json"),
    ],
)
def test_a_body_that_is_not_read(
    with_token: WithToken, status: int, body: bytes, content_type: str | None
) -> None:
    answer = with_token().ask("POST", USERS, data=body, content_type=content_type)
    assert answer.status_code == status
    assert CANARY not in answer.text
    assert_safe_headers(answer)


def test_a_foreign_host_gets_a_problem(app: Flask) -> None:
    answer = Program(app).get(USERS, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "TRUSTED_HOSTS" in answer.json["detail"]
    assert "evil" not in answer.text


def test_a_defect_is_logged_under_its_number(failing_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = Program(failing_app).get("/api/fail/defect")
    assert answer.json["title"] == PROBLEMS[500].title
    assert "secret detail" in caplog.text


def test_a_problem_speaks_the_language_that_was_asked_for(app: Flask) -> None:
    answer = Program(app).get(USERS, headers={"Accept-Language": "fr"})
    assert answer.json["title"] == "Un jeton est nécessaire"


def test_where_a_problem_is_explained(app: Flask) -> None:
    page = app.test_client().get("/api/").text
    for problem in PROBLEMS.values():
        assert f'id="{problem.name}"' in page
        assert problem.remedy.replace('"', "&#34;") in page
    assert Program(app).get(USERS).json["type"] == "/api/#token"


def test_the_content_type_is_that_of_the_standard() -> None:
    assert CONTENT_TYPE == "application/problem+json"


def test_the_field_of_a_refusal_is_named(failing_app: Flask) -> None:
    error = Conflict("Taken.", field="email")
    FAILURES["field"] = (error, 409, "Taken.", None)
    try:
        answer = Program(failing_app).get("/api/fail/field")
    finally:
        del FAILURES["field"]
    assert answer.json["errors"] == [{"field": "email", "message": "Taken."}]
