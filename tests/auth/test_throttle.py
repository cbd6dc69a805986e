"""Attempts are counted exactly: by account and by address, over restarts, and when sent at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.racing import count_kinds, race
from webapp.auth.models import Attempts
from webapp.auth.rules import (
    MAX_PER_DEVICE,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
    MOST_PER_PAIR,
    WINDOW,
)
from webapp.auth.throttle import Device, count_attempt, forget_attempts, give_back, refuse_throttled
from webapp.db import get_session
from webapp.errors import Throttled

ANN = "ann@example.org"
DEVICE = Device("a device")


def use_up(email: str = ANN, address: str = "192.0.2.1") -> None:
    for _ in range(MOST_PER_PAIR):
        count_attempt(email=email, address=address)


def let_pass(time: timedelta) -> None:
    """Move all that was counted into the past."""
    session = get_session()
    for key, started_at in session.execute(select(Attempts.key, Attempts.started_at)).all():
        session.execute(update(Attempts).where(Attempts.key == key).values(started_at=started_at - time))
    session.commit()


def test_the_limits_are_those_of_the_design() -> None:
    assert (MOST_PER_PAIR, MOST_PER_ADDRESS, MOST_PER_ACCOUNT, MAX_PER_DEVICE) == (10, 100, 100, 10)
    assert timedelta(minutes=15) == WINDOW


def test_the_eleventh_attempt_on_an_account_must_wait(context: Flask) -> None:
    use_up()
    with pytest.raises(Throttled, match="15 min") as refusal:
        count_attempt(email=ANN, address="192.0.2.1")
    assert 14 * 60 < refusal.value.retry_after <= 15 * 60 + 1


@pytest.mark.parametrize("spelling", ["ANN@EXAMPLE.ORG", " ann@example.org ", "ａｎｎ@example.org"])
def test_another_spelling_is_the_same_account(context: Flask, spelling: str) -> None:
    use_up()
    with pytest.raises(Throttled):
        count_attempt(email=spelling, address="192.0.2.1")


def test_another_account_is_not_held_up(context: Flask) -> None:
    use_up()
    count_attempt(email="bob@example.org", address="192.0.2.1")


def test_a_stranger_cannot_lock_a_person_out_from_one_address(context: Flask) -> None:
    use_up(address="203.0.113.9")
    with pytest.raises(Throttled):
        count_attempt(email=ANN, address="203.0.113.9")
    count_attempt(email=ANN, address="192.0.2.1")


def test_an_account_is_guessed_at_a_hundred_times_from_everywhere_together(context: Flask) -> None:
    for number in range(MOST_PER_ACCOUNT):
        count_attempt(email=ANN, address=f"198.51.100.{number}")
    with pytest.raises(Throttled):
        count_attempt(email=ANN, address="192.0.2.1")


def test_all_addresses_of_one_ipv6_network_count_as_one(context: Flask) -> None:
    for number in range(MOST_PER_ADDRESS):
        count_attempt(email=f"person{number}@example.org", address=f"2001:db8::{number:x}")
    with pytest.raises(Throttled):
        count_attempt(email="one.more@example.org", address="2001:db8::ffff:1")
    count_attempt(email="one.more@example.org", address="2001:db8:0:1::1")


def test_what_is_refused_stores_nothing_more(context: Flask) -> None:
    for number in range(MOST_PER_ADDRESS):
        count_attempt(email=f"person{number}@example.org", address="192.0.2.1")
    stored = select(func.count()).select_from(Attempts)
    before = get_session().scalar(stored)
    for number in range(5):
        with pytest.raises(Throttled):
            count_attempt(email=f"new{number}@example.org", address="192.0.2.1")
    assert get_session().scalar(stored) == before


def test_an_address_may_try_a_hundred_times_whatever_the_accounts(context: Flask) -> None:
    for number in range(MOST_PER_ADDRESS):
        count_attempt(email=f"person{number}@example.org", address="192.0.2.1")
    with pytest.raises(Throttled):
        count_attempt(email="one.more@example.org", address="192.0.2.1")
    count_attempt(email="one.more@example.org", address="192.0.2.2")


def test_waiting_is_told_ever_shorter_and_then_over(context: Flask) -> None:
    use_up()
    let_pass(timedelta(minutes=14))
    with pytest.raises(Throttled) as refusal:
        count_attempt(email=ANN, address="192.0.2.1")
    assert 1 <= refusal.value.retry_after <= 61
    let_pass(timedelta(minutes=1, seconds=1))
    count_attempt(email=ANN, address="192.0.2.1")


def test_trying_on_does_not_prolong_the_wait(context: Flask) -> None:
    use_up()
    let_pass(timedelta(minutes=10))
    for _ in range(5):
        with pytest.raises(Throttled) as refusal:
            count_attempt(email=ANN, address="192.0.2.1")
        assert refusal.value.retry_after <= 5 * 60 + 1


def test_an_office_signs_in_as_often_as_it_likes(context: Flask) -> None:
    """Successes do not count against the address."""
    for number in range(MOST_PER_ADDRESS + 20):
        counted = count_attempt(email=f"person{number}@example.org", address="192.0.2.1")
        give_back(counted)
    assert set(get_session().scalars(select(Attempts.tried))) == {0}


def test_a_success_gives_back_no_attempt_of_others(context: Flask) -> None:
    """One valid account in the office does not buy guesses at the others."""
    for number in range(MOST_PER_ADDRESS - 1):
        count_attempt(email=f"victim{number}@example.org", address="192.0.2.1")
        counted = count_attempt(email=ANN, address="192.0.2.1")
        give_back(counted)
        forget_attempts(email=ANN, address="192.0.2.1")
    count_attempt(email="last@example.org", address="192.0.2.1")
    with pytest.raises(Throttled):
        count_attempt(email="one.more@example.org", address="192.0.2.1")


def test_what_is_given_back_late_is_none_of_the_next_window(context: Flask) -> None:
    counted = count_attempt(email=ANN, address="192.0.2.1")
    let_pass(WINDOW + timedelta(seconds=1))
    count_attempt(email=ANN, address="192.0.2.1")
    give_back(counted)
    assert get_session().scalars(select(Attempts.tried)).all() == [1, 1, 1]


def test_successes_sent_at_once_are_all_given_back(file_app: Flask) -> None:
    def succeed() -> None:
        give_back(count_attempt(email=ANN, address="192.0.2.1"))

    outcomes = race(file_app, *[succeed] * 8)
    assert count_kinds(outcomes) == {type(None): 8}
    with file_app.app_context():
        assert set(get_session().scalars(select(Attempts.tried))) == {0}


def test_a_known_device_is_counted_by_itself(context: Flask) -> None:
    for number in range(MOST_PER_ACCOUNT):
        count_attempt(email=ANN, address=f"198.51.100.{number}")
    for _ in range(MAX_PER_DEVICE):
        count_attempt(email=ANN, address="198.51.100.1", device=DEVICE)
    with pytest.raises(Throttled):
        count_attempt(email=ANN, address="192.0.2.1", device=DEVICE)
    count_attempt(email=ANN, address="192.0.2.1", device=Device("another"))


def test_a_success_in_a_known_device_leaves_what_strangers_have_guessed(context: Flask) -> None:
    for number in range(MOST_PER_ACCOUNT):
        count_attempt(email=ANN, address=f"198.51.100.{number}")
    count_attempt(email=ANN, address="192.0.2.1", device=DEVICE)
    forget_attempts(email=ANN, address="192.0.2.1", device=DEVICE)
    with pytest.raises(Throttled):
        count_attempt(email=ANN, address="192.0.2.1")
    for _ in range(MAX_PER_DEVICE):
        count_attempt(email=ANN, address="192.0.2.1", device=DEVICE)


def test_devices_of_before_an_end_of_all_sessions_are_counted_together(context: Flask) -> None:
    """Who had the password may have made any number of them, by signing in again and again."""
    for number in range(MOST_PER_ACCOUNT):
        count_attempt(email=ANN, address="192.0.2.1", device=Device(f"device {number}", former_of=1))
    fresh = Device("one more", former_of=1)
    with pytest.raises(Throttled):
        count_attempt(email=ANN, address="192.0.2.1", device=fresh)
    with pytest.raises(Throttled):
        refuse_throttled(email=ANN, address="192.0.2.1", device=fresh)
    count_attempt(email=ANN, address="192.0.2.1", device=DEVICE)
    count_attempt(email=ANN, address="192.0.2.1", device=Device("of another", former_of=2))


@pytest.mark.parametrize("device", [None, DEVICE])
def test_what_would_be_refused_is_refused_without_writing(context: Flask, device: Device | None) -> None:
    most = MOST_PER_PAIR if device is None else MAX_PER_DEVICE
    for _ in range(most):
        refuse_throttled(email=ANN, address="192.0.2.1", device=device)
        count_attempt(email=ANN, address="192.0.2.1", device=device)
    refuse_throttled(email=ANN, address="192.0.2.1", device=device)
    with pytest.raises(Throttled) as first:  # which is counted, so that one worker records it
        count_attempt(email=ANN, address="192.0.2.1", device=device)
    assert first.value.refused == 1
    with pytest.raises(Throttled) as refusal:
        refuse_throttled(email=ANN, address="192.0.2.1", device=device)
    assert 14 * 60 < refusal.value.retry_after <= 15 * 60 + 1
    assert max(get_session().scalars(select(Attempts.tried))) == most + 1
    let_pass(WINDOW + timedelta(seconds=1))
    refuse_throttled(email=ANN, address="192.0.2.1", device=device)


def test_success_gives_the_account_all_attempts_back_but_not_the_address(context: Flask) -> None:
    use_up()
    forget_attempts(email="Ann@Example.org", address="192.0.2.1")
    use_up()
    session = get_session()
    assert sorted(session.scalars(select(Attempts.tried))) == [
        MOST_PER_PAIR,
        MOST_PER_PAIR,
        2 * MOST_PER_PAIR,
    ]


def test_what_is_over_is_swept_away_and_what_is_stored_names_nobody(context: Flask) -> None:
    use_up()
    let_pass(WINDOW + timedelta(seconds=1))
    count_attempt(email="bob@example.org", address="192.0.2.9")
    rows = get_session().scalars(select(Attempts)).all()
    assert len(rows) == 3
    assert all(len(row.key) == 64 and "bob" not in row.key for row in rows)


@pytest.mark.parametrize("email", ["", "\0", "\ud800", "x" * 1_000_000], ids=lambda text: ascii(text[:6]))
def test_any_text_can_be_counted(context: Flask, email: str) -> None:
    count_attempt(email=email, address="192.0.2.1")
    assert get_session().scalar(select(func.count()).select_from(Attempts)) == 3


def test_of_many_attempts_at_once_no_more_than_the_limit_get_through(file_app: Flask) -> None:
    outcomes = race(file_app, *[lambda: count_attempt(email=ANN, address="192.0.2.1")] * 32)
    assert count_kinds(outcomes) == {tuple: MOST_PER_PAIR, Throttled: 32 - MOST_PER_PAIR}
