"""Every known failure of a database, really brought about, is told apart and has its remedy."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, QueuePool, create_engine, text
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError

from tests.conftest import make_settings
from tests.visitor import Visitor
from webapp import create_app
from webapp.db.diagnosis import (
    FULL,
    LOCKED,
    NO_INDEXES,
    NO_TABLES,
    READ_ONLY,
    TOO_SLOW,
    UNREACHABLE,
    Diagnosis,
    diagnose,
)
from webapp.db.session import sqlite_module
from webapp.extensions import sqla

INIT = "flask --app wsgi init-db"
# What a person with a cookie of before asks for, and what each answers while the database fails.
PAGES = ["/", "/users/", "/users/1", "/auth/login", "/auth/set-password/token"]


def returning_visitor(app: Flask) -> Visitor:
    """Signed in once: so the database is asked about his session on every page."""
    visitor = Visitor(app)
    with visitor.client.session_transaction() as cookie:
        cookie["token"] = "of-a-session-of-before"
    return visitor


@pytest.mark.parametrize("path", PAGES)
def test_without_tables_a_page_says_how_to_make_them(empty_app: Flask, path: str) -> None:
    response = returning_visitor(empty_app).get(path)
    assert response.status_code == 503
    assert INIT in response.text
    assert "The database has no tables yet" in response.text
    assert "Retry-After" not in response.headers  # waiting will not help


def test_without_tables_a_form_is_answered_so_too(empty_app: Flask) -> None:
    visitor = returning_visitor(empty_app)
    form = {"email": "a@example.org", "password": "orchard lantern velvet"}
    assert INIT in visitor.post("/auth/login", form).text
    assert visitor.post("/users/1/activate").status_code == 503
    assert visitor.post_raw("/users/1/activate").status_code == 503  # without a token


def test_without_tables_the_service_is_alive_and_not_ready(empty_app: Flask) -> None:
    visitor = Visitor(empty_app)
    assert visitor.get("/healthz").status_code == 200
    response = visitor.get("/readyz")
    assert response.status_code == 503
    assert INIT in response.text


@pytest.fixture
def unreachable_app() -> Iterator[Flask]:
    """Its Postgres should listen on a port that nothing listens on."""
    with socket.socket() as holder:  # bound and not listening: nobody else can take the port meanwhile
        holder.bind(("127.0.0.1", 0))
        app = create_app(
            make_settings(f"postgresql+psycopg://me:hunter2@127.0.0.1:{holder.getsockname()[1]}/people")
        )
        yield app
        with app.app_context():
            sqla.engine.dispose()


@pytest.mark.parametrize("path", PAGES)
def test_while_the_database_is_away_a_page_says_so(unreachable_app: Flask, path: str) -> None:
    response = returning_visitor(unreachable_app).get(path)
    assert response.status_code == 503
    assert "The database cannot be reached" in response.text
    assert int(response.headers["Retry-After"]) > 0
    assert "hunter2" not in response.text


@pytest.mark.parametrize("has_token", [True, False])
@pytest.mark.parametrize("path", ["/users/new", "/auth/logout", "/auth/login"])
def test_while_the_database_is_away_a_form_is_no_defect(
    unreachable_app: Flask, path: str, has_token: bool
) -> None:
    visitor = returning_visitor(unreachable_app)
    post = visitor.post if has_token else visitor.post_raw
    response = post(path, {"email": "a@example.org", "password": "orchard lantern velvet"})
    expected = 400 if path == "/auth/login" and not has_token else 503  # a forged form needs no database
    assert response.status_code == expected


def test_while_the_database_is_away_the_service_is_alive_and_not_ready(unreachable_app: Flask) -> None:
    visitor = Visitor(unreachable_app)
    assert (visitor.get("/healthz").status_code, visitor.get("/healthz").text) == (200, "ok\n")
    response = visitor.get("/readyz")
    assert (response.status_code, response.text) == (503, "The database cannot be reached\n")


# Each failure by itself


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'one.db'}",
        module=sqlite_module(),
        connect_args={"timeout": 0, "isolation_level": None},
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'one')")
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine(postgres_url)
    yield engine
    engine.dispose()


def failure_of(act: Callable[[], object]) -> Diagnosis | None:
    with pytest.raises(SQLAlchemyError) as failure:
        act()
    return diagnose(failure.value)


WRITE = "INSERT INTO things (name) VALUES ('more')"


def lock_out(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        first.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            second.exec_driver_sql(WRITE)
        finally:
            first.exec_driver_sql("ROLLBACK")


def run_for_ever(connection: Connection) -> None:
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.set_progress_handler(lambda: 1, 1_000)
    connection.exec_driver_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )


def fill_disk(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 2")
    connection.exec_driver_sql("INSERT INTO things (name) VALUES (hex(zeroblob(100000)))")


def write_read_only(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA query_only = ON")
    connection.exec_driver_sql(WRITE)


@pytest.mark.parametrize(
    ("act", "diagnosis"),
    [
        (run_for_ever, TOO_SLOW),
        (fill_disk, FULL),
        (write_read_only, READ_ONLY),
        (lambda connection: connection.exec_driver_sql("SELECT * FROM nowhere"), NO_TABLES),
        (lambda connection: connection.exec_driver_sql("SELECT nothing FROM things"), None),
        (lambda connection: connection.exec_driver_sql("SELEKT 1"), None),
        (lambda connection: connection.exec_driver_sql("INSERT INTO things VALUES (1, 'again')"), None),
    ],
    ids=["too slow", "full", "read-only", "no table", "no column", "bad SQL", "constraint"],
)
def test_a_failure_of_sqlite_is_told_apart(
    sqlite_engine: Engine, act: Callable[[Connection], object], diagnosis: Diagnosis | None
) -> None:
    with sqlite_engine.connect() as connection:
        assert failure_of(lambda: act(connection)) is diagnosis
        connection.invalidate()  # pragmas and handlers stay with it


def test_a_locked_sqlite_is_busy(sqlite_engine: Engine) -> None:
    assert failure_of(lambda: lock_out(sqlite_engine)) is LOCKED


def test_a_sqlite_file_in_no_folder_cannot_be_reached(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'no' / 'such.db'}", module=sqlite_module())
    assert failure_of(engine.connect) is UNREACHABLE


def wait_for_lock(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        first.execute(text("SELECT pg_advisory_xact_lock(77)"))
        second.execute(text("SET LOCAL lock_timeout = 20"))
        second.execute(text("SELECT pg_advisory_xact_lock(77)"))


def lose_connection(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        process = first.scalar(text("SELECT pg_backend_pid()"))
        second.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
        first.execute(text("SELECT 1"))


def execute(*statements: str) -> Callable[[Engine], None]:
    def act(engine: Engine) -> None:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    return act


@pytest.mark.parametrize(
    ("act", "diagnosis"),
    [
        (execute("SET LOCAL statement_timeout = 20", "SELECT pg_sleep(10)"), TOO_SLOW),
        (wait_for_lock, LOCKED),
        (lose_connection, UNREACHABLE),
        (execute("SELECT * FROM nowhere"), NO_TABLES),
        (execute("SELECT nothing FROM pg_class"), None),
        (execute("SELEKT 1"), None),
        (execute("SELECT 1 / 0"), None),
    ],
    ids=["too slow", "locked", "connection lost", "no table", "no column", "bad SQL", "division"],
)
def test_a_failure_of_postgres_is_told_apart(
    postgres_engine: Engine, act: Callable[[Engine], None], diagnosis: Diagnosis | None
) -> None:
    assert failure_of(lambda: act(postgres_engine)) is diagnosis


def test_a_postgres_without_this_database_cannot_be_reached(postgres_engine: Engine) -> None:
    engine = create_engine(postgres_engine.url.set(database="no_such_database"))
    assert failure_of(engine.connect) is UNREACHABLE


def test_a_pool_without_a_free_connection_is_busy(sqlite_engine: Engine) -> None:
    engine = create_engine(
        sqlite_engine.url,
        module=sqlite_module(),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    with engine.connect():
        assert failure_of(engine.connect) is LOCKED
    engine.dispose()


def test_a_misuse_of_the_session_is_a_defect() -> None:
    assert diagnose(InvalidRequestError("This session is in 'prepared' state")) is None


@pytest.mark.parametrize("diagnosis", [NO_TABLES, NO_INDEXES, LOCKED, TOO_SLOW, UNREACHABLE, FULL, READ_ONLY])
def test_every_diagnosis_is_a_503_with_a_title_and_a_remedy(diagnosis: Diagnosis) -> None:
    assert diagnosis.status == 503
    assert diagnosis.title
    assert diagnosis.remedy.endswith(".")
    assert ("in a moment" in diagnosis.remedy) is diagnosis.is_passing
