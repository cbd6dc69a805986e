"""The database: one engine, one session per request, one way to commit.

>>> with app.app_context():
...     init_db()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from werkzeug.local import LocalProxy

from webapp.db.session import bind_database, get_connection, get_session, get_settings
from webapp.db.transaction import at_once, atomic, attempt, on_commit
from webapp.extensions import sqla

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = [
    "at_once",
    "atomic",
    "attempt",
    "bind_database",
    "engine",
    "get_connection",
    "get_session",
    "get_settings",
    "init_db",
    "on_commit",
]

# One engine for the whole application, made at start from Settings.database_url.
engine = cast("Engine", LocalProxy(lambda: sqla.engine))


def init_db() -> None:
    """Create every table, and bring older ones up to date; repeat it at will, it only moves forward."""
    from flask_migrate import upgrade

    upgrade()
