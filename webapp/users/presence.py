"""Who has the form open in which a user is edited, and who saved meanwhile.

A hint, and no lock: marks expire by themselves, and nobody ever waits for one to be written. A person
counts once, on however many devices; nobody is told of himself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import at_once, get_session
from webapp.extensions import UtcDateTime, utc_now
from webapp.history.queries import list_stories_since
from webapp.users.models import OpenForm, User

logger = logging.getLogger(__name__)

# A page that renews its line says every 15 seconds that it is still there, and once a minute from a tab
# in the background, where browsers slow the clock down. One without scripts cannot say when it is left.
ASKED_EVERY_SECONDS = 15
RENEWED_LASTS = timedelta(seconds=75)
OPENED_LASTS = timedelta(minutes=10)
WRITTEN_EVERY = timedelta(seconds=10)  # at most, for one form of one person
SWEPT_AT_ONCE = 100


class Opened(NamedTuple):
    """Somebody else has the form open."""

    name: str
    at: datetime


class Saved(NamedTuple):
    """The user was changed since this form was opened; ``name`` is empty where nobody knows by whom."""

    name: str
    at: datetime
    is_own: bool


class Presence(NamedTuple):
    """``own_until``: when one's own mark expires."""

    others: Sequence[Opened]
    saved: Saved | None
    own_until: datetime | None


# Asked again and again by each form that is open: built once.
_FIND_MARKS = (
    select(
        OpenForm.editor_id,
        OpenForm.opened_at,
        OpenForm.expires_at,
        func.coalesce(func.nullif(User.full_name, ""), User.email).label("name"),
    )
    .join(User, User.id == OpenForm.editor_id)
    .where(
        OpenForm.user_id == bindparam("user_id"),
        OpenForm.expires_at > bindparam("now", type_=UtcDateTime),
        User.is_active,
    )
    .order_by(OpenForm.opened_at, OpenForm.editor_id)
)


def find_presence(user: User, *, version: int, actor: Actor) -> Presence:
    """As the actor sees it in a form of that version. Raises Forbidden to who may not edit this user."""
    actor.require(Permission.USERS_EDIT, on=user.role)
    rows = get_session().execute(_FIND_MARKS, {"user_id": user.id, "now": utc_now()}).all()
    return Presence(
        others=[Opened(row.name, row.opened_at) for row in rows if row.editor_id != actor.user_id],
        saved=_find_saved(user, version, actor),
        own_until=next((row.expires_at for row in rows if row.editor_id == actor.user_id), None),
    )


def _find_saved(user: User, version: int, actor: Actor) -> Saved | None:
    """Nothing for a new password and the like, which changes no field."""
    if not 0 < version < user.version:
        return None
    stories = list_stories_since(user.id, version)
    story = next((story for story in stories if story.changes), None)
    if story is not None:
        return Saved(story.actor_name, story.at, story.actor_id == actor.user_id)
    return None if stories else Saved("", user.updated_at, is_own=False)


def note_open(user_id: int, presence: Presence, *, lasts: timedelta, actor: Actor) -> None:
    """The actor has the form open for so long from now. Best effort: the page is shown all the same."""
    now = utc_now()
    until = now + lasts
    if presence.own_until is not None and until - WRITTEN_EVERY < presence.own_until <= until:
        return
    try:
        _write_mark(user_id, actor, now=now, until=until, sweeps=presence.own_until is None)
    except SQLAlchemyError as error:
        logger.info("could not note who has the form of user %d open: %s", user_id, type(error).__name__)


@at_once
def _write_mark(user_id: int, actor: Actor, *, now: datetime, until: datetime, sweeps: bool) -> None:
    session = get_session()
    if sweeps:
        _sweep(now)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(OpenForm)
        .values(user_id=user_id, editor_id=actor.user_id, opened_at=now, expires_at=until)
        .on_conflict_do_update(
            index_elements=[OpenForm.user_id, OpenForm.editor_id],
            set_={
                "opened_at": case((OpenForm.expires_at <= now, now), else_=OpenForm.opened_at),
                "expires_at": until,
            },
        )
    )


def _sweep(now: datetime) -> None:
    """Delete what is over, a little at a time, and nothing that another request holds."""
    key = tuple_(OpenForm.user_id, OpenForm.editor_id)
    some = select(OpenForm.user_id, OpenForm.editor_id).where(OpenForm.expires_at <= now)
    # A CTE is asked once; Postgres may ask a subquery of IN for each row, and finds others each time.
    found = some.limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True).cte()
    get_session().execute(delete(OpenForm).where(key.in_(select(found.c.user_id, found.c.editor_id))))


def note_left(user_id: int, *, actor: Actor) -> None:
    """The actor has gone from the form to another page. Best effort, too."""
    try:
        close_form(user_id, actor=actor)
    except SQLAlchemyError as error:
        logger.info("could not note who left the form of user %d: %s", user_id, type(error).__name__)


@at_once
def close_form(user_id: int, *, actor: Actor) -> None:
    own = delete(OpenForm).where(OpenForm.user_id == user_id, OpenForm.editor_id == actor.user_id)
    get_session().execute(own)
