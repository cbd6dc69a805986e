"""Reading tokens; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, select

from webapp.access.permissions import Permission, Role
from webapp.db import get_connection, get_session
from webapp.errors import N_, NotFound
from webapp.extensions import UtcDateTime, table_of, utc_now
from webapp.history.queries import list_latest
from webapp.history.rules import Kind
from webapp.listing.definition import Listing, SearchIndex, Segments, Selection
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.types import AnyRow
from webapp.tokens.models import ORDERS, SEGMENTS, TOKENS, Token
from webapp.tokens.rules import digest_of, hash_secret, is_within, label_of, unpack_scopes
from webapp.users.models import User
from webapp.users.queries import Person

TOKEN_IS_GONE = N_("This token was revoked already.")
MOST_REVOKED = 1_000

_tokens, _users = TOKENS.c, table_of(User).c

LISTING = Listing(
    columns=(
        _tokens.id,
        _tokens.user_id,
        _tokens.name,
        _tokens.hint,
        _tokens.scopes,
        _tokens.address_range,
        _tokens.epoch,
        _tokens.created_at,
        _tokens.expires_at,
        _tokens.last_used_at,
        _tokens.last_used_address,
    ),
    row_id=_tokens.id,
    sorts={"created_at": SortKey(_tokens.created_at, datetime)},
    segments=Segments(_tokens.segment, tuple(SEGMENTS.values()), leads=False),
    search=SearchIndex(_tokens.search_text, "tokens_search", _tokens.created_at, ORDERS),
    owners={"user": _tokens.user_id},
)


def select_tokens(
    *, words: tuple[str, ...] = (), user_id: int | None = None, is_reading: bool | None = None
) -> Selection:
    """Which tokens to list; ``is_reading``: whether they only read, None for all."""
    return Selection(
        words=words,
        segments=None if is_reading is None else frozenset({SEGMENTS[is_reading]}),
        owners=() if user_id is None else (("user", user_id),),
    )


# Every way to end a token is a condition here, so that it holds on every worker at once.
IS_ALIVE = and_(
    _tokens.epoch == _users.session_epoch,
    _users.is_active.is_(True),
    _tokens.expires_at > bindparam("now", type_=UtcDateTime),
)

# Asked on every call: built once, and on columns, since entities cost more than the query.
_FIND_TOKEN = select(
    _tokens.id.label("token_id"),
    _tokens.scopes,
    _tokens.address_range,
    _tokens.last_used_at,
    _users.id,
    _users.email,
    _users.full_name,
    _users.role,
    _users.language,
    _users.time_zone,
    _users.session_epoch,
).where(_users.id == _tokens.user_id, _tokens.token_hash == bindparam("token_hash"), IS_ALIVE)


class Bearer(NamedTuple):
    """Who comes with a living token. Of the scopes he may what his role allows at this moment."""

    token_id: int
    scopes: frozenset[Permission]
    last_used_at: datetime | None
    user_id: int
    email: str
    full_name: str
    role: Role
    language: str | None
    time_zone: str | None
    epoch: int


def find_token(secret: str, *, address: str) -> Bearer | None:
    """The living token, come from where it may come from, and its owner; one query."""
    parameters = {"token_hash": hash_secret(secret), "now": utc_now()}
    row = get_connection().execute(_FIND_TOKEN, parameters).one_or_none()
    if row is None or not is_within(address, row.address_range):
        return None
    return Bearer(
        token_id=row.token_id,
        scopes=unpack_scopes(row.scopes),
        last_used_at=row.last_used_at,
        user_id=row.id,
        email=row.email,
        full_name=row.full_name,
        role=row.role,
        language=row.language,
        time_zone=row.time_zone,
        epoch=row.session_epoch,
    )


class Refused(NamedTuple):
    """A token of ours that opens nothing, by its ``label``, and why: a reason as the history tells it."""

    user_id: int
    owner: str
    label: str
    reason: str


def find_refused(secret: str, *, address: str) -> Refused | None:
    """The token that find_token() does not answer, where it is still there."""
    columns = (_tokens.name, _tokens.hint, _tokens.expires_at, _tokens.epoch, _tokens.address_range)
    owner = func.coalesce(func.nullif(_users.full_name, ""), _users.email).label("owner")
    of_owner = (_users.id.label("user_id"), owner, _users.is_active, _users.session_epoch)
    found = select(*columns, *of_owner).where(
        _users.id == _tokens.user_id, _tokens.token_hash == hash_secret(secret)
    )
    row = get_connection().execute(found).one_or_none()
    if row is None:
        return None
    reason = "token_expired" if row.expires_at <= utc_now() else "token_ended"
    is_alive = reason == "token_ended" and row.is_active and row.epoch == row.session_epoch
    if is_alive and not is_within(address, row.address_range):
        reason = "token_address"
    return Refused(row.user_id, row.owner, label_of(row.name, row.hint), reason)


def find_revoked(secret: str) -> Refused | None:
    """The token of which only the history knows by now, if it was among the latest that were revoked."""
    digest = digest_of(hash_secret(secret))
    for story in list_latest(Kind.TOKEN_REVOKED, most=MOST_REVOKED):
        if story.facts.get("digest") == digest and story.subject_id is not None:
            label = str(story.facts.get("token", ""))
            return Refused(story.subject_id, story.subject_name, label, "token_revoked")
    return None


def is_token_there(token_id: int) -> bool:
    """Return whether the token was not revoked and has not expired; of its epoch others know."""
    lasting = select(_tokens.id).where(_tokens.id == token_id, _tokens.expires_at > utc_now())
    return get_session().scalar(lasting) is not None


def list_own_tokens(user_id: int) -> Sequence[Token]:
    """All of one person, the latest made first; they are few (see MOST_TOKENS)."""
    statement = select(Token).where(Token.user_id == user_id)
    return get_session().scalars(statement.order_by(Token.created_at.desc(), Token.id.desc())).all()


def count_living(user_id: int) -> int:
    living = select(func.count()).where(_users.id == _tokens.user_id, _users.id == user_id, IS_ALIVE)
    return get_session().scalar(living, {"now": utc_now()}) or 0


def state_of(token: AnyRow | Token, owner: Person, now: datetime) -> str:
    """IS_ALIVE of one row: "alive", "expired", or "ended" with its owner's sign-ins."""
    if token.expires_at <= now:
        return "expired"
    is_of_now = token.epoch == owner.session_epoch and owner.is_active
    return "alive" if is_of_now else "ended"


def get_own_token(token_id: int, user_id: int) -> Token:
    """Raises NotFound for a token that is gone or somebody else's."""
    token = get_token(token_id)
    if token.user_id != user_id:
        raise NotFound(TOKEN_IS_GONE)
    return token


def get_token(token_id: int) -> Token:
    """Raises NotFound."""
    token = get_session().get(Token, token_id) if 0 < token_id <= LARGEST_ID else None
    if token is None:
        raise NotFound(TOKEN_IS_GONE)
    return token
