"""Signing in and out, and setting passwords by a one-time link."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, may_sign_in
from webapp.auth import throttle
from webapp.auth.models import LONGEST_ADDRESS, LONGEST_AGENT, PasswordLink, SignInSession
from webapp.auth.queries import LINK_IS_DEAD, Credentials, find_credentials, get_link_owner
from webapp.auth.rules import LINK_LIFETIME, LONGEST_SESSION, hash_token, new_token, printable
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, Invalid, NotFound
from webapp.extensions import utc_now
from webapp.users import passwords
from webapp.users.models import User
from webapp.users.rules import LONGEST_PASSWORD, clean_password
from webapp.users.services import lock_user, record_sign_in, set_password, store_password

REFUSED = N_("E-mail or password is wrong, or this account may not sign in here.")


def sign_in(*, email: str, password: str, address: str, user_agent: str) -> str:
    """Answer the token of a new session.

    Raises Invalid with one and the same message, after the same work, whether the account does not
    exist, is inactive, may not sign in or has another password (ASVS 5.0 6.3.8); raises Throttled.
    The slow hash is compared while no lock is held, so that nobody waits for it.
    """
    throttle.count_attempt(email=email, address=address)
    password = password[: LONGEST_PASSWORD * 2]  # longer ones cannot be right, and cost time
    found = find_credentials(email)
    matches = passwords.verify_password(found.hashed_password if found else None, password)
    if found is None or not matches or not found.is_active or not may_sign_in(found.role):
        raise Invalid(REFUSED)
    rehashed = (
        passwords.hash_password(password) if passwords.needs_rehash(found.hashed_password or "") else None
    )
    return _start_session(
        found, email=email, address=address, user_agent=user_agent, rehashed_password=rehashed
    )


@atomic
def _start_session(
    found: Credentials, *, email: str, address: str, user_agent: str, rehashed_password: str | None
) -> str:
    """The epoch is the one the password was compared under: changed meanwhile, the session is born dead."""
    token = open_session(user_id=found.user_id, epoch=found.epoch, address=address, user_agent=user_agent)
    record_sign_in(found.user_id, rehashed_password=rehashed_password)
    throttle.forget_attempts(email=email, address=address)
    return token


@atomic
def open_session(*, user_id: int, epoch: int, address: str, user_agent: str) -> str:
    """Answer the token of a new session; sessions that can never live again are swept away.

    Raises Invalid when the person was deleted while the password was compared.
    """
    session = get_session()
    if session.scalar(select(User.id).where(User.id == user_id).with_for_update()) is None:
        raise Invalid(REFUSED)
    token = new_token()
    is_of_old = and_(SignInSession.user_id == user_id, SignInSession.epoch < epoch)
    is_too_old = SignInSession.created_at < utc_now() - LONGEST_SESSION
    session.execute(delete(SignInSession).where(or_(is_of_old, is_too_old)))
    session.add(
        SignInSession(
            user_id=user_id,
            token_hash=hash_token(token),
            epoch=epoch,
            address=printable(address)[:LONGEST_ADDRESS],
            user_agent=printable(user_agent)[:LONGEST_AGENT],
        )
    )
    session.flush()
    return token


@atomic
def sign_out(token: str) -> None:
    get_session().execute(delete(SignInSession).where(SignInSession.token_hash == hash_token(token)))


@atomic
def revoke_session(session: SignInSession, *, actor: Actor) -> None:
    """Sign out one of the actor's own devices."""
    if session.user_id != actor.user_id:
        raise NotFound(N_("This device is signed out already."))
    get_session().execute(delete(SignInSession).where(SignInSession.id == session.id))


@atomic
def revoke_other_sessions(*, keep: int, actor: Actor) -> int:
    """Sign out all of the actor's devices but the one with session id ``keep``; tells how many."""
    own = delete(SignInSession).where(SignInSession.user_id == actor.user_id, SignInSession.id != keep)
    return len(get_session().execute(own.returning(SignInSession.id)).all())


@atomic
def mark_seen(session_id: int, now: datetime) -> None:
    get_session().execute(
        update(SignInSession).where(SignInSession.id == session_id).values(last_seen_at=now)
    )


def change_password(
    user: User, *, current: str, new: str, address: str, user_agent: str, actor: Actor
) -> str:
    """Answer the token of a session that replaces all earlier ones.

    Raises Invalid on the field, Throttled when the present password was guessed too often.
    """
    throttle.count_attempt(email=user.email, address=address)
    if not passwords.verify_password(user.hashed_password, current[: LONGEST_PASSWORD * 2]):
        raise Invalid(N_("This is not your present password."), field="current_password")
    set_password(user, password=new, actor=actor)
    return _reopen_session(user, address=address, user_agent=user_agent)


@atomic
def _reopen_session(user: User, *, address: str, user_agent: str) -> str:
    token = open_session(user_id=user.id, epoch=user.session_epoch, address=address, user_agent=user_agent)
    throttle.forget_attempts(email=user.email, address=address)
    return token


@atomic
def create_password_link(user: User, *, actor: Actor) -> tuple[str, datetime]:
    """Answer the token, to be shown once, and when it expires; an earlier link of the person dies."""
    session = get_session()
    lock_user(user)
    actor.require(Permission.USERS_PASSWORD_LINK, on=user.role)
    if not user.is_active:
        raise Conflict(N_("This user is inactive. Activate the user first."))
    token, expires_at = new_token(), utc_now() + LINK_LIFETIME
    session.execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    session.add(
        PasswordLink(
            user_id=user.id,
            token_hash=hash_token(token),
            email_key=user.email_key,
            epoch=user.session_epoch,
            expires_at=expires_at,
        )
    )
    session.flush()
    return token, expires_at


def use_password_link(token: str, *, password: str, address: str) -> User:
    """Set the password of the link's person. Raises NotFound when the link is used up or expired."""
    user = get_link_owner(token)
    cleaned = clean_password(password, email=user.email)
    return _spend_link(token, hashed=passwords.hash_password(cleaned), address=address)


@atomic
def _spend_link(token: str, *, hashed: str, address: str) -> User:
    """Deleting the link decides who was first: of 32 at once, one finds it."""
    lock_user(get_link_owner(token))  # the person first, as everywhere: no two can wait crosswise
    user = get_link_owner(token)
    spent = delete(PasswordLink).where(PasswordLink.token_hash == hash_token(token))
    if get_session().execute(spent.returning(PasswordLink.id)).one_or_none() is None:
        raise NotFound(LINK_IS_DEAD)
    own = Actor(user_id=user.id, name=user.display_name, role=user.role)
    store_password(user, hashed=hashed, actor=own)
    throttle.forget_attempts(email=user.email, address=address)
    return user
