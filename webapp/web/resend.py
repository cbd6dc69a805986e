"""A form that arrived when nobody was signed in any more, or with an old token, kept for sending again.

What was typed travels through the sign-in page in a sealed hidden field: nothing is stored, and
only what this person's browser sent comes back to him. Passwords are never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

LARGEST_BYTES = 256 * 1024
LIFETIME_SECONDS = 24 * 3600
_NEVER_KEPT = ("csrf_token", "resend")


@dataclass(frozen=True, slots=True)
class Resend:
    """``fields`` are the (name, value) pairs of the form, in their order, for ``path``."""

    path: str
    fields: list[tuple[str, str]]


def capture_form() -> str:
    """The present request's form, sealed; empty when there is nothing that may be offered again."""
    if request.method != "POST" or is_cross_site() or request.endpoint is None:
        return ""
    if request.endpoint.startswith("auth.sign_"):
        return ""
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in _NEVER_KEPT and "password" not in name
    ]
    size = sum(len(name) + len(value) for name, value in fields)
    return _serializer().dumps([request.full_path.rstrip("?"), fields]) if size <= LARGEST_BYTES else ""


def open_form(sealed: str) -> Resend | None:
    """None for anything that this application did not seal within the last day."""
    if not sealed:
        return None
    try:
        path, fields = _serializer().loads(sealed, max_age=LIFETIME_SECONDS)
    except BadData:
        return None
    return Resend(path, [(name, value) for name, value in fields])


def is_cross_site() -> bool:
    """Whether the browser says that another site sent this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="dossier.resend")
