"""JSON is read strictly, and everything that is wrong is said at once, at its field."""

from __future__ import annotations

import json
from decimal import Decimal
from io import BytesIO
from typing import Any, cast

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import WithToken
from tests.conftest import MakeUser, read_user
from webapp.api.bodies import (
    DEEPEST,
    LARGEST_NUMBER,
    MAX_COMMAS,
    MAX_KEYS,
    Body,
    Malformed,
    Query,
    fill,
    parse_json,
    read_query,
)
from webapp.api.problems import Refused
from webapp.api.users import NewUser, UsersQuery

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_NUMBER, LARGEST_NUMBER)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_what_every_reader_reads_alike_is_read_as_it_is(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text.encode()) == json.loads(text)


@given(st.binary())
def test_whatever_else_is_sent_is_refused_and_nothing_worse(data: bytes) -> None:
    try:
        value = parse_json(data)
    except Malformed:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"1 2", "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{"a": "é"}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'[{"b": {"a": 1, "\\u0061": 1}}]', "twice"),
        (b'{"a": NaN}', "no numbers of JSON"),
        (b"-Infinity", "no numbers of JSON"),
        (str(2**63).encode(), "too large"),
        (str(-(2**63)).encode(), "too large"),
        (b"9" * 5000, "too large"),
        (b"1e309", "too large"),
        (b"1e-999999999999", "too large"),
        (b"0." + b"1" * 100, "too many digits"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "too deeply"),
        (b'{"a":' * 100_000, "too deeply"),
        (b"[" * 100_000, "too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:20]),
)
def test_what_readers_disagree_about_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        parse_json(data)
    assert caught.value.field is None


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800", "a\\udfff"])
def test_a_text_that_no_database_keeps_is_refused_at_its_place(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_json(f'{{"rows": [{{"name": "x"}}, {{"name": "{text}"}}]}}'.encode())
    assert caught.value.field == "rows.1.name"


def test_as_deep_as_is_allowed_is_read() -> None:
    text = b"[" * DEEPEST + b"]" * DEEPEST
    assert parse_json(text) == json.loads(text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_no_number_passes_through_a_float() -> None:
    assert parse_json(b"0.1") == Decimal("0.1")
    assert parse_json(b"12345678901234567.89") == Decimal("12345678901234567.89")


def refuse(app: Flask, model: type[Body] | type[Query], value: Any) -> dict[str, str]:
    """Field → message."""
    with app.test_request_context(), pytest.raises(Refused) as caught:
        fill(model, value)
    assert caught.value.status == 422
    return dict(caught.value.errors)


def test_every_wrong_field_is_named_at_once(app: Flask) -> None:
    body = {"email": "no mail", "full_name": 7, "is_active": 1, "role": "king", "hashed_password": "x"}
    assert refuse(app, NewUser, body) == {
        "email": "This is not an e-mail address, such as name@example.org.",
        "full_name": "Send a text.",
        "is_active": "Send true or false.",
        "role": "Choose one of: member, auditor, support, administrator.",
        "hashed_password": "There is no such field here.",
    }


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_a_body_is_an_object(app: Flask, value: object) -> None:
    assert refuse(app, NewUser, value) == {"body": "Send an object."}


def test_what_is_missing_is_named(app: Flask) -> None:
    assert refuse(app, NewUser, {}) == {"email": "This is required."}


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1_0", "1.0", "+1", "0x10", "--1", "\u0661", "\uff11", "\u00b2", "1e3", "9" * 20, "true"],
)
def test_a_number_of_a_query_is_digits_and_nothing_else(app: Flask, text: str) -> None:
    assert refuse(app, UsersQuery, {"page": text}) == {"page": "Send a whole number."}


@pytest.mark.parametrize(
    ("text", "said"), [("0", "at least 1"), ("-1", "at least 1"), ("201", "at most 200")]
)
def test_a_number_of_a_query_has_bounds(app: Flask, text: str, said: str) -> None:
    assert refuse(app, UsersQuery, {"page_size": text}) == {"page_size": f"Send {said}."}


def test_a_parameter_that_is_sent_twice_is_refused(app: Flask) -> None:
    with app.test_request_context("/?page=1&page=2&sort=name"), pytest.raises(Refused) as caught:
        read_query(UsersQuery)
    assert dict(caught.value.errors) == {"page": "Send this once."}


@pytest.mark.parametrize(
    "text",
    [
        "2024",
        "2024-02-30",
        "2024-01-01T00:00:00",
        "1969-12-31",
        "9999-12-31",
        "0001-01-01T00:00:00+14:00",
        "x" * 5000,
    ],
)
def test_a_moment_has_a_zone_and_a_year_that_every_database_keeps(app: Flask, text: str) -> None:
    assert list(refuse(app, UsersQuery, {"created_from": text})) == ["created_from"]


def test_a_day_begins_in_utc_and_a_moment_where_it_says(app: Flask) -> None:
    query = fill(UsersQuery, {"created_from": "2024-12-31", "created_before": "2025-01-01T02:00:00+02:00"})
    assert query.created_from
    assert query.created_before
    assert query.created_from.isoformat() == "2024-12-31T00:00:00+00:00"
    assert query.created_before.isoformat() == "2025-01-01T00:00:00+00:00"


@pytest.mark.parametrize("options", [{"body": {"dry_run": True}}, {"body": b"x"}], ids=["JSON", "other"])
def test_a_call_that_takes_no_body_refuses_one(
    app: Flask, with_token: WithToken, make_user: MakeUser, options: dict[str, Any]
) -> None:
    program, user = with_token(), make_user()
    assert program.change("DELETE", f"/api/v1/users/{user.id}", **options).status_code == 400
    assert program.get(f"/api/v1/users/{user.id}", **options).status_code == 400
    chunks = {"input_stream": BytesIO(b"{}"), "environ_overrides": {"wsgi.input_terminated": True}}
    assert program.get(f"/api/v1/users/{user.id}", **chunks).status_code == 400
    assert read_user(app, user.id) is not None
    empty = {"Content-Length": "0"}
    assert program.get(f"/api/v1/users/{user.id}", headers=empty).status_code == 200
    assert program.change("DELETE", f"/api/v1/users/{user.id}", b"").status_code == 200


def test_a_body_of_many_values_is_not_read() -> None:
    assert len(cast("list[int]", parse_json(b"[" + b"1," * MAX_COMMAS + b"1]"))) == MAX_COMMAS + 1
    with pytest.raises(Malformed, match="too many values"):
        parse_json(b"[" + b"1," * (MAX_COMMAS + 1) + b"1]")


def test_an_object_of_many_keys_is_refused() -> None:
    keys = ",".join(f'"{number}": 1' for number in range(MAX_KEYS + 1))
    with pytest.raises(Malformed, match="too many keys"):
        parse_json(f"{{{keys}}}".encode())
