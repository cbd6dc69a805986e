"""What a database failure means for a person, and its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError, TimeoutError

from webapp.errors import N_

UNDEFINED_TABLE = "42P01"
MADE_FOR_LISTS = re.compile(r"no such table: \w+_search\b")  # as webapp/listing/ddl.py names it
QUERY_CANCELED = "57014"
LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
DISK_FULL = "53100"
READ_ONLY_TRANSACTION = "25006"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``status`` is the HTTP status; ``is_passing`` says that trying again may help."""

    title: str
    remedy: str
    is_passing: bool = False

    @property
    def status(self) -> int:
        return 503


NO_TABLES = Diagnosis(N_("The database has no tables yet"), N_("Run “flask --app wsgi init-db”."))
NO_INDEXES = Diagnosis(
    N_("The lists are not ready"),
    N_("Try again in a moment if users are being loaded; otherwise run “flask --app wsgi reindex”."),
    is_passing=True,
)
LOCKED = Diagnosis(
    N_("The database is busy"),
    N_("Another change holds what this one needs. Try again in a moment."),
    is_passing=True,
)
TOO_SLOW = Diagnosis(
    N_("The database took too long"), N_("Narrow the search or try again in a moment."), is_passing=True
)
UNREACHABLE = Diagnosis(
    N_("The database cannot be reached"),
    N_("Try again in a moment. If you run this service: start the database, then run “flask doctor”."),
    is_passing=True,
)
FULL = Diagnosis(
    N_("The disk of the database is full"), N_("Free some space; nothing that was saved is lost.")
)
READ_ONLY = Diagnosis(N_("The database is read-only"), N_("Let the service write to it, then try again."))

DAMAGED = Diagnosis(N_("The database file is damaged"), N_("Restore the latest backup."))


def diagnose(error: SQLAlchemyError) -> Diagnosis | None:
    """The known failure behind ``error``, or None when it is a defect of ours."""
    if isinstance(error, TimeoutError):  # the pool had no connection to give in time
        return LOCKED
    if isinstance(error, InvalidRequestError) or not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    text = str(error.orig)
    found: Diagnosis | None = None
    if MADE_FOR_LISTS.search(text):
        found = NO_INDEXES
    elif state == UNDEFINED_TABLE or "no such table" in text:
        found = NO_TABLES
    elif state == QUERY_CANCELED or "interrupted" in text:
        found = TOO_SLOW
    elif state in {LOCK_NOT_AVAILABLE, DEADLOCK} or "database is locked" in text or "table is locked" in text:
        found = LOCKED
    elif state == DISK_FULL or "disk is full" in text:
        found = FULL
    elif "file is not a database" in text or "disk image is malformed" in text:
        found = DAMAGED
    elif state == READ_ONLY_TRANSACTION or "readonly database" in text:
        found = READ_ONLY
    elif error.connection_invalidated or "unable to open database" in text or _cannot_connect(error):
        found = UNREACHABLE
    return found


def _cannot_connect(error: DBAPIError) -> bool:
    """Psycopg raises a bare OperationalError without SQLSTATE when no connection comes about."""
    return type(error.orig).__name__ == "OperationalError" and (
        getattr(error.orig, "sqlstate", None) is None and "connect" in str(error.orig)
    )
