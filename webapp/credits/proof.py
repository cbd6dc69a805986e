"""Proof that transfers, postings and balances say the same, to the cent; in constant memory, however many.

The postings are read twice, each time beside what they must agree with: by transfer, each of which has two
that cancel; and by user, each of whom his own lead from nothing to his balance.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import select

from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.rules import BANK
from webapp.db import get_session
from webapp.db.session import begin_snapshot
from webapp.listing.types import AnyRow, AnySelect

ROWS_AT_ONCE = 1_000
_transfers, _postings, _accounts = TRANSFERS.c, POSTINGS.c, ACCOUNTS.c


class Fault(NamedTuple):
    """``what`` is wrong with the transfer, posting or account of that number."""

    thing: str
    number: int
    what: str


class Proof:
    """Counts while it looks for faults; sums are in cents."""

    def __init__(self) -> None:
        self.transfers = self.postings = self.accounts = 0
        self.sum_of_postings = self.sum_of_balances = 0

    def find_faults(self) -> Iterator[Fault]:
        """All is read as it is at one moment, whatever others write meanwhile; then that transaction ends."""
        transfers = select(TRANSFERS).order_by(_transfers.id)
        by_transfer = select(POSTINGS).order_by(_postings.transfer_id, _postings.user_id)
        by_user = select(POSTINGS).order_by(_postings.user_id, _postings.at, _postings.id)
        accounts = select(ACCOUNTS).order_by(_accounts.user_id)
        session = get_session()
        begin_snapshot(session)
        try:
            for number, transfer, postings in _side_by_side(transfers, "id", by_transfer, "transfer_id"):
                yield from self._check_transfer(number, transfer, list(postings))
            for user_id, account, postings in _side_by_side(accounts, "user_id", by_user, "user_id"):
                yield from self._check_user(user_id, account, postings)
        finally:
            session.rollback()

    def _check_transfer(
        self, number: int, transfer: AnyRow | None, postings: list[AnyRow]
    ) -> Iterator[Fault]:
        self.transfers += transfer is not None
        self.postings += len(postings)
        self.sum_of_postings += sum(posting.amount_cents for posting in postings)
        if transfer is None:
            yield from (Fault("posting", posting.id, "is of no transfer") for posting in postings)
            return
        cents = transfer.amount_cents
        sides = {(transfer.from_user_id, -cents), (transfer.to_user_id, cents)}
        if len(postings) != len(sides) or sides != {(it.user_id, it.amount_cents) for it in postings}:
            yield Fault("transfer", number, "is not what its postings say")

    def _check_user(
        self, user_id: int, account: AnyRow | None, postings: Iterator[AnyRow]
    ) -> Iterator[Fault]:
        balance = 0
        for posting in postings:
            if user_id == BANK:  # it holds nothing: what it gave is what others have
                continue
            balance += posting.amount_cents
            if posting.balance_cents != balance:
                yield Fault("posting", posting.id, "does not lead from the balance before it to its own")
                balance = posting.balance_cents or 0  # what comes after is judged by itself
        held = account.balance_cents if account is not None else 0
        self.accounts += account is not None
        self.sum_of_balances += held
        if held != balance:
            yield Fault("account", user_id, "does not hold what its postings lead to")


def _side_by_side(
    one: AnySelect, key: str, many: AnySelect, foreign_key: str
) -> Iterator[tuple[int, AnyRow | None, Iterator[AnyRow]]]:
    """For each number the row of ``one`` that has it as its key, and the rows of ``many`` that name it. Both
    come in that order. Each row is read once: all of a number's before the next number is asked for.
    """
    rows = merge(_read(one, key, 0), _read(many, foreign_key, 1), key=itemgetter(0, 1))
    for number, group in groupby(rows, key=itemgetter(0)):
        yield number, *_split(group)


def _split(group: Iterator[tuple[int, int, AnyRow]]) -> tuple[AnyRow | None, Iterator[AnyRow]]:
    _, which, first = next(group)
    rest = (row for _, _, row in group)
    return (first, rest) if which == 0 else (None, chain([first], rest))


def _read(statement: AnySelect, key: str, which: int) -> Iterator[tuple[int, int, AnyRow]]:
    """Some at a time, by a cursor of the database."""
    rows = get_session().execute(statement.execution_options(yield_per=ROWS_AT_ONCE))
    for row in rows:
        yield getattr(row, key), which, row
