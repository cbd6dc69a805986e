"""What the lists need in the database: all of it can be missing or wrong, is then found, and made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import insert_users
from webapp.db import atomic, get_session
from webapp.listing.counting import Count
from webapp.listing.maintenance import drop_indexes, find_faults, make_indexes, rebuild_indexes
from webapp.listing.page import PageRequest, paginate
from webapp.users.models import USERS
from webapp.users.queries import LISTING, select_users

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
EVENTS = ("insert", "update", "delete")


@pytest.fixture
def people(file_app: Flask) -> Flask:
    """A database of the test's own, for what is done here leaves traces in it."""
    with file_app.app_context():
        insert_users([{"full_name": f"Ann {n}", "email": f"ann{n}@x.example"} for n in range(30)])
    return file_app


def faults() -> list[str]:
    found = list(find_faults(get_session(), LISTING))
    get_session().rollback()
    return found


def found_by(word: str) -> Count:
    count = paginate(get_session(), LISTING, select_users(words=(word,)), PageRequest(sort="name")).count
    get_session().rollback()
    return count


@atomic
def spoil(*statements: str) -> None:
    for statement in statements:
        get_session().execute(text(statement))


def ignore(_name: str) -> None:
    """Nobody is told."""


def test_as_it_was_migrated_there_is_no_fault(people: Flask) -> None:
    with people.app_context():
        assert faults() == []
        assert found_by("ann") == Count(30)


def test_what_was_dropped_is_missed_by_name_and_made_again(people: Flask) -> None:
    with people.app_context():
        drop_indexes(LISTING)
        missing = faults()
        triggers = {f"users_{counts}_{event}" for counts in ("totals", "places", "spans") for event in EVENTS}
        assert {f"{name} is missing." for name in triggers} <= set(missing)
        assert {"ix_users_by_name is missing.", "ix_users_places is missing."} <= set(missing)
        insert_users([{"full_name": "Bob", "email": "bob@x.example"}])  # seen by no trigger
        told: list[str] = []
        make_indexes(LISTING, told.append)
        assert "ix_users_by_name" in told
        assert faults() == []
        assert (found_by("bob"), found_by("ann")) == (Count(1), Count(30))


@pytest.mark.parametrize("repair", [make_indexes, rebuild_indexes])
def test_a_wrong_total_is_named_and_put_right(people: Flask, repair: Callable[..., None]) -> None:
    with people.app_context():
        spoil("INSERT INTO users_totals (segment, amount) VALUES ('#mi', 5)")
        assert faults() == ["The total of #mi is 5 too high."]
        spoil("INSERT INTO users_totals (segment, amount) VALUES ('#mi', -11)")
        assert faults() == ["The total of #mi is 6 too low."]
        repair(LISTING, ignore)
        assert faults() == []
        insert_users([{"full_name": "Bob", "email": f"bob{n}@x.example"} for n in range(3)])
        assert faults() == []  # what is written after a repair counts once


@pytest.mark.parametrize("repair", [make_indexes, rebuild_indexes])
def test_a_block_that_is_counted_wrongly_is_named_and_put_right(
    people: Flask, repair: Callable[..., None]
) -> None:
    with people.app_context():
        spoil("INSERT INTO users_places (bits, block, segment, amount) VALUES (11, 64, '#mi', 5)")
        assert faults() == ["The rows of a block of ids that begins with 131072 are counted wrongly."]
        repair(LISTING, ignore)
        assert faults() == []
        insert_users([{"full_name": "Bob", "email": f"bob{n}@x.example"} for n in range(3)])
        assert faults() == []


@pytest.mark.parametrize("repair", [make_indexes, rebuild_indexes])
def test_an_index_of_the_counts_is_missed_and_made_again(people: Flask, repair: Callable[..., None]) -> None:
    with people.app_context():
        spoil("DROP INDEX ix_users_spans")
        assert faults() == ["ix_users_spans is missing."]
        repair(LISTING, ignore)
        assert faults() == []


@on_sqlite
def test_a_full_text_that_differs_from_its_table_is_found_and_made_anew(people: Flask) -> None:
    with people.app_context():
        spoil("DROP TRIGGER users_search_update", "UPDATE users SET search_text = '  zoe' WHERE id = 3")
        assert "users_search_update is missing." in faults()
        make_indexes(LISTING, ignore)
        assert (found_by("zoe"), found_by("ann"), faults()) == (Count(1), Count(29), [])
        spoil("INSERT INTO users_search (users_search) VALUES ('delete-all')")
        assert faults() == ["The full text users_search differs from its table."]
        rebuild_indexes(LISTING, ignore)
        assert (found_by("zoe"), found_by("ann"), faults()) == (Count(1), Count(29), [])


@on_postgres
def test_an_index_that_was_never_finished_is_named(people: Flask) -> None:
    with people.app_context():
        spoil(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_by_name'::regclass",
        )
        assert faults() == ["ix_users_by_name was never finished."]
        rebuild_indexes(LISTING, ignore)
        assert faults() == []


@on_postgres
def test_a_trigger_that_was_switched_off_is_missed(people: Flask) -> None:
    with people.app_context():
        spoil("ALTER TABLE users DISABLE TRIGGER users_totals_update")
        assert faults() == ["users_totals_update is missing."]
        spoil("ALTER TABLE users ENABLE TRIGGER users_totals_update")
        assert faults() == []


@on_sqlite
def test_replacing_a_row_and_changing_its_id_are_followed(people: Flask) -> None:
    with people.app_context():
        columns = ", ".join(column.name for column in USERS.columns if column.computed is None)
        spoil(f"INSERT OR REPLACE INTO users ({columns}) SELECT {columns} FROM users WHERE id < 5")
        spoil("UPDATE users SET id = id + 1000 WHERE id < 10")
        assert faults() == []
        assert found_by("ann") == Count(30)


@on_sqlite
def test_marks_follow_names_and_sign_ins_however_they_are_written(people: Flask) -> None:
    with people.app_context():
        for statement in (
            "UPDATE users SET last_sign_in_at = '2024-05-01 10:00:00.000000' WHERE id < 20",
            "UPDATE users SET last_sign_in_at = '2024-05-31 10:00:00.000000' WHERE id < 10",
            "UPDATE users SET last_sign_in_at = '2024-06-01 10:00:00.000000' WHERE id < 5",
            "UPDATE users SET last_sign_in_at = NULL WHERE id = 1",
            "UPDATE users SET name_key = 'жук' WHERE id = 2",
            "UPDATE users SET email_key = '李' WHERE id = 3",
            "UPDATE users SET created_at = '2024-05-02 10:00:00.000000' WHERE id < 3",
        ):
            spoil(statement)
            assert faults() == [], statement
