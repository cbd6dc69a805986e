"""Hashing: the parameters of the day, old hashes still good, and no way to make it a burden."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from time import sleep

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from werkzeug.security import check_password_hash, generate_password_hash

from tests.conftest import PASSWORD
from tests.racing import places_taken
from webapp.errors import Busy
from webapp.users import passwords
from webapp.users.passwords import (
    generate_password,
    hash_password,
    is_full,
    method_of,
    needs_rehash,
    take_place,
    verify_password,
)


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
    monkeypatch.setattr(passwords, "CURRENT_METHOD", passwords.method_of(watched.hash("")))
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


def test_one_is_hashed_at_a_time_and_who_finds_no_place_is_refused(hasher: WatchedHasher) -> None:
    hashed = hasher.hash(PASSWORD)

    def verify(_: int) -> bool | None:
        try:
            return verify_password(hashed, PASSWORD)
        except Busy:
            return None

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(verify, range(64)))
    assert set(outcomes) == {True, None}
    assert hasher.verified == outcomes.count(True)
    assert hasher.most == 1


def test_who_finds_no_place_is_told_at_once(hashed_password: str) -> None:
    with places_taken():
        started = time.perf_counter()
        assert is_full()
        with pytest.raises(Busy):
            verify_password(hashed_password, PASSWORD)
        assert time.perf_counter() - started < 0.5
    assert not is_full()


def test_looking_for_a_place_takes_none() -> None:
    """In a flood many look, and who comes to a free place would find none."""
    is_over = Event()

    def look() -> None:
        while not is_over.is_set():
            is_full()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(look)
        try:
            for _ in range(5_000):
                with take_place():
                    pass
        finally:
            is_over.set()


def test_a_place_is_taken_once_for_all_that_is_hashed_in_it(hashed_password: str) -> None:
    with take_place(), take_place(), take_place():
        assert verify_password(hashed_password, PASSWORD)
    with places_taken():
        assert is_full()


OLD_HASHES = {
    "scrypt": generate_password_hash(PASSWORD, method="scrypt:1024:8:1"),
    "pbkdf2": generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000"),
    "weak argon2": PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD),
}


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
@pytest.mark.parametrize("whose", [*OLD_HASHES, "current", "none", "damaged"])
def test_the_work_is_the_same_whatever_the_hash(
    monkeypatch: pytest.MonkeyPatch, hashed_password: str, whose: str, password: str
) -> None:
    """Each method once, whichever is the hash's own, so that no clock tells it."""
    hashes = {**OLD_HASHES, "current": hashed_password, "none": None, "damaged": "scrypt:x$y$z"}
    methods = [method for hashed in OLD_HASHES.values() if (method := method_of(hashed))]
    worked: list[str | None] = []
    verify = passwords._verify

    def watch(hashed: str, typed: str) -> bool:
        worked.append(method_of(hashed))
        return verify(hashed, typed)

    monkeypatch.setattr(passwords, "_verify", watch)
    opens = verify_password(hashes[whose], password, methods=methods)
    assert sorted(filter(None, worked)) == sorted([passwords.CURRENT_METHOD, *methods])
    assert len(worked) == len(methods) + 1
    assert opens == (password == PASSWORD and whose not in {"none", "damaged"})


OLD_METHODS = [method for hashed in OLD_HASHES.values() if (method := method_of(hashed))]


@pytest.mark.parametrize("method", [*OLD_METHODS, passwords.CURRENT_METHOD])
def test_the_work_for_nobody_is_that_of_a_hash(method: str) -> None:
    """That the stand-in is really computed, and not thrown out for its form."""
    dummy = passwords._dummy(method)
    assert method_of(dummy) == method
    if method.startswith("$argon2"):
        with pytest.raises(VerifyMismatchError):
            PasswordHasher().verify(dummy, PASSWORD)
    else:
        assert not check_password_hash(dummy, PASSWORD)


def test_generated_passwords_are_long_and_never_the_same() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) >= 22 for password in made), "128 random bits"
