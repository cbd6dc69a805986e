"""flask init-db, seed and demo: safe to repeat, and the same people for the same number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text

from tests.conftest import MakeUser, make_settings, read_tables
from tests.visitor import Visitor
from webapp import create_app
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.extensions import sqla
from webapp.listing.maintenance import find_faults
from webapp.users.models import USERS
from webapp.users.queries import LISTING

Run = Callable[..., Result]


def run(app: Flask, *arguments: str, **options: object) -> Result:
    """The command's result; a defect is raised, a refusal is not."""
    result: Result = app.test_cli_runner().invoke(args=list(arguments), **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def empty_app() -> Iterator[Flask]:
    """A database without any tables."""
    app = create_app(make_settings("sqlite://"))
    yield app
    with app.app_context():
        sqla.engine.dispose()


def people_of(app: Flask) -> list[tuple[object, ...]]:
    """All that a seed decides: not the hash of a password that nobody knows."""
    columns = [column for column in USERS.columns if column.name != "hashed_password"]
    with app.app_context():
        return [tuple(row) for row in get_session().execute(select(*columns).order_by(USERS.c.id))]


def test_the_tables_are_made_once_and_asking_again_does_no_harm(empty_app: Flask) -> None:
    for _ in range(2):
        result = run(empty_app, "init-db")
        assert (result.exit_code, result.output) == (0, "The database is up to date.\n")
    assert read_tables(empty_app)["users"] == []


def test_making_the_tables_again_keeps_what_is_in_them(app: Flask, make_user: MakeUser) -> None:
    make_user()
    before = read_tables(app)
    assert run(app, "init-db").exit_code == 0
    assert read_tables(app) == before


@pytest.mark.parametrize(
    "command",
    [
        ("seed", "--count", "5"),
        ("reindex",),
        ("create-admin", "--email", "ann@example.org"),
        ("users", "list"),
        ("users", "create", "--email", "ann@example.org"),
        ("users", "activate", "ann@example.org"),
        ("users", "set-password", "ann@example.org"),
    ],
)
def test_without_tables_one_line_names_the_command_that_makes_them(
    empty_app: Flask, command: tuple[str, ...]
) -> None:
    result = run(empty_app, *command)
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert "flask --app wsgi init-db" in lines[0]


def test_the_same_number_seeds_the_same_people(empty_app: Flask, app: Flask) -> None:
    run(empty_app, "init-db")
    for one in (empty_app, app):
        assert run(one, "seed", "--count", "30", "--seed", "7").exit_code == 0
    seeded = people_of(app)
    assert len(seeded) == 30
    assert people_of(empty_app) == seeded


def test_seeding_again_adds_others(app: Flask) -> None:
    for total in (20, 40):
        assert run(app, "seed", "--count", "20").exit_code == 0
        assert len(read_tables(app)["users"]) == total


def test_seeding_adds_to_those_who_are_there(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="ann@example.org")
    assert run(app, "seed", "--count", "10").exit_code == 0
    stored = read_tables(app)["users"]
    assert len(stored) == 11
    assert user.id in [row[0] for row in stored]


@pytest.mark.parametrize(
    "arguments", [("--count", "0"), ("--count", "-1"), ("--count", "x"), ("--seed", "x")]
)
def test_nonsense_is_a_usage_error(app: Flask, arguments: tuple[str, str]) -> None:
    assert run(app, "seed", *arguments).exit_code == 2
    assert read_tables(app)["users"] == []


def test_the_seeded_can_be_searched_and_none_of_them_can_sign_in(app: Flask, make_user: MakeUser) -> None:
    run(app, "seed", "--count", "60")
    visitor = Visitor(app, make_user(email="desk@example.org", role=Role.AUDITOR))
    row = next(row for row in read_tables(app)["users"] if row[1] != "desk@example.org")
    page = visitor.get("/users/", query_string={"q": str(row[1])})
    assert f'<tr id="u{row[0]}"' in page.text
    answer = Visitor(app).post("/auth/login", {"email": str(row[1]), "password": "anything at all"})
    assert answer.status_code == 422


@pytest.mark.parametrize("debug", [True, False])
def test_a_demo_is_ready_to_be_used_and_safe_to_repeat(
    empty_app: Flask, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    """Where others may read what it prints, its password must be changed, as any other of a command."""
    monkeypatch.setattr("webapp.cli.database.DEMO_USERS", 25)
    settings = replace(empty_app.extensions["settings"], debug=debug)
    monkeypatch.setitem(empty_app.extensions, "settings", settings)
    first = run(empty_app, "demo")
    assert first.exit_code == 0
    found = re.search(r"sign in as (\S+) with the password (\S+)", first.output)
    assert found
    assert len(read_tables(empty_app)["users"]) == 26
    visitor = Visitor(empty_app)
    answer = visitor.post("/auth/login", {"email": found[1], "password": found[2]}, follow_redirects=True)
    assert answer.request.path == ("/users/" if debug else "/auth/password")
    again = run(empty_app, "demo")
    assert again.exit_code == 0
    assert found[2] not in again.output
    assert len(read_tables(empty_app)["users"]) == 26


def test_a_reindex_makes_anew_what_was_spoilt(file_app: Flask, make_user: MakeUser) -> None:
    run(file_app, "seed", "--count", "30")
    with file_app.app_context():
        with sqla.engine.begin() as connection:
            connection.execute(text("INSERT INTO users_totals (segment, amount) VALUES ('#mi', 7)"))
            connection.execute(text("DROP INDEX ix_users_by_email"))
        assert list(find_faults(get_session(), LISTING)) == ["ix_users_by_email is missing."]
    result = run(file_app, "reindex")
    assert result.exit_code == 0, result.output
    assert "Making ix_users_by_email" in result.output
    assert result.output.endswith("All indexes, totals and searches are made anew.\n")
    with file_app.app_context():
        assert list(find_faults(get_session(), LISTING)) == []
