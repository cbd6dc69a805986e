"""/tokens/all: everybody's tokens, for who manages them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, newest_entry
from tests.corpus import TEXTS, encode
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.tokens import views
from webapp.tokens.queries import find_token
from webapp.tokens.services import create_token
from webapp.users.models import User

PATH = "/tokens/all"


def give(app: Flask, owner: User, name: str, scopes: str = "users.read") -> str:
    with app.app_context():
        user = get_session().get_one(User, owner.id)
        return create_token(user, name=name, scopes=scopes.split(), days=30, actor=Actor.command_line())[0]


@pytest.fixture
def owners(app: Flask, make_user: MakeUser) -> list[User]:
    ann = make_user(role=Role.SUPPORT, full_name="Ann Lee", email="ann@example.org")
    bela = make_user(role=Role.AUDITOR, full_name="", email="bela@example.org")
    give(app, ann, "Nightly report")
    give(app, ann, "Import", "users.create users.read")
    give(app, bela, "Watch", "history.read")
    return [ann, bela]


def names(page: str) -> list[str]:
    return re.findall(r'<strong dir="auto">([^<]*)</strong>', page)


def test_it_lists_everybodys_with_their_owners(signed_in: SignedIn, owners: list[User]) -> None:
    page = text_of(signed_in("administrator").get(PATH))
    assert names(page) == ["Watch", "Import", "Nightly report"]
    for owner in owners:
        assert f'href="/users/{owner.id}"' in page
    assert "bela@example.org" in page
    assert '<span class="count" role="status">3</span>' in page


def test_it_is_searched_and_filtered(signed_in: SignedIn, owners: list[User]) -> None:
    visitor = signed_in("administrator")
    for query, expected in (
        ("q=REPORT", ["Nightly report"]),
        ("q=ann", ["Import", "Nightly report"]),
        ("q=bela@", ["Watch"]),
        ("kind=changing", ["Import"]),
        ("kind=reading", ["Watch", "Nightly report"]),
        (f"user={owners[0].id}", ["Import", "Nightly report"]),
        (f"user={owners[0].id}&kind=reading", ["Nightly report"]),
        ("user=999999", []),
        ("q=%25", []),
    ):
        page = visitor.get(f"{PATH}?{query}")
        assert (page.status_code, names(page.text)) == (200, expected), query
    assert "There is no such token" in visitor.get(f"{PATH}?q=nothing").text


def test_pages_follow_one_another_with_what_was_asked(
    app: Flask, signed_in: SignedIn, owners: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE_SIZE", 2)
    visitor = signed_in("administrator")
    for number in range(5):
        give(app, owners[0], f"Report {number}")
    found, url = [], f"{PATH}?q=report"
    while url:
        page = text_of(visitor.get(url))
        found += names(page)
        following = re.search(r'href="(/tokens/all\?[^"]*after=[^"]*)"[^>]* aria-label="Next page"', page)
        url = following[1] if following else ""
        assert "q=report" in url or not url
    assert found == [*(f"Report {number}" for number in range(4, -1, -1)), "Nightly report"]


@pytest.mark.parametrize("name", ["q", "user", "kind", "after", "before"])
def test_no_text_in_the_address_breaks_it(signed_in: SignedIn, owners: list[User], name: str) -> None:
    visitor = signed_in("administrator")
    for case, text in TEXTS.items():
        answer = visitor.get(f"{PATH}?{encode({name: text})}")
        assert answer.status_code in {200, 422}, case
        assert "<script>canary" not in answer.text, case


@pytest.mark.parametrize(
    "query", ["user=0", "user=x", "user=-1", f"user={'9' * 40}", "kind=x", "q=" + "x" * 201]
)
def test_a_filter_that_is_none_is_said(signed_in: SignedIn, query: str) -> None:
    answer = signed_in("administrator").get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_anybodys_is_revoked_by_its_button(app: Flask, signed_in: SignedIn, owners: list[User]) -> None:
    secret = give(app, owners[1], "Lost")
    visitor = signed_in("administrator")
    action = re.search(r'action="(/tokens/all/\d+/revoke)"', visitor.get(f"{PATH}?q=lost").text)
    assert action
    button = read_form(visitor.get(f"{PATH}?q=lost").text, action=action[1])
    answer = visitor.post_raw(button.action, button.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    entry = newest_entry(app)
    with app.app_context():
        assert find_token(secret, address="") is None
        story = get_story(entry)
    assert (story.kind, story.subject_id) == (Kind.TOKEN_REVOKED, owners[1].id)
    assert visitor.post_raw(button.action, button.fields).status_code == 404, "gone already"


@pytest.mark.parametrize("role", ["auditor", "support"])
def test_who_does_not_manage_them_sees_and_revokes_none(
    signed_in: SignedIn, owners: list[User], role: str
) -> None:
    visitor = signed_in(role)
    assert visitor.get(PATH).status_code == 403
    assert_refused(visitor, "/tokens/all/1/revoke")
    assert PATH not in visitor.get("/tokens/").text


@pytest.mark.parametrize("token_id", [*UNKNOWN_IDS, "x", "-1"])
def test_an_unknown_token_is_said(signed_in: SignedIn, token_id: str) -> None:
    assert_refused(signed_in("administrator"), f"/tokens/all/{token_id}/revoke", status=404)


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, "/tokens/all/1/revoke")


def test_looking_writes_nothing(signed_in: SignedIn, owners: list[User]) -> None:
    assert_get_writes_nothing(signed_in("administrator"), PATH)


def test_the_list_costs_four_queries_however_many_there_are(
    app: Flask,
    signed_in: SignedIn,
    owners: list[User],
    count_queries: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    visitor = signed_in("administrator")
    for number in range(5):
        give(app, owners[0], f"Report {number}")
    with count_queries() as statements:
        assert visitor.get(PATH).status_code == 200
    assert len(statements) == 4, statements  # who it is, the page, the count, the owners
