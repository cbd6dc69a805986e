"""Reading users; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import N_, NotFound
from webapp.listing.counting import Count, count_rows
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.page import Listing
from webapp.listing.search import matches_words
from webapp.listing.types import AnySelect
from webapp.users.models import NEVER, User
from webapp.users.rules import email_key

# The list works on columns, not on entities: building 50 User objects costs more than the query.
_users = User.__table__.c

SORTS = {
    "name": SortKey(_users.name_key, str),
    "email": SortKey(_users.email_key, str),
    "created_at": SortKey(_users.created_at, datetime),
    "last_sign_in_at": SortKey(func.coalesce(_users.last_sign_in_at, NEVER), datetime),
}

# What a row of the list shows.
COLUMNS = (
    _users.id,
    _users.full_name,
    _users.email,
    _users.role,
    _users.is_active,
    _users.hashed_password.is_(None).label("is_invited"),
    _users.created_at,
    _users.last_sign_in_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilters:
    """Which users to list; everything None or empty means all. Times are half-open: [from, before)."""

    words: tuple[str, ...] = ()
    is_active: bool | None = None
    is_invited: bool | None = None
    role: Role | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self == UserFilters()


def list_users(filters: UserFilters) -> Listing:
    """No SQL runs yet: give the listing to paginate()."""
    statement = _filtered(select(*COLUMNS), filters)
    counted = _filtered(select(_users.id), filters)

    def count(session: Session) -> Count:
        return count_rows(session, counted, most=None) if filters.is_empty else count_rows(session, counted)

    return Listing(statement=statement, row_id=_users.id, sorts=SORTS, count=count)


def _filtered(statement: AnySelect, filters: UserFilters) -> AnySelect:
    if filters.words:
        statement = statement.where(matches_words(_users.search_text, filters.words))
    if filters.is_active is not None:
        statement = statement.where(_users.is_active.is_(filters.is_active))
    if filters.is_invited is not None:
        statement = statement.where(_users.hashed_password.is_(None) == filters.is_invited)
    if filters.role is not None:
        statement = statement.where(_users.role == filters.role)
    if filters.created_from is not None:
        statement = statement.where(_users.created_at >= filters.created_from)
    if filters.created_before is not None:
        statement = statement.where(_users.created_at < filters.created_before)
    return statement


def get_user(user_id: int) -> User:
    """Raises NotFound."""
    user = get_session().get(User, user_id) if 0 <= user_id <= LARGEST_ID else None
    if user is None:
        raise NotFound(N_("There is no such user (any more)."))
    return user


def find_user_by_email(email: str) -> User | None:
    return get_session().scalar(select(User).where(User.email_key == email_key(email)))


def has_administrator() -> bool:
    """Whether some administrator could sign in."""
    return get_session().scalar(select(_able_administrators().exists())) or False


def lock_administrators() -> frozenset[int]:
    """The ids of all administrators who could sign in, locked in id order until the transaction ends.

    Two who demote each other at the same moment thus go one after the other, without a deadlock,
    as long as this lock is taken before any other row's.
    """
    return frozenset(get_session().scalars(_able_administrators().order_by(User.id).with_for_update()))


def _able_administrators() -> Select[int]:
    return select(User.id).where(
        User.role == Role.ADMINISTRATOR, User.is_active.is_(True), User.hashed_password.is_not(None)
    )


def count_users() -> int:
    return get_session().scalar(select(func.count()).select_from(User)) or 0


def find_highest_id() -> int:
    """0 when there is nobody yet."""
    return get_session().scalar(select(func.max(User.id))) or 0
