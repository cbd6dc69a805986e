"""What is taken out is what is listed, and the history tells of it."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import MakeUser, insert_users
from tests.history.ways import assert_intact, read_stories
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.errors import Forbidden
from webapp.history.rules import Kind
from webapp.listing import page
from webapp.users.export import note_export, read_users
from webapp.users.queries import LISTING, SORTS, get_user, select_users
from webapp.users.services import deactivate_user

ORDERS = [*SORTS, *(f"-{name}" for name in SORTS)]


@pytest.fixture
def crowd(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven, of whom four are read at a time."""
    monkeypatch.setattr(page, "WALKED_AT_ONCE", 4)
    names = ["Ann", "Bob", "Ann", "", "Zoë", "zoe", "=Eve", "Bob", "Ann", "Cid", "Dan"]
    atomic(insert_users)([{"full_name": name, "email": f"p{n}@example.org"} for n, name in enumerate(names)])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("words", [(), ("ann",), ("example",), ("nobody",)])
def test_all_of_a_list_in_its_order(crowd: None, order: str, words: tuple[str, ...]) -> None:
    selection = select_users(words=words)
    listing = page.paginate(get_session(), LISTING, selection, page.PageRequest(sort=order, size=200))
    read = [line for lines in read_users(selection, sort=order) for line in lines]
    assert [line[0] for line in read] == [row.id for row in listing.rows]


def test_nothing_is_held_between_two_parts_and_who_comes_later_is_read(crowd: None) -> None:
    parts = read_users(select_users(), sort="email")
    first = next(parts)
    assert not get_session().in_transaction()
    atomic(insert_users)([{"full_name": "Late", "email": "zz@example.org"}])
    rest = [line for lines in parts for line in lines]
    assert len({line[0] for line in [*first, *rest]}) == len(first) + len(rest) == 12


def test_a_line_tells_what_the_list_does(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    make_user(full_name="Ann", email="ann@example.org", role=Role.SUPPORT)
    invited = make_user(full_name="", email="bob@example.org", hashed_password=None)
    lines = next(read_users(select_users(), sort="email"))
    assert [line[1:5] for line in lines] == [
        ("Ann", "ann@example.org", "support", "active"),
        ("", "bob@example.org", "member", "invited"),
    ]
    assert all(line[5].endswith("Z") and len(line[5]) == 20 and line[6] == "" for line in lines)
    deactivate_user(get_user(invited.id), actor=actor)
    assert next(read_users(select_users(), sort="-email"))[0][4] == "inactive"


def test_the_history_tells_who_took_out_what(context: Flask, crowd: None, actor: Actor) -> None:
    note_export(select_users(words=("ann",)), filters={"q": "ann", "sort": "-email"}, actor=actor)
    story = read_stories(context)[-1]
    assert (story.kind, story.subject_id, story.actor_id) == (Kind.EXPORTED, None, actor.user_id)
    assert story.facts == {"count": 3, "is_more": False, "filters": {"q": "…", "sort": "-email"}}
    assert_intact(context)


def test_a_search_without_a_word_is_none(context: Flask, crowd: None, actor: Actor) -> None:
    note_export(select_users(), filters={"q": " "}, actor=actor)
    assert read_stories(context)[-1].facts == {"count": 11, "is_more": False, "filters": {}}


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR, Role.SUPPORT])
def test_only_administrators_take_users_out(context: Flask, crowd: None, role: Role) -> None:
    before = len(read_stories(context))
    with pytest.raises(Forbidden):
        note_export(select_users(), filters={}, actor=Actor(user_id=1, name="X", role=role))
    assert len(read_stories(context)) == before
