"""Many rows at once: COPY on Postgres, one prepared statement on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import Table
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


def stored_time(moment: datetime) -> str:
    """As SQLite keeps a UtcDateTime; Postgres reads it as UTC, the zone of every connection."""
    text = str(moment.astimezone(UTC))[:-6]  # without +00:00; a third of what isoformat(timespec=…) takes
    return text if moment.microsecond else f"{text}.000000"
