"""Pages put together are the sorted list: nothing twice, nothing left out, whatever happens between them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from tests.conftest import insert_users
from tests.listing.test_search import oracle
from tests.listing.ways import TUNED, forced, ways
from webapp.access.permissions import Role
from webapp.batches.queries import LISTING as BATCHES
from webapp.db import atomic, get_session
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.definition import Selection
from webapp.listing.page import FURTHEST_ROW, LAST, Page, PageRequest, paginate
from webapp.listing.places import BLOCK_BITS
from webapp.users.models import User
from webapp.users.queries import LISTING, SORTS, STATUSES, select_users

START = datetime(2024, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
BLOCK = 1 << BLOCK_BITS[0]
ORDERS = [*SORTS, *(f"-{name}" for name in SORTS)]
each_order = pytest.mark.parametrize("order", ORDERS)
slow = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Person:
    """Few values each, so that many are equal."""

    full_name: str
    created_at: datetime
    last_sign_in_at: datetime | None
    role: Role = Role.MEMBER
    is_active: bool = True
    hashed_password: str | None = None


@dataclass(frozen=True)
class Filters:
    """What select_users() takes."""

    words: tuple[str, ...] = ()
    status: str | None = None
    role: Role | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def has_period(self) -> bool:
        return self.created_from is not None or self.created_before is not None

    def let_through(self, person: Person, email: str) -> bool:
        """The oracle."""
        has_status = {
            None: True,
            "active": person.is_active,
            "invited": person.is_active and person.hashed_password is None,
            "inactive": not person.is_active,
        }
        return (
            oracle(f"{person.full_name} {email}", self.words)
            and has_status[self.status]
            and self.role in {None, person.role}
            and (self.created_from is None or person.created_at >= self.created_from)
            and (self.created_before is None or person.created_at < self.created_before)
        )


# On both sides of where a month and a year begin.
moments = st.sampled_from(
    [
        START,
        START,
        START - INSTANT,
        START + INSTANT,
        datetime(2024, 2, 1, tzinfo=UTC) - INSTANT,
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=UTC),
    ]
)
people = st.builds(
    Person,
    full_name=st.sampled_from(["", "Ann", "ann", "Ann Bo", "Bob", "Éva", "zoë", "漢", "🙂"]),
    created_at=moments,
    last_sign_in_at=st.none() | moments,
    role=st.sampled_from([Role.MEMBER, Role.MEMBER, Role.MEMBER, Role.ADMINISTRATOR]),
    is_active=st.sampled_from([True, True, False]),
    hashed_password=st.none() | st.just("no hash"),
)
words = st.sampled_from(["a", "b", "an", "ann", "bo", "eva", "漢", "🙂", "x.example", "@x", "nobody"])
filters = st.just(Filters()) | st.builds(
    Filters,
    words=st.lists(words, max_size=2, unique=True).map(tuple),
    status=st.sampled_from([None, None, *STATUSES]),
    role=st.sampled_from([None, None, Role.MEMBER, Role.SUPPORT]),
    created_from=st.none() | moments,
    created_before=st.none() | moments,
)


@dataclass(frozen=True)
class Plan:
    """Whom there are, who is asked for, and how they are found: each page in the next one of the ways."""

    crowd: list[Person]
    filters: Filters = Filters()
    ways: tuple[dict[str, int], ...] = (TUNED,)
    most_counted: int = MOST_COUNTED
    steps: tuple[int, ...] = (1,)  # from an id to the next, so that they lie in few or in many blocks


plans = st.builds(
    Plan,
    crowd=st.lists(people, max_size=17),
    filters=filters,
    ways=st.lists(ways, min_size=1, max_size=3).map(tuple),
    most_counted=st.sampled_from([MOST_COUNTED, MOST_COUNTED, 2]),
    steps=st.lists(
        st.sampled_from([1, 1, 700, *(1 << bits for bits in BLOCK_BITS), 5 * BLOCK]), min_size=1
    ).map(tuple),
)
sizes = st.integers(1, 5)


class World:
    """The table, and beside it in Python what it holds: id → sort keys of whom the filters let through."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.all_ids: list[int] = []
        self.rows: dict[int, dict[str, Any]] = {}
        self._ids = accumulate(cycle(plan.steps))
        self._ways = cycle(plan.ways)
        self._clear()
        self.add(*plan.crowd)

    @atomic
    def _clear(self) -> None:
        get_session().execute(delete(User))

    def add(self, *people: Person) -> None:
        if people:
            insert_users([self._note(person) for person in people])

    def _note(self, person: Person) -> dict[str, Any]:
        """The row to be stored."""
        row_id = next(self._ids)
        email = f"{'ab'[len(self.all_ids) % 2]}{row_id}@x.example"
        self.all_ids.append(row_id)
        if self.plan.filters.let_through(person, email):
            self.rows[row_id] = {
                "id": row_id,
                "name": {"Éva": "eva", "zoë": "zoe"}.get(person.full_name, person.full_name.lower()) or email,
                "email": email,
                "created_at": person.created_at,
                "last_sign_in_at": person.last_sign_in_at or EPOCH,
            }
        return {"id": row_id, "email": email, **vars(person)}

    @atomic
    def remove(self, row_id: int) -> None:
        get_session().execute(delete(User).where(User.id == row_id))
        self.all_ids.remove(row_id)
        self.rows.pop(row_id, None)

    def ids(self, order: str) -> list[int]:
        """The oracle."""
        name = order.removeprefix("-")
        pairs = sorted(
            ((row[name], row_id) for row_id, row in self.rows.items()), reverse=order.startswith("-")
        )
        return [row_id for _, row_id in pairs]

    def page(self, order: str, size: int, **where: Any) -> Page:
        with forced(next(self._ways), most_counted=self.plan.most_counted):
            request = PageRequest(sort=order, size=size, **where)
            page = paginate(get_session(), LISTING, select_users(**vars(self.plan.filters)), request)
        get_session().rollback()
        filters, most = self.plan.filters, self.plan.most_counted
        if len(self.rows) <= most or not (filters.words or filters.has_period):
            assert page.count.is_exact
        if len(self.rows) > most and filters.words:
            assert not page.count.is_exact
        assert page.count.value == (len(self.rows) if page.count.is_exact else most)
        return page


def ids_of(page: Page) -> list[int]:
    return [row.id for row in page.rows]


@each_order
@slow
@given(plan=plans, size=sizes)
def test_paging_forward_is_reading_the_sorted_list(context: Flask, order: str, plan: Plan, size: int) -> None:
    world = World(plan)
    page = world.page(order, size)
    assert page.previous is None
    seen: list[int] = []
    while True:
        assert page.position == len(seen)
        assert (page.previous is None) is (not seen)
        seen += ids_of(page)
        assert len(seen) <= len(plan.crowd)  # and not round and round
        if page.next is None:
            break
        assert len(page.rows) == size
        page = world.page(order, size, after=page.next)
    assert seen == world.ids(order)


@each_order
@slow
@given(plan=plans, size=sizes)
def test_paging_backward_is_reading_it_from_its_end(
    context: Flask, order: str, plan: Plan, size: int
) -> None:
    """The first page is always full, so it may show rows again that the second one showed."""
    world = World(plan)
    expected = world.ids(order)
    page = world.page(order, size, before=LAST)
    assert page.next is None
    start = len(expected)
    while True:
        end, start = start, max(0, start - size)
        if start == 0:
            end = min(size, len(expected))
        assert ids_of(page) == expected[start:end]
        assert page.position == (start if page.count.is_exact or start == 0 else None)
        assert (page.previous is None) is (start == 0)
        if page.previous is None:
            break
        page = world.page(order, size, before=page.previous)


@each_order
@slow
@given(plan=plans, size=sizes)
def test_a_page_and_back_again_is_the_same_page(context: Flask, order: str, plan: Plan, size: int) -> None:
    world = World(plan)
    page = world.page(order, size)
    while page.next is not None:
        following = world.page(order, size, after=page.next)
        assert following.previous is not None
        back = world.page(order, size, before=following.previous)
        assert (ids_of(back), back.position) == (ids_of(page), page.position)
        page = following


@each_order
@slow
@given(plan=plans, size=sizes, number=st.integers(1, 15))
def test_a_numbered_page_is_a_slice(context: Flask, order: str, plan: Plan, size: int, number: int) -> None:
    world = World(plan)
    start = (number - 1) * size
    page = world.page(order, size, number=number)
    expected = world.ids(order)
    is_gathered = plan.filters.has_period and order.removeprefix("-") != "created_at"
    is_far = start + size > plan.most_counted < page.count.value + (not page.count.is_exact)
    if is_far and (is_gathered or not page.count.is_exact):
        assert (ids_of(page), page.is_too_far) == ([], True)
        return
    assert ids_of(page) == expected[start : start + size]
    assert page.is_past_end is (number > 1 and not page.rows)
    assert (page.next is not None) is (start + size < len(expected))
    assert (page.previous is not None) is (start > 0 and bool(page.rows))
    if page.next:
        assert ids_of(world.page(order, size, after=page.next)) == expected[start + size : start + 2 * size]


changes = st.lists(
    st.tuples(st.none() | st.integers(0, 100), st.none() | people), min_size=1, max_size=6
)  # before each page: the row to delete, counted in the list, and the person to add


@each_order
@pytest.mark.parametrize("is_forward", [True, False], ids=["forward", "backward"])
@slow
@given(plan=plans, size=sizes, changes=changes)
def test_changes_between_pages_repeat_no_row_and_skip_none(
    context: Flask,
    order: str,
    is_forward: bool,
    plan: Plan,
    size: int,
    changes: list[tuple[int | None, Person | None]],
) -> None:
    world = World(plan)
    staying = set(world.rows)
    page = world.page(order, size, before=None if is_forward else LAST)
    seen = ids_of(page) if is_forward else ids_of(page)[::-1]
    steps = iter(changes)
    while cursor := page.next if is_forward else page.previous:
        gone, come = next(steps, (None, None))
        edge = ids_of(page)[-1 if is_forward else 0]
        place = (world.rows[edge][order.removeprefix("-")], edge)
        if gone is not None and world.all_ids:
            row_id = world.all_ids[gone % len(world.all_ids)]
            world.remove(row_id)
            staying.discard(row_id)
        if come is not None:
            world.add(come)
        expected = rows_beyond(world, order, place, is_forward=is_forward)
        page = world.page(order, size, **{"after" if is_forward else "before": cursor})
        if len(expected) < (1 if is_forward else size):  # an end was reached: the page there, filled up
            full = world.ids(order)
            assert ids_of(page) == (full[-size:] if is_forward else full[:size])
            seen += [row_id for row_id in expected if row_id in ids_of(page)]
            break
        shown = ids_of(page) if is_forward else ids_of(page)[::-1]
        assert shown == expected[:size]
        seen += shown
        assert len(seen) <= len(plan.crowd) + len(changes)
    assert [row_id for row_id in seen if seen.count(row_id) > 1] == []
    in_order = world.ids(order) if is_forward else world.ids(order)[::-1]
    assert [row_id for row_id in seen if row_id in staying] == [
        row_id for row_id in in_order if row_id in staying
    ]


def rows_beyond(world: World, order: str, place: tuple[Any, int], *, is_forward: bool) -> list[int]:
    """What comes after (or, from near to far, before) a place where a row may no longer be."""
    name = order.removeprefix("-")
    ids = world.ids(order) if is_forward else world.ids(order)[::-1]
    is_greater = order.startswith("-") is not is_forward
    return [i for i in ids if ((world.rows[i][name], i) > place) is is_greater and i != place[1]]


def person(name: str = "Ann") -> Person:
    return Person(name, START, None)


@pytest.mark.parametrize("where", ["after", "before"])
def test_a_cursor_works_on_when_its_row_is_gone(context: Flask, where: str) -> None:
    world = World(Plan([person()] * 6))
    middle = world.page("name", 2, number=2)
    cursor, edge = (middle.next, 4) if where == "after" else (middle.previous, 3)
    world.remove(edge)
    page = world.page("name", 2, **{where: cursor})
    assert ids_of(page) == ([5, 6] if where == "after" else [1, 2])


def test_when_all_after_it_is_gone_the_last_page_is_shown(context: Flask) -> None:
    world = World(Plan([person()] * 4))
    cursor = world.page("name", 2).next
    world.remove(3)
    world.remove(4)
    page = world.page("name", 2, after=cursor)
    assert (ids_of(page), page.next, page.previous, page.position) == ([1, 2], None, None, 0)


@pytest.mark.parametrize("number", [2, 3, FURTHEST_ROW, 10**18])
def test_a_page_past_the_end_is_flagged(context: Flask, number: int) -> None:
    world = World(Plan([person()]))
    page = world.page("name", 20, number=number)
    assert page.is_past_end
    assert list(page.rows) == []
    assert page.next is page.previous is None


def test_the_first_page_of_nothing_is_not_past_its_end(context: Flask) -> None:
    world = World(Plan([]))
    for where in ({}, {"number": 1}, {"before": LAST}):
        page = world.page("name", 20, **where)
        assert (list(page.rows), page.is_past_end, page.next, page.previous) == ([], False, None, None)


@pytest.mark.parametrize("where", ["after", "before"])
@pytest.mark.parametrize("sort", ["-name", "email", "created_at"])
def test_a_cursor_of_another_sort_leads_to_the_first_page_and_says_so(
    context: Flask, where: str, sort: str
) -> None:
    world = World(Plan([person()] * 3))
    page = world.page(sort, 2, **{where: world.page("name", 2).next})
    assert page.had_bad_cursor
    assert ids_of(page) == world.ids(sort)[:2]
    assert page.position == 0


@pytest.mark.parametrize("where", ["after", "before"])
def test_a_cursor_of_another_list_leads_to_the_first_page_and_says_so(context: Flask, where: str) -> None:
    """That it is sorted alike makes no difference."""
    world = World(Plan([person()] * 3))
    cursor = world.page("-created_at", 2).next
    request = PageRequest(sort="-created_at", size=2, **{where: cursor})  # type: ignore[arg-type]
    page = paginate(get_session(), BATCHES, Selection(), request)
    assert (page.had_bad_cursor, page.position) == (True, 0)


@pytest.mark.parametrize(
    "filters", [Filters(), Filters(status="active", role=Role.MEMBER)], ids=["all", "some"]
)
@pytest.mark.parametrize(
    ("where", "queries"),
    [({}, 2), ({"before": LAST}, 2), ("after", 2), ("before", 2), ({"number": 2}, 3)],
    ids=str,
)
def test_a_page_takes_two_queries_and_a_numbered_one_a_third_that_counts_rows_off(
    context: Flask,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    filters: Filters,
    where: Any,
    queries: int,
) -> None:
    world = World(Plan([person()] * 6, filters))
    middle = world.page("name", 2, number=2)
    if isinstance(where, str):
        where = {where: middle.next if where == "after" else middle.previous}
    with count_queries() as statements:
        assert len(world.page("name", 2, **where).rows) == 2
    assert len(statements) == queries


def test_what_is_listed_is_what_was_selected(context: Flask) -> None:
    """Selecting is part of listing, so a selection of nobody is an empty page and no error."""
    world = World(Plan([person()] * 3))
    page = paginate(get_session(), LISTING, Selection(segments=frozenset()), PageRequest(sort="name"))
    assert (list(page.rows), page.count.value, len(world.rows)) == ([], 0, 3)


def test_in_a_list_that_is_not_counted_to_its_end_one_jumps_no_further(context: Flask) -> None:
    world = World(Plan([person()] * 9, Filters(words=("ann",)), most_counted=4))
    assert ids_of(world.page("name", 2, number=2)) == world.ids("name")[2:4]
    page = world.page("name", 2, number=3)
    assert (list(page.rows), page.is_too_far, page.is_past_end) == ([], True, True)


def test_a_cursor_of_other_rows_leads_to_its_key_and_to_no_position(context: Flask) -> None:
    world = World(Plan([person()] * 6))
    cursor = world.page("name", 2).next
    other = paginate(
        get_session(), LISTING, select_users(status="active"), PageRequest(sort="name", size=2, after=cursor)
    )
    assert (ids_of(other), other.position) == (world.ids("name")[2:4], None)
