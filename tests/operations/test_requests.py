"""Every request has an id: a proxy's when it is a plain one, else our own."""

from __future__ import annotations

import re

import pytest

from tests.visitor import Visitor


@pytest.mark.parametrize(
    "handed_down", ["7", "abcdefgh", "0f8fad5b-d9cb-469f-a165-70867728950e", "A.b_c-1234", "x" * 64]
)
def test_a_plain_id_is_taken_over(visitor: Visitor, handed_down: str) -> None:
    answer = visitor.get("/nowhere", headers={"X-Request-ID": handed_down})
    assert answer.headers["X-Request-ID"] == handed_down
    assert handed_down in answer.text


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
def test_anything_else_is_replaced(visitor: Visitor, handed_down: str) -> None:
    headers = {"X-Request-ID": handed_down.encode().decode("latin-1")}
    answer = visitor.get("/nowhere", headers=headers)
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])
    assert "canary" not in answer.text


def test_each_request_has_another(visitor: Visitor) -> None:
    ids = {visitor.get("/healthz").headers["X-Request-ID"] for _ in range(20)}
    assert len(ids) == 20
