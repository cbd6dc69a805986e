"""The bucket that is one number admits just what a bucket that is a number of tokens would."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from webapp.api.rates import MOST_KEYS, SECOND, WINDOW_SECONDS, Rates


class Bucket:
    """The textbook's: tokens, in exact fractions, that grow with time and never beyond the brim."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.pace = Fraction(1, WINDOW_SECONDS * SECOND // most)  # tokens in a nanosecond
        self.tokens = Fraction(most)
        self.at = 0

    def fill(self, now: int) -> None:
        self.tokens = min(Fraction(self.most), self.tokens + (now - self.at) * self.pace)
        self.at = now

    def take(self, now: int) -> bool:
        self.fill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


PAUSES = st.one_of(
    st.just(0),
    st.integers(0, SECOND),
    st.integers(0, 2 * WINDOW_SECONDS * SECOND),
    st.sampled_from([SECOND, WINDOW_SECONDS * SECOND, 20 * SECOND, 20 * SECOND - 1]),
)


@given(most=st.integers(1, 12), steps=st.lists(st.tuples(st.sampled_from("abc"), PAUSES), max_size=60))
def test_it_is_the_bucket_of_the_textbook(most: int, steps: list[tuple[str, int]]) -> None:
    limits, buckets, now = Rates(most), {key: Bucket(most) for key in "abc"}, 0
    for key, pause in steps:
        now += pause
        before = limits.look(key, now)
        expected = buckets[key].take(now)
        verdict = limits.take(key, now)
        assert verdict.is_admitted == before.is_admitted == expected
        assert verdict.remaining == int(buckets[key].tokens)
        assert limits.look(key, now).remaining == verdict.remaining
        assert before.remaining - verdict.remaining == (1 if expected else 0)


@given(most=st.integers(1, 12), pauses=st.lists(PAUSES, min_size=1, max_size=40))
def test_who_waits_as_long_as_is_said_is_admitted_and_a_second_less_may_not_do(
    most: int, pauses: list[int]
) -> None:
    limits, now = Rates(most), 0
    for pause in pauses:
        now += pause
        verdict = limits.take("a", now)
        later = now + verdict.wait_seconds * SECOND
        assert limits.look("a", later).is_admitted
        assert (verdict.wait_seconds == 0) == (verdict.remaining > 0)
        if verdict.wait_seconds:
            assert not limits.look("a", later - SECOND).is_admitted
        full = limits.look("a", now + verdict.full_in_seconds * SECOND)
        assert full.remaining == most
        assert limits.look("a", now + (verdict.full_in_seconds - 1) * SECOND).remaining < most


def test_one_key_leaves_the_others_alone() -> None:
    limits = Rates(2)
    assert [limits.take("a", 0).is_admitted for _ in range(3)] == [True, True, False]
    assert limits.take("b", 0).is_admitted


def test_as_many_keys_are_kept_as_are_busy_and_never_more_than_fit() -> None:
    limits = Rates(1)
    for number in range(MOST_KEYS + 5):
        limits.take(number, 0)
    assert len(limits._full_at) == MOST_KEYS
    assert limits.take(0, 0).is_admitted, "the quietest was forgotten"
    assert not limits.take(MOST_KEYS, 0).is_admitted, "a busy one was not"
    limits.take("later", WINDOW_SECONDS * SECOND)
    assert len(limits._full_at) == 1
