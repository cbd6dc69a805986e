"""Hashing passwords: argon2id, in few places, and always the same work.

Unlimited concurrent sign-ins would be the cheapest way to take the site down. So one password is hashed at a
time in a process, by a thread that lets pages go first, another may be next in line, and all others are
refused at once: they would only hold the threads that answer pages.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.security import check_password_hash

from webapp.errors import N_, Busy
from webapp.text import MAX_TYPED
from webapp.users.rules import LONGEST_PASSWORD

T = TypeVar("T")

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
CURRENT_METHOD = "$argon2id$v=19$m=19456,t=2,p=1"
MAX_PLACES = 2
NICENESS = 10  # of the thread that hashes
GENERATED_BYTES = 16

# What a hash tells of the work that it takes: all before the salt.
_METHOD = re.compile(
    r"(\$argon2id?\$v=\d{1,3}\$m=\d{1,7},t=\d{1,4},p=\d{1,3}|scrypt:\d{1,7}:\d{1,3}:\d{1,3}"
    r"|pbkdf2:[a-z0-9_]{1,20}(?::\d{1,8})?)\$"
)
# Sixteen bytes of salt and a digest of 32, as good as any other where nothing shall match.
_NO_ARGON2, _NO_WERKZEUG = f"$AAAAAAAAAAAAAAAAAAAAAA${'A' * 43}", "$AAAAAAAAAAAAAAAA$00"

BUSY = N_("Too many people are signing in right now. Try again in a moment.")
_free = deque(range(MAX_PLACES))  # places; append and pop are atomic, and to look at it takes none
_held = threading.local()


@contextmanager
def take_place() -> Iterator[None]:
    """Hold one of the places while the block runs; an inner call joins. Raises Busy at once where all are
    taken.
    """
    if getattr(_held, "is_held", False):
        yield
        return
    try:
        place = _free.pop()
    except IndexError:
        raise Busy(BUSY) from None
    _held.is_held = True
    try:
        yield
    finally:
        _held.is_held = False
        _free.append(place)


def is_full() -> bool:
    """Whether take_place() would raise, as of this moment."""
    return not _free


def hash_password(password: str) -> str:
    """Raises Busy when the machine cannot keep up."""
    return _work(lambda: _hasher.hash(_normalize(password)))


def verify_password(hashed: str | None, password: str, *, methods: Collection[str] = ()) -> bool:
    """Do the work of the present method, of all ``methods`` and of the hash's own, whatever the hash is.

    So time tells neither whether there is a hash nor of which method. What is longer than any password can be
    typed is no one's, and is not looked at. Raises Busy.
    """
    if len(password) > LONGEST_PASSWORD * MAX_TYPED:
        return False
    own = method_of(hashed) if hashed else None
    matches = False
    for method in sorted({CURRENT_METHOD, *methods, *([own] if own else [])}):
        is_own = hashed is not None and method == own
        checked = hashed if is_own and hashed else _dummy(method)
        matches |= _work(partial(_verify, checked, password)) and is_own
    return matches


def method_of(hashed: str) -> str | None:
    """What the work of verifying depends on: None for what is no hash that could open."""
    found = _METHOD.match(hashed)
    return found[1] if found else None


def _verify(hashed: str, password: str) -> bool:
    """Of argon2, or of Werkzeug from an application taken over; what is damaged opens to nobody."""
    try:
        if hashed.startswith("$argon2"):
            return _hasher.verify(hashed, _normalize(password))
        return check_password_hash(hashed, password)
    except (VerificationError, InvalidHashError, ValueError):
        return False


def is_same(one: str, other: str) -> bool:
    return _normalize(one) == _normalize(other)


def _dummy(method: str) -> str:
    """A hash of that method that no password matches."""
    return method + (_NO_ARGON2 if method.startswith("$argon2") else _NO_WERKZEUG)


def needs_rehash(hashed: str) -> bool:
    return not hashed.startswith("$argon2") or _hasher.check_needs_rehash(hashed)


def generate_password() -> str:
    """128 random bits (ASVS 5.0 11.5.1)."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def _normalize(password: str) -> bytes:
    """One password whichever keyboard typed it (NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _work(function: Callable[[], T]) -> T:
    with take_place():
        return _hashing_thread().submit(function).result()


@lru_cache(maxsize=1)
def _hashing_thread() -> ThreadPoolExecutor:
    """Made at the first hash, so by a worker and not by the process that it was forked from."""
    return ThreadPoolExecutor(1, "hashing", initializer=_go_last)


def _go_last() -> None:
    """Linux counts niceness by thread; elsewhere the number names no process, and it goes with the others."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
