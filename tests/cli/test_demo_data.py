"""Demo users as rows: the same in one process and in two, in batches that are loaded as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from tests.cli.test_database import people_of, run
from tests.conftest import MakeUser
from webapp.access.actor import Actor
from webapp.cli import database, demo_data
from webapp.cli.demo_data import DemoData
from webapp.db import get_session
from webapp.listing.maintenance import find_faults
from webapp.users.queries import LISTING, count_users
from webapp.users.services import LOADED, load_users

UNTIL = datetime(2026, 1, 1, tzinfo=UTC)


def some_data(count: int, **changes: int) -> DemoData:
    return DemoData(count, seed=7, until=UNTIL, hashed_password="no hash", **changes)


def test_a_row_has_a_value_for_each_loaded_column() -> None:
    rows = [row for batch in some_data(50).rows() for row in batch]
    assert len(rows) == 50
    assert {len(row) for row in rows} == {len(LOADED)}


def test_two_processes_make_the_same_people_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"ROWS_AT_ONCE": 30, "BATCHES_IN_BULK": 2, "MOST_WAITING": 3}.items():
        monkeypatch.setattr(demo_data, name, size)
    one = [row for batch in some_data(200, start=5).rows() for row in batch]
    assert [row for batch in some_data(200, start=5).rows_in_parallel() for row in batch] == one


def test_some_data_that_starts_later_is_the_rest_of_one_that_starts_earlier() -> None:
    whole = [row for batch in some_data(40).rows() for row in batch]
    rest = [row for batch in some_data(30, start=10).rows() for row in batch]
    assert [row[1] for row in rest] == [row[1] for row in whole[10:]]


def test_what_is_loaded_is_what_the_services_would_have_stored(context: Flask) -> None:
    for batch in some_data(120).rows():
        load_users(batch, actor=Actor.command_line())
    assert count_users() == 120
    assert list(find_faults(get_session(), LISTING)) == []


def test_seeding_in_bulk_adds_the_same_people_and_leaves_every_index_as_it_was(
    app: Flask, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(app, "seed", "--count", "60", "--seed", "7").exit_code == 0
    one_by_one = {row[1:] for row in people_of(app)}
    with app.app_context():
        assert count_users() == 60
    monkeypatch.setattr(database, "FEWEST_IN_BULK", 50)
    result = run(app, "seed", "--count", "61", "--seed", "7")
    assert result.exit_code == 0, result.output
    assert "Making users_totals" in result.output
    with app.app_context():
        assert count_users() == 121
        assert list(find_faults(get_session(), LISTING)) == []
    assert len(people_of(app)) == 121
    assert one_by_one < {row[1:] for row in people_of(app)}


def test_people_were_created_before_now_and_signed_in_after_that() -> None:
    for batch in some_data(300).rows():
        for row in batch:
            values = dict(zip(LOADED, row, strict=True))
            created, seen = str(values["created_at"]), values["last_sign_in_at"]
            assert created <= str(UNTIL + timedelta(days=1))
            assert seen is None or str(seen) >= created
