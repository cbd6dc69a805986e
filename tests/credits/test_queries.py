"""Lines of a ledger name people as long as there is a name, and a person is found by number or e-mail."""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import MakeUser, empty_tables, insert_users
from tests.corpus import TEXTS
from tests.credits.ways import TERMINAL, grant, transfer
from tests.history.ways import let_names_go
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.credits.queries import (
    LISTING,
    find_person,
    get_balance,
    list_balances,
    list_latest,
    select_postings,
    tell,
)
from webapp.db import get_session
from webapp.errors import Invalid
from webapp.extensions import sqla
from webapp.listing.page import PageRequest, paginate
from webapp.users.queries import get_user
from webapp.users.trash import delete_user, purge_user


@pytest.fixture
def people(context: Flask, make_user: MakeUser) -> Flask:
    make_user(full_name="Ann", email="ann@example.org")
    make_user(full_name="Bob")
    make_user(full_name="Desk", role=Role.SUPPORT)
    return context


def test_who_has_no_account_has_nothing(people: Flask) -> None:
    assert get_balance(1) == get_balance(99) == 0
    assert list_balances([1, 2]) == {}
    assert tell(list_latest(1, most=5)) == []


def test_a_line_names_the_other_and_who_did_it_until_they_are_forgotten(people: Flask) -> None:
    desk = Actor(user_id=3, name="Desk", role=Role.SUPPORT)
    grant(1, 500)
    transfer(1, 2, 500, actor=desk)

    def newest() -> tuple[object, ...]:
        line = tell(list_latest(2, most=1))[0]
        return line.amount_cents, line.balance_cents, line.other_id, line.other_name, line.actor_name

    assert newest() == (500, 500, 1, "Ann", "Desk")
    for user_id in (1, 3):
        delete_user(get_user(user_id), version=1, actor=TERMINAL)
    assert newest() == (500, 500, 1, "Ann", "Desk"), "in the trash"
    for user_id in (1, 3):
        purge_user(user_id, actor=TERMINAL)
    assert newest() == (500, 500, 1, "", "Desk"), "who did it stays named for a time"
    assert tell(list_latest(2, most=1))[0].actor_is_deleted
    get_session().rollback()  # SQLite in memory is one connection
    let_names_go(people)
    assert newest() == (500, 500, 1, "", "")


def test_a_grant_has_no_other_and_the_command_line_no_name(people: Flask) -> None:
    grant(1, 500)
    [line] = tell(list_latest(1, most=5))
    assert (line.other_id, line.actor_id, line.reason) == (None, None, "A present")


@pytest.mark.parametrize("text", ["1", " 1 ", "01", "ann@example.org", " ANN@example.org"])
def test_a_person_is_found_as_typed(people: Flask, text: str) -> None:
    assert find_person(text).id == 1


@pytest.mark.parametrize(
    "text", ["", "9", "-1", "1.0", "9" * 19, "9" * 5000, "ann", "x@example.org", "²", "١"]
)
def test_nobody_is_found_otherwise(people: Flask, text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        find_person(text)
    assert refusal.value.field == "to_user_id"


def test_any_text_finds_nobody_or_somebody(people: Flask) -> None:
    for name, text in TEXTS.items():
        try:
            found = find_person(text).id
        except Invalid:
            continue
        assert found in {1, 2}, name


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cents=st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=14), size=st.sampled_from([1, 3, 5])
)
def test_the_pages_of_a_ledger_are_all_of_it_in_order(
    context: Flask, cents: list[tuple[bool, int]], size: int
) -> None:
    sqla.session.remove()
    empty_tables(context)
    insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in (1, 2)])
    for is_own, amount in cents:
        grant(1 if is_own else 2, amount)
    expected = [amount for is_own, amount in cents if is_own][::-1]
    found: list[int] = []
    where = PageRequest(sort="-at", size=size)
    while True:
        page = paginate(get_session(), LISTING, select_postings(1), where)
        assert page.count.value == len(expected)
        found += [row.amount_cents for row in page.rows]
        if not page.next:
            break
        where = PageRequest(sort="-at", size=size, after=page.next)
    assert found == expected
