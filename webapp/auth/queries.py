"""Reading sessions and links; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import aliased

from webapp.access.permissions import Role
from webapp.auth.models import PasswordLink, SignInSession
from webapp.auth.rules import hash_token
from webapp.config import Settings
from webapp.db import get_connection, get_session
from webapp.errors import N_, NotFound
from webapp.extensions import UtcDateTime, utc_now
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.types import AnyRow
from webapp.users.models import User
from webapp.users.rules import email_key

LINK_IS_DEAD = N_("This link was used already, has expired, or was replaced by a newer one.")


# Every way to end a session is a condition here, so that it holds on every worker at once.
_IS_ALIVE = and_(
    SignInSession.epoch == User.session_epoch,
    User.is_active.is_(True),
    SignInSession.last_seen_at > bindparam("idle_since", type_=UtcDateTime),
    SignInSession.created_at > bindparam("oldest", type_=UtcDateTime),
)


def _limits(settings: Settings) -> dict[str, datetime]:
    now = utc_now()
    return {
        "idle_since": now - timedelta(minutes=settings.session_idle_minutes),
        "oldest": now - timedelta(hours=settings.session_absolute_hours),
    }


# Asked on every request: built once, and on columns, since entities cost more than the query.
_sessions, _users = SignInSession.__table__.c, User.__table__.c
_FIND_SESSION = select(
    _sessions.id.label("session_id"),
    _sessions.last_seen_at,
    func.coalesce(_sessions.confirmed_at, _sessions.created_at).label("confirmed_at"),
    _sessions.notices_since,
    _users.id,
    _users.email,
    _users.full_name,
    _users.role,
    _users.language,
    _users.time_zone,
    _users.session_epoch,
    _users.must_change_password,
).where(_users.id == _sessions.user_id, _sessions.token_hash == bindparam("token_hash"), _IS_ALIVE)


def find_session(token: str, settings: Settings) -> AnyRow | None:
    """The living session with this token: its id, when it was last seen, and its user."""
    parameters = {"token_hash": hash_token(token), **_limits(settings)}
    return get_connection().execute(_FIND_SESSION, parameters).one_or_none()


def is_session_open(session_id: int) -> bool:
    """Return whether the session was not signed out; of its epoch and times others know."""
    return get_session().scalar(select(SignInSession.id).where(SignInSession.id == session_id)) is not None


def list_sessions(user_id: int, settings: Settings) -> Sequence[SignInSession]:
    """The living sessions of one person, the latest used first."""
    statement = (
        select(SignInSession)
        .join(User, User.id == SignInSession.user_id)
        .where(SignInSession.user_id == user_id, _IS_ALIVE)
        .order_by(SignInSession.last_seen_at.desc(), SignInSession.id.desc())
    )
    return get_session().scalars(statement, _limits(settings)).all()


def find_unread_since(user_id: int) -> datetime | None:
    """Return from when on a session of the person still has to show what happened to their account."""
    return get_session().scalar(
        select(func.min(SignInSession.notices_since)).where(SignInSession.user_id == user_id)
    )


class Credentials(NamedTuple):
    """What a sign-in is checked against."""

    user_id: int
    name: str
    hashed_password: str | None
    role: Role
    is_active: bool
    epoch: int


def find_credentials(email: str) -> Credentials | None:
    row = (
        get_session()
        .execute(
            select(
                User.id,
                func.coalesce(func.nullif(User.full_name, ""), User.email),
                User.hashed_password,
                User.role,
                User.is_active,
                User.session_epoch,
            ).where(User.email_key == email_key(email))
        )
        .one_or_none()
    )
    return Credentials(*row) if row else None


# Every way to end a link is a condition here, too: what its person and who made it are at this moment.
_Creator = aliased(User)
_IS_OPEN = and_(
    PasswordLink.user_id == User.id,
    PasswordLink.expires_at > bindparam("now", type_=UtcDateTime),
    PasswordLink.epoch == User.session_epoch,
    PasswordLink.email_key == User.email_key,
    or_(
        PasswordLink.creator_epoch.is_(None),
        exists().where(
            _Creator.id == PasswordLink.creator_id,
            _Creator.session_epoch == PasswordLink.creator_epoch,
            _Creator.is_active.is_(True),
        ),
    ),
)


def get_link_owner(token: str) -> User:
    """Whom a link belongs to that still works. Raises NotFound for any other."""
    statement = select(User).join(PasswordLink, _IS_OPEN).where(User.is_active.is_(True))
    own = statement.where(PasswordLink.token_hash == hash_token(token))
    user = get_session().scalar(own, {"now": utc_now()})
    if user is None:
        raise NotFound(LINK_IS_DEAD)
    return user


def find_dead_link_owner(token: str) -> User | None:
    """Whom a link belongs to that is there still, and works no more."""
    owner = select(User).join(PasswordLink, PasswordLink.user_id == User.id)
    return get_session().scalar(owner.where(PasswordLink.token_hash == hash_token(token)))


def list_link_people(token: str) -> Sequence[int]:
    """Whose rows decide whether the link works: its person's, and of who made it."""
    both = select(PasswordLink.user_id, PasswordLink.creator_id)
    row = get_session().execute(both.where(PasswordLink.token_hash == hash_token(token))).one_or_none()
    return [user_id for user_id in row or () if user_id is not None]


def find_open_link(user_id: int) -> PasswordLink | None:
    """The link that the person can set a password with now."""
    own = select(PasswordLink).join(User, _IS_OPEN).where(User.id == user_id)
    return get_session().scalar(own, {"now": utc_now()})


def has_open_link(user: User) -> bool:
    return find_open_link(user.id) is not None


def is_epoch(user_id: int, epoch: int) -> bool:
    """Return whether nothing ended the sign-ins of this user since ``epoch``."""
    return get_session().scalar(select(User.session_epoch).where(User.id == user_id)) == epoch


def get_own_session(session_id: int, user_id: int) -> SignInSession:
    """Raises NotFound for a session that is gone or somebody else's."""
    own = select(SignInSession).where(SignInSession.id == session_id, SignInSession.user_id == user_id)
    session = get_session().scalar(own) if session_id <= LARGEST_ID else None
    if session is None:
        raise NotFound(N_("This device is signed out already."))
    return session
