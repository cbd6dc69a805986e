"""Migrations make just the tables that the models describe, and can be run at any time."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import column, insert, inspect, select, table, text

from webapp.cli.database import LISTINGS
from webapp.config import ROOT
from webapp.db import get_session, init_db
from webapp.extensions import Base, sqla
from webapp.listing.maintenance import find_faults, make_indexes
from webapp.listing.page import count_rows
from webapp.listing.search import split_words
from webapp.operations.health import migration_heads
from webapp.users.keys import count_wrong_keys
from webapp.users.models import User, derive_keys
from webapp.users.queries import LISTING, count_users, select_users

# Alembic cannot compare those of expressions: SQLite does not read them back, Postgres spells them anew.
EXPRESSION_INDEXES = {
    *("ix_users_by_last_sign_in", "ix_users_by_month"),
    *("ix_users_search", "ix_entries_search"),
}


def list_tables() -> set[str]:
    """All but the full text of SQLite, which is no model's."""
    return {name for name in inspect(sqla.engine).get_table_names() if "_search" not in name}


@pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)
def test_the_migrated_tables_are_those_of_the_models(empty_app: Flask) -> None:
    def is_compared(_item: object, name: str | None, *_where: object) -> bool:
        return name not in EXPRESSION_INDEXES and "_search" not in str(name)

    options = {"compare_type": True, "compare_server_default": True, "include_object": is_compared}
    with empty_app.app_context():
        init_db()
        assert list_tables() == {*Base.metadata.tables, "alembic_version"}
        with sqla.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, Base.metadata) == []


def test_the_database_tells_no_difference_either(empty_app: Flask) -> None:
    """What Alembic does not compare: CHECKs, collations, indexes on expressions, triggers, full text."""
    with empty_app.app_context():
        init_db()
        migrated = describe_tables()
        downgrade(revision="base")
        Base.metadata.create_all(sqla.engine)
        for listing in LISTINGS:
            make_indexes(listing, lambda _name: None)
        assert describe_tables() == migrated
    assert any("coalesce" in text.lower() for text in migrated)
    assert any("email_length" in text for text in migrated)
    assert any("users_totals_update" in text for text in migrated)


def describe_tables() -> list[str]:
    """Every table, index and constraint in the database's own words, their order aside."""
    if sqla.engine.dialect.name == "sqlite":
        statement = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    else:
        statement = """
            SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
            UNION ALL
            SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid::regclass::text <> 'alembic_version' AND connamespace = 'public'::regnamespace
            UNION ALL
            SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length,
                             collation_name, is_nullable, column_default)
            FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name <> 'alembic_version'
            UNION ALL
            SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL
            SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang <> 13
        """
    with sqla.engine.connect() as connection:
        texts = connection.scalars(text(statement)).all()
    return sorted(" ".join(sorted(re.findall(r"[\w'.:-]+", words))) for words in texts)


def test_init_db_twice_is_harmless(empty_app: Flask) -> None:
    with empty_app.app_context():
        init_db()
        get_session().add(User(email="ann@example.org"))
        get_session().commit()
        init_db()
        assert get_session().scalar(text("SELECT count(*) FROM users")) == 1
        present, newest = migration_heads()
        assert present == newest is not None


def test_there_and_back_again(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade()
        downgrade(revision="base")
        assert list_tables() == {"alembic_version"}
        upgrade()
        assert list_tables() == {*Base.metadata.tables, "alembic_version"}


def test_a_failing_migration_leaves_nothing_half_made(empty_app: Flask) -> None:
    with empty_app.app_context():
        with sqla.engine.begin() as connection:
            connection.execute(text("CREATE TABLE attempts (key TEXT)"))  # the last table of the migration
        with pytest.raises(Exception, match="already exists"):
            init_db()
        assert list_tables() <= {"attempts", "alembic_version"}
        with sqla.engine.begin() as connection:
            connection.execute(text("DROP TABLE attempts"))
        init_db()


def test_all_that_start_at_once_succeed(empty_app: Flask, empty_url: str) -> None:
    """As the machines of a deployment do: by the command, in processes of their own."""

    def run_command(_number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "init-db"],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": empty_url,
                "SECRET_KEY": "a test's secret, long enough to be accepted",
                "TRUSTED_HOSTS": "localhost",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(run_command, range(3)))
    assert [(done.returncode, done.stdout) for done in outcomes] == [
        (0, "The database is up to date.\n")
    ] * 3, outcomes
    with empty_app.app_context():
        assert list_tables() == {*Base.metadata.tables, "alembic_version"}


NAMES = ("Zoé Müller", "李小龙", "O’Brien-Łoś", "", "Ａnn ﬁsh", "Ὀδυσσεύς", "a" * 200)


@pytest.mark.parametrize("revision", ["0001", "0003", "0008"])
def test_a_database_of_an_earlier_release_is_upgraded(empty_app: Flask, revision: str) -> None:
    """With its users: all are found, counted and sorted afterwards, as `doctor` would say."""
    with empty_app.app_context():
        upgrade(revision=revision)
        rows = [_row_of_then(revision, number) for number in range(1, 121)]
        users = table("users", *(column(name) for name in rows[0]))
        with sqla.engine.begin() as connection:
            connection.execute(insert(users), rows)
        init_db()
        for listing in LISTINGS:
            assert list(find_faults(get_session(), listing)) == []
        assert count_wrong_keys() == 0
        for word, found in (("muller", 17), ("李小", 18), ("ann", 17), ("person", 120)):
            selection = select_users(words=split_words(word))
            assert count_rows(get_session(), LISTING, selection).value == found, word
        assert count_users() == 120
        assert get_session().scalars(select(User.must_change_password).distinct()).all() == [False]


def _row_of_then(revision: str, number: int) -> dict[str, object]:
    """A user in the columns of the first release; its search column had one space before each word."""
    name, email = NAMES[number % len(NAMES)], f"person{number}@example.org"
    keys = derive_keys(full_name=name, email=email)
    created = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=number)
    return {
        "id": number,
        "email": email,
        "full_name": name,
        **keys,
        "search_text": keys["search_text"].replace("  ", " " if revision == "0001" else "  "),
        "hashed_password": None,
        "role": ("member", "auditor", "support", "administrator")[number % 4],
        "is_active": number % 3 > 0,
        "session_epoch": 0,
        "created_at": created.replace(tzinfo=None) if sqla.engine.dialect.name == "sqlite" else created,
        "updated_at": created.replace(tzinfo=None) if sqla.engine.dialect.name == "sqlite" else created,
        "version": 1,
    }


def test_migrations_import_nothing_that_may_change() -> None:
    """What a migration did is history: the application's code of today may do something else."""
    found = {
        f"{path.name}: {name}"
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
        if name.partition(".")[0] == "webapp"
    }
    assert found == set()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_every_frozen_statement_is_run_by_a_migration() -> None:
    texts = [path.read_text() for path in (ROOT / "migrations" / "versions").glob("*.py")]
    names = {path.name.partition(".")[0] for path in (ROOT / "migrations" / "sql").iterdir()}
    for name in names:
        number, _, what = name.partition("_")
        assert any(f'"{name}"' in text or f'"{number}_{{table}}_search"' in text for text in texts), what
