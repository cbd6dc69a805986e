"""Making and revoking tokens. Raises Invalid, Conflict, Forbidden, NotFound or SignInEnded: then nothing was
written.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, inspect, or_, update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, may_sign_in
from webapp.db import at_once, atomic, get_session
from webapp.errors import N_, Conflict, Forbidden, NotFound
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.history.services import record
from webapp.listing.search import searchable
from webapp.tokens import rules
from webapp.tokens.models import LONGEST_ADDRESS, SEGMENTS, Token
from webapp.tokens.queries import TOKEN_IS_GONE, count_living, get_token
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import about, lock_with_actor


@atomic
def create_token(
    owner: User,
    *,
    name: str,
    scopes: Iterable[str],
    days: int,
    address_range: str = "",
    actor: Actor,
) -> tuple[str, Token]:
    """Answer the secret, to be shown once, and its row; dead tokens of the owner are swept away.

    For oneself alone: what a token does is told as done by its owner. The command line may make one for
    anybody who works here.
    """
    actor = lock_with_actor(owner, actor)
    actor.require(Permission.OWN_ACCOUNT)
    if actor.user_id is not None and actor.user_id != owner.id:
        raise Forbidden(N_("A token can only be made by its owner."))
    if not owner.is_active or not may_sign_in(owner.role):
        raise Conflict(N_("This user cannot sign in here, so a token of this user would open nothing."))
    granted = rules.clean_scopes(scopes, role=owner.role)
    secret, now = rules.new_secret(), utc_now()
    token = Token(
        user_id=owner.id,
        name=rules.clean_name(name),
        token_hash=rules.hash_secret(secret),
        hint=secret[-rules.HINT_LENGTH :],
        scopes=rules.pack_scopes(granted),
        address_range=rules.clean_range(address_range),
        epoch=owner.session_epoch if actor.epoch is None else actor.epoch,
        created_at=now,
        expires_at=now + timedelta(days=rules.clean_days(days)),
        segment=SEGMENTS[granted <= rules.READING],
    )
    token.search_text = searchable(token.name, token.hint, owner.full_name, owner.email)
    _sweep(owner, now)
    if count_living(owner.id) >= rules.MOST_TOKENS:
        raise Conflict(
            N_("There are %(most)s tokens already. Revoke one that is not needed."), most=rules.MOST_TOKENS
        )
    actor.require_confirmation(N_("Create the access token %(name)s"), name=token.name)
    get_session().add(token)
    get_session().flush()
    _record(Kind.TOKEN_MADE, token, owner, actor)
    return secret, token


def _sweep(owner: User, now: datetime) -> None:
    """What can never live again."""
    is_dead = or_(Token.epoch != owner.session_epoch, Token.expires_at <= now)
    get_session().execute(delete(Token).where(Token.user_id == owner.id, is_dead))


@atomic
def revoke_token(token: Token, *, actor: Actor) -> None:
    """One's own, or anybody's for who manages tokens. It opens nothing from now on, on any worker."""
    (token_id,) = inspect(token).identity or (token.id,)
    token = get_token(token_id)
    owner = get_user(token.user_id)
    actor = lock_with_actor(owner, actor)
    if actor.user_id == owner.id:
        actor.require(Permission.OWN_ACCOUNT)
    else:
        actor.require(Permission.TOKENS_MANAGE, on=owner.role)
        actor.require_confirmation(
            N_("Revoke the access token %(token)s of %(name)s"), token=token.name, name=owner.display_name
        )
    gone = delete(Token).where(Token.id == token_id).returning(Token.id)
    if get_session().execute(gone).one_or_none() is None:
        raise NotFound(TOKEN_IS_GONE)
    _record(Kind.TOKEN_REVOKED, token, owner, actor)


@at_once
def mark_used(token_id: int, *, address: str, now: datetime) -> None:
    """Give up at once where others write: no call waits for this mark."""
    used = update(Token).where(Token.id == token_id)
    get_session().execute(used.values(last_used_at=now, last_used_address=address[:LONGEST_ADDRESS]))


def _record(kind: Kind, token: Token, owner: User, actor: Actor) -> None:
    facts = {"token": rules.label_of(token.name, token.hint), "scopes": token.scopes.split()}
    if kind is Kind.TOKEN_REVOKED:
        facts["digest"] = rules.digest_of(token.token_hash)
    record(kind, actor=actor, subject=about(owner), facts=facts)
