"""The sign-in of one browser: a token in Flask's signed cookie, looked up on each request."""

from __future__ import annotations

import logging
from functools import partial
from hashlib import sha256

from flask import Flask, Request, current_app, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Door
from webapp.access.guards import is_unattended
from webapp.access.identity import Identity, door_of_request, find_identity
from webapp.access.permissions import may_sign_in
from webapp.auth import services
from webapp.auth.queries import find_session, is_session_open
from webapp.auth.rules import SEEN_INTERVAL
from webapp.config import Settings
from webapp.extensions import utc_now
from webapp.web.language import forget_language
from webapp.web.resend import BROWSER

logger = logging.getLogger(__name__)

_TOKEN = "token"  # noqa: S105 - the key's name


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
    """All but which browser this is, to which a form kept for sending again is bound."""
    browser = session.get(BROWSER)
    session.clear()
    if browser is not None:
        session[BROWSER] = browser


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


def remote_address() -> str:
    return request.remote_addr or ""


def user_agent() -> str:
    return request.user_agent.string
