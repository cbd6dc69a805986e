"""Signing in and out, and setting passwords by a one-time link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, or_, select, update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, may_sign_in
from webapp.auth import throttle
from webapp.auth.models import LONGEST_ADDRESS, LONGEST_AGENT, PasswordLink, SignInSession
from webapp.auth.queries import (
    LINK_IS_DEAD,
    Credentials,
    find_credentials,
    get_link_owner,
    is_epoch,
    list_link_people,
)
from webapp.auth.rules import LINK_LIFETIME, LONGEST_SESSION, MAX_SESSIONS, hash_token, new_token, printable
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, Invalid, NotFound, Throttled
from webapp.extensions import utc_now
from webapp.history.rules import LEFT_OUT, Kind, count_left_out
from webapp.history.services import Subject, record
from webapp.users import passwords
from webapp.users.models import User
from webapp.users.queries import list_password_methods
from webapp.users.services import (
    Bond,
    about,
    clean_password_of,
    lock_user,
    lock_with_actor,
    note_password_method,
    note_sign_in,
    renew_hash,
    store_password,
)
from webapp.users.standing import lock_standing, lock_users


class KnownDevice(NamedTuple):
    """What a browser keeps of a sign-in: whose it was, its id, and the epoch of then."""

    user_id: int
    id: str
    epoch: int


REFUSED = N_("E-mail or password is wrong, or this account may not sign in here.")


def sign_in(
    *,
    email: str,
    password: str,
    address: str,
    user_agent: str,
    device: KnownDevice | None = None,
    earlier: str | None = None,
    actor: Actor,
) -> str:
    """Answer the token of a new session, which ends the one with the token ``earlier``.

    ``device`` is what the browser keeps of a former sign-in: that person's attempts in it are counted apart.

    Raises Invalid with one and the same message, after the same work, whether the account does not
    exist, is inactive, may not sign in or has another password (ASVS 5.0 6.3.8); raises Throttled, and Busy.
    The slow hash is compared while no lock is held, so that nobody waits for it. The place to hash in is
    taken before the attempt is counted: what finds none costs no write, and was no guess.
    """
    found = find_credentials(email)
    known = _recognize(device, found)
    try:
        throttle.refuse_throttled(email=email, address=address, device=known)
    except Throttled:
        if known is None or known.former_of is None:
            raise
        known = None  # others share what it is counted by; without its cookie it could try as well
        throttle.refuse_throttled(email=email, address=address)
    with passwords.take_place():
        counted = _count_attempt(email=email, address=address, device=known, actor=actor)
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


def _recognize(device: KnownDevice | None, found: Credentials | None) -> throttle.Device | None:
    if device is None or found is None or device.user_id != found.user_id:
        return None
    return throttle.Device(device.id, former_of=None if device.epoch == found.epoch else found.user_id)


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
def _record_refusal(
    found: Credentials | None, *, email: str, reason: str, actor: Actor, left_out: int = 0
) -> None:
    """What was typed is kept only where it is the address of somebody: it may have been a password."""
    subject = Subject(found.user_id, found.name) if found else None
    facts = {"reason": reason, **({LEFT_OUT: left_out} if left_out else {})}
    record(Kind.SIGN_IN_FAILED, actor=actor, subject=subject, facts=facts)


def _count_attempt(
    *, email: str, address: str, device: throttle.Device | None = None, actor: Actor
) -> throttle.Counted:
    """Raises Throttled. Of those that are counted beyond a limit the 1st, the 10th and so on are recorded;
    most are refused before they are counted. So a flood is seen, and does not fill the history.
    """
    try:
        return throttle.count_attempt(email=email, address=address, device=device)
    except Throttled as error:
        left_out = count_left_out(error.refused)
        if left_out is not None:
            found = find_credentials(email)
            _record_refusal(found, email=email, reason="throttled", actor=actor, left_out=left_out)
        raise


def require_current_password(
    user: User,
    *,
    password: str,
    address: str,
    session_id: int | None = None,
    actor: Actor,
    field: str = "current_password",
) -> throttle.Counted:
    """For one who is signed in, and gives their password once more. Slow: call it in no transaction.

    Counted by their session, so that no stranger can use their attempts up. Answer what was counted, to be
    given back. Raises Invalid on the ``field`` where it is another, and
    Throttled where too many were, which are recorded; and Busy.
    """
    device = _open_session_as_device(user.id, session_id)
    throttle.refuse_throttled(email=user.email, address=address, device=device)
    with passwords.take_place():
        counted = _count_attempt(email=user.email, address=address, device=device, actor=actor)
        is_right = passwords.verify_password(user.hashed_password, password)
    if not is_right:
        _record_wrong_password(user, actor)
        raise Invalid(N_("This is not your present password."), field=field)
    return counted


def _open_session_as_device(user_id: int | None, session_id: int | None) -> throttle.Device | None:
    return None if session_id is None else throttle.Device(f"session {session_id} of {user_id}")


@atomic
def _record_wrong_password(user: User, actor: Actor) -> None:
    record(Kind.SIGN_IN_FAILED, actor=actor, subject=about(user), facts={"reason": "current_password"})


@atomic
def _start_session(
    found: Credentials,
    *,
    email: str,
    address: str,
    user_agent: str,
    rehashed_password: str | None,
    device: throttle.Device | None = None,
    earlier: str | None = None,
    counted: throttle.Counted = (),
    actor: Actor,
) -> str:
    """The epoch is the one the password was compared under: changed meanwhile, it lets nobody in."""
    lock_users([found.user_id])
    if not is_epoch(found.user_id, found.epoch):
        raise Invalid(REFUSED)
    token = open_session(user_id=found.user_id, epoch=found.epoch, address=address, user_agent=user_agent)
    note_sign_in(found.user_id)
    if rehashed_password is not None:
        renew_hash(found.user_id, old=found.hashed_password or "", new=rehashed_password)
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
            address=printable(address[:LONGEST_ADDRESS]),
            user_agent=printable(user_agent[:LONGEST_AGENT]),
        )
    )
    session.flush()
    _end_surplus(user_id, epoch=epoch, address=address)
    return token


def _end_surplus(user_id: int, *, epoch: int, address: str) -> None:
    """Of more than MAX_SESSIONS of a person, whose row is locked, those end that were used least lately."""
    session = get_session()
    own = SignInSession.user_id == user_id, SignInSession.epoch == epoch
    latest = SignInSession.last_seen_at.desc(), SignInSession.id.desc()
    ids = select(SignInSession.id).where(*own).order_by(*latest)
    surplus = session.scalars(ids).all()[MAX_SESSIONS:]
    if not surplus:
        return
    session.execute(delete(SignInSession).where(SignInSession.id.in_(surplus)))
    user = session.get_one(User, user_id)
    actor = Actor(user_id=user_id, name=user.display_name, role=user.role, address=address)
    facts = {"count": len(surplus)}
    record(Kind.DEVICE_SIGNED_OUT, actor=actor, subject=Subject(user_id, user.display_name), facts=facts)


# A session that is signed out must not give access to anything that it has under way: each of these locks
# the user's row, under which such a change asks whether its session is still there (users/standing.py).


@atomic
def sign_out(token: str, *, actor: Actor) -> None:
    of_token = select(SignInSession.user_id).where(SignInSession.token_hash == hash_token(token))
    lock_users(get_session().scalars(of_token))
    gone = delete(SignInSession).where(SignInSession.token_hash == hash_token(token))
    if get_session().execute(gone.returning(SignInSession.id)).one_or_none() is not None:
        record(Kind.SIGNED_OUT, actor=actor, subject=Subject(actor.user_id, actor.name))


@atomic
def revoke_session(session: SignInSession, *, actor: Actor) -> None:
    """Sign out one of the actor's own devices."""
    if session.user_id != actor.user_id:
        raise NotFound(N_("This device is signed out already."))
    lock_standing(actor)
    gone = delete(SignInSession).where(SignInSession.id == session.id)
    if get_session().execute(gone.returning(SignInSession.id)).one_or_none() is not None:
        record(Kind.DEVICE_SIGNED_OUT, actor=actor, subject=Subject(actor.user_id, actor.name))


@atomic
def revoke_other_sessions(*, keep: int | None, actor: Actor) -> int:
    """Sign out all of the actor's devices but the one with session id ``keep``; tells how many."""
    lock_standing(actor)
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


@atomic
def mark_notices(session_id: int, *, since: datetime | None) -> None:
    """Note from when on this session shows what happened to the account; None when it was acknowledged."""
    own = update(SignInSession).where(SignInSession.id == session_id)
    get_session().execute(own.values(notices_since=since))


def change_password(
    user: User,
    *,
    current: str,
    new: str,
    address: str,
    user_agent: str,
    session_id: int | None = None,
    actor: Actor,
) -> str:
    """Answer the token of a session that replaces all earlier ones.

    Raises Invalid on the field, Throttled when the present password was guessed too often, SignInEnded.
    """
    verified = user.hashed_password
    with passwords.take_place():
        counted = require_current_password(
            user, password=current, address=address, session_id=session_id, actor=actor
        )
        cleaned = clean_password_of(user, new)
        if passwords.is_same(current, cleaned):
            raise Invalid(N_("This is your current password. Choose another one."), field="new_password")
        hashed = passwords.hash_password(cleaned)
    return _replace_password(
        user,
        verified=verified,
        hashed=hashed,
        address=address,
        user_agent=user_agent,
        counted=counted,
        actor=actor,
    )


@atomic
def _replace_password(
    user: User,
    *,
    verified: str | None,
    hashed: str,
    address: str,
    user_agent: str,
    counted: throttle.Counted,
    actor: Actor,
) -> str:
    """All in one transaction: a change that is said to have failed signs out no device. ``verified`` is the
    hash that the current password was compared with.
    """
    actor = lock_with_actor(user, actor)
    if user.hashed_password != verified:
        raise Invalid(N_("Your password was changed meanwhile. Enter the new one."), field="current_password")
    store_password(user, hashed=hashed, actor=actor)
    token = open_session(user_id=user.id, epoch=user.session_epoch, address=address, user_agent=user_agent)
    throttle.give_back(counted)
    throttle.forget_attempts(email=user.email, address=address)
    return token


def confirm_identity(
    user: User, *, password: str, session_id: int | None, address: str, actor: Actor
) -> None:
    """Note in the actor's session that they have just given their password.

    Raises Invalid on the field, Throttled and Busy; SignInEnded when the session ended meanwhile.
    """
    email, hashed = user.email, user.hashed_password
    counted = require_current_password(
        user, password=password, address=address, session_id=session_id, actor=actor, field="password"
    )
    _confirm_session(session_id, hashed=hashed, email=email, address=address, counted=counted, actor=actor)


@atomic
def _confirm_session(
    session_id: int | None,
    *,
    hashed: str | None,
    email: str,
    address: str,
    counted: throttle.Counted,
    actor: Actor,
) -> None:
    """The password that was compared must still be the one there is, and the session not be ended."""
    session = get_session()
    lock_standing(actor)
    if session.scalar(select(User.hashed_password).where(User.id == actor.user_id)) != hashed:
        raise Invalid(N_("Your password was changed just now. Enter the new one."), field="password")
    own = update(SignInSession).where(SignInSession.id == session_id, SignInSession.user_id == actor.user_id)
    session.execute(own.values(confirmed_at=utc_now()))
    throttle.give_back(counted)
    device = _open_session_as_device(actor.user_id, session_id)
    throttle.forget_attempts(email=email, address=address, device=device)


@atomic
def create_password_link(user: User, *, actor: Actor) -> tuple[str, datetime]:
    """Answer the token, to be shown once, and when it expires; an earlier link of the person dies.

    A link is made by another: by one of their own, a stolen session would set a password without the current
    one, and replace the link that is to put it out.
    """
    session = get_session()
    actor = lock_with_actor(user, actor)
    actor.require(Permission.USERS_PASSWORD_LINK, on=user.role)
    if actor.user_id == user.id:
        raise Conflict(N_("You cannot make a password link for yourself. Change your password instead."))
    if not user.is_active:
        raise Conflict(N_("This user is inactive. Activate the user first."))
    actor.require_confirmation(N_("Create a password link for %(name)s"), name=user.display_name)
    token, expires_at = new_token(), utc_now() + LINK_LIFETIME
    session.execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    session.add(
        PasswordLink(
            user_id=user.id,
            token_hash=hash_token(token),
            email_key=user.email_key,
            epoch=user.session_epoch,
            creator_id=actor.user_id,
            creator_epoch=actor.epoch,
            expires_at=expires_at,
        )
    )
    session.flush()
    record(Kind.LINK_MADE, actor=actor, subject=about(user))
    return token, expires_at


def carry_or_end_link(user: User, before: Bond, *, is_own: bool) -> None:
    """An open link outlives what its person's own session changes: else a stolen session could end it in a
    loop, and the reset that is to put it out would never succeed.

    What others change ends it for good: an epoch never comes back, but an e-mail may.
    """
    bound = update(PasswordLink).where(
        PasswordLink.user_id == user.id,
        PasswordLink.epoch == before.epoch,
        PasswordLink.email_key == before.email_key,
    )
    if is_own:
        get_session().execute(bound.values(epoch=user.session_epoch, email_key=user.email_key))
    elif before.email_key != user.email_key:
        get_session().execute(bound.values(expires_at=utc_now()))


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
    lock_users(list_link_people(token))  # first, as everywhere: no two can wait crosswise
    user = get_link_owner(token)
    lock_user(user)
    spent = delete(PasswordLink).where(PasswordLink.token_hash == hash_token(token))
    if get_session().execute(spent.returning(PasswordLink.id)).one_or_none() is None:
        raise NotFound(LINK_IS_DEAD)
    own = replace(actor, user_id=user.id, name=user.display_name, role=user.role)
    store_password(user, hashed=hashed, actor=own)
    throttle.forget_attempts(email=user.email, address=address)
    return user
