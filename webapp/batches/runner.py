"""Running a large batch beside the requests, in steps short enough that nobody notices.

A thread of the worker that was asked to. When that worker ends, the batch rests where it is, and whoever
looks at it, or `flask batches resume`, lets it go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from time import monotonic, sleep

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Actor
from webapp.batches.models import Batch
from webapp.batches.queries import get_batch
from webapp.batches.rules import AT_ONCE, State
from webapp.batches.services import run_step
from webapp.errors import DomainError
from webapp.extensions import utc_now

logger = logging.getLogger(__name__)

# SQLite lets one write at a time. Who waits for it looks again after 25 ms at the latest in the first
# tenth of a second, so that a pause of that length is found; and no step should be much longer than these.
LONGEST_STEP_SECONDS = 0.08
PAUSE_SECONDS = 0.03
FEWEST, FIRST = 12, 100
TRIES = 5
INTERRUPTED_AFTER = timedelta(seconds=20)


def is_interrupted(batch: Batch) -> bool:
    """Whether nobody works at it any more, although it is not through."""
    is_running = batch.state == State.RUNNING.value
    return is_running and (batch.touched_at is None or utc_now() - batch.touched_at > INTERRUPTED_AFTER)


def run_aside(app: Flask, batch_id: int, *, actor: Actor) -> None:
    """Run it while this request, and the next ones, are answered."""
    Thread(target=_run, args=(app, batch_id, actor), daemon=True, name=f"batch-{batch_id}").start()


def _run(app: Flask, batch_id: int, actor: Actor) -> None:
    try:
        run_steps(app, batch_id, actor=actor)
    except (DomainError, SQLAlchemyError):
        logger.exception("bulk change %s was interrupted; it can be continued", batch_id)


def run_steps(
    app: Flask, batch_id: int, *, actor: Actor, tell: Callable[[int], None] = lambda _position: None
) -> None:
    """Run it to its end, or until somebody stops it; ``tell`` gets how far it is, now and then."""
    size, failed = FIRST, 0
    while True:
        with app.app_context():
            began = monotonic()
            try:
                more = run_step(batch_id, most=size, actor=actor)
            except SQLAlchemyError:  # somebody else held the database for too long, or it was away
                failed += 1
                if failed == TRIES:
                    raise
                sleep(failed)
                continue
            seconds, failed = monotonic() - began, 0
            tell(get_batch(batch_id).position)
        if not more:
            return
        size = _next_size(size, seconds)
        sleep(PAUSE_SECONDS)


def _next_size(size: int, seconds: float) -> int:
    """Half as many, or twice: each other number would be a statement of its own."""
    if seconds > LONGEST_STEP_SECONDS:
        return max(size // 2, FEWEST)
    return min(size * 2, AT_ONCE) if seconds < LONGEST_STEP_SECONDS / 3 else size
