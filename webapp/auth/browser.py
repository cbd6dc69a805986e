"""The sign-in of one browser: a token in Flask's signed cookie, looked up on each request."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256

from flask import Flask, Request, current_app, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from webapp.access.actor import Door
from webapp.access.guards import is_unattended
from webapp.access.identity import Identity, door_of_request, find_identity
from webapp.access.permissions import may_sign_in
from webapp.auth import services
from webapp.auth.queries import find_session, is_session_open
from webapp.auth.rules import DEVICE_LIFETIME, MAX_CONFIRMATION_AGE, SEEN_INTERVAL, new_token
from webapp.config import Settings
from webapp.extensions import utc_now
from webapp.web.language import forget_language
from webapp.web.resend import BROWSER

logger = logging.getLogger(__name__)

_TOKEN = "token"  # noqa: S105 - the key's name
_SEEN = "seen"  # who signed in here last, until when they were told of their account, and when that was


class PageSessions(SecureCookieSessionInterface):
    """Flask's session, for the pages alone: a program has its token, and its calls read and set no cookie."""

    digest_method = staticmethod(sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if door_of_request() is Door.API else super().open_session(app, request)


def settings() -> Settings:
    found: Settings = current_app.extensions["settings"]
    return found


def load_identity() -> Identity | None:
    token = session.get(_TOKEN)
    if not isinstance(token, str):
        return None
    row = find_session(token, settings())
    if row is None or not may_sign_in(row.role):
        return None
    now = utc_now()
    if now - row.last_seen_at > SEEN_INTERVAL and not is_unattended():
        _mark_seen(row.session_id)
    return Identity(
        id=row.id,
        email=row.email,
        full_name=row.full_name,
        role=row.role,
        language=row.language,
        time_zone=row.time_zone,
        session_id=row.session_id,
        epoch=row.session_epoch,
        credential=partial(is_session_open, row.session_id),
        is_confirmed=now - row.confirmed_at < MAX_CONFIRMATION_AGE,
        notices_since=row.notices_since,
        must_change_password=row.must_change_password,
    )


def _mark_seen(session_id: int) -> None:
    """Best effort: that nothing can be written just now is no reason to refuse reading."""
    try:
        services.mark_seen(session_id, utc_now())
    except SQLAlchemyError:
        logger.warning("could not note when session %d was last seen", session_id, exc_info=True)


def reload_identity() -> None:
    """The profile has changed: the rest of this request speaks the language just chosen."""
    g.pop("identity", None)
    forget_language()
    find_identity()


def remember_token(token: str) -> None:
    """Start with an empty cookie: nothing of before the sign-in survives (session fixation)."""
    _clear_cookie()
    session[_TOKEN] = token
    for name in ("identity", "csrf_token"):
        g.pop(name, None)
    forget_language()


def _clear_cookie() -> None:
    """All but which browser this is, to which a form kept for sending again is bound, and what it showed."""
    kept = {name: session[name] for name in (BROWSER, _SEEN) if name in session}
    session.clear()
    session.update(kept)


def note_sign_in_here(user_id: int, *, seen: datetime | None = None) -> None:
    """Note that the person has signed in here, and has seen what happened to their account until ``seen``;
    None is until now.
    """
    now = utc_now()
    session[_SEEN] = [user_id, (seen or now).timestamp(), now.timestamp()]


def note_seen(user_id: int) -> None:
    """Note that the person has seen all that happened until they signed in here."""
    match session.get(_SEEN):
        case [known, _, signed_in] if known == user_id:
            session[_SEEN] = [user_id, signed_in, signed_in]


def seen_until(user_id: int) -> datetime | None:
    """Return up to when the person has seen what happened; None where another signed in here since."""
    match session.get(_SEEN):
        case [known, float(seen), _] if known == user_id:
            return datetime.fromtimestamp(seen, UTC)
    return None


def known_token() -> str | None:
    """That of the session which this browser is in, or was."""
    token = session.get(_TOKEN)
    return token if isinstance(token, str) else None


def forget_token() -> str | None:
    """Empty the cookie; the token that was in it."""
    token = session.get(_TOKEN)
    _clear_cookie()
    g.pop("csrf_token", None)
    g.identity = None
    return token if isinstance(token, str) else None


def had_token() -> bool:
    """Whether this browser was signed in before: then its session has ended, else it never began."""
    return _TOKEN in session


def find_device() -> services.KnownDevice | None:
    """Return who has signed in in this browser before; it opens nothing (throttle.py)."""
    try:
        user_id, device, epoch = _device_serializer().loads(
            request.cookies.get(_device_cookie(), ""), max_age=int(DEVICE_LIFETIME.total_seconds())
        )
    except (BadData, TypeError, ValueError):
        return None
    return services.KnownDevice(user_id, device, epoch)


def remember_device(response: Response, user_id: int, *, epoch: int) -> None:
    """Give this browser an id for attempts of that person, or keep the one of the present epoch: who has a
    copy of an older one uses up that one's attempts alone.
    """
    found = find_device()
    is_present = found is not None and found.user_id == user_id and found.epoch == epoch
    device = found.id if found and is_present else new_token()
    response.set_cookie(
        _device_cookie(),
        _device_serializer().dumps([user_id, device, epoch]),
        max_age=DEVICE_LIFETIME,
        secure=settings().session_cookie_secure,
        httponly=True,
        samesite="Lax",
    )


def _device_cookie() -> str:
    return f"{current_app.config['SESSION_COOKIE_NAME']}-device"


def _device_serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().signing_keys, salt="device")


def remote_address() -> str:
    return request.remote_addr or ""


def user_agent() -> str:
    return request.user_agent.string
