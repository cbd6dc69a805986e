"""The proof holds of what services wrote, and finds each single row that somebody else wrote."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Delete, Insert, Update, delete, insert, update
from sqlalchemy.exc import IntegrityError

from tests.conftest import MakeUser, insert_users
from tests.credits.ways import find_faults, grant, transfer, withdraw
from tests.racing import race
from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.proof import Fault, Proof
from webapp.credits.queries import list_balances
from webapp.credits.rules import BANK
from webapp.db import atomic, get_session
from webapp.extensions import sqla, utc_now


@pytest.fixture
def moved(context: Flask, make_user: MakeUser) -> Flask:
    """User 1 has 6.00 and user 2 3.00; 1.00 was withdrawn; user 3 has had 2.00, which went back."""
    for _ in range(3):
        make_user()
    grant(1, 1000)
    transfer(1, 2, 300)
    transfer(1, 3, 200)
    transfer(3, 1, 200)
    withdraw(1, 100)
    return context


def test_what_was_moved_by_the_services_agrees(moved: Flask) -> None:
    proof = Proof()
    assert list(proof.find_faults()) == []
    assert (proof.transfers, proof.postings, proof.accounts) == (5, 10, 3)
    assert (proof.sum_of_postings, proof.sum_of_balances) == (0, 900)


def test_of_nothing_it_holds_too(context: Flask) -> None:
    assert find_faults() == []


Damage = Callable[[], Delete | Update | Insert]
_posting = POSTINGS.c
AT = utc_now()

# Whatever is changed in one row, or taken out, or put in; and what is named then.
DAMAGES: dict[str, tuple[Damage, set[tuple[str, int]]]] = {
    "more in an account": (
        lambda: update(ACCOUNTS).where(ACCOUNTS.c.user_id == 2).values(balance_cents=301),
        {("account", 2)},
    ),
    "another's account": (
        lambda: update(ACCOUNTS).where(ACCOUNTS.c.user_id == 2).values(user_id=4),
        {("account", 2), ("account", 4)},
    ),
    "no account": (lambda: delete(ACCOUNTS).where(ACCOUNTS.c.user_id == 1), {("account", 1)}),
    "an account out of nothing": (
        lambda: insert(ACCOUNTS).values(user_id=4, balance_cents=1, changed_at=AT),
        {("account", 4)},
    ),
    "an account of the bank": (
        lambda: insert(ACCOUNTS).values(user_id=BANK, balance_cents=1, changed_at=AT),
        {("account", BANK)},
    ),
    "another amount of a transfer": (
        lambda: update(TRANSFERS).where(TRANSFERS.c.id == 2).values(amount_cents=299),
        {("transfer", 2)},
    ),
    "another sender": (
        lambda: update(TRANSFERS).where(TRANSFERS.c.id == 2).values(from_user_id=3),
        {("transfer", 2)},
    ),
    "another recipient": (
        lambda: update(TRANSFERS).where(TRANSFERS.c.id == 1).values(to_user_id=3),
        {("transfer", 1)},
    ),
    "no transfer": (lambda: delete(TRANSFERS).where(TRANSFERS.c.id == 2), {("posting", 3), ("posting", 4)}),
    "the last transfer is gone": (
        lambda: delete(TRANSFERS).where(TRANSFERS.c.id == 5),
        {("posting", 9), ("posting", 10)},
    ),
    "a transfer without postings": (
        lambda: insert(TRANSFERS).values(
            created_at=AT, from_user_id=1, to_user_id=2, amount_cents=1, reason=""
        ),
        {("transfer", 6)},
    ),
    "another amount of a posting": (
        lambda: update(POSTINGS).where(_posting.id == 4).values(amount_cents=299),
        {("transfer", 2), ("posting", 4)},
    ),
    "another amount of the bank's posting": (
        lambda: update(POSTINGS).where(_posting.id == 1).values(amount_cents=-999),
        {("transfer", 1)},
    ),
    "another balance of a posting": (
        lambda: update(POSTINGS).where(_posting.id == 3).values(balance_cents=701),
        {("posting", 3), ("posting", 5)},
    ),
    "another balance of the last posting": (
        lambda: update(POSTINGS).where(_posting.id == 4).values(balance_cents=301),
        {("posting", 4), ("account", 2)},
    ),
    "another user of a posting": (
        lambda: update(POSTINGS).where(_posting.id == 4).values(user_id=4),
        {("transfer", 2), ("account", 2), ("account", 4)},
    ),
    "another transfer of a posting": (
        lambda: update(POSTINGS).where(_posting.id == 4).values(transfer_id=1, user_id=2),
        {("transfer", 1), ("transfer", 2)},
    ),
    "another time of a posting": (
        lambda: update(POSTINGS).where(_posting.id == 2).values(at=AT + timedelta(days=1)),
        {("posting", 3), ("posting", 2), ("account", 1)},
    ),
    "no posting": (
        lambda: delete(POSTINGS).where(_posting.id == 4),
        {("transfer", 2), ("account", 2)},
    ),
    "no posting of the bank": (lambda: delete(POSTINGS).where(_posting.id == 1), {("transfer", 1)}),
    "one posting more": (
        lambda: insert(POSTINGS).values(
            at=AT + timedelta(days=1), transfer_id=2, user_id=3, amount_cents=5, balance_cents=5
        ),
        {("transfer", 2), ("account", 3)},
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_row_that_was_tampered_with_is_found(moved: Flask, name: str) -> None:
    damage, named = DAMAGES[name]
    tamper(damage())
    assert {(fault.thing, fault.number) for fault in find_faults()} == named


def tamper(statement: Delete | Update | Insert) -> None:
    """Past the services, and past the foreign key, as whoever owns the database can."""
    get_session().rollback()
    with sqla.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        is_sqlite = connection.dialect.name == "sqlite"
        driver.execute("PRAGMA foreign_keys = OFF" if is_sqlite else "SET session_replication_role = replica")
        try:
            connection.execute(statement)
            connection.commit()
        finally:
            driver.execute("PRAGMA foreign_keys = ON" if is_sqlite else "RESET session_replication_role")


def test_the_database_itself_refuses_what_cannot_be(moved: Flask) -> None:
    """The last line, should a service be wrong one day."""
    for statement in (
        update(ACCOUNTS).where(ACCOUNTS.c.user_id == 2).values(balance_cents=-1),
        update(ACCOUNTS).where(ACCOUNTS.c.user_id == 2).values(balance_cents=10**15 + 1),
        update(TRANSFERS).where(TRANSFERS.c.id == 2).values(amount_cents=0),
        update(TRANSFERS).where(TRANSFERS.c.id == 2).values(to_user_id=1),
        update(POSTINGS).where(_posting.id == 4).values(amount_cents=0),
        update(POSTINGS).where(_posting.id == 4).values(balance_cents=None),
        update(POSTINGS).where(_posting.id == 1).values(balance_cents=1),
        insert(POSTINGS).values(at=AT, transfer_id=2, user_id=2, amount_cents=1, balance_cents=1),
        insert(POSTINGS).values(at=AT, transfer_id=99, user_id=3, amount_cents=1, balance_cents=1),
    ):
        with pytest.raises(IntegrityError):
            store(statement)
    assert find_faults() == []


@atomic
def store(statement: Update | Insert) -> None:
    get_session().execute(statement)


def test_it_takes_the_memory_of_a_thousand_rows_however_many_there_are(
    context: Flask, make_user: MakeUser
) -> None:
    make_user()
    many, at = 12_000, utc_now()
    rows = [
        {"id": n, "from_user_id": BANK, "to_user_id": 1, "amount_cents": 1, "reason": "", "created_at": at}
        for n in range(1, many + 1)
    ]
    sides = [
        {"transfer_id": n, "user_id": user, "amount_cents": cents, "balance_cents": held, "at": at}
        for n in range(1, many + 1)
        for user, cents, held in ((BANK, -1, None), (1, 1, n))
    ]
    with sqla.engine.begin() as connection:
        connection.execute(insert(TRANSFERS), rows)
        connection.execute(insert(POSTINGS), sides)
        connection.execute(insert(ACCOUNTS).values(user_id=1, balance_cents=many, changed_at=at))
    del rows, sides
    assert find_faults() == []  # once before it counts, for what is made at the first call
    tracemalloc.start()
    try:
        assert find_faults() == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000, f"{peak:,} bytes"


def test_all_is_read_as_it_was_at_one_moment_while_others_write(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"email": f"{n}@example.org", "full_name": ""} for n in (1, 2)])
        grant(1, 500)
        tamper(update(TRANSFERS).values(amount_cents=499))
        reading = Proof().find_faults()
        first = next(reading)  # in the middle of it
        race(file_app, lambda: transfer(1, 2, 100))
        assert [first, *reading] == [Fault("transfer", 1, "is not what its postings say")]
        assert list_balances([1, 2]) == {1: 400, 2: 100}
