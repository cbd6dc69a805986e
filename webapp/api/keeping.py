"""Keeping an answer in the very transaction of the change that it tells of: both are there, or neither.

So whoever got no answer sends the call again under the same key, and it is done once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from webapp.api.calls import Answered
from webapp.api.models import KEPT_ANSWERS
from webapp.db import atomic, get_session
from webapp.db.diagnosis import LOCKED, diagnose
from webapp.extensions import utc_now
from webapp.listing.types import AnyRow

KEPT_FOR = timedelta(hours=24)
HELD_FOR = timedelta(seconds=10)  # from one step of a call to the next
SWEPT_AT_ONCE = 20
ERASED = 410  # the status of a row whose answer is erased; no answer that is kept has it
_kept = KEPT_ANSWERS.c


class Ticket(NamedTuple):
    """Whose call it is, how they named it, and what tells it from any other.

    ``former_digests`` are those that the same call had under former secrets.
    """

    owner_id: int
    key: str
    digest: str
    former_digests: tuple[str, ...] = ()


class Running(Exception):
    """The same call is being done at this moment."""


class Reused(Exception):
    """The key was given to another call."""


class Erased(Exception):
    """The call is done, and its answer told of somebody who is deleted for good by now."""


def find_answer(ticket: Ticket) -> Answered | None:
    """Of the same call, where it is done. Raises Reused and Erased."""
    found = _find(ticket)
    if found is None or found.made_at < utc_now() - KEPT_FOR:
        return None
    return _read(found, ticket)


@atomic
def keep_answer(ticket: Ticket, make: Callable[[], Answered]) -> tuple[Answered, bool]:
    """What ``make`` answers, whose changes join this transaction; or what was kept, and True.

    Whoever comes second waits until the first is through. Raises Running where that takes too long, Reused,
    Erased, and whatever ``make`` raises: nothing is kept then.
    """
    claimed_id = _claim(ticket)
    if claimed_id is None:
        answered = _read(_find(ticket), ticket)
        if answered is None:
            raise Running
        return answered, True
    answered = make()
    _write(claimed_id, answered)
    return answered, False


class Progress:
    """Of a call that goes in steps; this one is known to nobody else, and ends with its request.

    ``done`` is what the steps came to so far, in plain JSON values.
    """

    def __init__(self, done: Sequence[Any] = ()) -> None:
        self.done = list(done)

    def note(self, outcomes: Sequence[Any]) -> None:
        """Last in the transaction of a step: what it came to."""
        self.done += outcomes


class KeptProgress(Progress):
    """One that another request can go on from, when this one does not come to its end."""

    def __init__(self, row_id: int, held_until: datetime, done: Sequence[Any]) -> None:
        super().__init__(done)
        self._row_id = row_id
        self._held_until = held_until

    def note(self, outcomes: Sequence[Any]) -> None:
        """Raises Running, for which the step is undone, where somebody else holds the call by now."""
        done, until = [*self.done, *outcomes], utc_now() + HELD_FOR
        self._update(body=json.dumps(done, ensure_ascii=False), held_until=until)
        self.done, self._held_until = done, until

    @atomic
    def end(self, answered: Answered) -> None:
        self._update()
        _write(self._row_id, answered)

    def let_go(self) -> None:
        """So that who sends the call again need not wait. Best effort: the time runs out by itself."""
        with suppress(SQLAlchemyError, Running):
            self._let_go()

    @atomic
    def _let_go(self) -> None:
        self._update(held_until=utc_now())

    def _update(self, **values: object) -> None:
        own = update(KEPT_ANSWERS).where(_kept.id == self._row_id, _kept.held_until == self._held_until)
        own = own.where(_kept.status.is_(None)).values(**{"headers": "{}", **values})
        if get_session().execute(own.returning(_kept.id)).one_or_none() is None:
            raise Running


@atomic
def begin_steps(ticket: Ticket) -> KeptProgress | Answered:
    """Where to go on, or the answer if all is done. Raises Running, Reused and Erased."""
    now = utc_now()
    until = now + HELD_FOR
    claimed_id = _claim(ticket, held_until=until)
    if claimed_id is not None:
        return KeptProgress(claimed_id, until, ())
    found = _find(ticket)
    answered = _read(found, ticket)
    if found is None or (answered is None and found.held_until > now):
        raise Running
    if answered is not None:
        return answered
    progress = KeptProgress(found.id, found.held_until, json.loads(found.body or "[]"))
    progress.note(())
    return progress


def _claim(ticket: Ticket, *, held_until: datetime | None = None) -> int | None:
    """The id of a new row for the call; None where there is one already."""
    session, now = get_session(), utc_now()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    fresh = {
        "digest": ticket.digest,
        "made_at": now,
        "held_until": held_until or now,
        "status": None,
        "headers": "{}",
        "body": "",
    }
    statement = (
        insert(KEPT_ANSWERS)
        .values(owner_id=ticket.owner_id, key=ticket.key, **fresh)
        .on_conflict_do_update(
            index_elements=[_kept.owner_id, _kept.key], set_=fresh, where=_kept.made_at < now - KEPT_FOR
        )
        .returning(_kept.id)
    )
    try:
        claimed_id = session.execute(statement).scalar_one_or_none()
    except OperationalError as error:
        if diagnose(error) is LOCKED:  # the first of two is not through yet
            raise Running from error
        raise
    if claimed_id is not None:
        _sweep(now)  # after the claim: whoever waits for that holds nothing yet
    return claimed_id


def _find(ticket: Ticket) -> AnyRow | None:
    statement = select(KEPT_ANSWERS).where(_kept.owner_id == ticket.owner_id, _kept.key == ticket.key)
    return get_session().execute(statement).one_or_none()


def _read(row: AnyRow | None, ticket: Ticket) -> Answered | None:
    if row is not None and row.digest not in {ticket.digest, *ticket.former_digests}:
        raise Reused
    if row is None or row.status is None:
        return None
    if row.status == ERASED:
        raise Erased
    return Answered(row.status, json.loads(row.headers), row.body)


def _write(row_id: int, answered: Answered) -> None:
    values = {
        "status": answered.status,
        "headers": json.dumps(dict(answered.headers)),
        "body": answered.body,
    }
    get_session().execute(update(KEPT_ANSWERS).where(_kept.id == row_id).values(**values))


def forget_answers(user_id: int) -> None:
    """The user is deleted for good: whatever is kept and names him is erased. That it was done stays, so that
    nobody who sends it again makes him anew. What is too old to be answered goes altogether.

    Answers name people by keys that end in "id"; one that names something else of that number is erased too.
    """
    session = get_session()
    forget_old_answers()
    texts = [f'%id":{space}{user_id}{end}%' for space in ("", " ") for end in (",", "}")]
    names_him = or_(_kept.owner_id == user_id, *(_kept.body.like(text) for text in texts))
    named = select(_kept.id).where(names_him).order_by(_kept.id).with_for_update()
    ids = session.scalars(named).all()
    erased = update(KEPT_ANSWERS).where(_kept.id.in_(ids))
    session.execute(erased.values(status=ERASED, headers="{}", body=""))


@atomic
def forget_old_answers() -> None:
    """All that nobody is answered any more, but for what another request holds."""
    too_old = select(_kept.id).where(_kept.made_at < utc_now() - KEPT_FOR).with_for_update(skip_locked=True)
    get_session().execute(delete(KEPT_ANSWERS).where(_kept.id.in_(too_old)))


def _sweep(now: datetime) -> None:
    """What is kept for long enough goes, a little at a time, and nothing that another request holds."""
    some = select(_kept.id).where(_kept.made_at < now - KEPT_FOR).order_by(_kept.made_at)
    # A CTE is asked once; Postgres may ask a subquery of IN for each row, and finds others each time.
    found = some.limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True).cte()
    get_session().execute(delete(KEPT_ANSWERS).where(_kept.id.in_(select(found.c.id))))
