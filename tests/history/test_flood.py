"""Of a flood of refusals a few are told, all are counted, and it is bounded what a flood can cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.history.flood import MAX_KEYS, MAX_TOLD, WINDOW_SECONDS, Tally
from webapp.history.rules import count_left_out


@pytest.mark.parametrize(
    ("number", "left_out"),
    [(1, 0), (2, None), (9, None), (10, 8), (11, None), (20, None), (100, 89), (999, None), (1000, 899)],
)
def test_the_first_and_each_power_of_ten_are_told(number: int, left_out: int | None) -> None:
    assert count_left_out(number) == left_out


@given(
    calls=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.integers(0, WINDOW_SECONDS // 3)),
        max_size=400,
    )
)
def test_none_is_lost_and_no_more_are_told_than_there_is_room(calls: list[tuple[str, int, int]]) -> None:
    """In the end, when all windows are over, one more of each group tells of all that were left out."""
    tally, now = Tally(), 0.0
    counted = dict.fromkeys("ab", 0)
    told: dict[str, list[tuple[float, int]]] = {"a": [], "b": []}
    for group, key, pause in calls:
        now += pause
        counted[group] += 1
        left_out = tally.count(group, key, now)
        if left_out is not None:
            told[group].append((now, left_out))
    now += 2 * WINDOW_SECONDS
    for group, number in counted.items():
        last = tally.count(group, "the last", now)
        assert last is not None
        assert sum(1 + left_out for _at, left_out in told[group]) + last == number
        starts = [at for at, _left_out in told[group]]
        for start in starts:
            assert sum(start <= at < start + WINDOW_SECONDS for at in starts) <= 2 * MAX_TOLD


def test_a_key_is_told_again_in_the_next_window() -> None:
    tally = Tally()
    assert [tally.count("a", 1, 0), tally.count("a", 1, 1), tally.count("a", 1, 2)] == [0, None, None]
    assert tally.count("a", 1, WINDOW_SECONDS) == 2
    assert tally.count("a", 1, WINDOW_SECONDS + 1) is None


def test_its_memory_is_bounded() -> None:
    tally = Tally()
    told = [tally.count("a", key, 0) for key in range(3 * MAX_KEYS)]
    assert sum(it is not None for it in told) == MAX_TOLD
    assert tally.count("b", 1, 0) == 0, "another group has room of its own"
    assert len(tally._keys) <= MAX_KEYS
    assert tally.count("a", "later", WINDOW_SECONDS) == 3 * MAX_KEYS - MAX_TOLD
