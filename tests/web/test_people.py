"""How a person is drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest

from webapp.web.people import HUES, hue, initials


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ann Lee", "AL"),
        ("ann lee", "AL"),
        ("Ann van der Lee", "AL"),
        ("Ann", "A"),
        ("ann@example.org", "A"),
        ("王芳", "王"),
        ("émile zola", "ÉZ"),
        ("(Ann) Lee", "L"),
        ("👩\u200d👧 Ann", "A"),
        ("--", "-"),
        ("<script>", "<"),
        ("", "?"),
        ("   ", " "),
    ],
)
def test_initials_are_the_first_letters_of_the_first_and_last_word(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_neighbours_have_different_hues_and_all_are_used() -> None:
    hues = [hue(number) for number in range(2**63, 2**63 + HUES)]
    assert sorted(hues) == list(range(HUES))
    assert all(one != other for one, other in pairwise(hues))
