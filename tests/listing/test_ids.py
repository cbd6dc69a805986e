"""The ids of all that match are those on all the pages, and never more than were asked for."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MakeUser
from tests.listing.test_page import Plan, World, plans, slow
from tests.listing.ways import forced
from webapp.access.actor import Actor, Door
from webapp.db import get_session
from webapp.history.queries import LISTING as ENTRIES
from webapp.history.queries import select_entries
from webapp.history.rules import Kind
from webapp.listing.definition import Selection
from webapp.listing.page import PageRequest, find_ids, paginate
from webapp.users import trash
from webapp.users.queries import LISTING, TRASH_LISTING, get_user, select_users
from webapp.users.services import update_user

DESK = Actor.command_line()


def found(plan: Plan, way: Mapping[str, int], most: int) -> list[int]:
    with forced(way):
        ids = find_ids(get_session(), LISTING, select_users(**vars(plan.filters)), most=most)
    get_session().rollback()
    return ids


@slow
@given(plan=plans)
def test_they_are_those_on_all_the_pages(context: Flask, plan: Plan) -> None:
    world = World(plan)
    on_pages: list[int] = []
    page = world.page("name", 3)
    on_pages += [row.id for row in page.rows]
    while page.next:
        page = world.page("name", 3, after=page.next)
        on_pages += [row.id for row in page.rows]
    for way in plan.ways:
        ids = found(plan, way, 100)
        assert sorted(ids) == sorted(on_pages) == sorted(world.rows)


@slow
@given(plan=plans, most=st.integers(0, 9))
def test_of_more_there_are_just_so_many(context: Flask, plan: Plan, most: int) -> None:
    world = World(plan)
    ids = found(plan, plan.ways[0], most)
    assert len(ids) == len(set(ids)) == min(most, len(world.rows))
    assert set(ids) <= set(world.rows)


def test_of_nothing_that_can_match_there_are_none(context: Flask, make_user: MakeUser) -> None:
    make_user()
    assert find_ids(get_session(), LISTING, Selection(segments=frozenset()), most=9) == []


def test_they_are_found_in_the_trash_and_in_the_history_too(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(4)]
    with app.app_context():
        for user in users:
            update_user(get_user(user.id), version=1, full_name=f"New {user.id}", actor=DESK)
        for user in users[:3]:
            trash.delete_user(get_user(user.id), version=2, actor=DESK)
    with app.app_context():
        session = get_session()
        assert sorted(find_ids(session, TRASH_LISTING, Selection(), most=9)) == [u.id for u in users[:3]]
        for selection in (
            select_entries(),
            select_entries(kind=Kind.DELETED),
            select_entries(subject_id=users[0].id),
            select_entries(subject_id=users[0].id, kind=Kind.EDITED, words=("new",)),
            select_entries(door=Door.COMMAND, words=("command",)),
            select_entries(door=Door.PAGE),
        ):
            page = paginate(session, ENTRIES, selection, PageRequest(sort="at", size=20))
            assert sorted(find_ids(session, ENTRIES, selection, most=99)) == [row.id for row in page.rows]
