"""Users as a file: all that a list shows, not only one page of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from datetime import UTC, datetime
from typing import TypeVar

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import get_session
from webapp.db.session import renew_time_limit
from webapp.errors import N_, DomainError
from webapp.history.rules import Kind
from webapp.history.services import Subject, record
from webapp.listing.definition import Selection
from webapp.listing.page import count_rows, walk
from webapp.listing.types import AnyRow
from webapp.users.queries import LISTING
from webapp.users.standing import require_standing

HEAD = ("id", "full_name", "email", "role", "status", "created_at", "last_sign_in_at")
Line = tuple[int, str, str, str, str, str, str]
Rows = TypeVar("Rows", bound=Sized)


def note_export(selection: Selection, *, filters: Mapping[str, str], actor: Actor) -> None:
    """Who took which users out, and how many. ``filters`` are the list's own, by their names in its address.

    What was searched for is not kept: it may be the address of somebody who is to be forgotten one day.
    """
    actor.require(Permission.USERS_EXPORT)
    actor.require_confirmation(N_("Export users"))
    count = count_rows(get_session(), LISTING, selection)  # before the change begins: others write meanwhile
    told = {name: value for name, value in filters.items() if name != "q"}
    if selection.words:  # what was typed may hold none
        told = {"q": "…", **told}
    facts = {"count": count.value, "is_more": not count.is_exact, "filters": told}
    record(Kind.EXPORTED, actor=actor, facts=facts)  # a transaction by itself


def read_users(selection: Selection, *, sort: str) -> Iterator[list[Line]]:
    """All users of the selection in the order of ``sort``, some at a time.

    Whoever is there from the beginning to the end, and keeps his place in that order, is among them once.
    Between two parts nothing of the database is held, however slowly they are taken.
    """
    session = get_session()  # kept: the request that began this ends before the last part is read
    try:
        for rows in walk(session, LISTING, selection, sort=sort):
            lines = [_line(row) for row in rows]
            session.close()
            yield lines
            renew_time_limit(session)
    finally:
        session.close()


def end_with(actor: Actor, parts: Iterator[Rows], *, subject: Subject | None = None) -> Iterator[Rows]:
    """Pass on the parts of a file as long as the actor may take it out.

    Else it breaks off by SignInEnded or Forbidden, and the history tells after how many lines.
    """
    count = 0
    for rows in parts:
        if count:  # of the first part the request itself has just asked
            try:
                require_standing(actor, Permission.USERS_EXPORT)
            except DomainError:
                facts = {"count": count, "is_stopped": True}
                record(Kind.EXPORTED, actor=actor, subject=subject, facts=facts)
                raise
            finally:
                get_session().close()
        yield rows
        count += len(rows)


def _line(row: AnyRow) -> Line:
    status = "inactive" if not row.is_active else "invited" if row.is_invited else "active"
    role = row.role.value
    return row.id, row.full_name, row.email, role, status, _time(row.created_at), _time(row.last_sign_in_at)


def _time(value: datetime | None) -> str:
    """RFC 3339, in whole seconds."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if value else ""
