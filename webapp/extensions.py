"""The Flask extensions, unbound, and the declarative base that every model inherits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from itsdangerous import Signer
from sqlalchemy import BigInteger, Computed, DateTime, Dialect, Integer, MetaData, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeDecorator

# Postgres reports a broken constraint by name, so every constraint has one, the same on both databases.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def table_of(model: type[Base]) -> Table:
    """The table of a model, for statements on columns instead of entities."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - the mapper's type allows for joins, which no model of ours is
    return table


# SQLite only grows 64-bit row ids by itself for a column declared INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# Both databases compare folded text by code point, so that they sort alike.
FoldedText = Text().with_variant(Text(collation="C"), "postgresql")


class Generated(Computed):
    """A column that the database computes from others of its row.

    Stored on Postgres, which indexes no other; virtual on SQLite, which adds no other to a table.
    """

    def __init__(self, sqltext: str) -> None:
        super().__init__(sqltext, persisted=True)


@compiles(Generated, "sqlite")
def _virtual(element: Generated, compiler: DDLCompiler, **_options: Any) -> str:
    text = compiler.sql_compiler.process(element.sqltext, include_table=False, literal_binds=True)
    return f"GENERATED ALWAYS AS ({text}) VIRTUAL"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on both databases; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored: use utc_now()")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """In one step: a list of users reads a hundred times."""
        return _read_sqlite_time if dialect.name == "sqlite" else _read_postgres_time


def _read_sqlite_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


def _read_postgres_time(value: datetime | None) -> datetime | None:
    """The connection's zone is UTC already (see db/session.py); this makes it the very same object type."""
    return None if value is None else value.replace(tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


sqla = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()
csrf = CSRFProtect()

# Of all that itsdangerous signs in this process, where nothing else is said; its own default is SHA-1. Here,
# since Flask-WTF lets nothing be said for its tokens.
Signer.default_digest_method = staticmethod(sha256)
