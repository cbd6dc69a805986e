"""Reading users; nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BindParameter, Select, bindparam, func, literal_column, select

from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import N_, NotFound
from webapp.listing.definition import Calendar, Listing, Range, SearchIndex, Segments, Selection
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.totals import read_totals
from webapp.users.models import (
    NEVER,
    ORDERS,
    PLACES,
    ROLE_LETTERS,
    SPANS,
    STATUS_LETTERS,
    TOTALS,
    TRASH,
    USERS,
    PasswordMethod,
    User,
    segment_of,
)
from webapp.users.rules import email_key

# The list works on columns, not on entities: building 50 User objects costs more than the query.
_users = USERS.c

SORTS = {
    "name": SortKey(_users.name_key, str),
    "email": SortKey(_users.email_key, str),
    "created_at": SortKey(_users.created_at, datetime),
    "last_sign_in_at": SortKey(func.coalesce(_users.last_sign_in_at, NEVER), datetime),
    "id": SortKey(_users.id, int),
}
SEGMENTS = {(role, status): segment_of(role, status) for role in ROLE_LETTERS for status in STATUS_LETTERS}
PARTS = Segments(_users.segment, tuple(SEGMENTS.values()), TOTALS, PLACES)

LISTING = Listing(
    columns=(
        _users.id,
        _users.full_name,
        _users.email,
        _users.role,
        _users.is_active,
        _users.hashed_password.is_(None).label("is_invited"),
        _users.created_at,
        _users.last_sign_in_at,
        _users.version,
    ),
    row_id=_users.id,
    sorts=SORTS,
    segments=PARTS,
    search=SearchIndex(_users.search_text, "users_search", _users.created_at, ORDERS),
    calendars={"created_at": Calendar(frozenset({"name"}), SPANS)},
)


_trash = TRASH.c
TRASH_LISTING = Listing(
    columns=(_trash.user_id.label("id"), _trash.email, _trash.full_name, _trash.role, _trash.deleted_at),
    row_id=_trash.user_id,
    sorts={"deleted_at": SortKey(_trash.deleted_at, datetime)},
)

# What the status filter offers → what it means. Whoever is inactive counts as that, invited or not.
STATUSES = {
    "active": frozenset({"active", "invited"}),
    "invited": frozenset({"invited"}),
    "inactive": frozenset({"inactive"}),
}


def select_users(
    *,
    words: tuple[str, ...] = (),
    status: str | None = None,
    role: Role | None = None,
    created_from: datetime | None = None,
    created_before: datetime | None = None,
) -> Selection:
    """Which users to list; everything None or empty means all. ``status`` is a key of STATUSES.

    Times are half-open: [from, before).
    """
    segments = frozenset(
        segment
        for (of_role, of_status), segment in SEGMENTS.items()
        if (role is None or role is of_role) and (status is None or of_status in STATUSES[status])
    )
    is_ranged = created_from is not None or created_before is not None
    return Selection(
        words=words,
        segments=None if len(segments) == len(SEGMENTS) else segments,
        range=Range("created_at", created_from, created_before) if is_ranged else None,
    )


class Person(NamedTuple):
    """Of a user what a change of many asks; of somebody in the trash what is known there."""

    id: int
    full_name: str
    email: str
    role: Role
    is_active: bool
    session_epoch: int
    version: int

    @property
    def display_name(self) -> str:
        return self.full_name or self.email


PERSON = tuple(_users[name] for name in Person._fields)


def list_people(user_ids: Collection[int], *, is_locking: bool = False) -> list[Person]:
    """Those of them that there are, in the order of their ids; ``is_locking``: kept from others until the
    transaction ends.
    """
    statement = select(*PERSON).where(_users.id.in_(user_ids)).order_by(_users.id)
    if is_locking:
        statement = statement.with_for_update()
    return [Person(*row) for row in get_session().execute(statement)]


def find_roles(user_ids: Collection[int]) -> dict[int, Role]:
    """Of those of them that there are."""
    if not user_ids:
        return {}
    statement = select(_users.id, _users.role).where(_users.id.in_(user_ids))
    return {row.id: row.role for row in get_session().execute(statement)}


def find_existing(user_ids: Collection[int]) -> set[int]:
    """Those of them that are users, or in the trash: the others are deleted for good, or never were."""
    users = select(_users.id).where(_users.id.in_(user_ids))
    trashed = select(_trash.user_id).where(_trash.user_id.in_(user_ids))
    return set(get_session().scalars(users.union(trashed)))


def list_trashed(user_ids: Collection[int], *, is_locking: bool = False) -> list[Person]:
    """The same of the trash."""
    columns = (_trash.user_id, _trash.full_name, _trash.email, _trash.role)
    statement = select(*columns).where(_trash.user_id.in_(user_ids)).order_by(_trash.user_id)
    if is_locking:
        statement = statement.with_for_update()
    return [
        Person(*row, is_active=True, session_epoch=0, version=0) for row in get_session().execute(statement)
    ]


def find_user(user_id: int) -> User | None:
    return get_session().get(User, user_id) if user_id <= LARGEST_ID else None


def get_user(user_id: int) -> User:
    """Raises NotFound."""
    user = get_session().get(User, user_id) if 0 <= user_id <= LARGEST_ID else None
    if user is None:
        raise NotFound(N_("There is no such user (any more)."))
    return user


def find_user_by_email(email: str) -> User | None:
    return get_session().scalar(select(User).where(User.email_key == email_key(email)))


def list_password_methods() -> Sequence[str]:
    """Those besides the present one whose work every sign-in does."""
    return get_session().scalars(select(PasswordMethod.method)).all()


def has_administrator() -> bool:
    """Whether some administrator could sign in."""
    return get_session().scalar(select(_able_administrators().exists())) or False


def find_administrators(*, changing: int = 1) -> frozenset[int]:
    """The ids of administrators who could sign in: of all, or of one more than are ``changing``, which tells
    as well whether somebody remains.
    """
    return frozenset(get_session().scalars(_able_administrators().order_by(User.id).limit(changing + 1)))


def lock_administrators(*, changing: int = 1) -> frozenset[int]:
    """The same, and nobody else takes anybody from among them until the transaction ends.

    Two who demote each other at the same moment thus go one after the other, without a deadlock, as long as
    this is asked before any row is locked. It locks none of their rows: who is the first of them may have
    changed for one who began later, and two would wait crosswise.
    """
    session = get_session()
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time
        session.execute(_TAKE_TURN)
    return find_administrators(changing=changing)


# A statement of its own: what is asked along with it would be as it was before the wait.
TURN = 0x0D0551E5  # any fixed number but that of the migrations
_TAKE_TURN = select(func.pg_advisory_xact_lock(literal_column(str(TURN))))


def _able_administrators() -> Select[int]:
    """The role is written out: as a parameter it would hide from Postgres that the partial index serves."""
    role: BindParameter[Role] = bindparam(None, Role.ADMINISTRATOR, literal_execute=True)
    return select(User.id).where(
        User.role == role, User.is_active.is_(True), User.hashed_password.is_not(None)
    )


def count_users() -> int:
    return sum(read_totals(get_session(), PARTS).values())


def find_highest_id() -> int:
    """0 when there is nobody yet."""
    return get_session().scalar(select(func.max(User.id))) or 0
