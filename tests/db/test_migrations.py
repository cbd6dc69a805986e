"""Migrations make just the tables that the models describe, and can be run at any time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from webapp.cli.database import LISTINGS
from webapp.config import ROOT
from webapp.db import get_session, init_db
from webapp.extensions import Base, sqla
from webapp.listing.maintenance import make_indexes
from webapp.operations.health import migration_heads
from webapp.users.models import User

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
