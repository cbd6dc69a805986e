"""A cursor comes back as it was, and whatever else is sent in its place is refused as no cursor."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.db import get_session
from webapp.listing.keyset import (
    LARGEST_ID,
    LARGEST_POSITION,
    LONGEST_CURSOR,
    BadCursor,
    Edge,
    Key,
    decode_cursor,
    encode_cursor,
)
from webapp.listing.page import PageRequest, paginate
from webapp.users.queries import LISTING, select_users

quick = settings(max_examples=60, deadline=None)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=254)
# The zone is drawn apart.
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001
times = moments.map(lambda moment: moment.replace(tzinfo=UTC))
numbers = st.integers(0, LARGEST_ID)
KEY_TYPES: dict[str, type[Key]] = {"name": str, "-created_at": datetime, "id": int}


@quick
@given(names | times | numbers, numbers, st.none() | st.integers(0, LARGEST_POSITION))
def test_a_cursor_comes_back_as_it_was(key: Key, row_id: int, position: int | None) -> None:
    edge = Edge(key, row_id, position)
    cursor = encode_cursor("-some_sort", edge, of="these")
    assert decode_cursor(cursor, order="-some_sort", key_type=type(key), of="these") == edge
    of_others = decode_cursor(cursor, order="-some_sort", key_type=type(key), of="others")
    assert (of_others.key, of_others.id, of_others.position) == (key, row_id, None)
    assert len(cursor) <= LONGEST_CURSOR
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@quick
@given(moments, st.integers(-14 * 60, 14 * 60))
def test_a_time_comes_back_in_utc(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    decoded = decode_cursor(encode_cursor("t", Edge(local, 1, None)), order="t", key_type=datetime)
    assert decoded.key == local
    assert isinstance(decoded.key, datetime)
    assert decoded.key.tzinfo is UTC


def seal(value: object) -> str:
    """What anybody can make who has seen one cursor."""
    return seal_bytes(json.dumps(value).encode())


def seal_bytes(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["name", "-created_at"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
shaped = st.tuples(
    st.sampled_from(sorted(KEY_TYPES)), json_values, json_values, json_values, st.just("") | json_values
).map(list)


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.characters(exclude_categories=()))
    | st.binary().map(seal_bytes)
    | (json_values | shaped).map(seal),
    st.sampled_from(sorted(KEY_TYPES)),
)
def test_anything_else_is_refused_or_is_of_the_right_types(text: str, sort: str) -> None:
    try:
        edge = decode_cursor(text, order=sort, key_type=KEY_TYPES[sort])
    except BadCursor:
        return
    assert type(edge.key) is KEY_TYPES[sort]
    assert type(edge.id) is int
    assert edge.position is None or type(edge.position) is int


BROKEN: dict[str, str] = {
    "empty": "",
    "no base64": "%%%",
    "not ASCII": "é",
    "one letter": "a",
    "no JSON": seal_bytes(b"name"),
    "no UTF-8": seal_bytes(b'["name","\xff",1,null,""]'),
    "no list": seal({"name": 1}),
    "too short": seal(["name", "ann", 1]),
    "too long a list": seal(["name", "ann", 1, None, "", None]),
    "number as key": seal(["name", 5, 1, None, ""]),
    "no id": seal(["name", "ann", None, None, ""]),
    "text as id": seal(["name", "ann", "1", None, ""]),
    "true as id": seal(["name", "ann", True, None, ""]),
    "fraction as id": seal(["name", "ann", 1.5, None, ""]),
    "negative id": seal(["name", "ann", -1, None, ""]),
    "huge id": seal(["name", "ann", 2**63, None, ""]),
    "endless id": seal_bytes(b'["name","ann",1' + b"0" * 2_000 + b',null,""]'),
    "true as position": seal(["name", "ann", 1, True, ""]),
    "negative position": seal(["name", "ann", 1, -1, ""]),
    "huge position": seal(["name", "ann", 1, 2**63, ""]),
    "no name of the rows": seal(["name", "ann", 1, None, None]),
    "NUL in the key": seal(["name", "a\0b", 1, None, ""]),
    "half a surrogate in the key": seal(["name", "\ud800", 1, None, ""]),
    "deep": seal_bytes(b"[" * 2_900),
    "another sort's": seal(["email", "ann", 1, None, ""]),
    "the other direction's": seal(["-name", "ann", 1, None, ""]),
    "too long": seal(["name", "x" * LONGEST_CURSOR, 1, None, ""]),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_what_was_tampered_with_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(text, order="name", key_type=str)


@pytest.mark.parametrize("key", ["1", None, True, 1.0, -1, 2**63, [1]])
def test_a_number_that_is_none_is_refused(key: object) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(seal(["id", key, 1, None, ""]), order="id", key_type=int)


@pytest.mark.parametrize(
    "key",
    ["", "yesterday", "2024-13-01", "2024-01-01T25:00", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59"],
)
def test_a_time_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(seal(["t", key, 1, None, ""]), order="t", key_type=datetime)


@pytest.mark.parametrize("where", ["after", "before"])
@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("name", "x" * 2_000),
        ("name", "\U0010ffff"),
        ("email", "%_'\"\\"),
        ("created_at", "0001-01-01T00:00:00+00:00"),
        ("-created_at", "9999-12-31T23:59:59.999999+00:00"),
        ("last_sign_in_at", "2024-01-01"),
    ],
)
def test_whatever_decodes_the_database_can_be_asked(context: Flask, where: str, sort: str, key: str) -> None:
    cursor = seal([f"users {sort}", key, LARGEST_ID, LARGEST_POSITION, ""])
    request = PageRequest(sort=sort, **{where: cursor})  # type: ignore[arg-type]
    page = paginate(get_session(), LISTING, select_users(), request)
    assert not page.had_bad_cursor
    assert list(page.rows) == []
