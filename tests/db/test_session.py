"""Connections are prepared as promised, and a request's session is over before its answer leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import copyfile
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import QueuePool, StaticPool, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.test import create_environ

from tests.conftest import make_settings
from tests.racing import race
from webapp import create_app
from webapp.access.guards import requires
from webapp.access.permissions import Permission
from webapp.auth.models import SignInSession
from webapp.config import INSTANCE
from webapp.db import at_once, atomic, get_session, init_db
from webapp.db.diagnosis import LOCKED, TOO_SLOW, diagnose
from webapp.db.session import lift_time_limit, sqlite_module, write_options
from webapp.extensions import sqla

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def ask(statement: str) -> Any:
    return get_session().execute(text(statement)).scalar()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_its_owners_alone_with_all_that_sqlite_writes_beside_it(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        app = create_app(make_settings(f"sqlite:///{tmp_path / 'new.db'}"))
        with app.app_context():
            init_db()
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            sqla.engine.dispose()
    finally:
        os.umask(before)
    assert modes.keys() >= {"new.db", "new.db-wal", "new.db-shm"}
    assert set(modes.values()) == {0o600}


def test_a_file_that_is_there_is_not_touched(made_file: Path, tmp_path: Path) -> None:
    """Its mode is the operator's, of which doctor tells; and to open and close it would give up all locks."""
    path = copyfile(made_file, tmp_path / "old.db")
    path.chmod(0o640)
    app = create_app(make_settings(f"sqlite:///{path}"))
    with app.app_context():
        assert ask("SELECT count(*) FROM users") == 0
        sqla.engine.dispose()
    assert path.stat().st_mode & 0o777 == 0o640


PRAGMAS = {
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "cache_size": -24576,
    "wal_autocheckpoint": 4000,
    "temp_store": 2,  # MEMORY
}


@on_sqlite
def test_every_sqlite_connection_is_prepared(file_app: Flask) -> None:
    def read() -> dict[str, Any]:
        with file_app.app_context():
            return {name: ask(f"PRAGMA {name}") for name in ("journal_mode", *PRAGMAS)}

    found = []
    thread = threading.Thread(target=lambda: found.append(read()))  # a connection of its own
    with file_app.app_context():
        ask("SELECT 1")
        thread.start()
        thread.join()
        found.append(read())
    assert found == [{"journal_mode": "wal", **PRAGMAS}] * 2


@on_sqlite
def test_a_database_in_memory_is_prepared_too_and_has_one_connection(context: Flask) -> None:
    assert {name: ask(f"PRAGMA {name}") for name in PRAGMAS} == PRAGMAS
    assert isinstance(sqla.engine.pool, StaticPool)
    assert sqla.engine.dialect.dbapi is sqlite_module()


@on_postgres
def test_every_postgres_connection_is_prepared(context: Flask) -> None:
    shown = {
        name: ask(f"SHOW {name}")
        for name in (
            "TimeZone",
            "application_name",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        )
    }
    assert list(shown.values()) == ["UTC", "dossier", "5s", "10s", "1min"]


@on_postgres
def test_a_change_is_one_transaction_with_a_time_limit_of_its_own(context: Flask) -> None:
    @atomic
    def look() -> list[str]:
        return [
            str(ask(it))
            for it in ("SELECT now()", "SELECT now()", "SHOW statement_timeout", "SHOW transaction_isolation")
        ]

    began, still, limit, isolation = look()
    assert began == still
    assert (limit, isolation) == ("20s", "read committed")
    assert ask("SHOW statement_timeout") == "5s"
    assert ask("SELECT now()") != ask("SELECT now()")


def test_the_pool_is_as_large_as_was_set(empty_url: str) -> None:
    app = create_app(make_settings(empty_url, database_pool_size=3))
    with app.app_context():
        assert isinstance(sqla.engine.pool, QueuePool)
        assert sqla.engine.pool.size() == 3


def test_a_relative_sqlite_file_lies_in_the_instance_folder() -> None:
    with create_app(make_settings("sqlite:///elsewhere.db")).app_context():
        assert sqla.engine.url.database == str(INSTANCE / "elsewhere.db")


def test_a_row_cannot_point_to_nobody(context: Flask) -> None:
    session = get_session()
    session.add(SignInSession(user_id=999, token_hash="x", epoch=0, address="", user_agent=""))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


@on_sqlite
@pytest.mark.parametrize("writes", [True, False])
def test_only_a_transaction_that_writes_takes_the_write_lock(file_app: Flask, writes: bool) -> None:
    with file_app.app_context():
        other = create_engine(
            sqla.engine.url, module=sqlite_module(), connect_args={"timeout": 0, "isolation_level": None}
        )
        get_session().connection(execution_options=write_options(sqla.engine) if writes else {})
        ask("SELECT count(*) FROM users")
        with other.connect() as connection:
            if writes:
                with pytest.raises(OperationalError, match="locked"):
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql("ROLLBACK")
        other.dispose()


@on_sqlite
def test_threads_write_one_after_the_other_and_pass_their_turn_however_they_end(file_app: Flask) -> None:
    """With SQLite's own waiting some sleep on for 100 ms while it is free."""

    @atomic
    def write(fails: bool) -> float:
        began = monotonic()
        ask("SELECT count(*) FROM users")
        if fails:
            raise LookupError
        sleep(0.02)
        return began

    def write_in_turn(place: int) -> float | None:
        with suppress(LookupError):
            return write(place % 2 == 0)
        return None

    begun = race(file_app, *[partial(write_in_turn, place) for place in range(20)])
    moments = sorted(moment for moment in begun if isinstance(moment, float))
    assert len(moments) == 10
    assert all(later - earlier >= 0.02 for earlier, later in pairwise(moments))


@on_sqlite
def test_whoever_waits_for_too_long_to_write_is_told_so(file_app: Flask) -> None:
    holds, over = threading.Event(), threading.Event()

    @atomic
    def hold() -> None:
        holds.set()
        over.wait(timeout=30)

    @at_once
    def write() -> None:
        raise AssertionError("it was not our turn")

    def give_up() -> bool:
        holds.wait(timeout=30)
        with pytest.raises(OperationalError) as caught:
            write()
        over.set()
        return diagnose(caught.value) is LOCKED

    assert race(file_app, hold, give_up) == [None, True]
    with file_app.app_context():
        atomic(lambda: ask("SELECT count(*) FROM users"))()  # whose turn it is by now


def read_page() -> str:
    return f"{ask('SELECT count(*) FROM users')} users"


def fail() -> str:
    ask("SELECT count(*) FROM users")
    raise ZeroDivisionError


def fail_in_the_database() -> str:
    return str(ask("SELECT no_such_column FROM users"))


@pytest.mark.parametrize(("view", "status"), [(read_page, 200), (fail, 500), (fail_in_the_database, 500)])
def test_the_transaction_ends_before_the_answer_leaves(
    app: Flask, monkeypatch: pytest.MonkeyPatch, view: Callable[[], str], status: int
) -> None:
    """Not only at the request's teardown, which comes after the client has its answer."""
    monkeypatch.setitem(app.view_functions, "operations.show_health", requires(Permission.PUBLIC)(view))
    began: list[object] = []
    answered: list[tuple[str, bool]] = []

    def note(connection: object) -> None:
        began.append(connection)

    def start_response(line: str, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], object]:
        answered.append((line[:3], get_session().in_transaction()))
        return lambda _data: None

    with app.app_context():
        engine = sqla.engine
    event.listen(engine, "begin", note)
    try:
        list(app.wsgi_app(create_environ("/healthz"), start_response))
    finally:
        event.remove(engine, "begin", note)
    assert len(began) == 1
    assert answered == [(str(status), False)]
    if isinstance(engine.pool, QueuePool):
        assert engine.pool.checkedout() == 0


def test_each_request_has_a_session_of_its_own(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    @requires(Permission.PUBLIC)
    def note() -> str:
        assert get_session() is get_session()
        seen.append(get_session())
        return ""

    monkeypatch.setitem(app.view_functions, "operations.show_health", note)
    for _ in range(2):
        app.test_client().get("/healthz")
    assert seen[0] is not seen[1]


@on_postgres
def test_a_connection_lost_after_the_answer_was_made_does_not_spoil_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    @requires(Permission.PUBLIC)
    def lose_connection() -> str:
        process = ask("SELECT pg_backend_pid()")
        killer = create_engine(sqla.engine.url)
        with killer.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
        killer.dispose()
        return "made"

    monkeypatch.setitem(app.view_functions, "operations.show_health", lose_connection)
    response = app.test_client().get("/healthz")
    assert (response.status_code, response.text) == (200, "made")
    assert app.test_client().get("/readyz").text == "ok\n"  # on a fresh connection


def test_no_database_file_is_made_before_it_is_needed(tmp_path: Path) -> None:
    create_app(make_settings(f"sqlite:///{tmp_path / 'later.db'}"))
    assert list(tmp_path.iterdir()) == []


# The time limit of reading

FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def hasty_app(empty_url: str) -> Iterator[Flask]:
    """Reading is stopped after a second."""
    app = create_app(make_settings(empty_url, read_timeout_seconds=1))
    yield app
    with app.app_context():
        sqla.engine.dispose()


def test_reading_for_too_long_is_stopped_and_the_connection_serves_on(hasty_app: Flask) -> None:
    with hasty_app.app_context():
        for _ in range(2):
            started = monotonic()
            with pytest.raises(OperationalError) as caught:
                ask(FOR_EVER)
            assert diagnose(caught.value) is TOO_SLOW
            assert 0.9 < monotonic() - started < 10
            get_session().rollback()
            assert ask("SELECT 1") == 1


def test_a_change_and_a_command_are_given_more_time(hasty_app: Flask) -> None:
    longer = FOR_EVER.replace("FROM n)", "FROM n WHERE i < %d)")

    @atomic
    def change() -> None:
        ask(longer % rows)

    with hasty_app.app_context():
        rows = steps_of_two_seconds(longer)
        change()
        get_session().rollback()
        lift_time_limit(get_session())
        ask(longer % rows)


def steps_of_two_seconds(statement: str) -> int:
    """How many rows of the endless query take about two seconds on this machine, twice the limit."""
    rows = 1_000
    while True:
        started = monotonic()
        lift_time_limit(get_session())
        ask(statement % rows)
        get_session().rollback()
        taken = monotonic() - started
        if taken > 0.1:
            return round(rows * 2 / taken)
        rows *= 4
