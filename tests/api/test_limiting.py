"""Limits as programs meet them: which answers count, for whom, and what the headers say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.api.asking import USERS, Program
from tests.conftest import make_settings, user_maker
from webapp import create_app
from webapp.db import init_db
from webapp.extensions import sqla

LIMIT, WORKERS = 9, 2
SHARE = 5
POLICY = f'"token";q={SHARE};w=60'


@pytest.fixture
def limited() -> Iterator[Flask]:
    """An application of its own, since it counts."""
    app = create_app(make_settings("sqlite://", api_rate_per_minute=LIMIT, web_workers=WORKERS))
    with app.app_context():
        init_db()
    yield app
    with app.app_context():
        sqla.engine.dispose()


def program(app: Flask, role: str, number: int = 1) -> Program:
    user = user_maker(app, "")(role=role, email=f"{role}{number}@desk.example")
    return Program(app, user)


def test_a_worker_admits_its_share_and_then_says_how_long_to_wait(limited: Flask) -> None:
    auditor = program(limited, "auditor")
    for left in reversed(range(SHARE)):
        response = auditor.get(USERS)
        assert response.status_code == 200
        assert response.headers["RateLimit-Policy"] == POLICY
        assert re.fullmatch(rf'"token";r={left};t=[0-9]+', response.headers["RateLimit"])
    refused = auditor.get(USERS)
    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 60 // SHARE
    assert refused.headers["Retry-After"] in refused.json["detail"]
    assert refused.headers["RateLimit"].startswith('"token";r=0;t=')


def test_all_that_a_token_asks_counts_and_what_is_refused_changes_nothing(limited: Flask) -> None:
    support = program(limited, "support")
    statuses = [
        support.post(USERS, {"email": "new@example.org"}).status_code,
        support.post(USERS, {"email": 1}).status_code,
        support.get(f"{USERS}/999").status_code,
        support.change("DELETE", f"{USERS}/1").status_code,  # it is for administrators
        support.get(f"{USERS}?page=0").status_code,
        support.post(USERS, {"email": "other@example.org"}).status_code,
    ]
    assert statuses == [201, 422, 404, 403, 422, 429]
    assert program(limited, "auditor").get(f"{USERS}?query=other").json["total"] == 0


def test_one_person_does_not_use_up_what_another_has(limited: Flask) -> None:
    first, second = program(limited, "auditor", 1), program(limited, "auditor", 2)
    assert [first.get(USERS).status_code for _ in range(SHARE + 1)][-1] == 429
    assert second.get(USERS).status_code == 200


def test_who_is_not_known_is_counted_by_address_and_does_not_lock_out_who_is(limited: Flask) -> None:
    stranger, auditor = Program(limited), program(limited, "auditor")
    statuses = [stranger.get(USERS).status_code for _ in range(SHARE + 1)]
    assert statuses == [401] * SHARE + [429]
    assert auditor.get(USERS).status_code == 200
    elsewhere = stranger.get(USERS, environ_overrides={"REMOTE_ADDR": "2001:db8::1"})
    assert elsewhere.status_code == 401
    assert elsewhere.headers["RateLimit-Policy"] == f'"address";q={SHARE};w=60'
    neighbour = stranger.get(USERS, environ_overrides={"REMOTE_ADDR": "2001:db8::2"})
    assert f'"address";r={SHARE - 2};' in neighbour.headers["RateLimit"]


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/", "/api/v1/nothing"])
def test_what_needs_no_token_is_not_counted_and_tells_the_rate_all_the_same(
    limited: Flask, path: str
) -> None:
    client = limited.test_client()
    for _ in range(SHARE + 1):
        response = client.get(path)
        assert response.status_code in {200, 404}
        assert response.headers["RateLimit"] == f'"address";r={SHARE};t=0'


def test_pages_have_no_such_limit(limited: Flask) -> None:
    assert "RateLimit" not in limited.test_client().get("/sign-in").headers


def test_without_a_limit_there_are_no_headers(app: Flask) -> None:
    response = Program(app).get(USERS)
    assert response.status_code == 401
    assert not {"RateLimit", "RateLimit-Policy"} & set(response.headers.keys())
