"""Which version a change is about."""

from __future__ import annotations

import pytest
from flask import Flask, Response

from webapp.api.conditions import make_tag, read_match, spare_known
from webapp.api.problems import Refused
from webapp.errors import Stale


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        ('"7"', True),
        ('"7-5f3e"', True),
        ('"6", "7-0"', True),
        ("*", True),
        ('"6"', False),
        ('W/"7"', False),  # a weak tag never matches strongly (RFC 9110, 8.8.3.2)
        ("7", False),
        ('"07x"', False),
        ('"-7"', False),
        ('"' + "9" * 5000 + '"', False),
        ("\u0667", False),
        ('"', False),
    ],
)
def test_a_change_is_made_to_the_version_that_was_named(app: Flask, header: str, fits: bool) -> None:
    with app.test_request_context(headers={"If-Match": header}):
        match = read_match()
    if fits:
        assert match.require(7) == 7
    else:
        with pytest.raises(Stale):
            match.require(7)


@pytest.mark.parametrize("headers", [{}, {"If-Match": ""}, {"If-Match": " "}])
def test_none_named_is_refused(app: Flask, headers: dict[str, str]) -> None:
    with app.test_request_context(headers=headers), pytest.raises(Refused) as caught:
        read_match()
    assert caught.value.status == 428


@pytest.mark.parametrize("tag", [make_tag(7), make_tag(7, rest="5f3e")])
def test_a_tag_that_was_made_names_its_version(app: Flask, tag: str) -> None:
    with app.test_request_context(headers={"If-Match": tag}):
        assert read_match().require(7) == 7


@pytest.mark.parametrize(
    ("asked", "status"),
    [('"7"', 304), ('W/"7"', 304), ('"6", "7"', 304), ("*", 304), ('"8"', 200), ("", 200)],
)
def test_what_the_client_has_is_not_sent_again(app: Flask, asked: str, status: int) -> None:
    with app.test_request_context(headers={"If-None-Match": asked, "If-Match": '"1"'}):
        response = spare_known(Response("text", headers={"ETag": '"7"'}))
    assert response.status_code == status
