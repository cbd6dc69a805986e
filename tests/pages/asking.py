"""The questions that are asked of every page."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import read_tables
from tests.visitor import Visitor

UNKNOWN_IDS = ("0", "999999", "2147483648", "9223372036854775807", "9223372036854775808", "9" * 40)


def assert_get_asks_to_sign_in(app: Flask, path: str) -> None:
    """Nobody is led to the sign-in page, and from there back to ``path``."""
    answer = Visitor(app).get(path)
    assert answer.status_code == 303
    target = urlsplit(answer.headers["Location"])
    assert target.path == "/auth/login"
    assert parse_qs(target.query)["next"] == [path]


def assert_post_asks_to_sign_in(app: Flask, path: str, data: Mapping[str, str] | None = None) -> None:
    before = read_tables(app)
    answer = Visitor(app).post(path, data)
    assert answer.status_code == 401
    assert 'name="password"' in answer.text
    assert read_tables(app) == before


def assert_refused(
    visitor: Visitor, path: str, data: Mapping[str, str] | None = None, *, status: int = 403
) -> TestResponse:
    """A POST is answered with ``status`` and changes nothing."""
    before = read_tables(visitor.app)
    answer = visitor.post(path, data)
    assert answer.status_code == status
    assert read_tables(visitor.app) == before
    return answer


def assert_get_writes_nothing(visitor: Visitor, path: str) -> None:
    before = read_tables(visitor.app)
    assert visitor.get(path).status_code == 200
    assert visitor.get(path, headers={"X-HTTP-Method-Override": "POST"}).status_code == 200
    assert visitor.client.head(path).status_code == 200
    assert read_tables(visitor.app) == before


def text_of(answer: TestResponse) -> str:
    """The page without character references."""
    return unescape(answer.text)
