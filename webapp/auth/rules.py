"""Limits of signing in, secrets, and where one may land; no database, no Flask."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from hashlib import sha256

TOKEN_BYTES = 32
LINK_LIFETIME = timedelta(hours=24)
LONGEST_SESSION = timedelta(days=90)  # no setting lets one live longer
SEEN_INTERVAL = timedelta(minutes=1)  # last_seen_at is written at most this often

# OWASP ASVS 5.0 6.3.1. By account against one person's password, by address against many people's.
WINDOW = timedelta(minutes=15)
MOST_PER_ACCOUNT = 10
MOST_PER_ADDRESS = 100


def new_token() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """SHA-256: a random token needs no slow hash, and a stolen table opens nothing."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def safe_path(target: str, fallback: str) -> str:
    r"""``target`` when it is a path on this site, else ``fallback``.

    Browsers read "//host" and "/\host" as another site, and drop tabs and line breaks first.
    """
    if len(target) > 2000 or not re.fullmatch(r"/(?![/\\])[^\x00-\x20\x7f\\]*", target):  # noqa: PLR2004
        return fallback
    return target


def printable(header: str) -> str:
    """What of a header can be stored and shown: Postgres takes no NUL, and nobody needs the others."""
    return "".join(character for character in header if character.isprintable())


_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_label(user_agent: str) -> tuple[str, str]:
    """The browser's and the system's name as far as the header tells; empty where it does not."""
    browser = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return browser, system
