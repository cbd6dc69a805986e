"""Reading the whole history, and what of it must be true."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from webapp.db import get_session
from webapp.history.models import ENTRIES
from webapp.history.queries import LISTING, Story, find_faults, tell
from webapp.listing.types import AnyRow


def read_stories(app: Flask, *, subject_id: int | None = None) -> list[Story]:
    """All there is (about somebody), the oldest first."""
    statement = select(*LISTING.columns).order_by(ENTRIES.c.id)
    if subject_id is not None:
        statement = statement.where(ENTRIES.c.subject_id == subject_id)
    with app.app_context():
        return [tell(row) for row in get_session().execute(statement)]


def read_rows(app: Flask) -> list[AnyRow]:
    """Each entry as it is stored, the oldest first."""
    with app.app_context():
        return list(get_session().execute(select(ENTRIES).order_by(ENTRIES.c.id)))


def read_texts(app: Flask) -> str:
    """Everything the history holds, as one text."""
    return "\n".join(str(tuple(row)) for row in read_rows(app))


def assert_intact(app: Flask) -> None:
    with app.app_context():
        assert list(find_faults()) == []
