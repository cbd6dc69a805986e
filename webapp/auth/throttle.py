"""Counting attempts exactly, over all workers and restarts.

An attempt is counted *before* the password is looked at: of a thousand guesses sent at the same
moment no more than the limit are ever compared.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from sqlalchemy import case, delete
from sqlalchemy.dialects import postgresql, sqlite

from webapp.auth.models import Attempts
from webapp.auth.rules import MOST_PER_ACCOUNT, MOST_PER_ADDRESS, WINDOW
from webapp.db import atomic, get_session
from webapp.errors import N_, Throttled
from webapp.extensions import utc_now
from webapp.users.rules import email_key


def count_attempt(*, email: str, address: str) -> None:
    """Raises Throttled when this account or this address has used up its attempts."""
    waits = _count({_account(email): MOST_PER_ACCOUNT, _key("address", address): MOST_PER_ADDRESS})
    if waits is not None:
        raise Throttled(
            N_("Too many attempts. Try again in %(minutes)s minutes."),
            retry_after=waits,
            minutes=-(-waits // 60),
        )


@atomic
def forget_attempts(*, email: str) -> None:
    """After a right password or a new one the account starts afresh."""
    get_session().execute(delete(Attempts).where(Attempts.key == _account(email)))


@atomic
def _count(limits: dict[str, int]) -> int | None:
    """Count one attempt on every key; the seconds to wait if any is over its limit."""
    now = utc_now()
    session = get_session()
    session.execute(delete(Attempts).where(Attempts.started_at < now - WINDOW))
    waits = []
    for key, most in sorted(limits.items()):  # in key order, so that two requests cannot lock crosswise
        started_at, tried = _increment(key, now)
        if tried > most:
            waits.append(int((started_at + WINDOW - now).total_seconds()) + 1)
    return max(waits, default=None)


def _increment(key: str, now: datetime) -> tuple[datetime, int]:
    session = get_session()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    is_over = Attempts.started_at < now - WINDOW
    statement = (
        insert(Attempts)
        .values(key=key, started_at=now, tried=1)
        .on_conflict_do_update(
            index_elements=[Attempts.key],
            set_={
                "tried": case((is_over, 1), else_=Attempts.tried + 1),
                "started_at": case((is_over, now), else_=Attempts.started_at),
            },
        )
        .returning(Attempts.started_at, Attempts.tried)
    )
    started_at, tried = session.execute(statement).one()
    return started_at, tried


def _account(email: str) -> str:
    return _key("account", email_key(email))


def _key(kind: str, value: str) -> str:
    """Hashed: what strangers type into the e-mail field is nothing to keep, and of any length."""
    return sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).hexdigest()
