"""Running a large batch beside the requests, in steps short enough that nobody notices.

A thread of the worker that was asked to. When that worker ends, the batch rests where it is, and a person
who looks at it, or `flask batches resume`, lets it go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Actor
from webapp.batches.queries import get_batch
from webapp.batches.rules import AT_ONCE
from webapp.batches.running import run_step
from webapp.db.session import is_sqlite
from webapp.errors import N_, Busy, Conflict, DomainError
from webapp.extensions import sqla

logger = logging.getLogger(__name__)


class Pace(NamedTuple):
    """How long a step may take about, and the pause after it, in seconds."""

    longest: float
    pause: float


# SQLite lets one write at a time. Who waits for it in another process looks again after 5 ms at the latest
# (see webapp/db/session.py), so that a pause of twice that is found.
ON_SQLITE = Pace(longest=0.08, pause=0.01)
# Others wait for no more than the rows of a step, and for the administrators'.
ON_POSTGRES = Pace(longest=0.4, pause=0.0)
FEWEST, FIRST = 12, 100
TRIES = 5


MAX_THREADS = 4  # of one process; how many a person may have over all of them is MAX_RUNNING
_at_work: set[int] = set()
_turn = Lock()


def run_aside(app: Flask, batch_id: int, *, actor: Actor, begin: Callable[[], object]) -> None:
    """Run it while this request, and the next ones, are answered; ``begin`` is called once there is a thread
    for it.

    Raises Busy where there is none: stopping and continuing what is not at rest yet makes no second one.
    """
    with _turn:
        if batch_id in _at_work:
            raise Busy(N_("It is just being stopped. Try again in a moment."))
        if len(_at_work) >= MAX_THREADS:
            raise Busy(N_("Other bulk changes are running. Try again when one of them is through."))
        _at_work.add(batch_id)
    try:
        begin()
        Thread(target=_run, args=(app, batch_id, actor), daemon=True, name=f"batch-{batch_id}").start()
    except BaseException:
        _at_work.discard(batch_id)
        raise


def _run(app: Flask, batch_id: int, actor: Actor) -> None:
    try:
        run_steps(app, batch_id, actor=actor)
    except (DomainError, SQLAlchemyError):
        logger.exception("bulk change %s was interrupted; it can be continued", batch_id)
    finally:
        _at_work.discard(batch_id)


def run_steps(
    app: Flask, batch_id: int, *, actor: Actor, tell: Callable[[int], None] = lambda _position: None
) -> None:
    """Run it to its end, or until somebody stops it; ``tell`` gets how far it is, now and then."""
    size, failed = FIRST, 0
    while True:
        with app.app_context():
            pace = ON_SQLITE if is_sqlite(sqla.engine) else ON_POSTGRES
            began = monotonic()
            try:
                more = run_step(batch_id, most=size, actor=actor)
            except (SQLAlchemyError, Conflict):  # the database was held or away; or two wanted one address
                failed += 1
                if failed == TRIES:
                    raise
                sleep(failed)
                continue
            seconds, failed = monotonic() - began, 0
            tell(get_batch(batch_id).position)
        if not more:
            return
        size = _next_size(size, seconds, pace)
        sleep(pace.pause)


def _next_size(size: int, seconds: float, pace: Pace) -> int:
    """Half as many, or twice: each other number would be a statement of its own."""
    if seconds > pace.longest:
        return max(size // 2, FEWEST)
    return min(size * 2, AT_ONCE) if seconds < pace.longest / 3 else size
