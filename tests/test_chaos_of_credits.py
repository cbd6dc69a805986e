"""A small run of the transfers of ``make chaos``, and that what would be wrong is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import delete, insert, update

from chaos import transfers
from chaos.ledger import find_violations
from chaos.transfers import ACCOUNTS, FIRST_CENTS, MADE, OVERDRAFT_CENTS, REFUSED, Order, Run, Sent, run
from tests.conftest import MakeUser
from tests.credits.ways import grant
from webapp.access.actor import Actor
from webapp.credits.models import ACCOUNTS as HELD
from webapp.credits.models import POSTINGS, TRANSFERS
from webapp.credits.rules import order_transfer
from webapp.credits.services import move
from webapp.extensions import sqla
from webapp.history.models import ENTRIES


def test_each_transfer_is_made_once_though_workers_are_killed(
    file_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "SECONDS_TO_A_KILL", 1)
    done = run(file_app, 150)
    assert find_violations(file_app, done) == []
    assert len(done.user_ids) == ACCOUNTS
    assert len(done.orders) == 150
    assert len(done.sent) == 300
    assert {it.status for it in done.sent} == {MADE, REFUSED}


@pytest.fixture
def done(app: Flask, make_user: MakeUser) -> Run:
    """Two transfers and one that nobody could make; true as they are told."""
    ann, bob = make_user().id, make_user().id
    orders = [
        Order("one", ann, bob, 100),
        Order("two", bob, ann, 30),
        Order("three", ann, bob, OVERDRAFT_CENTS),
    ]
    sent = []
    with app.app_context():
        for user_id in (ann, bob):
            grant(user_id, FIRST_CENTS)
        for mark, sender, recipient, cents in orders[:2]:
            order = order_transfer(from_user_id=sender, to_user_id=recipient, amount_cents=cents, reason=mark)
            made = move(order, actor=Actor.command_line())
            sent += [Sent(Order(mark, sender, recipient, cents), MADE, made.id, "")] * 2
    sent += [Sent(orders[2], REFUSED, None, "")] * 2
    return Run(user_ids=[ann, bob], orders=orders, sent=sent)


def test_what_is_told_truly_has_no_violation(app: Flask, done: Run) -> None:
    assert find_violations(app, done) == []


@pytest.mark.parametrize(
    ("place", "untruth", "violation"),
    [
        (0, {"status": 500, "transfer_id": None}, "was answered 500"),
        (0, {"transfer_id": 99}, "was answered with transfer 99"),
        (4, {"status": MADE, "transfer_id": 99}, "was answered 201"),
        (2, {"status": REFUSED, "transfer_id": None}, "was answered 409"),
        (2, {"order": Order("four", 1, 2, 5)}, "two was answered 1 times"),
    ],
)
def test_an_answer_that_is_not_true_is_found(
    app: Flask, done: Run, place: int, untruth: dict[str, object], violation: str
) -> None:
    done.sent[place] = done.sent[place]._replace(**untruth)  # type: ignore[arg-type]
    assert any(violation in it for it in find_violations(app, done))


TWO = TRANSFERS.c.reason == "two"
DAMAGE: dict[str, Callable[[], object]] = {
    "has 999999931 cents": lambda: update(HELD).where(HELD.c.user_id == 1).values(balance_cents=999_999_931),
    "has no account": lambda: delete(HELD).where(HELD.c.user_id == 2),
    "to_user_id=1, cents=31": lambda: update(TRANSFERS).where(TWO).values(amount_cents=31),
    "is there as []": lambda: update(TRANSFERS).where(TWO).values(reason="else"),
    "the ledger: transfer": lambda: delete(POSTINGS).where(POSTINGS.c.id == 1),
    "all postings sum up to -30": lambda: delete(POSTINGS).where(POSTINGS.c.amount_cents == 30),
    "the history tells 3 times": lambda: delete(ENTRIES).where(ENTRIES.c.id == 6),
    "the history, lane": lambda: delete(ENTRIES).where(ENTRIES.c.id == 3),
}


@pytest.mark.parametrize("violation", DAMAGE)
def test_a_damage_to_the_database_is_found(app: Flask, done: Run, violation: str) -> None:
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(DAMAGE[violation]())  # type: ignore[call-overload]
    assert any(violation in it for it in find_violations(app, done)), find_violations(app, done)


def test_a_transfer_that_is_made_twice_is_found(app: Flask, done: Run) -> None:
    with app.app_context(), sqla.engine.begin() as connection:
        row = connection.execute(TRANSFERS.select().where(TWO)).one()._asdict()
        connection.execute(insert(TRANSFERS).values({**row, "id": 99}))
    violations = find_violations(app, done)
    assert any("is there as" in it for it in violations)
    assert any("and there is another" in it for it in violations)
