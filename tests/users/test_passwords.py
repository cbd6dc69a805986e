"""Hashing: the parameters of the day, old hashes still good, and no way to make it a burden."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from time import sleep

import pytest
from argon2 import PasswordHasher, extract_parameters
from werkzeug.security import generate_password_hash

from tests.conftest import PASSWORD
from webapp.errors import Busy
from webapp.users import passwords
from webapp.users.passwords import generate_password, hash_password, needs_rehash, verify_password


class WatchedHasher(PasswordHasher):
    """Counts what is verified, and how many work at the same time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = self.working = self.most = 0
        self.lock = Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        with self.lock:
            self.verified += 1
            self.working += 1
            self.most = max(self.most, self.working)
        sleep(0.005)  # long enough for the others to come in, if they could
        try:
            return super().verify(hash, password)
        finally:
            with self.lock:
                self.working -= 1


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> WatchedHasher:
    watched = WatchedHasher()
    monkeypatch.setattr(passwords, "_hasher", watched)
    passwords._nobodys_hash.cache_clear()
    monkeypatch.setattr(passwords, "LONGEST_WAIT_SECONDS", 30)
    return watched


def test_the_parameters_are_those_of_owasp(hashed_password: str) -> None:
    assert hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    parameters = extract_parameters(hashed_password)
    assert parameters.salt_len >= 16
    assert parameters.hash_len >= 32


def test_the_right_password_opens_and_another_does_not(hashed_password: str) -> None:
    assert verify_password(hashed_password, PASSWORD)
    assert not verify_password(hashed_password, PASSWORD + " ")
    assert not verify_password(hashed_password, "")


LONG = "Orchard lantern velvet " * 11 + "x1"


@pytest.mark.parametrize(
    "tried",
    [LONG.lower(), LONG.swapcase(), LONG[:-1], LONG[:72], f"{LONG}1", f" {LONG}", LONG.replace(" ", "")],
)
def test_a_password_is_compared_whole_and_in_its_case(hasher: WatchedHasher, tried: str) -> None:
    """No part that is left out, however long it is; bcrypt would look at 72 bytes."""
    assert len(LONG) == 255
    hashed = hash_password(LONG)
    assert verify_password(hashed, LONG)
    assert not verify_password(hashed, tried)


def test_a_password_is_compared_in_its_compatible_form() -> None:
    hashed = hash_password("Rene\u0301 lantern velvet")
    assert verify_password(hashed, "René lantern velvet")


@pytest.mark.parametrize("method", ["scrypt:1024:8:1", "pbkdf2:sha256:1000"])
def test_hashes_of_werkzeug_are_still_verified_and_due_for_renewal(method: str) -> None:
    hashed = generate_password_hash(PASSWORD, method=method)
    assert verify_password(hashed, PASSWORD)
    assert not verify_password(hashed, "another")
    assert needs_rehash(hashed)


def test_weaker_parameters_are_due_for_renewal_and_ours_are_not(hashed_password: str) -> None:
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))
    assert not needs_rehash(hashed_password)


@pytest.mark.parametrize(
    "hashed", ["", "plain", "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$x$y", "scrypt:1:1$a$b"]
)
def test_a_damaged_hash_opens_to_nobody(hashed: str) -> None:
    assert not verify_password(hashed, PASSWORD)
    assert not verify_password(hashed, "")


@pytest.mark.parametrize("password", ["\0", "\ud800", "x" * 1_000_000])
def test_any_text_can_be_tried(hashed_password: str, password: str) -> None:
    assert not verify_password(hashed_password, password)


def test_nobodys_password_costs_a_verification_too(hasher: WatchedHasher) -> None:
    assert not verify_password(None, PASSWORD)
    assert hasher.verified == 1


def test_no_more_than_two_are_hashed_at_once(hasher: WatchedHasher) -> None:
    hashed = hasher.hash(PASSWORD)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: verify_password(hashed, PASSWORD), range(24)))
    assert hasher.verified == 24
    assert hasher.most == 2


def test_who_waits_too_long_is_told_that_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "LONGEST_WAIT_SECONDS", 0.01)
    with ExitStack() as places:
        places.enter_context(passwords._place())
        places.enter_context(passwords._place())
        with ThreadPoolExecutor(1) as thread, pytest.raises(Busy):
            thread.submit(verify_password, None, PASSWORD).result()
    assert not verify_password(None, PASSWORD), "the places are free again"


def test_generated_passwords_are_long_and_never_the_same() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) >= 22 for password in made), "128 random bits"
