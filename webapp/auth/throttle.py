"""Counting attempts exactly, over all workers and restarts.

An attempt is counted *before* the password is looked at: of a thousand guesses sent at the same
moment no more than the limit are ever compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from webapp.auth.models import Attempts
from webapp.auth.rules import (
    MAX_PER_DEVICE,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
    MOST_PER_PAIR,
    WINDOW,
    network_of,
)
from webapp.db import atomic, get_session
from webapp.errors import N_, Throttled
from webapp.extensions import utc_now
from webapp.users.rules import email_key

SWEPT_AT_ONCE = 100


Counted = tuple[tuple[str, datetime], ...]  # each key, and when its window began
Limits = tuple[tuple[str, int], ...]


class Device(NamedTuple):
    """Where an account has signed in before, by an id: a browser, or a session that is open.

    ``former_of`` is whose it is, where all their sessions have ended since: who had the password until then
    may have made any number of these, so they are also counted together.
    """

    id: str
    former_of: int | None = None


def refuse_throttled(*, email: str, address: str, device: Device | None = None) -> None:
    """Raise Throttled where count_attempt() has before, and would again.

    It only spares what is refused anyway a place among those who sign in, and the database a write. The first
    that is refused is counted: so it is recorded, on one worker.
    """
    limits = dict(_limits(email, address, device))
    now = utc_now()
    rows = get_session().execute(
        select(Attempts.started_at, Attempts.key, Attempts.tried).where(
            Attempts.key.in_(limits), Attempts.started_at > now - WINDOW
        )
    )
    ends = [row.started_at + WINDOW for row in rows if row.tried > limits[row.key]]
    if ends:
        raise _throttled(max(ends), now)


def count_attempt(*, email: str, address: str, device: Device | None = None) -> Counted:
    """Answer what was counted, to be given back where the attempt was a success.

    Raises Throttled when this device, account or address has used up its attempts.
    """
    return _count(_limits(email, address, device))


def _limits(email: str, address: str, device: Device | None) -> Limits:
    """Each key that counts, the address first, with its limit."""
    if device is not None:
        own = ((_key("device", device.id), MAX_PER_DEVICE),)
        if device.former_of is None:
            return own
        return (*own, (_key("former devices", str(device.former_of)), MOST_PER_ACCOUNT))
    network = network_of(address)
    return (
        (_key("address", network), MOST_PER_ADDRESS),
        (_pair(email, network), MOST_PER_PAIR),
        (_key("account", email_key(email)), MOST_PER_ACCOUNT),
    )


def _throttled(end: datetime, now: datetime, *, refused: int = 1) -> Throttled:
    waits = int((end - now).total_seconds()) + 1
    return Throttled(
        N_("Too many attempts. Wait for %(minutes)s min, then try again."),
        retry_after=waits,
        refused=refused,
        minutes=-(-waits // 60),
    )


@atomic
def give_back(counted: Counted) -> None:
    """Take back this one attempt, which was a success: what others have tried stays counted."""
    for key, started_at in counted:
        get_session().execute(
            update(Attempts)
            .where(Attempts.key == key, Attempts.started_at == started_at, Attempts.tried > 0)
            .values(tried=Attempts.tried - 1)
        )


@atomic
def forget_attempts(*, email: str, address: str, device: Device | None = None) -> None:
    """After a right password or a new one the account starts afresh; a known device does by itself, and what
    strangers have guessed at the account meanwhile stays counted.
    """
    keys = [_pair(email, network_of(address)), _key("account", email_key(email))]
    if device is not None:
        keys = [_key("device", device.id)]
    _forget(keys)


def find_wait(*, email: str, addresses: Iterable[str]) -> datetime | None:
    """Until when attempts on this account are refused, for somebody at one of these addresses."""
    networks = {network_of(address) for address in addresses}
    limits = {_key("account", email_key(email)): MOST_PER_ACCOUNT}
    limits |= {_pair(email, network): MOST_PER_PAIR for network in networks}
    limits |= {_key("address", network): MOST_PER_ADDRESS for network in networks}
    rows = get_session().execute(
        select(Attempts.key, Attempts.started_at, Attempts.tried).where(Attempts.key.in_(limits))
    )
    ends = [row.started_at + WINDOW for row in rows if row.tried >= limits[row.key]]
    return max((end for end in ends if end > utc_now()), default=None)


@atomic
def forget_account(*, email: str, addresses: Iterable[str]) -> bool:
    """Let somebody at one of these addresses try again; tells whether anything was forgotten.

    What was tried on other accounts still counts.
    """
    networks = sorted({network_of(address) for address in addresses})
    return _forget([*(_pair(email, network) for network in networks), _key("account", email_key(email))])


def _forget(keys: Iterable[str]) -> bool:
    """Delete one after the other, in the order in which they are counted, and tell whether any was there:
    two who took their rows in another order could wait for each other.
    """
    gone = [
        get_session().execute(delete(Attempts).where(Attempts.key == key).returning(Attempts.key)).all()
        for key in keys
    ]
    return any(gone)


def _count(limits: Limits) -> Counted:
    """Count one attempt on each key in turn; what is refused is counted all the same, and committed.

    It counts no further then, so that a flood from one address fills no table. All take the address first,
    so no two requests can wait for each other crosswise.
    """
    counted, over, now = count_until_refused(limits)
    if over is not None:
        raise _throttled(over[0], now, refused=over[1])
    return counted


@atomic
def count_until_refused(limits: Limits) -> tuple[Counted, tuple[datetime, int] | None, datetime]:
    """Also answer, at the first key over its limit, when its window ends and how many were refused there."""
    now = utc_now()
    counted: list[tuple[str, datetime]] = []
    for key, most in limits:
        started_at, tried = _increment(key, now)
        if tried > most:
            return (), (started_at + WINDOW, tried - most), now
        counted.append((key, started_at))
    _sweep(now)
    return tuple(counted), None, now


def _sweep(now: datetime) -> None:
    """Delete what is over, a little at a time, and nothing that another request holds."""
    is_over = Attempts.started_at < now - WINDOW
    # A CTE is asked once; Postgres may ask a subquery of IN for each row, and finds others each time.
    some = select(Attempts.key).where(is_over).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True).cte()
    get_session().execute(delete(Attempts).where(Attempts.key.in_(select(some.c.key))))


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


def _pair(email: str, network: str) -> str:
    return _key("account and address", f"{network} {email_key(email)}")


def _key(kind: str, value: str) -> str:
    """Hashed: what strangers type into the e-mail field is nothing to keep, and of any length."""
    return sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).hexdigest()
