"""Rows that are loaded are the rows that were given, on both databases, or none of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, String, cast, create_engine, literal, select

from webapp.db import atomic, get_session
from webapp.db.bulk import Value, insert_from_json, load_rows, stored_time
from webapp.errors import Conflict
from webapp.extensions import UtcDateTime
from webapp.history.models import ENTRIES
from webapp.listing.keyset import LARGEST_ID
from webapp.users.models import USERS, derive_keys

COLUMNS = (
    *("full_name", "email", "role", "is_active", "hashed_password", "created_at", "updated_at"),
    *("last_sign_in_at", "session_epoch", "version", "email_key", "name_key", "search_text"),
)
MOMENT = datetime(2026, 3, 1, 12, 30, 5, 7, tzinfo=timezone(timedelta(hours=2)))


def another_sqlite() -> Connection:
    return create_engine("sqlite://").connect()


def row(name: str, email: str, last: datetime | None = None) -> tuple[Value, ...]:
    time = stored_time(MOMENT)
    keys = derive_keys(full_name=name, email=email).values()
    return (name, email, "member", True, None, time, time, stored_time(last) if last else None, 0, 1, *keys)


@atomic
def load(rows: list[tuple[Value, ...]]) -> None:
    load_rows(get_session(), USERS, COLUMNS, rows)


TEXTS = ["Ann", "", "tab\there", 'quote " and \\N \\ backslash', "é 漢 🙂", "{a,b}"]


@pytest.mark.parametrize("name", TEXTS)
def test_a_value_comes_back_as_it_was(context: Flask, name: str) -> None:
    load([row(name, "ann@x.example", MOMENT), row(name, "bob@x.example")])
    stored = get_session().execute(
        select(USERS.c.full_name, USERS.c.created_at, USERS.c.last_sign_in_at).order_by(USERS.c.id)
    )
    assert [tuple(found) for found in stored] == [(name, MOMENT, MOMENT), (name, MOMENT, None)]


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_that_comes_as_json_comes_back_as_it_was(context: Flask, text: str) -> None:
    values: dict[str, Value] = {
        it.name: None if it.nullable else "" for it in ENTRIES.c if not it.primary_key
    }
    values |= {"at": stored_time(MOMENT), "subject_id": LARGEST_ID, "details": text, "lane": 0}
    rows = json.dumps([{**values, "number": number} for number in range(3)], ensure_ascii=False)
    session = get_session()
    session.execute(insert_from_json(ENTRIES, session.get_bind().dialect.name), {"rows": rows})
    columns = (ENTRIES.c.at, ENTRIES.c.subject_id, ENTRIES.c.version, ENTRIES.c.details, ENTRIES.c.number)
    stored = session.execute(select(*columns).order_by(ENTRIES.c.id)).all()
    assert [tuple(it) for it in stored] == [(MOMENT, LARGEST_ID, None, text, number) for number in range(3)]


def test_one_that_breaks_a_rule_keeps_all_out(context: Flask) -> None:
    with pytest.raises(Conflict):
        load([row("Ann", "ann@x.example"), row("Bob", "ANN@x.example")])
    assert get_session().execute(select(USERS.c.id)).all() == []


def test_no_rows_are_no_error(context: Flask) -> None:
    load([])
    assert get_session().execute(select(USERS.c.id)).all() == []


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
def test_a_stored_time_is_what_the_column_would_write(moment: datetime, hours: int) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = stored_time(moment)
    read = datetime.fromisoformat(f"{text}+00:00")
    assert read == moment
    with another_sqlite() as connection:
        assert connection.scalar(select(cast(literal(moment, UtcDateTime()), String))) == text
