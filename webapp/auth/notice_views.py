"""Showing what happened to one's own account, after signing in and until it is acknowledged."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_identity, find_identity
from webapp.access.permissions import Permission
from webapp.auth import services
from webapp.auth.browser import note_seen, note_sign_in_here, seen_until
from webapp.auth.models import SignInSession
from webapp.auth.notices import MAX_FAILURES, Notices, find_last_here, find_notices
from webapp.auth.queries import get_own_session
from webapp.auth.rules import safe_path
from webapp.errors import NotFound
from webapp.history.timeline import make_lines
from webapp.web.language import gettext, ngettext
from webapp.web.times import format_number

blueprint = Blueprint("notices", __name__, url_prefix="/auth/notices")


def begin_notices() -> bool:
    """Find what happened since the person was last here, and tell whether there is anything to show them.

    There is nothing where their new session has ended already: it is born dead if the password that was
    compared has been replaced meanwhile.
    """
    if find_identity() is None:
        return False
    try:
        session = _own_session()
    except NotFound:
        return False
    since = find_last_here(session.user_id, until=session.created_at, seen=seen_until(session.user_id))
    is_news = since is not None and not _find(session, since).is_empty
    if is_news and since is not None:
        services.mark_notices(session.id, since=since)
    note_sign_in_here(session.user_id, seen=since if is_news else None)
    return is_news


@blueprint.get("/")
@requires(Permission.OWN_ACCOUNT)
def show_notices() -> str:
    session = _own_session()
    notices = _find(session, session.notices_since) if session.notices_since else None
    return render_template(
        "auth/notices.html",
        notices=notices,
        lines=make_lines(notices.stories, current_identity().actor, {}) if notices else [],
        failures=_count_failures(notices.failures) if notices and notices.failures else "",
        next_url=_next_url(),
    )


@blueprint.post("/")
@requires(Permission.OWN_ACCOUNT)
def acknowledge_notices() -> Response:
    session = _own_session()
    services.mark_notices(session.id, since=None)
    note_seen(session.user_id)
    return redirect(_next_url(), 303)


def _own_session() -> SignInSession:
    identity = current_identity()
    return get_own_session(identity.session_id or 0, identity.id)


def _find(session: SignInSession, since: datetime) -> Notices:
    return find_notices(session.user_id, since=since, until=session.created_at, address=session.address)


def _count_failures(number: int) -> str:
    if number >= MAX_FAILURES:
        return gettext("At least %(num)s failed sign-in attempts.", num=format_number(number))
    return ngettext("%(num)s failed sign-in attempt.", "%(num)s failed sign-in attempts.", number)


def _next_url() -> str:
    return safe_path(request.values.get("next", ""), url_for("web.show_home"))
