"""Reading balances and the ledger; nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select

from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.rules import BANK
from webapp.db import get_connection, get_session
from webapp.errors import N_, Invalid
from webapp.history.queries import find_kept_names
from webapp.listing.definition import Listing, Selection
from webapp.listing.keyset import SortKey
from webapp.listing.types import AnyRow
from webapp.users.models import User
from webapp.users.queries import find_user, find_user_by_email, list_people, list_trashed

LONGEST_NUMBER = 19
LONGEST_EMAIL = 254

_postings, _transfers = POSTINGS.c, TRANSFERS.c

# Of one user at a time: all postings of all have no index of their own.
LISTING = Listing(
    columns=(
        _postings.id,
        _postings.at,
        _postings.transfer_id,
        _postings.user_id,
        _postings.amount_cents,
        _postings.balance_cents,
    ),
    row_id=_postings.id,
    sorts={"at": SortKey(_postings.at, datetime)},
    owners={"user": _postings.user_id},
)


class Movement(NamedTuple):
    """A transfer as it is kept. BANK stands for nobody. ``is_repeated`` tells whoever ordered it that it was
    done before, under the same key.
    """

    id: int
    created_at: datetime
    from_user_id: int
    to_user_id: int
    amount_cents: int
    reason: str
    actor_id: int | None
    is_repeated: bool = False


_MOVEMENT = tuple(_transfers[name] for name in Movement._fields if name != "is_repeated")
_BY_KEY = select(*_MOVEMENT).where(_transfers.key_digest == bindparam("key_digest"))


class Line(NamedTuple):
    """One posting as people read it. ``other_id`` is None where credits were granted or withdrawn,
    ``actor_id`` where it was done at the command line; a name is empty where the person is forgotten. Who did
    it as staff stays named for a time.
    """

    id: int
    at: datetime
    transfer_id: int
    amount_cents: int
    balance_cents: int
    other_id: int | None
    other_name: str
    actor_id: int | None
    actor_name: str
    actor_is_deleted: bool  # for good
    reason: str


def get_balance(user_id: int) -> int:
    """In cents; 0 for whoever has no account."""
    return list_balances([user_id]).get(user_id, 0)


def list_balances(user_ids: Collection[int]) -> dict[int, int]:
    """By the ids of those who have an account."""
    statement = select(ACCOUNTS.c.user_id, ACCOUNTS.c.balance_cents).where(ACCOUNTS.c.user_id.in_(user_ids))
    return {row.user_id: row.balance_cents for row in get_session().execute(statement)}


def find_by_key(key_digest: str) -> Movement | None:
    row = get_connection().execute(_BY_KEY, {"key_digest": key_digest}).one_or_none()
    return None if row is None else Movement(*row)


def find_person(text: str) -> User:
    """By number or e-mail, as somebody types it. Raises Invalid on the field ``to_user_id``."""
    typed = text.strip() if len(text) <= LONGEST_EMAIL else ""
    is_number = typed.isascii() and typed.isdigit() and len(typed) <= LONGEST_NUMBER
    user = find_user(int(typed)) if is_number else find_user_by_email(typed)
    if user is None:
        raise Invalid(N_("There is nobody with this number or e-mail."), field="to_user_id")
    return user


def select_postings(user_id: int) -> Selection:
    return Selection(owners=(("user", user_id),))


def list_latest(user_id: int, *, most: int) -> Sequence[AnyRow]:
    """The user's latest postings, the newest first, to be told by tell()."""
    statement = (
        select(*LISTING.columns)
        .where(_postings.user_id == user_id)
        .order_by(_postings.at.desc(), _postings.id.desc())
        .limit(most)
    )
    return get_session().execute(statement).all()


def tell(rows: Iterable[AnyRow]) -> list[Line]:
    """Postings of users as lines, in the same order."""
    rows = list(rows)
    if not rows:
        return []
    ids = {row.transfer_id for row in rows}
    found = get_session().execute(select(*_MOVEMENT).where(_transfers.id.in_(ids)))
    movements = {movement.id: movement for movement in (Movement(*row) for row in found)}
    names = find_names({id_ for it in movements.values() for id_ in (*it[2:4], it.actor_id) if id_})
    gone = {it.actor_id for it in movements.values() if it.actor_id and it.actor_id not in names}
    kept = find_kept_names(gone)
    return [_line(row, movements[row.transfer_id], names, kept) for row in rows]


def _line(row: AnyRow, movement: Movement, names: Mapping[int, str], kept: Mapping[int, str]) -> Line:
    other = movement.to_user_id if row.amount_cents < 0 else movement.from_user_id
    return Line(
        id=row.id,
        at=row.at,
        transfer_id=row.transfer_id,
        amount_cents=row.amount_cents,
        balance_cents=row.balance_cents,
        other_id=None if other == BANK else other,
        other_name=names.get(other, ""),
        actor_id=movement.actor_id,
        actor_name={**kept, **names}.get(movement.actor_id or 0, ""),
        actor_is_deleted=movement.actor_id is not None and movement.actor_id not in names,
        reason=movement.reason,
    )


def find_names(user_ids: Collection[int]) -> dict[int, str]:
    """By id; of those in the trash too. Whoever is forgotten is not among them."""
    people = list_people(user_ids)
    gone = set(user_ids) - {person.id for person in people}
    return {person.id: person.display_name for person in [*people, *(list_trashed(gone) if gone else [])]}
