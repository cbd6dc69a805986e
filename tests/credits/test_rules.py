"""Amounts from text, reasons and orders: what is refused, and on which field."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import TEXTS
from tests.users.test_rules import BLANK
from webapp.access.permissions import Permission
from webapp.credits.rules import (
    BANK,
    LONGEST_REASON,
    MOST_CENTS,
    Order,
    as_decimal,
    clean_reason,
    digest_key,
    order_grant,
    order_transfer,
    order_withdrawal,
    read_amount,
    read_decimal,
    require_reason,
)
from webapp.errors import Invalid
from webapp.listing.keyset import LARGEST_ID

T = TypeVar("T")


def refused_field(call: Callable[[], object]) -> str | None:
    with pytest.raises(Invalid) as refusal:
        call()
    return refusal.value.field


def attempt(call: Callable[[], T]) -> T | str | None:
    """What it answers, or the field that is refused."""
    try:
        return call()
    except Invalid as refusal:
        return refusal.field


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("12", 1200),
        ("12.5", 1250),
        ("12,50", 1250),
        (" 0.01 ", 1),
        ("0,1", 10),
        ("007", 700),
        ("1,234.50", 123_450),
        ("1 234,50", 123_450),
        ("1\u202f234\u202f567,89", 123_456_789),
        ("1\u00a0000", 100_000),
        ("1000000000.00", MOST_CENTS),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, cents: int) -> None:
    assert read_amount(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "0",
            "0.00",
            "-1",
            "+1",
            "1.234",
            "1,234",
            "1.2.3",
            "1,2,3",
            "12 50",
            "1 23",
            "1e3",
            "1.",
            ".5",
        ),
        *(
            "1000000000.01",
            "9" * 29,
            "9" * 5000,
            "NaN",
            "Infinity",
            "0x10",
            "1_0",
            "\u0661\u0662",
            "\uff11",
            "²",
        ),
        *("12.50 €", "1,234,567", "1 2345", "12\n50", "1\u20282"),
    ],
)
def test_whatever_else_is_no_amount(text: str) -> None:
    """A comma before three digits could be either thing, so it is asked again."""
    assert refused_field(lambda: read_amount(text)) == "amount"


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_an_amount_or_is_refused_as_one(name: str) -> None:
    found = attempt(lambda: read_amount(TEXTS[name]))
    assert found == "amount" or (isinstance(found, int) and 1 <= found <= MOST_CENTS)


@given(st.integers(1, MOST_CENTS), st.sampled_from(["en", "fr"]))
def test_what_a_page_shows_is_read_back_to_the_cent(cents: int, language: str) -> None:
    assert read_amount(format_decimal(as_decimal(cents), format="#,##0.00", locale=language)) == cents
    assert read_amount(str(as_decimal(cents))) == cents


@given(st.decimals(0, 10**9, places=2))
def test_a_number_of_json_is_read_without_ever_being_a_float(number: Decimal) -> None:
    text = json.dumps({"amount": str(number)})
    cents = int(number * 100)
    if cents:
        assert read_amount(json.loads(text)["amount"]) == cents


@pytest.mark.parametrize(
    ("text", "cents"), [("1.50000", 150), ("0.010", 1), ("20.000", 2000), ("100.0", 10000), ("1E+2", 10000)]
)
def test_of_a_number_the_value_counts(text: str, cents: int) -> None:
    assert read_decimal(Decimal(text)) == cents


@pytest.mark.parametrize("text", ["0.011", "1.50001", "0.000", "-0.0", "-1.50", "1e-9", "NaN"])
def test_a_number_of_no_whole_cents_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_decimal(Decimal(text))
    assert refusal.value.field == "amount"


@pytest.mark.parametrize("user_id", [BANK, -1, LARGEST_ID + 1, 2**64])
def test_nobody_moves_what_is_the_bank_s(user_id: int) -> None:
    """Else who may only transfer would grant."""
    with pytest.raises(Invalid) as refusal:
        order_transfer(from_user_id=user_id, to_user_id=5, amount_cents=1)
    assert refusal.value.field == "from_user_id"
    with pytest.raises(Invalid) as refusal:
        order_transfer(from_user_id=5, to_user_id=user_id, amount_cents=1)
    assert refusal.value.field == "to_user_id"
    assert refused_field(lambda: order_grant(to_user_id=user_id, amount_cents=1, reason="x")) == "to_user_id"
    assert (
        refused_field(lambda: order_withdrawal(from_user_id=user_id, amount_cents=1, reason="x"))
        == "from_user_id"
    )


def test_not_to_oneself() -> None:
    with pytest.raises(Invalid) as refusal:
        order_transfer(from_user_id=5, to_user_id=5, amount_cents=1)
    assert refusal.value.field == "to_user_id"


@pytest.mark.parametrize("cents", [0, -1, -(2**63), MOST_CENTS + 1, 2**63])
def test_an_order_has_bounds(cents: int) -> None:
    orders: list[Callable[[], Order]] = [
        lambda: order_transfer(from_user_id=5, to_user_id=6, amount_cents=cents),
        lambda: order_grant(to_user_id=5, amount_cents=cents, reason="x"),
        lambda: order_withdrawal(from_user_id=5, amount_cents=cents, reason="x"),
    ]
    assert [refused_field(order) for order in orders] == ["amount"] * 3


def test_an_order_names_its_permission_and_its_sides_in_the_order_of_their_ids() -> None:
    order = order_transfer(from_user_id=9, to_user_id=5, amount_cents=7)
    assert (order.permission, order.sides) == (Permission.CREDITS_MOVE, [(5, 7), (9, -7)])
    order = order_grant(to_user_id=5, amount_cents=7, reason="x")
    assert (order.permission, order.sides) == (Permission.CREDITS_ISSUE, [(5, 7)])
    order = order_withdrawal(from_user_id=5, amount_cents=7, reason="x")
    assert (order.permission, order.sides) == (Permission.CREDITS_ISSUE, [(5, -7)])


def test_a_reason_is_one_line_of_printable_text() -> None:
    assert clean_reason("  For\tlunch \n and Rene\u0301 ") == "For lunch and René"
    assert clean_reason("") == clean_reason("\u200d ") == ""
    assert clean_reason("👩\u200d👧 " + "x" * (LONGEST_REASON - 4)) is not None
    for text in ("a\0b", "a\u202eb", "a\ud800b", "x" * (LONGEST_REASON + 1), "x" * 1_000_000):
        with pytest.raises(Invalid) as refusal:
            clean_reason(text)
        assert refusal.value.field == "reason"
    with pytest.raises(Invalid, match="Say why"):
        require_reason(" \u200d ")


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_a_reason_that_nobody_sees_is_none(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        require_reason(text)
    assert refusal.value.field == "reason"


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_a_reason_or_is_refused_as_one(name: str) -> None:
    found = attempt(lambda: (clean_reason(TEXTS[name]),))
    if not isinstance(found, tuple):
        assert found == "reason"
    else:
        assert len(found[0]) <= LONGEST_REASON
        assert clean_reason(found[0]) == found[0]


def test_each_has_keys_of_his_own() -> None:
    digests = {digest_key(actor, key) for actor in (None, 1, 2) for key in ("", "a", "b", "\ud800")}
    assert len(digests) == 12
    assert {len(digest) for digest in digests} == {64}
    with pytest.raises(Invalid) as refusal:
        digest_key(1, "x" * 256)
    assert refusal.value.field == "key"
