"""Everything bad in every field of every call: a clear refusal or a clean value, on both databases alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.access.test_routes import assert_safe_headers
from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, newest_entry, read_tables
from tests.corpus import CANARY, RAW, TEXTS, encode
from webapp.api.calls import Call
from webapp.api.users import NewUser, SearchQuery, UserChanges, UsersQuery, WholeUser
from webapp.api.views import all_calls

# What a field is fed besides texts. JSON's own oddities are tried in test_bodies.py.
VALUES: dict[str, object] = {
    "null": None,
    "a number": 7,
    "a large number": 2**63 - 1,
    "a fraction": 0.5,
    "yes": True,
    "a list": ["a"],
    "an object": {"$ne": None},
    "an empty object": {},
    "deep": json.loads("[" * 20 + "]" * 20),
}
each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())

GOOD: dict[str, Any] = {"full_name": "New Name", "role": "member", "is_active": True}


def stored(app: Flask) -> object:
    return {name: rows for name, rows in read_tables(app).items() if name != "tokens"}


def fields(call: Call) -> Iterator[str]:
    if call.body is not None:
        yield from call.body.model_fields


WITH_BODY = [(call, field) for call in all_calls() for field in fields(call)]
# Each parameter once: the three lists have the same, but for the query that a search needs.
READING = [call for call in all_calls() if call.method == "GET"]
WITH_QUERY = [(call, "unknown") for call in READING]
WITH_QUERY += [
    (call, name)
    for name in UsersQuery.model_fields
    for call in READING
    if call.query is UsersQuery or (call.query is SearchQuery and name == "query")
]


def send(program: Program, call: Call, field: str, value: object, user_id: int) -> None:
    """The call with one field bad: refused at that field, and nothing is changed; or accepted as it is."""
    before = stored(program.app), newest_entry(program.app)
    whole = {"email": f"new{user_id}@example.org", **GOOD}
    body = {**(whole if call.body is not UserChanges else {}), field: value}
    data = json.dumps(body).encode("utf-8", "surrogatepass")
    path = "/api/v1" + call.path.replace("<id:user_id>", str(user_id))
    answer = program.change(call.method, path, data=data, content_type="application/json")
    assert answer.status_code in {200, 201, 409, 422}
    assert_safe_headers(answer)
    if answer.status_code >= 400:
        assert list(errors_of(answer)) == [field]
        assert CANARY not in answer.text
        assert (stored(program.app), newest_entry(program.app)) == before


@pytest.mark.parametrize("value", [*TEXTS.values(), *VALUES.values()], ids=[*TEXTS, *VALUES])
def test_a_bad_value_in_each_field_of_each_body(
    with_token: WithToken, make_user: MakeUser, value: object
) -> None:
    program = with_token()
    for number, (call, field) in enumerate(WITH_BODY):
        user = make_user(email=f"row{number}@example.org")
        send(program, call, field, value, user.id)


def test_the_calls_with_a_body_are_those() -> None:
    assert {call.body for call, _ in WITH_BODY} >= {NewUser, WholeUser, UserChanges}
    assert {call.query for call, _ in WITH_QUERY} >= {UsersQuery, SearchQuery}


@each_text
def test_a_bad_text_in_each_parameter_of_each_query(
    with_token: WithToken, make_user: MakeUser, text: str
) -> None:
    program, user = with_token(), make_user()
    before = stored(program.app), newest_entry(program.app)
    for call, name in WITH_QUERY:
        path = "/api/v1" + call.path.replace("<id:user_id>", str(user.id))
        others = {"query": "a"} if call.name == "search_users" and name != "query" else {}
        answer = program.get(f"{path}?{encode({**others, name: text})}")
        assert answer.status_code in {200, 422}, (call.name, name)
        if answer.status_code == 422:
            assert list(errors_of(answer)) == [name]
            assert CANARY not in answer.text
    assert (stored(program.app), newest_entry(program.app)) == before


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
@pytest.mark.parametrize("place", ["query", "body", "form"])
def test_bytes_that_mean_nothing(with_token: WithToken, raw: bytes, place: str) -> None:
    program = with_token()
    before = stored(program.app), newest_entry(program.app)
    if place == "query":
        answer = program.get(USERS, environ_overrides={"QUERY_STRING": raw.decode("latin-1")})
        assert answer.status_code in {200, 400, 422}
    else:
        kind = "application/json" if place == "body" else "application/x-www-form-urlencoded"
        answer = program.ask("POST", USERS, data=raw, content_type=kind)
        assert answer.status_code == (400 if place == "body" else 415)
    assert (stored(program.app), newest_entry(program.app)) == before


HEADERS = ("If-Match", "If-None-Match", "Authorization", "Accept-Language", "X-Request-ID", "Accept")


@each_text
def test_a_bad_text_in_each_header(with_token: WithToken, make_user: MakeUser, text: str) -> None:
    """What no server lets through, as a line break or what is not Latin-1, is left out."""
    sent = "".join(c for c in text[:8000] if c.isprintable() and ord(c) < 256)
    program, path = with_token(), f"{USERS}/{make_user().id}"
    before = stored(program.app), newest_entry(program.app)
    for name in HEADERS:
        headers = {"If-Match": '"99"', name: sent}
        assert program.get(path, headers=headers).status_code in {200, 304, 401}
        changed = program.ask("PATCH", path, {"full_name": "New"}, headers=headers)
        assert changed.status_code in {401, 412, 428}
    assert (stored(program.app), newest_entry(program.app)) == before
