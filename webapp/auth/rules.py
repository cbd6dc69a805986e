"""Limits of signing in, secrets, and where one may land; no database, no Flask."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from webapp.access.address import read_address

TOKEN_BYTES = 32
LONGEST_PATH = 6000
LINK_LIFETIME = timedelta(hours=24)
LONGEST_SESSION = timedelta(days=90)  # no setting lets one live longer
MAX_CONFIRMATION_AGE = timedelta(minutes=10)  # after it, what gives or takes access asks for the password
MAX_SESSIONS = 50  # of one person: with one more, the one that was used least lately ends
SEEN_INTERVAL = timedelta(minutes=1)  # last_seen_at is written at most this often

# OWASP ASVS 5.0 6.3.1: of one account from one address, of many accounts from one address, and of one
# account from many addresses, which is allowed more, so that nobody can lock a colleague out easily.
WINDOW = timedelta(minutes=15)
MOST_PER_PAIR = 10
MOST_PER_ADDRESS = 100
MOST_PER_ACCOUNT = 100
# A browser in which this account has signed in before is counted by itself: strangers cannot use its attempts
# up, wherever and however often they guess.
MAX_PER_DEVICE = 10
DEVICE_LIFETIME = timedelta(days=400)  # browsers keep no cookie for longer


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
    if len(target) > LONGEST_PATH or not re.fullmatch(r"/(?![/\\])[^\x00-\x20\x7f\\]*", target):
        return fallback
    return target


def network_of(address: str) -> str:
    """Whom an address is counted as: an IPv6 user owns a whole /64 of them (RFC 6177).

    All that is no address is counted as one.
    """
    parsed = ip_address(clean) if (clean := read_address(address)) else None
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return clean


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
