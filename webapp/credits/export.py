"""A user's ledger as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.credits.queries import LISTING, Line, select_postings, tell
from webapp.credits.rules import as_decimal
from webapp.db import get_session
from webapp.db.session import renew_time_limit
from webapp.errors import N_
from webapp.history.rules import Kind
from webapp.history.services import record
from webapp.listing.page import count_rows, walk
from webapp.users.queries import get_user
from webapp.users.services import about

HEAD = ("at", "transfer", "amount", "balance", "other_id", "other_name", "reason", "actor_id", "actor_name")


def note_export(user_id: int, *, actor: Actor) -> None:
    """Who took whose ledger out, and how many lines it had."""
    actor.require(Permission.USERS_EXPORT)
    user = get_user(user_id)
    actor.require_confirmation(N_("Export the credits of %(name)s"), name=user.display_name)
    count = count_rows(get_session(), LISTING, select_postings(user_id))
    facts = {"count": count.value, "is_more": not count.is_exact}
    record(Kind.EXPORTED, actor=actor, subject=about(user)._replace(version=None), facts=facts)


def read_ledger(user_id: int) -> Iterator[list[tuple[object, ...]]]:
    """The user's postings, the oldest first, some at a time; in between nothing of the database is held."""
    session = get_session()  # kept: the request that began this ends before the last part is read
    try:
        for rows in walk(session, LISTING, select_postings(user_id), sort="at"):
            session.close()
            lines = [_columns(line) for line in tell(rows)]
            get_session().close()  # another one, once that request has ended
            yield lines
            renew_time_limit(session)
    finally:
        session.close()


def _columns(line: Line) -> tuple[object, ...]:
    """Amounts are numbers to the file: as texts, those with a minus would be taken for formulas."""
    at = line.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    amount, balance = as_decimal(line.amount_cents), as_decimal(line.balance_cents)
    other, actor = (line.other_id, line.other_name), (line.actor_id, line.actor_name)
    return at, line.transfer_id, amount, balance, *other, line.reason, *actor
