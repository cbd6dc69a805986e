"""Reading the whole history, and what of it must be true."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.history.models import ENTRIES, LANES
from webapp.history.proof import CHAINED, find_faults
from webapp.history.queries import LISTING, Story, tell
from webapp.history.rules import NAMED_SINCE, START, Kind, canonical, digest, link
from webapp.history.services import Subject, forget_names, record
from webapp.listing.types import AnyRow
from webapp.users.queries import find_existing

DESK = Actor(user_id=77, name="Desk Person", role=Role.ADMINISTRATOR, address="192.0.2.1", request_id="r-1")


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
        assert list(find_faults(find_existing)) == []


def write(app: Flask, number: int, actor: Actor = DESK) -> None:
    """Entries about as many people, each with an id and a name of its own."""
    with app.app_context():
        for each in range(number):
            subject = Subject(each, f"Person {each}", 1)
            record(Kind.EDITED, actor=actor, subject=subject, changes={"full_name": ("a", "b")})


def age(app: Flask, *, days: int) -> None:
    """Make all that was written so much older, as if it had been written then: chains and deletions too."""
    with app.app_context():
        shift(days=days)


def shift(*, days: int) -> None:
    """The same, in an application context."""
    session = get_session()
    ends: dict[int, str] = {}
    by_lane = select(ENTRIES).order_by(ENTRIES.c.lane, ENTRIES.c.number)
    for row in session.execute(by_lane).all():
        facts = {name: getattr(row, name) for name in CHAINED}
        values: dict[str, Any] = {"at": row.at - timedelta(days=days)}
        if row.details and NAMED_SINCE in (told := json.loads(row.details)):
            since = datetime.fromisoformat(told[NAMED_SINCE]) - timedelta(days=days)
            values["details"] = canonical({**told, NAMED_SINCE: since.isoformat()})
            values["details_digest"] = digest(values["details"])
        facts |= {name: value for name, value in values.items() if name in facts}
        values["hash"] = ends[row.lane] = link(ends.get(row.lane, START), facts)
        session.execute(update(ENTRIES).where(ENTRIES.c.id == row.id).values(**values))
    for lane, end in ends.items():
        session.execute(update(LANES).where(LANES.c.lane == lane).values(hash=end))
    session.commit()


def let_names_go(app: Flask) -> None:
    """As HISTORY_STAFF_DAYS later: those who were deleted for good are named no more by what they did."""
    age(app, days=400)
    with app.app_context():
        forget_names(actor=Actor.command_line())
