"""Reading users: each filter against the same question asked of a plain list, each sort against sorted()."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from tests.conftest import MakeUser
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import NotFound
from webapp.listing.counting import Count
from webapp.listing.definition import Selection
from webapp.listing.page import PageRequest, paginate
from webapp.users.models import User
from webapp.users.queries import (
    LISTING,
    SORTS,
    STATUSES,
    count_users,
    find_highest_id,
    find_user_by_email,
    get_user,
    has_administrator,
    select_users,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def people(make_user: MakeUser) -> list[User]:
    names = [
        "Zoë Adler",
        "adam Zeta",
        "Ann Lee",
        "",
        "Łukasz Nowak",
        "王芳",
        "ann lee",
        "Ömer %_\\",
        "Ann Other",
    ]
    roles = [Role.MEMBER, Role.SUPPORT, Role.AUDITOR, Role.ADMINISTRATOR]
    return [
        make_user(
            full_name=name,
            email=f"user{9 - number}@example.org",
            role=roles[number % 4],
            is_active=number % 3 != 0,
            hashed_password="no hash" if number % 5 else None,
            created_at=START + timedelta(days=number // 2),
            last_sign_in_at=START + timedelta(hours=number) if number % 2 else None,
        )
        for number, name in enumerate(names)
    ]


def listed(selection: Selection, sort: str = "created_at") -> list[int]:
    page = paginate(get_session(), LISTING, selection, PageRequest(sort=sort, size=100))
    assert page.count == Count(len(page.rows))
    return [row.id for row in page.rows]


BELONGS: dict[str, Callable[[User], bool]] = {
    "active": lambda user: user.is_active,
    "invited": lambda user: user.is_active and user.is_invited,
    "inactive": lambda user: not user.is_active,
}


def test_each_status_is_tried_here() -> None:
    assert STATUSES.keys() == BELONGS.keys()


@pytest.mark.parametrize(
    ("filters", "belongs"),
    [
        ({}, lambda user: True),
        *(({"status": status}, belongs) for status, belongs in BELONGS.items()),
        *(({"role": role}, lambda user, role=role: user.role is role) for role in Role),
        ({"words": ("ann",)}, lambda user: "ann" in user.full_name.lower()),
        ({"words": ("lee", "ann")}, lambda user: user.full_name.lower() == "ann lee"),
        ({"words": ("user3@",)}, lambda user: user.email.startswith("user3@")),
        ({"words": ("%_\\",)}, lambda user: "%_\\" in user.full_name),
        ({"words": ("nobody",)}, lambda user: False),
        ({"created_from": START + timedelta(days=2)}, lambda u: u.created_at >= START + timedelta(days=2)),
        ({"created_before": START + timedelta(days=2)}, lambda u: u.created_at < START + timedelta(days=2)),
        ({"created_from": START, "created_before": START}, lambda u: False),
        ({"words": ("ann",), "created_from": START, "created_before": EPOCH}, lambda u: False),
        (
            {"words": ("ann",), "status": "active", "role": Role.AUDITOR},
            lambda user: user.role is Role.AUDITOR and user.is_active and "ann" in user.full_name.lower(),
        ),
    ],
)
def test_a_filter_finds_exactly_whom_it_means(
    context: Flask, people: list[User], filters: dict[str, Any], belongs: Callable[[User], bool]
) -> None:
    assert sorted(listed(select_users(**filters))) == [user.id for user in people if belongs(user)]


KEYS: dict[str, Callable[[User], object]] = {
    "id": lambda user: user.id,
    "name": lambda user: user.name_key,
    "email": lambda user: user.email_key,
    "created_at": lambda user: user.created_at,
    "last_sign_in_at": lambda user: user.last_sign_in_at or EPOCH,
}


def test_each_sort_is_tried_here() -> None:
    assert SORTS.keys() == KEYS.keys()


@pytest.mark.parametrize("sort", KEYS)
def test_a_sort_orders_by_its_key_and_then_by_id(context: Flask, people: list[User], sort: str) -> None:
    def key(user: User) -> tuple[object, int]:
        return KEYS[sort](user), user.id

    ordered = [user.id for user in sorted(people, key=key)]
    assert listed(select_users(), sort) == ordered
    assert listed(select_users(), f"-{sort}") == ordered[::-1]


@pytest.mark.parametrize("user_id", [-1, 0, 1_000_000, 2**31, 2**63 - 1, 2**63, 10**100])
def test_an_id_that_nobody_has_is_not_found(context: Flask, user_id: int) -> None:
    with pytest.raises(NotFound):
        get_user(user_id)


def test_a_user_is_found_by_any_spelling_of_the_address(context: Flask, make_user: MakeUser) -> None:
    ann = make_user(email="René@example.org")
    for spelling in ("rené@EXAMPLE.org", "RENE\u0301@example.org ", "ｒｅｎé@example.org"):
        found = find_user_by_email(spelling)
        assert found is not None
        assert found.id == ann.id
    assert find_user_by_email("rene@example.org") is None
    assert find_user_by_email("") is None


@pytest.mark.parametrize(
    ("columns", "able"),
    [
        ({}, True),
        ({"is_active": False}, False),
        ({"hashed_password": None}, False),
        ({"role": Role.SUPPORT}, False),
    ],
)
def test_an_administrator_counts_who_could_sign_in(
    context: Flask, make_user: MakeUser, columns: dict[str, object], able: bool
) -> None:
    make_user(**{"role": Role.ADMINISTRATOR, **columns})
    assert has_administrator() is able


def test_counting_starts_at_nothing(app: Flask, make_user: MakeUser) -> None:
    with app.app_context():
        assert (count_users(), find_highest_id()) == (0, 0)
    last = [make_user() for _ in range(3)][-1]
    with app.app_context():
        assert (count_users(), find_highest_id()) == (3, last.id)
