"""Every request has an id: a trusted proxy's when it is a plain one, else our own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import make_settings
from tests.visitor import Visitor
from webapp import create_app
from webapp.extensions import sqla

PLAIN = ["7", "abcdefgh", "0f8fad5b-d9cb-469f-a165-70867728950e", "A.b_c-1234", "x" * 64]


@pytest.fixture
def behind_a_proxy() -> Iterator[Visitor]:
    app = create_app(make_settings("sqlite://", proxy_count=1))
    yield Visitor(app)
    with app.app_context():
        sqla.engine.dispose()


@pytest.mark.parametrize("handed_down", PLAIN)
def test_a_trusted_proxy_names_the_request(behind_a_proxy: Visitor, handed_down: str) -> None:
    answer = behind_a_proxy.get("/nowhere", headers={"X-Request-ID": handed_down})
    assert answer.headers["X-Request-ID"] == handed_down
    assert handed_down in answer.text


@pytest.mark.parametrize("handed_down", PLAIN)
def test_a_client_does_not(visitor: Visitor, handed_down: str) -> None:
    answer = visitor.get("/nowhere", headers={"X-Request-ID": handed_down})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])
    assert answer.headers["X-Request-ID"] in answer.text


def test_what_a_client_calls_it_stands_in_the_log_beside(
    visitor: Visitor, behind_a_proxy: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def noted(visitor: Visitor, **headers: str) -> str | None:
        caplog.clear()
        with caplog.at_level("INFO", "dossier.request"):
            visitor.get("/healthz", headers=headers)
        (record,) = caplog.records
        return getattr(record, "client_request_id", None)

    assert noted(visitor, **{"X-Request-ID": "mine-1"}) == "mine-1"
    assert noted(visitor, **{"X-Request-ID": "two words"}) is None
    assert noted(visitor) is None
    assert noted(behind_a_proxy, **{"X-Request-ID": "proxy-1"}) is None


@pytest.mark.parametrize(
    "handed_down",
    [
        "",
        "x" * 65,
        "with space",
        "<script>canary",
        "a;b=c;d=e",
        "é" * 10,
        '"quoted id"',
        "a\tbcdefghi",
    ],
)
def test_anything_else_is_replaced(behind_a_proxy: Visitor, handed_down: str) -> None:
    headers = {"X-Request-ID": handed_down.encode().decode("latin-1")}
    answer = behind_a_proxy.get("/nowhere", headers=headers)
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])
    assert "canary" not in answer.text


def test_each_request_has_another(visitor: Visitor) -> None:
    ids = {visitor.get("/healthz").headers["X-Request-ID"] for _ in range(20)}
    assert len(ids) == 20
