"""A form is read as everybody reads it, within bounds; what is past them is refused before it costs much."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from tests.corpus import TEXTS, encode
from tests.visitor import Visitor
from webapp.web.bounds import MAX_DAMAGED, MAX_FIELDS, MAX_HEADER_BYTES, read_fields
from webapp.web.headers import HEADERS

PATH = "/auth/login"


@given(st.text("%%%4aAfF=&&+ \r\n\0é\u20ac").map(str.encode))
def test_a_form_is_read_as_pythons_own_reader_does(body: bytes) -> None:
    assert read_fields(body) == parse_qsl(body.decode(), keep_blank_values=True, errors="werkzeug.url_quote")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_text_comes_as_it_was_sent(text: str) -> None:
    body = encode({text: text})
    assert read_fields(body.encode()) == parse_qsl(body, keep_blank_values=True, errors="werkzeug.url_quote")


@pytest.mark.parametrize("body", ["a=100%hello", "a=%hh", "a=%ah", "a=%h1", "a=%e9%h", "%h=%25h"])
def test_an_h_is_no_hexadecimal_digit(body: str) -> None:
    assert read_fields(body.encode()) == parse_qsl(body, keep_blank_values=True, errors="werkzeug.url_quote")


def test_as_many_fields_as_may_be() -> None:
    assert len(read_fields(b"&".join([b"id=1"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(RequestEntityTooLarge):
        read_fields(b"&" * MAX_FIELDS)


@pytest.mark.parametrize("part", [b"%ff", b"\xff", b"%", b"%f", b"%zz", b"%hh"])
def test_few_bytes_may_be_damaged(part: bytes) -> None:
    read_fields(b"a=" + part * (MAX_DAMAGED - 1))
    with pytest.raises(BadRequest):
        read_fields(b"a=" + part * (MAX_DAMAGED + 1))
    with pytest.raises(BadRequest):
        read_fields(b"&".join([b"a=" + part * 100] * 11))


def test_too_many_fields_are_refused_on_a_page(visitor: Visitor) -> None:
    answer = visitor.post_raw(PATH, b"a&" * MAX_FIELDS, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert "Send less at once" in answer.text


def test_a_form_with_files_is_refused(visitor: Visitor) -> None:
    answer = visitor.post_raw(PATH, b"--b--", content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 415
    assert 'role="alert"' in answer.text or "<h1>" in answer.text


def test_headers_longer_than_any_browsers_are_refused(visitor: Visitor) -> None:
    """Before the cookie is read: it may be what is too long."""
    client = visitor.app.test_client(use_cookies=False)
    assert client.get(PATH, headers={"Cookie": "a" * (MAX_HEADER_BYTES - 100)}).status_code == 200
    answer = client.get(PATH, headers={"Cookie": "a" * MAX_HEADER_BYTES})
    assert answer.status_code == 431
    assert "Delete the cookies" in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
