"""A database that fails at one moment of a call: at its n-th statement, or at its n-th commit."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR, socket
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from webapp.db import on_commit
from webapp.extensions import sqla

State = TypeVar("State")

# Run instead, so that the failure is the driver's own, and Postgres gives up the transaction.
SPOILED = {
    "sqlite": "SELECT no_such_function()",
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$",
}


class Failure(NamedTuple):
    """At the n-th statement or the n-th commit of a call; 0 is none. ``cuts``: the connection breaks."""

    statement: int = 0
    commit: int = 0
    cuts: bool = False


class Watched(Generic[State]):
    """``state`` is what the database held after the last commit, ``committed`` how many there were,
    ``promises`` how many callbacks of on_commit() have run. ``was_reading``: it failed outside of a change.
    """

    def __init__(self, before: State, read: Callable[[], State], failure: Failure) -> None:
        self.state = before
        self.committed = 0
        self.promises = 0
        self.has_failed = False
        self.was_reading = False
        self._read = read
        self._failure = failure
        self._statements = 0
        self._commits = 0
        self._is_reading = False

    def note_statement(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,
        _context: object,
        is_many: bool,
    ) -> tuple[str, Any]:
        if self._is_reading:
            return statement, parameters
        is_in_change = _promise(self._keep_promise)
        self._statements += 1
        if self._statements != self._failure.statement:
            return statement, parameters
        self.has_failed, self.was_reading = True, not is_in_change
        if self._failure.cuts:
            cut(connection)
            return statement, parameters
        return SPOILED[connection.dialect.name], [()] if is_many else ()

    def note_commit(self, connection: Connection) -> None:
        on_commit(self._note_committed)
        self._commits += 1
        if self._commits != self._failure.commit:
            return
        self.has_failed = True
        if not self._failure.cuts:
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))
        cut(connection)

    def _keep_promise(self) -> None:
        self.promises += 1

    def _note_committed(self) -> None:
        self.committed += 1
        self._is_reading = True
        self.state = self._read()
        self._is_reading = False


def _promise(callback: Callable[[], None]) -> bool:
    """Tells whether there is a transaction in which to promise it."""
    try:
        on_commit(callback)
    except KeyError:
        return False
    return True


@contextmanager
def watch(before: State, read: Callable[[], State], failure: Failure) -> Iterator[Watched[State]]:
    """Let it fail once in the block; ``read`` answers all that the database holds, ``before`` at first."""
    watched = Watched(before, read, failure)
    event.listen(sqla.engine, "before_cursor_execute", watched.note_statement, retval=True)
    event.listen(sqla.engine, "commit", watched.note_commit)
    try:
        yield watched
    finally:
        event.remove(sqla.engine, "before_cursor_execute", watched.note_statement)
        event.remove(sqla.engine, "commit", watched.note_commit)


def cut(connection: Connection) -> None:
    """The line breaks: nothing that is sent from now on reaches Postgres."""
    driver: Any = connection.connection.driver_connection
    with socket(fileno=os.dup(driver.fileno())) as line:
        line.shutdown(SHUT_RDWR)
