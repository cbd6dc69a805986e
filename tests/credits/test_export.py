"""The ledger as a file, read a part at a time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import insert

from tests.conftest import MakeUser
from tests.credits.ways import SUPPORT, grant, transfer
from webapp.credits.export import HEAD, note_export, read_ledger
from webapp.credits.models import POSTINGS, TRANSFERS
from webapp.db import get_session
from webapp.errors import Forbidden
from webapp.extensions import sqla, utc_now
from webapp.listing.page import WALKED_AT_ONCE


def test_a_line_says_what_when_how_much_and_who(context: Flask, make_user: MakeUser) -> None:
    make_user(full_name="Ann"), make_user(full_name="Bob")
    grant(1, 500)
    transfer(1, 2, 125, actor=SUPPORT)
    [lines] = read_ledger(1)
    first, second = (dict(zip(HEAD, line, strict=True)) for line in lines)
    assert (first["amount"], first["balance"], first["other_id"]) == (Decimal("5.00"), Decimal("5.00"), None)
    assert (second["amount"], second["balance"], second["other_name"]) == (
        *(Decimal("-1.25"), Decimal("3.75")),
        "Bob",
    )
    assert second["actor_id"] == SUPPORT.user_id


def test_a_long_one_comes_in_parts_between_which_nothing_is_held(context: Flask, make_user: MakeUser) -> None:
    make_user()
    many, at = WALKED_AT_ONCE + 10, utc_now()
    with sqla.engine.begin() as connection:
        common = {"amount_cents": 1}
        transfers = [
            {**common, "id": n, "from_user_id": 0, "to_user_id": 1, "reason": "", "created_at": at}
            for n in range(1, many + 1)
        ]
        connection.execute(insert(TRANSFERS), transfers)
        postings = [
            {**common, "transfer_id": n, "user_id": 1, "balance_cents": n, "at": at}
            for n in range(1, many + 1)
        ]
        connection.execute(insert(POSTINGS), postings)
    sizes = []
    for lines in read_ledger(1):
        sizes.append(len(lines))
        assert not get_session().in_transaction()
    assert sizes == [WALKED_AT_ONCE, 10]


def test_only_who_may_takes_it_out(context: Flask, make_user: MakeUser) -> None:
    make_user()
    with pytest.raises(Forbidden):
        note_export(1, actor=SUPPORT)
