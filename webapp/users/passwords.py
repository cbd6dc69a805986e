"""Hashing passwords: argon2id, and at most two at once in a process.

Unlimited concurrent sign-ins would be the cheapest way to take the site down.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.security import check_password_hash

from webapp.errors import N_, Busy
from webapp.text import MAX_TYPED
from webapp.users.rules import LONGEST_PASSWORD

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_places = BoundedSemaphore(2)
LONGEST_WAIT_SECONDS = 5
GENERATED_BYTES = 16


def hash_password(password: str) -> str:
    """Raises Busy when the machine cannot keep up."""
    with _place():
        return _hasher.hash(_normalize(password))


def verify_password(hashed: str | None, password: str) -> bool:
    """Takes the same time when there is no hash, so that time does not tell whether an account exists.

    What is longer than any password can be typed is no one's, and is not looked at.
    """
    if len(password) > LONGEST_PASSWORD * MAX_TYPED:
        return False
    if hashed is not None and not hashed.startswith("$argon2"):
        with _place():
            return _verify_werkzeug(hashed, password)
    with _place():
        try:
            _hasher.verify(hashed or _nobodys_hash(), _normalize(password))
        except (VerificationError, InvalidHashError):
            return False
    return hashed is not None


def _verify_werkzeug(hashed: str, password: str) -> bool:
    """From an application taken over; a method that is none any more opens to nobody."""
    try:
        return check_password_hash(hashed, password)
    except ValueError:
        return False


def is_same(one: str, other: str) -> bool:
    return _normalize(one) == _normalize(other)


def needs_rehash(hashed: str) -> bool:
    return not hashed.startswith("$argon2") or _hasher.check_needs_rehash(hashed)


def generate_password() -> str:
    """128 random bits (ASVS 5.0 11.5.1)."""
    return secrets.token_urlsafe(GENERATED_BYTES)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())


def _normalize(password: str) -> bytes:
    """One password whichever keyboard typed it (NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(timeout=LONGEST_WAIT_SECONDS):
        raise Busy(N_("Too many people are signing in right now. Try again in a moment."))
    try:
        yield
    finally:
        _places.release()
