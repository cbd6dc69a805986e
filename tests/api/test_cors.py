"""Which pages' scripts may call the API: none unless set, and only it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.asking import USERS, Program
from tests.conftest import make_settings, user_maker
from webapp import create_app
from webapp.db import init_db
from webapp.extensions import sqla

ORIGIN = "https://app.example.org"
OTHERS = [
    "https://evil.example",
    "https://app.example.org.evil.example",
    "http://app.example.org",
    "null",
    "*",
]


@pytest.fixture
def opened() -> Iterator[Flask]:
    app = create_app(make_settings("sqlite://", api_cors_origins=(ORIGIN, "https://b.example:8443")))
    with app.app_context():
        init_db()
    yield app
    with app.app_context():
        sqla.engine.dispose()


def ask_beforehand(app: Flask, path: str, origin: str) -> TestResponse:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    return app.test_client().open(path, method="OPTIONS", headers=asked)


def names_of(response: TestResponse) -> set[str]:
    return {name for name in response.headers.keys() if name.startswith("Access-Control-")}  # noqa: SIM118


def test_a_browser_that_asks_beforehand_is_told_what_may_be_sent(opened: Flask) -> None:
    response = ask_beforehand(opened, "/api/v1/users/1", ORIGIN)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"PATCH", "DELETE"} <= set(response.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"Authorization", "Content-Type", "If-Match", "Idempotency-Key"} <= allowed
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.headers["Vary"]


def test_a_script_reads_the_answer_with_its_headers_and_a_refusal_too(opened: Flask) -> None:
    auditor = Program(opened, user_maker(opened, "")(role="auditor"))
    for program, status in ((auditor, 200), (Program(opened), 401)):
        response = program.get(USERS, headers={"Origin": ORIGIN})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"ETag", "Link", "Location", "RateLimit", "Retry-After", "X-Request-ID"} <= exposed
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", OTHERS)
def test_any_other_origin_gets_nothing_and_caches_are_told_that_it_depends(
    opened: Flask, origin: str
) -> None:
    beforehand = ask_beforehand(opened, "/api/v1/users", origin)
    assert beforehand.status_code == 401
    response = opened.test_client().get("/api/openapi.json", headers={"Origin": origin})
    for answer in (beforehand, response):
        assert names_of(answer) == set()
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/users/", "/sign-in", "/apiary", "/"])
def test_pages_are_open_to_no_origin(opened: Flask, path: str) -> None:
    response = opened.test_client().get(path, headers={"Origin": ORIGIN})
    for answer in (ask_beforehand(opened, path, ORIGIN), response):
        assert names_of(answer) == set()
        assert "Origin" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/openapi.json"])
def test_without_the_setting_there_is_no_such_header_anywhere(app: Flask, path: str) -> None:
    response = app.test_client().get(path, headers={"Origin": ORIGIN})
    for answer in (ask_beforehand(app, path, ORIGIN), response):
        assert names_of(answer) == set()
        assert "Origin" not in answer.headers.get("Vary", "")
