"""A form that arrived when nobody was signed in any more, or with an old token, kept for sending again.

What was typed travels through the sign-in page in a sealed hidden field: nothing is stored. The seal
names the browser that sent it, so nobody can slip a form into somebody else's sign-in. Passwords are
never kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from flask import current_app, request, session
from itsdangerous import BadData, URLSafeTimedSerializer

from webapp.config import Settings

LARGEST_BYTES = 256 * 1024
MAX_SEALED = 4 * LARGEST_BYTES
LIFETIME_SECONDS = 24 * 3600
CAME_FROM = "confirmation-from"  # a field: what page_before() was before the password was asked for again
BROWSER = "browser"  # in the cookie: which browser this is; outlives a sign-in
_NEVER_KEPT = ("csrf_token", "resend", CAME_FROM)


@dataclass(frozen=True, slots=True)
class Resend:
    """``fields`` are the (name, value) pairs of the form, in their order, for ``path``."""

    endpoint: str
    path: str
    fields: list[tuple[str, str]]


def capture_form() -> str:
    """The present request's form, sealed; empty when there is nothing that may be offered again."""
    if request.method != "POST" or is_cross_site() or request.endpoint is None:
        return ""
    if is_too_large():
        return ""
    browser = session.setdefault(BROWSER, secrets.token_urlsafe())
    return _serializer().dumps([browser, request.endpoint, request.full_path.rstrip("?"), _typed()])


def is_too_large() -> bool:
    """Whether the present request's form is more than a page to sign in carries."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in _typed()) > LARGEST_BYTES


def _typed() -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in _NEVER_KEPT and "password" not in name
    ]


def sent_seal() -> str:
    """What the present request carries as a form kept before; empty for what cannot be one."""
    sealed = request.form.get("resend", "")
    return sealed if len(sealed) <= MAX_SEALED and sealed.isascii() else ""


def open_form(sealed: str) -> Resend | None:
    """None for anything that was not sealed for this browser within the last day."""
    if not sealed:
        return None
    try:
        browser, endpoint, path, fields = _serializer().loads(sealed, max_age=LIFETIME_SECONDS)
    except BadData:
        return None
    if browser != session.get(BROWSER):
        return None
    return Resend(endpoint, path, [(name, value) for name, value in fields])


def is_cross_site() -> bool:
    """Whether the browser says that another site sent this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and _split(origin).netloc != request.host


def is_same_site() -> bool:
    """Whether the browser says that a page of ours sent it; a client that says nothing is neither."""
    said = "Sec-Fetch-Site" in request.headers or "Origin" in request.headers
    return said and not is_cross_site()


def page_before() -> str:
    """Where the form stood: its own address when that can be opened, else the page that sent it."""
    if CAME_FROM in request.form:
        return request.form[CAME_FROM]
    rule = request.url_rule
    if rule is not None and "GET" in (rule.methods or ()):
        return request.full_path.rstrip("?")
    referrer = _split(request.referrer or "")
    if referrer.netloc != request.host:
        return ""
    return referrer.path + (f"?{referrer.query}" if referrer.query else "")


def _split(address: str) -> SplitResult:
    """What a client sends need be no address: then it has no parts."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _serializer() -> URLSafeTimedSerializer:
    settings: Settings = current_app.extensions["settings"]
    return URLSafeTimedSerializer(settings.signing_keys, salt="dossier.resend")
