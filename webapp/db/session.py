"""The engine's options on each database, and the scoped session with its end inside the request."""

from __future__ import annotations

import importlib
import logging
import os
import select
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from types import ModuleType
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy import Connection, Dialect, Engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.config import ROOT, Settings
from webapp.extensions import migrate, sqla

logger = logging.getLogger(__name__)

# Execution option: this transaction will write, so SQLite takes the write lock before its first read.
WRITES = "dossier_writes"
SQLITE_WAIT_SECONDS = 30
CACHE_SIZE = -24576  # KiB of each connection to SQLite, which says them with a minus
# In the log of SQLite, 16 MB, as many as it finds by one look; then into the file they go.
PAGES_AHEAD = 4_000
STATEMENTS_KEPT = 400  # with their plans, by each connection to Postgres
READ_SECONDS, WRITE_MS = "dossier_read_seconds", "dossier_write_ms"  # execution options, too, of the engine
PATIENCE_MS = "dossier_patience_ms"  # execution option: how long this change waits for others
LIFTED = "dossier_lifted"  # in a connection's info: its limit is to be put back
TURN = "dossier_turn"  # in a connection's info: it is this one's turn to write
STEPS_PER_LOOK = 50_000  # of SQLite's virtual machine, about a millisecond
PAUSE_SECONDS = 1.0
# Of whoever waits to write to SQLite: little beside what a change takes, and longer where that takes long.
NAP_SECONDS, LONGEST_NAP, NAP_GROWS = 0.0002, 0.005, 1.02


def get_session() -> Session:
    """The session of this request (or application context); closed at its end whatever happens."""
    return sqla.session()


def get_settings() -> Settings:
    """The settings of the present application: for services, which know no Flask."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def get_connection() -> Connection:
    """The session's, in its transaction: for what every call asks of columns. The session itself takes half
    as long again. What it holds must be flushed before.
    """
    return get_session().connection()


def bind_database(app: Flask, settings: Settings) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    if settings.is_sqlite:  # relative names are files in it; the extension would open it to every account
        Path(app.instance_path).mkdir(mode=0o700, parents=True, exist_ok=True)
    sqla.init_app(app)
    migrate.init_app(app, sqla, directory=str(ROOT / "migrations"), render_as_batch=True, compare_type=True)
    with app.app_context():
        if sqla.engine.dialect.name == "sqlite":
            event.listen(sqla.engine, "do_connect", partial(_make_file_private, making=Lock()))
            limits = {READ_SECONDS: settings.read_timeout_seconds, WRITE_MS: SQLITE_WAIT_SECONDS * 1000}
            sqla.engine.update_execution_options(**limits)
            event.listen(sqla.engine, "connect", _prepare_sqlite_connection)
            turn = Lock()
            event.listen(sqla.engine, "begin", partial(_begin_sqlite, turn=turn))
            event.listen(sqla.engine, "checkin", partial(_pass_turn, turn=turn))
        else:
            sqla.engine.update_execution_options(**{WRITE_MS: settings.database_timeout_seconds * 1000})
            event.listen(sqla.engine, "connect", _prepare_postgres_connection)
            event.listen(sqla.engine, "begin", _begin_postgres)
            event.listen(sqla.engine, "checkin", _note_return)
            event.listen(sqla.engine, "checkout", _ping_after_a_pause)
    app.after_request(_end_transaction)


def engine_options(settings: Settings) -> dict[str, Any]:
    """What create_engine() gets besides the URL."""
    # The one that was given back last is taken first: what it has prepared and read is still at hand.
    pool = {"pool_size": settings.database_pool_size, "pool_use_lifo": True}
    if settings.is_sqlite:
        options: dict[str, Any] = {
            "module": sqlite_module(),
            "connect_args": {"timeout": SQLITE_WAIT_SECONDS, "isolation_level": None},
            "hide_parameters": not settings.sql_echo,  # an error in the log tells nobody's e-mail
        }
        if make_url(settings.database_url).database not in {None, "", ":memory:"}:
            options |= pool
        return options
    limit = settings.database_timeout_seconds * 1000
    reading = settings.read_timeout_seconds * 1000  # @atomic gives a change more time
    return {
        **pool,
        # A read is one statement after another, each complete in itself: BEGIN and ROLLBACK around
        # them would be half of the traffic with the database. @atomic asks for a transaction.
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": not settings.sql_echo,
        "pool_timeout": 10,
        "connect_args": {
            "connect_timeout": 5,
            "application_name": "dossier",
            # A list is a few statements of many branches: planned once for whatever values, not each time.
            "options": "-c timezone=UTC -c plan_cache_mode=force_generic_plan"
            f" -c statement_timeout={reading} -c lock_timeout={limit // 2}"
            f" -c idle_in_transaction_session_timeout={limit * 3}",
        },
    }


def sqlite_module() -> ModuleType:
    """The newest SQLite at hand: distributions ship 3.40, whose WAL has a race that 3.51.3 fixed."""
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ModuleNotFoundError:
        return importlib.import_module("sqlite3")


def _make_file_private(
    _dialect: Dialect, _record: object, arguments: list[str], _options: object, *, making: Lock
) -> None:
    """Create the file for its owner alone, where it is not there yet; SQLite gives what it writes beside it
    (-wal, -shm, -journal) the same mode.

    A file that is there is not opened: to close it would give up all locks that SQLite has on it in this
    process (https://sqlite.org/howtocorrupt.html, 2.2). Nobody connects to a new one meanwhile.
    """
    path = arguments[0]
    if path == ":memory:" or path.startswith("file:"):
        return
    with making, suppress(OSError):  # SQLite says better what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite_connection(connection: Any, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",  # readers and the one writer do not wait for each other
        "synchronous=FULL",  # an acknowledged change survives a power cut
        "foreign_keys=ON",
        "recursive_triggers=ON",  # or REPLACE would delete a row without the triggers that keep the totals
        f"cache_size={CACHE_SIZE}",
        f"wal_autocheckpoint={PAGES_AHEAD}",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_postgres_connection(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.prepared_max = STATEMENTS_KEPT
    connection.prepare_threshold = 1  # what is asked twice; the driver forgets all of them at each ROLLBACK


def _begin_postgres(connection: Connection) -> None:
    """Of a change, in one travel to the database; what only reads needs no transaction.

    The driver knows of it, and ends it by COMMIT or ROLLBACK, whatever SQLAlchemy's log says of autocommit.
    """
    options = connection.get_execution_options()
    if options.get(WRITES, False):
        limit = f"SET LOCAL statement_timeout = {options[PATIENCE_MS]}"
        begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {limit}"
        connection.exec_driver_sql(begin, execution_options={"no_parameters": True})


def _begin_sqlite(connection: Connection, *, turn: Lock) -> None:
    options = connection.get_execution_options()
    driver: Any = connection.connection.driver_connection
    if options.get(WRITES, False):
        driver.set_progress_handler(None, 0)
        deadline = monotonic() + options[PATIENCE_MS] / 1000
        _take_turn(connection, turn, deadline)
        _begin_writing_sqlite(connection, deadline)
        return
    _limit_time(driver, options[READ_SECONDS])
    driver.execute("BEGIN")  # touches nothing yet, so it cannot fail; and it is on every request's path


def _begin_writing_sqlite(connection: Connection, deadline: float) -> None:
    """Wait for other processes. SQLite itself would sleep longer each time, while its lock may be free."""
    driver: Any = connection.connection.driver_connection
    driver_error = connection.dialect.loaded_dbapi.OperationalError
    driver.execute("PRAGMA busy_timeout = 0")
    nap = NAP_SECONDS
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except driver_error as error:
                if "locked" not in str(error) or monotonic() > deadline:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # which fails as everybody expects it to
                    return
                sleep(nap)
                nap = min(nap * NAP_GROWS, LONGEST_NAP)
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_SECONDS * 1000}")


def _take_turn(connection: Connection, turn: Lock, deadline: float) -> None:
    """The threads of a process wait for each other first, so that one at a time asks SQLite. Whose turn does
    not come asks it all the same. A connection keeps its turn until it is given back, through several
    transactions where it makes them.
    """
    if TURN not in connection.info and turn.acquire(timeout=max(0, deadline - monotonic())):
        connection.info[TURN] = True


def _pass_turn(_connection: object, record: ConnectionPoolEntry, *, turn: Lock) -> None:
    if record.info.pop(TURN, False):
        turn.release()


def _limit_time(driver: Any, seconds: float) -> None:
    deadline = monotonic() + seconds
    driver.set_progress_handler(lambda: monotonic() > deadline, STEPS_PER_LOOK)


def renew_time_limit(session: Session) -> None:
    """Between one part of a long read and the next; on Postgres each statement has its own time anyway."""
    connection = session.connection()
    options = connection.get_execution_options()
    if is_sqlite(connection.engine) and not options.get(WRITES, False):
        _limit_time(connection.connection.driver_connection, options[READ_SECONDS])


def lift_time_limit(session: Session) -> None:
    """Let this connection read for as long as it takes: for commands, where nobody waits for a page."""
    connection = session.connection()
    if is_sqlite(connection.engine):
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(None, 0)
    else:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.connection.info[LIFTED] = True


def begin_writing(session: Session, *, patience_ms: int | None = None) -> None:
    """Begin the transaction of a change; with ``patience_ms`` one that rather fails than waits for longer."""
    session.connection(execution_options=write_options(sqla.engine, patience_ms=patience_ms))


def write_options(engine: Engine, *, patience_ms: int | None = None) -> dict[str, Any]:
    """The execution options of a connection that will write in one transaction."""
    return {WRITES: True, PATIENCE_MS: patience_ms or engine.get_execution_options()[WRITE_MS]}


def begin_snapshot(session: Session) -> None:
    """Read all as it is at one moment, for as long as it takes, until the transaction ends: for commands
    whose statements must agree.
    """
    session.rollback()
    if is_sqlite(sqla.engine):  # where every transaction reads like that, from its first statement on
        session.connection()
    else:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    lift_time_limit(session)


def _note_return(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["returned"] = monotonic()
    if record.info.pop(LIFTED, False):
        connection.execute("RESET statement_timeout")


def _ping_after_a_pause(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """The database may have restarted since: ask before use, but not at every request of a busy minute.

    In between, a socket with something to read from a connection at rest carries its farewell.
    """
    from psycopg import Error  # loaded by now, and on SQLite never: it takes 9 MB

    if _has_news(connection.fileno()):
        raise DisconnectionError
    if monotonic() - record.info.get("returned", 0) > PAUSE_SECONDS:
        try:
            connection.execute("SELECT 1")
        except Error:
            raise DisconnectionError from None


def _has_news(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _end_transaction(response: Response) -> Response:
    """End the read transaction here: failing at teardown, it would turn a finished answer into a 500."""
    try:
        get_session().close()
    except DBAPIError:
        logger.warning("the database went away after the answer was made", exc_info=True)
        get_session().invalidate()
    return response


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"
