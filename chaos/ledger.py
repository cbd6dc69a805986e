"""What must be true of all credits after those transfers, whatever became of the workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from flask import Flask
from sqlalchemy import func, select, text

from chaos.transfers import FIRST_CENTS, MADE, REFUSED, Order, Run, Sent
from webapp.credits.models import TRANSFERS
from webapp.credits.proof import Proof
from webapp.credits.queries import list_balances
from webapp.db import get_session
from webapp.db.session import lift_time_limit
from webapp.history.models import ENTRIES
from webapp.history.proof import find_faults
from webapp.history.rules import Kind
from webapp.users.queries import find_existing


def find_violations(app: Flask, done: Run) -> list[str]:
    with app.app_context():
        lift_time_limit(get_session())
        made = _read_made()
        return [
            *_check_answers(done.sent, made),
            *_check_orders(done.orders, made),
            *_check_balances(done),
            *_check_database(done),
        ]


def _read_made() -> dict[str, list[tuple[int, Order]]]:
    """By the mark: each transfer of that mark, with its id."""
    columns = (TRANSFERS.c.id, TRANSFERS.c.reason, TRANSFERS.c.from_user_id, TRANSFERS.c.to_user_id)
    made: dict[str, list[tuple[int, Order]]] = defaultdict(list)
    for transfer_id, *order in get_session().execute(select(*columns, TRANSFERS.c.amount_cents)):
        made[order[0]].append((transfer_id, Order(*order)))
    return made


def _check_answers(sent: list[Sent], made: dict[str, list[tuple[int, Order]]]) -> Iterator[str]:
    """What was answered is so, and both times the same."""
    for it in sent:
        expected = REFUSED if it.order.is_overdraft else MADE
        if it.status != expected:
            yield f"{it.order} was answered {it.status}: {it.text[:200]}"
        elif it.status == MADE and [it.transfer_id] != [number for number, _ in made.get(it.order.mark, [])]:
            yield f"{it.order} was answered with transfer {it.transfer_id}, and there is another"
    times = Counter(it.order.mark for it in sent)
    yield from (f"{mark} was answered {number} times" for mark, number in times.items() if number != 2)  # noqa: PLR2004


def _check_orders(orders: list[Order], made: dict[str, list[tuple[int, Order]]]) -> Iterator[str]:
    """Each is made once, an overdraft never."""
    for order in orders:
        found = [it for _, it in made.get(order.mark, [])]
        if found != ([] if order.is_overdraft else [order]):
            yield f"{order} is there as {found}"


def _check_balances(done: Run) -> Iterator[str]:
    expected = dict.fromkeys(done.user_ids, FIRST_CENTS)
    for order in done.orders:
        if not order.is_overdraft:
            expected[order.from_user_id] -= order.cents
            expected[order.to_user_id] += order.cents
    for user_id, held in list_balances(done.user_ids).items():
        if held != expected.pop(user_id):
            yield f"user {user_id} has {held} cents"
    yield from (f"user {user_id} has no account" for user_id in expected)


def _check_database(done: Run) -> Iterator[str]:
    session = get_session()
    transferred = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == Kind.TRANSFERRED.value)
    expected = 2 * sum(not order.is_overdraft for order in done.orders)
    if (number := session.scalar(transferred)) != expected:
        yield f"the history tells {number} times of a transfer, and should {expected} times"
    for lane in find_faults(find_existing):
        yield f"the history, lane {lane.lane}: entry {lane.number} {lane.what}"
    proof = Proof()
    for fault in proof.find_faults():
        yield f"the ledger: {fault.thing} {fault.number} {fault.what}"
    if proof.sum_of_postings:
        yield f"all postings sum up to {proof.sum_of_postings} cents"
    if session.get_bind().dialect.name == "postgresql":
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        if number := session.scalar(deadlocks):
            yield f"the database broke {number} deadlocks"
