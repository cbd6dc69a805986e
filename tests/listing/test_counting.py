"""A count says whether it is all there is."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import MakeUser
from webapp.db import get_session
from webapp.listing.counting import MOST_COUNTED, Count, count_rows
from webapp.users.models import User
from webapp.users.queries import UserFilters, list_users
from webapp.users.services import insert_users


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("most", [0, 1, 3, 5, None])
def test_a_count_is_exact_up_to_its_cap(context: Flask, number: int, most: int | None) -> None:
    insert_users([{"full_name": "Ann", "email": f"a{n}@x.example"} for n in range(number)])
    counted = count_rows(get_session(), select(User.id).order_by(User.name_key), most=most)
    expected = Count(number) if most is None or number <= most else Count(most, is_exact=False)
    assert counted == expected


def test_a_filter_counts_what_it_lets_through(context: Flask, make_user: MakeUser) -> None:
    for is_active in (True, True, False):
        make_user(is_active=is_active)
    session = get_session()
    assert list_users(UserFilters(is_active=True)).count(session) == Count(2)
    assert list_users(UserFilters()).count(session) == Count(3)


def test_a_search_in_a_crowd_stops_counting_and_the_whole_list_does_not(context: Flask) -> None:
    number = MOST_COUNTED + 2
    insert_users([{"full_name": "Ann", "email": f"a{n}@x.example"} for n in range(number)])
    session = get_session()
    assert list_users(UserFilters(words=("ann",))).count(session) == Count(MOST_COUNTED, is_exact=False)
    assert list_users(UserFilters()).count(session) == Count(number)
