"""A statement on Postgres sees what was there when it began, and what others do while it waits counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, sleep

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from tests.conftest import insert_users
from tests.credits.ways import TERMINAL, find_faults, grant, transfer, withdraw
from tests.history.ways import assert_intact
from tests.racing import race
from webapp.credits.models import ACCOUNTS
from webapp.credits.queries import Movement, list_balances
from webapp.credits.rules import FULLEST_CENTS
from webapp.db import atomic, attempt, get_session
from webapp.errors import Conflict, Invalid
from webapp.users import trash
from webapp.users.queries import get_user

Act = Callable[[], object]
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
PEOPLE = (1, 2, 3, 4)
IS_WAITED_FOR = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
    " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
)


@pytest.fixture
def people(file_app: Flask) -> Flask:
    """The first has 10.00, the third 1.00, and the others have no account."""
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in PEOPLE])
        grant(1, 1_000)
        grant(3, 100)
    return file_app


def let_wait(app: Flask, *holding: Act, waiting: Act, then: Act = lambda: None) -> object:
    """What ``waiting`` comes to, which begins once all of ``holding`` is done, and waits until that is
    committed; or is undone, where ``then``, done while it waits, is refused.
    """

    @atomic
    def hold() -> None:
        for act in holding:
            act()
        futures.append(threads.submit(race, app, waiting))
        deadline = monotonic() + 20
        while not get_session().scalar(IS_WAITED_FOR):
            assert monotonic() < deadline, "nobody waits"
            sleep(0.01)
        then()

    futures: list[Future[list[object]]] = []
    with ThreadPoolExecutor(1) as threads, app.app_context():
        with suppress(Conflict):
            hold()
        [outcome] = futures[0].result(timeout=60)
    return outcome


def assert_balances(app: Flask, *cents: int) -> None:
    with app.app_context():
        balances = list_balances(PEOPLE)
        assert tuple(balances.get(user_id, 0) for user_id in PEOPLE) == cents
        assert find_faults() == []
    assert_intact(app)


@on_postgres
def test_what_the_sender_receives_meanwhile_can_be_sent(people: Flask) -> None:
    outcome = let_wait(people, lambda: transfer(1, 3, 500), waiting=lambda: transfer(3, 1, 550))
    assert isinstance(outcome, Movement), outcome
    assert_balances(people, 1_050, 0, 50, 0)


@on_postgres
def test_a_sender_whose_account_is_made_meanwhile_can_send(people: Flask) -> None:
    outcome = let_wait(people, lambda: transfer(1, 2, 500), waiting=lambda: transfer(2, 1, 50))
    assert isinstance(outcome, Movement), outcome
    assert_balances(people, 550, 450, 100, 0)


@on_postgres
def test_a_sender_who_receives_without_being_waited_for_can_send(people: Flask) -> None:
    """He comes first, and what he had when the statement began was too little: nothing to wait for."""
    outcome = let_wait(people, lambda: grant(3, 500), waiting=lambda: transfer(3, 4, 550))
    assert isinstance(outcome, Movement), outcome
    assert_balances(people, 1_000, 0, 50, 550)


@on_postgres
def test_an_account_that_is_emptied_meanwhile_can_receive(people: Flask) -> None:
    full = update(ACCOUNTS).where(ACCOUNTS.c.user_id == 3).values(balance_cents=FULLEST_CENTS)
    with people.app_context():
        atomic(lambda: get_session().execute(full))()
    outcome = let_wait(people, lambda: withdraw(3, 100), waiting=lambda: transfer(1, 3, 100))
    assert isinstance(outcome, Movement), outcome
    with people.app_context():
        assert list_balances([1, 3]) == {1: 900, 3: FULLEST_CENTS}


@on_postgres
def test_a_recipient_who_comes_back_meanwhile_can_receive(people: Flask) -> None:
    with people.app_context():
        trash.delete_user(get_user(4), version=1, actor=TERMINAL)
    outcome = let_wait(
        people,
        lambda: grant(1, 1),
        lambda: trash.restore_user(4, actor=TERMINAL),
        waiting=lambda: transfer(1, 4, 50),
    )
    assert isinstance(outcome, Movement), outcome
    assert_balances(people, 951, 0, 100, 50)


@on_postgres
def test_a_recipient_who_is_added_meanwhile_can_receive(people: Flask) -> None:
    outcome = let_wait(
        people,
        lambda: grant(1, 1),
        lambda: insert_users([{"email": "5@example.org", "full_name": ""}]),
        waiting=lambda: transfer(1, 5, 50),
    )
    assert isinstance(outcome, Movement), outcome
    with people.app_context():
        assert list_balances([1, 5]) == {1: 951, 5: 50}
        assert find_faults() == []


@on_postgres
def test_who_waits_for_a_key_whose_holder_is_refused_may_spend_what_came_meanwhile(people: Flask) -> None:
    def be_refused() -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(race, people, lambda: grant(2, 50)).result(timeout=60)
        raise Conflict("refused")

    outcome = let_wait(
        people,
        lambda: transfer(1, 3, 1, key="k"),
        waiting=lambda: transfer(2, 4, 50, key="k"),
        then=be_refused,
    )
    assert isinstance(outcome, Movement), outcome
    assert not outcome.is_repeated
    assert_balances(people, 1_000, 0, 100, 50)


@on_postgres
def test_what_is_too_little_after_the_wait_is_refused_by_what_there_is_then(people: Flask) -> None:
    outcome = let_wait(people, lambda: transfer(1, 2, 500), waiting=lambda: transfer(2, 1, 501))
    assert isinstance(outcome, Conflict), outcome
    assert "the balance is 5.00" in str(outcome)
    assert_balances(people, 500, 500, 100, 0)


@on_postgres
def test_it_is_the_same_inside_another_transaction(people: Flask) -> None:
    @atomic
    def send_after_a_grant() -> None:
        grant(4, 7)
        transfer(2, 1, 50, key="k")

    assert let_wait(people, lambda: transfer(1, 2, 500), waiting=send_after_a_grant) is None
    assert_balances(people, 550, 450, 100, 7)


def test_what_is_refused_inside_another_transaction_leaves_nothing_of_itself(people: Flask) -> None:
    """No account, and no side that could be changed: 1 has enough, and 3 would hold too much."""
    full = update(ACCOUNTS).where(ACCOUNTS.c.user_id == 3).values(balance_cents=FULLEST_CENTS)

    @atomic
    def send_what_can_be() -> None:
        for order in (
            lambda: transfer(2, 4, 1),
            lambda: transfer(1, 3, 1, key="k"),
            lambda: transfer(1, 99, 1),
        ):
            with pytest.raises((Conflict, Invalid)):
                attempt(order)
        transfer(1, 4, 1, key="k")

    with people.app_context():
        atomic(lambda: get_session().execute(full))()
        send_what_can_be()
        assert set(get_session().scalars(select(ACCOUNTS.c.user_id))) == {1, 3, 4}
        assert list_balances(PEOPLE) == {1: 999, 3: FULLEST_CENTS, 4: 1}
    assert_intact(people)
