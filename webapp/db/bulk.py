"""Many rows at once: COPY on Postgres, one prepared statement on SQLite; and a few, however many, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    ColumnElement,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from webapp.db.session import is_sqlite

# What both drivers store as it is; a time as stored_time() writes it.
Value: TypeAlias = str | int | bool | None


def load_rows(
    session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Value]]
) -> None:
    """Insert ``rows``, each with a value for each of ``columns``; nothing is converted or filled in.

    Several times as fast as insert(). Joins the transaction of the session.
    """
    connection = session.connection()
    names = ", ".join(columns)
    if is_sqlite(connection.engine):
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
        values = [tuple(row) for row in rows]
        if values:
            connection.exec_driver_sql(statement, values)
        return
    driver: Any = connection.connection.driver_connection
    driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    statement = f"COPY {table.name} ({names}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except driver_error as error:  # as SQLAlchemy, which knows nothing of COPY, would have raised it
        raise DBAPIError.instance(statement, None, error, driver_error) from error


def insert_from_json(table: Table, dialect: str) -> Insert:
    """A statement that is made once, and adds any number of rows: the parameter ``rows`` is a JSON array with
    an object for each, in which each column but the id has its Value.
    """
    columns = [it for it in table.c if not it.primary_key]
    rows = bindparam("rows", type_=Text)
    values: list[ColumnElement[Any]]
    if dialect == "sqlite":
        each = func.json_each(rows).table_valued("value", name="each")
        values = [func.json_extract(each.c.value, literal_column(f"'$.{it.name}'")) for it in columns]
    else:
        parts = [column(it.name, it.type) for it in columns]
        read = func.json_to_recordset(cast(rows, JSON)).table_valued(*parts)
        values = [*read.render_derived(name="each", with_types=True).c]
    return insert(table).from_select([it.name for it in columns], select(*values))


def stored_time(moment: datetime) -> str:
    """As SQLite keeps a UtcDateTime; Postgres reads it as UTC, the zone of every connection."""
    text = str(moment.astimezone(UTC))[:-6]  # without +00:00; a third of what isoformat(timespec=…) takes
    return text if moment.microsecond else f"{text}.000000"
