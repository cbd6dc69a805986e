"""Signing in and out, and setting passwords by a one-time link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
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
from webapp.history.rules import Kind
from webapp.history.services import Subject, record
from webapp.users import passwords
from webapp.users.models import User
from webapp.users.queries import list_password_methods
from webapp.users.services import (
    about,
    clean_password_of,
    lock_user,
    note_password_method,
    note_sign_in,
    store_password,
)

REFUSED = N_("E-mail or password is wrong, or this account may not sign in here.")


def sign_in(
    *,
    email: str,
    password: str,
    address: str,
    user_agent: str,
    device: tuple[int, str] | None = None,
    earlier: str | None = None,
    actor: Actor,
) -> str:
    """Answer the token of a new session, which ends the one with the token ``earlier``.

    ``device`` is whose browser it was at a former sign-in, and its id: their attempts in it are counted
    apart.

    Raises Invalid with one and the same message, after the same work, whether the account does not
    exist, is inactive, may not sign in or has another password (ASVS 5.0 6.3.8); raises Throttled, and Busy.
    The slow hash is compared while no lock is held, so that nobody waits for it. The place to hash in is
    taken before the attempt is counted: what finds none costs no write, and was no guess.
    """
    found = find_credentials(email)
    known = device[1] if device and found and device[0] == found.user_id else None
    throttle.refuse_throttled(email=email, address=address, device=known)
    with passwords.take_place():
        counted = throttle.count_attempt(email=email, address=address, device=known)
        matches = _matches(found, password)
        reason = _refusal(found, matches=matches)
        rehashed = _rehash(found, password) if reason is None else None
    if found is None or reason is not None:
        _record_refusal(found, email=email, reason=reason or "unknown", actor=actor)
        raise Invalid(REFUSED)
    return _start_session(
        found,
        email=email,
        address=address,
        user_agent=user_agent,
        rehashed_password=rehashed,
        device=known,
        earlier=earlier,
        counted=counted,
        actor=actor,
    )


def _matches(found: Credentials | None, password: str) -> bool:
    """Compare, by the same work for all accounts: that of each method of which there are hashes."""
    methods = list_password_methods()
    method = passwords.method_of(found.hashed_password or "") if found else None
    if method is not None and method != passwords.CURRENT_METHOD and method not in methods:
        note_password_method(method)
    return passwords.verify_password(found.hashed_password if found else None, password, methods=methods)


def _rehash(found: Credentials | None, password: str) -> str | None:
    """The hash of the day, where the stored one is not."""
    if found is None or not passwords.needs_rehash(found.hashed_password or ""):
        return None
    return passwords.hash_password(password)


def _refusal(found: Credentials | None, *, matches: bool) -> str | None:
    """Why this sign-in fails, for the history alone: the person who tries is told nothing of it."""
    if found is None:
        return "unknown"
    if not found.is_active:
        return "inactive"
    if found.hashed_password is None:
        return "no_password"
    if not matches:
        return "password"
    return None if may_sign_in(found.role) else "role"


@atomic
def _record_refusal(found: Credentials | None, *, email: str, reason: str, actor: Actor) -> None:
    """What was typed is kept only where it is the address of somebody: it may have been a password."""
    subject = Subject(found.user_id, found.name) if found else None
    record(Kind.SIGN_IN_FAILED, actor=actor, subject=subject, facts={"reason": reason})


@atomic
def _start_session(
    found: Credentials,
    *,
    email: str,
    address: str,
    user_agent: str,
    rehashed_password: str | None,
    device: str | None = None,
    earlier: str | None = None,
    counted: throttle.Counted = (),
    actor: Actor,
) -> str:
    """The epoch is the one the password was compared under: changed meanwhile, the session is born dead."""
    token = open_session(user_id=found.user_id, epoch=found.epoch, address=address, user_agent=user_agent)
    note_sign_in(found.user_id, rehashed_password=rehashed_password)
    if earlier is not None:
        get_session().execute(delete(SignInSession).where(SignInSession.token_hash == hash_token(earlier)))
    throttle.give_back(counted)
    throttle.forget_attempts(email=email, address=address, device=device)
    own = replace(actor, user_id=found.user_id, name=found.name, role=found.role)
    record(Kind.SIGNED_IN, actor=own, subject=Subject(found.user_id, found.name))
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
def sign_out(token: str, *, actor: Actor) -> None:
    gone = delete(SignInSession).where(SignInSession.token_hash == hash_token(token))
    if get_session().execute(gone.returning(SignInSession.id)).one_or_none() is not None:
        record(Kind.SIGNED_OUT, actor=actor, subject=Subject(actor.user_id, actor.name))


@atomic
def revoke_session(session: SignInSession, *, actor: Actor) -> None:
    """Sign out one of the actor's own devices."""
    if session.user_id != actor.user_id:
        raise NotFound(N_("This device is signed out already."))
    gone = delete(SignInSession).where(SignInSession.id == session.id)
    if get_session().execute(gone.returning(SignInSession.id)).one_or_none() is not None:
        record(Kind.DEVICE_SIGNED_OUT, actor=actor, subject=Subject(actor.user_id, actor.name))


@atomic
def revoke_other_sessions(*, keep: int | None, actor: Actor) -> int:
    """Sign out all of the actor's devices but the one with session id ``keep``; tells how many."""
    own = delete(SignInSession).where(SignInSession.user_id == actor.user_id, SignInSession.id != keep)
    number = len(get_session().execute(own.returning(SignInSession.id)).all())
    if number:
        subject = Subject(actor.user_id, actor.name)
        record(Kind.DEVICE_SIGNED_OUT, actor=actor, subject=subject, facts={"count": number})
    return number


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
    throttle.refuse_throttled(email=user.email, address=address)
    with passwords.take_place():
        counted = throttle.count_attempt(email=user.email, address=address)
        if not passwords.verify_password(user.hashed_password, current):
            raise Invalid(N_("This is not your present password."), field="current_password")
        hashed = passwords.hash_password(clean_password_of(user, new))
    return _replace_password(
        user, hashed=hashed, address=address, user_agent=user_agent, counted=counted, actor=actor
    )


@atomic
def _replace_password(
    user: User, *, hashed: str, address: str, user_agent: str, counted: throttle.Counted, actor: Actor
) -> str:
    """At once: nobody shall be signed out by a change that he is told has failed."""
    store_password(user, hashed=hashed, actor=actor)
    token = open_session(user_id=user.id, epoch=user.session_epoch, address=address, user_agent=user_agent)
    throttle.give_back(counted)
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
    record(Kind.LINK_MADE, actor=actor, subject=about(user))
    return token, expires_at


@atomic
def lift_throttle(user: User, *, addresses: Iterable[str], actor: Actor) -> None:
    """Forget the failed attempts on this account from these addresses."""
    lock_user(user)
    actor.require(Permission.USERS_SET_STATUS, on=user.role)
    if throttle.forget_account(email=user.email, addresses=addresses):
        record(Kind.ATTEMPTS_FORGOTTEN, actor=actor, subject=about(user))


def use_password_link(token: str, *, password: str, address: str, actor: Actor) -> User:
    """Set the password of the link's person. Raises NotFound when the link is used up or expired."""
    user = get_link_owner(token)
    hashed = passwords.hash_password(clean_password_of(user, password))
    return _spend_link(token, hashed=hashed, address=address, actor=actor)


@atomic
def _spend_link(token: str, *, hashed: str, address: str, actor: Actor) -> User:
    """Deleting the link decides who was first: of 32 at once, one finds it."""
    lock_user(get_link_owner(token))  # the person first, as everywhere: no two can wait crosswise
    user = get_link_owner(token)
    spent = delete(PasswordLink).where(PasswordLink.token_hash == hash_token(token))
    if get_session().execute(spent.returning(PasswordLink.id)).one_or_none() is None:
        raise NotFound(LINK_IS_DEAD)
    own = replace(actor, user_id=user.id, name=user.display_name, role=user.role)
    store_password(user, hashed=hashed, actor=own)
    throttle.forget_attempts(email=user.email, address=address)
    return user
