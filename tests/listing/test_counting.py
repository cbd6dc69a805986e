"""A count says whether it is all there is."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import insert_users
from webapp.db import get_session
from webapp.listing.counting import MOST_COUNTED, Count
from webapp.listing.page import PageRequest, paginate
from webapp.users.queries import LISTING, select_users


@pytest.mark.parametrize("number", [0, 1, MOST_COUNTED, MOST_COUNTED + 1, 10**9])
def test_a_count_is_exact_up_to_its_cap(number: int) -> None:
    expected = Count(number) if number <= MOST_COUNTED else Count(MOST_COUNTED, is_exact=False)
    assert Count.capped(number) == expected


@pytest.mark.parametrize("number", [MOST_COUNTED, MOST_COUNTED + 1])
def test_a_search_in_a_crowd_stops_counting_and_the_whole_list_does_not(context: Flask, number: int) -> None:
    insert_users([{"full_name": "Ann", "email": f"a{n}@x.example"} for n in range(number)])

    def count(word: str = "") -> Count:
        selection = select_users(words=(word,) if word else ())
        return paginate(get_session(), LISTING, selection, PageRequest(sort="name")).count

    assert count("ann") == count("a") == count("x.example") == Count.capped(number)
    assert count("nobody") == Count(0)
    assert count() == Count(number)
