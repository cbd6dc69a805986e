"""Reading tokens: in one query, in pages, by words, and by owner."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from tests.house.changes import put
from tests.pages.asking import UNKNOWN_IDS
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import NotFound
from webapp.extensions import utc_now
from webapp.listing.page import PageRequest, paginate
from webapp.listing.search import split_words
from webapp.tokens import queries, rules
from webapp.tokens.models import Token
from webapp.tokens.services import create_token
from webapp.users.models import User
from webapp.users.queries import list_people
from webapp.users.services import sign_out_everywhere

DESK = Actor.command_line()
CountQueries = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def owners(context: Flask) -> list[User]:
    """Ann with three tokens, Béla with two."""
    ann = put(role=Role.SUPPORT, full_name="Ann Lee")
    bela = put(role=Role.AUDITOR, full_name="Béla", email="b@example.org")
    for owner, name, scope in (
        (ann, "Nightly report", "users.read"),
        (ann, "Import", "users.create users.read"),
        (ann, "Résumé", "history.read"),
        (bela, "Report", "users.read"),
        (bela, "Watch", "history.read"),
    ):
        create_token(owner, name=name, scopes=scope.split(), days=30, actor=DESK)
    return [ann, bela]


def names(*, size: int = 50, after: str | None = None, **wanted: object) -> list[str]:
    selection = queries.select_tokens(**wanted)  # type: ignore[arg-type]
    where = PageRequest(sort="-created_at", size=size, after=after)
    return [row.name for row in paginate(get_session(), queries.LISTING, selection, where).rows]


def test_a_token_is_found_in_one_query(owners: list[User], count_queries: CountQueries) -> None:
    secret, _token = create_token(owners[0], name="x", scopes=["users.read"], days=1, actor=DESK)
    with count_queries() as statements:
        assert queries.find_token(secret, address="192.0.2.1") is not None
        assert queries.find_token(rules.new_secret(), address="192.0.2.1") is None
    assert len(statements) == 2


def test_everybodys_are_listed_the_latest_first_and_in_pages(owners: list[User]) -> None:
    assert names() == ["Watch", "Report", "Résumé", "Import", "Nightly report"]
    selection = queries.select_tokens()
    first = paginate(get_session(), queries.LISTING, selection, PageRequest(sort="-created_at", size=2))
    assert [row.name for row in first.rows] == ["Watch", "Report"]
    assert names(size=2, after=first.next) == ["Résumé", "Import"]
    assert (first.count.value, first.count.is_exact) == (5, True)


def test_they_are_searched_by_name_and_owner_and_cut_by_what_they_can(owners: list[User]) -> None:
    ann, bela = owners
    assert names(words=split_words("REPORT")) == ["Report", "Nightly report"]
    assert names(words=split_words("resume")) == ["Résumé"]
    assert names(words=split_words("bela")) == ["Watch", "Report"]
    assert names(words=split_words("ann@ report")) == ["Nightly report"]
    assert names(words=split_words("nothing%")) == []
    assert names(user_id=bela.id) == ["Watch", "Report"]
    assert names(is_reading=False) == ["Import"]
    assert names(is_reading=True, user_id=ann.id) == ["Résumé", "Nightly report"]
    assert names(is_reading=True, words=split_words("ann")) == ["Résumé", "Nightly report"]


def test_the_state_of_a_row_is_what_the_condition_says(owners: list[User]) -> None:
    ann, bela = owners
    tokens = queries.list_own_tokens(ann.id)
    gone = utc_now() - timedelta(seconds=1)
    get_session().execute(update(Token).where(Token.id == tokens[0].id).values(expires_at=gone))
    get_session().commit()
    sign_out_everywhere(bela, actor=DESK)
    get_session().expire_all()
    people = {person.id: person for person in list_people([ann.id, bela.id])}

    def states(owner: User) -> list[str]:
        return [
            queries.state_of(token, people[owner.id], utc_now())
            for token in queries.list_own_tokens(owner.id)
        ]

    assert states(ann) == ["expired", "alive", "alive"]
    assert states(bela) == ["ended", "ended"]
    for owner in owners:
        assert queries.count_living(owner.id) == states(owner).count("alive")


def test_one_gets_ones_own(owners: list[User]) -> None:
    ann, bela = owners
    token = queries.list_own_tokens(ann.id)[0]
    assert queries.get_own_token(token.id, ann.id) is token
    with pytest.raises(NotFound):
        queries.get_own_token(token.id, bela.id)


@pytest.mark.parametrize("token_id", [int(number) for number in UNKNOWN_IDS])
def test_a_token_that_is_none_is_said(context: Flask, token_id: int) -> None:
    with pytest.raises(NotFound):
        queries.get_token(token_id)


def test_a_token_that_expires_during_a_call_is_no_credential_any_more(owners: list[User]) -> None:
    token = queries.list_own_tokens(owners[0].id)[0]
    assert queries.is_token_there(token.id)
    get_session().execute(update(Token).where(Token.id == token.id).values(expires_at=utc_now()))
    assert not queries.is_token_there(token.id)
