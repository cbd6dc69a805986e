"""/.well-known/security.txt: where to report a vulnerability (RFC 9116)."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, current_app, request, url_for
from werkzeug.exceptions import NotFound

from webapp.access.guards import requires
from webapp.access.permissions import Permission
from webapp.config import Settings
from webapp.extensions import utc_now

VALID_FOR = timedelta(days=90)  # 2.5.5: less than a year; it is written new for each request

blueprint = Blueprint("security_txt", __name__)


@blueprint.get("/.well-known/security.txt")
@requires(Permission.PUBLIC)
def show_security_contact() -> tuple[str, dict[str, str]]:
    """Answer 404 where no contact is set."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.security_contact:
        raise NotFound
    expires = (utc_now() + VALID_FOR).date()
    lines = [
        f"Contact: {settings.security_contact}",
        f"Expires: {expires.isoformat()}T00:00:00Z",
        "Preferred-Languages: en, fr",
    ]
    if request.is_secure:  # 2.5.2: its address counts over https only
        lines.append(f"Canonical: {url_for('security_txt.show_security_contact', _external=True)}")
    return "\n".join([*lines, ""]), {"Content-Type": "text/plain; charset=utf-8"}
