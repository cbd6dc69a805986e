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
from tests.conftest import MakeUser, insert_users, newest_entry, read_tables
from tests.corpus import CANARY, RAW, TEXTS, encode
from webapp.access.actor import Actor
from webapp.api.bodies import Body
from webapp.api.bulk import ChangedUsers, NewUsers
from webapp.api.calls import Call
from webapp.api.credits import Issue, NewTransfer
from webapp.api.history import HistoryQuery
from webapp.api.lists import ListQuery
from webapp.api.notes import NotesQuery, NoteText
from webapp.api.openapi import PATH_ID
from webapp.api.trash import Restoring, TrashQuery
from webapp.api.users import NewUser, SearchQuery, UserChanges, UsersQuery, WholeUser
from webapp.api.views import all_calls
from webapp.credits.rules import MOST_CENTS, order_grant
from webapp.credits.services import move
from webapp.notes.services import add_note
from webapp.users.queries import get_user
from webapp.users.trash import delete_user

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
ROW = {"email": "row@example.org"}
# What a good body holds.
WHOLE: dict[type[Body], dict[str, Any]] = {
    NewUser: {"email": "new{id}@example.org", **GOOD},
    WholeUser: {"email": "new{id}@example.org", **GOOD},
    UserChanges: {},
    NewUsers: {"rows": [ROW]},
    ChangedUsers: {"rows": [ROW]},
    NoteText: {"text": "Called."},
    Restoring: {},
    NewTransfer: {"from_user_id": 0, "to_user_id": 1, "amount": "1.00"},
    Issue: {"amount": "1.00", "reason": "Why"},
}


def place_of(program: Program, call: Call, user_id: int) -> str:
    """The address of the call, at which there is what it is about."""
    with program.app.app_context():
        if call.path.startswith("/trash/"):
            delete_user(get_user(user_id), version=1, actor=Actor.command_line())
        if call.body in {NewTransfer, Issue}:
            gift = order_grant(to_user_id=user_id, amount_cents=MOST_CENTS, reason="Plenty")
            move(gift, actor=Actor.command_line())
        note_id = 0
        if "<id:note_id>" in call.path:
            owner = find_user_of(program)
            note_id = add_note(get_user(user_id), text="Old.", actor=owner).id
    return "/api/v1" + call.path.replace("<id:user_id>", str(user_id)).replace("<id:note_id>", str(note_id))


def find_user_of(program: Program) -> Actor:
    user = program.user
    assert user is not None
    return Actor(user_id=user.id, name=user.display_name, role=user.role)


def stored(app: Flask) -> object:
    return {name: rows for name, rows in read_tables(app).items() if name != "tokens"}


def fields(call: Call) -> Iterator[str]:
    if call.body is not None:
        yield from call.body.model_fields


WITH_BODY = [(call, field) for call in all_calls() for field in fields(call)]
# Each parameter once: the three lists have the same, but for the query that a search needs.
READING = [call for call in all_calls() if call.method == "GET"]
WITH_QUERY = [(call, "unknown") for call in READING]
QUERIES = {UsersQuery, HistoryQuery, NotesQuery, TrashQuery, ListQuery}
WITH_QUERY += [
    (call, name)
    for call in READING
    for name in call.query.model_fields
    if call.query in QUERIES or (call.query is SearchQuery and name == "query")
]


def send(program: Program, call: Call, field: str, value: object, user_id: int) -> None:
    """The call with one field bad: refused at that field, and nothing is changed; or accepted as it is."""
    assert call.body is not None
    path, whole = place_of(program, call, user_id), dict(WHOLE[call.body])
    if "email" in whole:
        whole["email"] = whole["email"].format(id=user_id)
    if "from_user_id" in whole:
        whole["from_user_id"] = user_id
    before = stored(program.app), newest_entry(program.app)
    data = json.dumps({**whole, field: value}).encode("utf-8", "surrogatepass")
    answer = program.change(call.method, path, data=data, content_type="application/json")
    assert answer.status_code in {200, 201, 409, 422}
    assert_safe_headers(answer)
    if answer.status_code >= 400:
        # A number may be that of somebody, who has nothing to send.
        is_of_somebody = field == "from_user_id" and answer.status_code == 409
        assert list(errors_of(answer)) == ["amount" if is_of_somebody else field]
        assert CANARY not in answer.text
        assert (stored(program.app), newest_entry(program.app)) == before


@pytest.mark.parametrize("value", [*TEXTS.values(), *VALUES.values()], ids=[*TEXTS, *VALUES])
def test_a_bad_value_in_each_field_of_each_body(
    with_token: WithToken, make_user: MakeUser, value: object
) -> None:
    program = with_token()
    first_id = make_user().id + len(WITH_BODY)  # beyond those that the calls themselves make
    with program.app.app_context():
        insert_users(
            {"id": first_id + number, "email": f"row{number}@example.org", "full_name": f"Row {number}"}
            for number in range(len(WITH_BODY))
        )
    for user_id, (call, field) in enumerate(WITH_BODY, first_id):
        send(program, call, field, value, user_id)


def test_the_calls_with_a_body_are_those() -> None:
    assert {call.body for call, _ in WITH_BODY} == set(WHOLE)
    assert {call.query for call, _ in WITH_QUERY} >= {*QUERIES, SearchQuery}


@each_text
def test_a_bad_text_in_each_parameter_of_each_query(
    with_token: WithToken, make_user: MakeUser, text: str
) -> None:
    program, user = with_token(), make_user()
    before = stored(program.app), newest_entry(program.app)
    for call, name in WITH_QUERY:
        path = "/api/v1" + PATH_ID.sub(str(user.id), call.path)
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


HEADERS = (
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Authorization",
    "Accept-Language",
    "X-Request-ID",
    "Accept",
)


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
        assert changed.status_code in {401, 412, 422, 428}
    assert (stored(program.app), newest_entry(program.app)) == before
