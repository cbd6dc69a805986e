"""Making, checking and rebuilding what a fast list needs in the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Index, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, DropIndex

from webapp.db import atomic, engine, get_session
from webapp.db.session import CACHE_SIZE, is_sqlite
from webapp.listing.counts import Counts
from webapp.listing.ddl import (
    drop_count_triggers,
    drop_search_table,
    search_table,
)
from webapp.listing.definition import Listing
from webapp.listing.places import count_blocks
from webapp.listing.spans import count_spans
from webapp.listing.totals import count_segments

Tell = Callable[[str], object]
MOST_TOLD = 3  # of each kind: of blocks there may be thousands


@atomic
def drop_indexes(listing: Listing) -> None:
    """Take off what slows down the insertion of very many rows; ``make_indexes`` puts it on again."""
    connection = get_session().connection()
    if is_sqlite(connection.engine):
        connection.exec_driver_sql("PRAGMA cache_size = -300000")  # KiB, until the indexes are made again
    for index in _indexes(connection, listing):
        connection.execute(DropIndex(index, if_exists=True))
    for statement in _triggers(connection, listing).drop:
        connection.exec_driver_sql(statement)


@atomic
def make_indexes(listing: Listing, tell: Tell) -> None:
    """Make the indexes that are missing, and triggers, totals and full text in any case.

    In one transaction: others read meanwhile, and wait with their writing. ``tell`` hears what comes next.
    """
    session = get_session()
    connection, table = session.connection(), listing.row_id.table
    triggers = _triggers(connection, listing)
    on_sqlite = is_sqlite(connection.engine)
    if not on_sqlite:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
    for index in _indexes(connection, listing):
        tell(str(index.name))
        connection.execute(CreateIndex(index, if_not_exists=True))
    # Postgres replaces what is there: to drop it first would ask for a lock that readers hold as well.
    for statement in (*(triggers.drop if on_sqlite else ()), *triggers.make):
        connection.exec_driver_sql(statement)
    for counts in _counts(listing):
        tell(counts.table.name)
        counts.correct(session)
    if listing.search is not None and on_sqlite:
        name = listing.search.name
        tell(name)
        connection.exec_driver_sql(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
    if on_sqlite:
        connection.exec_driver_sql(f"PRAGMA cache_size = {CACHE_SIZE}")


def rebuild_indexes(listing: Listing, tell: Tell) -> None:
    """Make everything anew. On Postgres others can write while the indexes are made."""
    tables = _tables(listing)
    if is_sqlite(engine):
        make_indexes(listing, tell)
        for table in tables:
            tell(table)
            _run_atomically(f"REINDEX {table}")
        return
    with engine.connect() as connection:
        invalid = _ask_of_each(connection, tables, INVALID_INDEXES)
        indexes = _indexes(connection, listing)
    for name in invalid:  # left by a run that was interrupted: they would be kept up for nothing
        _run_alone(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for index in indexes:
        statement = str(CreateIndex(index, if_not_exists=True).compile(dialect=engine.dialect))
        _run_alone(statement.replace("INDEX", "INDEX CONCURRENTLY", 1))
    make_indexes(listing, tell)
    for table in tables:
        tell(table)
        _run_alone(f"REINDEX TABLE CONCURRENTLY {table}")
    settle(listing)


def settle(listing: Listing) -> None:
    """Let Postgres see its new rows as autovacuum would let it a while later."""
    if not is_sqlite(engine):
        for table in _tables(listing):
            _run_alone(f"VACUUM ANALYZE {table}")


@atomic
def _run_atomically(statement: str) -> None:
    get_session().connection().exec_driver_sql(statement)


def _run_alone(statement: str) -> None:
    """In no transaction, and for as long as it takes."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        try:
            connection.exec_driver_sql(statement)
        finally:
            connection.exec_driver_sql("RESET statement_timeout")


PRESENT = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger') AND tbl_name = :table",
    "postgresql": "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass(:table)"
    " UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgenabled <> 'D'",
}
INVALID_INDEXES = (
    "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass(:table) AND NOT indisvalid"
)


def find_faults(session: Session, listing: Listing) -> Iterator[str]:
    """What is missing or wrong, in words; reads every row."""
    connection, tables = session.connection(), _tables(listing)
    present = set(_ask_of_each(connection, tables, PRESENT[connection.dialect.name]))
    wanted = {str(index.name) for index in _indexes(connection, listing)}
    missing = sorted((wanted | _triggers(connection, listing).names) - present)
    yield from (f"{name} is missing." for name in missing)
    if missing:
        return
    yield from find_miscounts(session, listing)
    if is_sqlite(connection.engine):
        yield from _find_sqlite_faults(listing)
    else:
        for name in _ask_of_each(connection, tables, INVALID_INDEXES):
            yield f"{name} was never finished."


def _ask_of_each(connection: Connection, tables: Sequence[str], question: str) -> list[str]:
    return [name for table in tables for name in connection.scalars(text(question), {"table": table})]


def find_miscounts(session: Session, listing: Listing) -> list[str]:
    """What is counted wrongly beside the table, in words; reads every row."""
    return [fault for counts in _counts(listing) for fault in counts.find_faults(session)[:MOST_TOLD]]


def _counts(listing: Listing) -> list[Counts]:
    """All that are kept beside the table."""
    segments = listing.segments
    if segments is None:
        return []
    kept = [count_segments(segments)] if segments.totals is not None else []
    kept += [count_blocks(segments)] if segments.places is not None else []
    return [*kept, *(count_spans(listing, sort) for sort in listing.calendars)]


@dataclass(frozen=True, slots=True)
class _Triggers:
    """The statements of ``webapp/listing/ddl.py`` on one database."""

    drop: list[str]
    make: list[str]

    @property
    def names(self) -> set[str]:
        return set(re.findall(r"CREATE (?:OR REPLACE )?TRIGGER (\w+)", " ".join(self.make)))


def _triggers(connection: Connection, listing: Listing) -> _Triggers:
    on_sqlite, table = is_sqlite(connection.engine), listing.row_id.table.name
    segments, search = listing.segments, listing.search
    drop: list[str] = []
    make: list[str] = []
    for counts in _counts(listing):
        drop += drop_count_triggers(counts.table.name, is_sqlite=on_sqlite)
        make += counts.triggers(on_sqlite)
    if on_sqlite and search is not None and segments is not None:
        drop += drop_search_table(table)
        make += search_table(
            table,
            text=search.column.name,
            segment=segments.column.name,
            time=search.time.name,
            orders=list(search.orders.values()),
        )
    return _Triggers(drop, make)


def _tables(listing: Listing) -> list[str]:
    return [listing.row_id.table.name, *(counts.table.name for counts in _counts(listing))]


def _indexes(connection: Connection, listing: Listing) -> list[Index]:
    """Those that this database has, of the table and of the counts beside it."""
    tables = [listing.row_id.table, *(counts.table for counts in _counts(listing))]
    indexes = [
        index for table in tables for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    only_postgres = {"gin"} if is_sqlite(connection.engine) else set()
    return [i for i in indexes if i.dialect_options["postgresql"]["using"] not in only_postgres]


def _find_sqlite_faults(listing: Listing) -> Iterator[str]:
    if listing.search is None:
        return
    try:
        _check_full_text(listing.search.name)
    except DatabaseError as error:
        if not any(sign in str(error.orig) for sign in ("malformed", "checksum mismatch", "corrupt")):
            raise
        yield f"The full text {listing.search.name} differs from its table."


@atomic
def _check_full_text(name: str) -> None:
    """SQLite takes this for a change, so others wait with theirs; it writes nothing."""
    get_session().connection().exec_driver_sql(
        f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)"
    )
