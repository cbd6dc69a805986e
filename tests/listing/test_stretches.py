"""Stretches cut an order without a gap, and the databases write the marks that Python asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from webapp.extensions import sqla
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.periods import Signs
from webapp.listing.search import fold
from webapp.listing.stretches import NumberOrder, Order, Stretch, TextOrder, TimeOrder

TEXT, OTHER_TEXT = TextOrder("key", 0), TextOrder("key", 1)
NUMBER = NumberOrder("key", 2)
TIME = TimeOrder("key", Signs("[", "]", "^", "="), has_days=True)
quick = settings(max_examples=300, deadline=None)
with_database = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Where groups, blocks and characters begin and end, and what databases may read in another way.
EDGES = "0aflmrsz\u02ff\u0300\u0370жאก\u2fff\u3000李\ud7ff\ue000\ufffd\ufffe\uffff🙂\U0010ffff"
texts = (st.text(EDGES, max_size=7) | st.text(max_size=7)).map(fold)
times = st.datetimes(datetime(1950, 1, 1), datetime(2250, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
numbers = st.integers(0, 2**22) | st.integers(0, LARGEST_ID)
keys = st.one_of(
    texts.map(lambda key: (TEXT, key)),
    times.map(lambda key: (TIME, key)),
    numbers.map(lambda key: (NUMBER, key)),
)
pairs = st.one_of(
    st.tuples(texts, texts).map(lambda two: (TEXT, *two)),
    st.tuples(times, times).map(lambda two: (TIME, *two)),
    st.tuples(numbers, numbers).map(lambda two: (NUMBER, *two)),
)


def around(order: Order, key: Any, *, is_sqlite: bool = True) -> list[Stretch]:
    return list(order.stretches(key, is_sqlite=is_sqlite))


def holds(stretch: Stretch, key: Any) -> bool:
    return (stretch.low is None or stretch.low <= key) and (stretch.end is None or key < stretch.end)


@quick
@given(keys)
def test_each_stretch_holds_its_key_and_lies_in_the_one_before(of: tuple[Order, Any]) -> None:
    stretches = around(*of)
    assert all(holds(stretch, of[1]) for stretch in stretches)
    for coarse, fine in pairwise(stretches):
        assert coarse.low is None or (fine.low is not None and coarse.low <= fine.low)
        assert coarse.end is None or (fine.end is not None and fine.end <= coarse.end)


@quick
@given(pairs)
def test_two_keys_share_a_stretch_or_the_next_one_begins_beyond_it(of: tuple[Order, Any, Any]) -> None:
    order, one, other = of
    for stretch in around(order, one):
        if holds(stretch, other):
            assert stretch in around(order, other)


@quick
@given(keys, st.booleans())
def test_what_is_begun_has_a_part_on_the_near_side(of: tuple[Order, Any], descending: bool) -> None:
    finished = of[1]
    for stretch in around(*of):
        is_begun = stretch.is_begun(finished, descending=descending)
        assert is_begun is (descending or stretch.low is None or stretch.low < finished)
        assert not stretch.is_begun(None, descending=descending)


def written(order: Order, key: Any) -> Iterator[str]:
    """The marks that the database writes beside a row of that key."""
    with sqla.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            marks = ", ".join(order.sqlite_marks("rows").values()).replace(":", "\\:")
            stored = key.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(key, datetime) else key
            row = connection.execute(text(f"SELECT {marks} FROM (SELECT :key AS key) rows"), {"key": stored})
            yield from filter(None, row.one())
            return
        kind = {TimeOrder: "timestamptz", NumberOrder: "bigint"}.get(type(order), "text")
        marks = order.postgres_marks().replace(":", "\\:")
        statement = text(f"SELECT {marks} FROM (SELECT CAST(:key AS {kind}) AS key) rows")
        yield from connection.execute(statement, {"key": key}).scalar_one()


@with_database
@given(keys)
def test_a_database_writes_the_marks_of_all_stretches(context: Flask, of: tuple[Order, Any]) -> None:
    order, key = of
    is_sqlite = sqla.engine.dialect.name == "sqlite"
    assert {it.mark for it in around(order, key, is_sqlite=is_sqlite)} <= set(written(order, key))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@with_database
@given(keys)
def test_a_mark_of_the_full_text_is_three_characters(context: Flask, of: tuple[Order, Any]) -> None:
    assert {len(mark) for mark in written(*of)} == {3}


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_nobody_who_never_signed_in_comes_after_somebody(context: Flask) -> None:
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert set(written(TIME, None)) == {it.mark for it in around(TIME, first, is_sqlite=False)}


@quick
@given(texts, numbers, st.booleans())
def test_two_orders_share_no_mark(key: str, number: int, is_sqlite: bool) -> None:
    of_texts = {it.mark for it in around(TEXT, key, is_sqlite=is_sqlite)}
    assert not is_sqlite or not of_texts & {it.mark for it in around(OTHER_TEXT, key)}
    assert not of_texts & {it.mark for it in around(NUMBER, number, is_sqlite=is_sqlite)}


bounds = st.none() | st.integers(0, 6)


@quick
@given(low=bounds, end=bounds, first=bounds, before=bounds)
def test_a_stretch_and_a_range_hold_each_other_if_no_key_says_otherwise(
    low: int | None, end: int | None, first: int | None, before: int | None
) -> None:
    def keys(start: int | None, stop: int | None) -> set[int]:
        return set(range(-3 if start is None else start, 10 if stop is None else stop))

    stretch, ranged = keys(low, end), keys(first, before)
    assume(stretch and ranged)
    assert Stretch(low, end, "").holds(first, before) is (ranged <= stretch)
    assert Stretch(low, end, "").lies_in(first, before) is (stretch <= ranged)
