"""POST /users/export: the list that is shown, all of it, as a file; and the history tells who has it."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO

import pytest
from flask import Flask
from sqlalchemy import delete
from werkzeug.test import TestResponse

from tests.conftest import MakeUser, SignedIn, read_tables
from tests.corpus import RAW, TEXTS, encode
from tests.history.ways import read_stories, read_texts
from tests.pages.asking import assert_post_asks_to_sign_in, assert_refused, text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.models import SignInSession
from webapp.credits.rules import order_grant
from webapp.credits.services import move
from webapp.db import atomic, get_session
from webapp.errors import DomainError
from webapp.history.rules import Kind
from webapp.listing import page
from webapp.users import services as users
from webapp.users import trash
from webapp.users.queries import get_user
from webapp.web.csv import AT_ONCE, PLACES

PATH = "/users/export"
FORM = "application/x-www-form-urlencoded"
TERMINAL = Actor.command_line()
CountQueries = Callable[[], AbstractContextManager[list[str]]]


def export(visitor: Visitor, query: str = "") -> TestResponse:
    """Press the button of the list with this query string."""
    button = read_form(visitor.get(f"/users/{query}").text, action=PATH)
    return visitor.post_raw(button.action, button.fields)


def emails_in(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200
    with answer:
        lines = list(csv.DictReader(StringIO(answer.get_data().decode("utf-8-sig"), newline="")))
    return [line["email"] for line in lines]


def test_the_button_takes_out_what_is_listed(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor = signed_in()
    for number in range(25):
        make_user(full_name=f"Ann {number:02}", email=f"ann{number:02}@example.org", is_active=number != 7)
    make_user(full_name="Bob", email="bob@example.org")
    answer = export(visitor, "?q=ann&status=active&sort=-email&page_size=20")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="users-2')
    assert emails_in(answer) == [f"ann{n:02}@example.org" for n in reversed(range(25)) if n != 7]
    assert len(emails_in(export(visitor))) == 27, "with nothing chosen, all"


def test_the_history_tells_who_took_out_what_but_no_word_of_the_search(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor = signed_in()
    make_user(email="secret.person@example.org")
    export(visitor, "?q=secret.person&role=member&page_size=20").close()
    story = read_stories(app)[-1]
    assert visitor.user
    assert (story.kind, story.actor_id, story.facts["count"]) == (Kind.EXPORTED, visitor.user.id, 1)
    assert "secret" not in read_texts(app)
    page = text_of(visitor.get("/history/?kind=exported"))
    assert "1 · q=… · role=member" in page
    assert "/undo" not in page


def test_days_are_told_with_their_zone(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in(time_zone="Asia/Tokyo")
    export(visitor, "?created_from=2026-01-01").close()
    told = {"created_from": "2026-01-01", "time_zone": "Asia/Tokyo"}
    assert read_stories(app)[-1].facts["filters"] == told


def test_signed_out(app: Flask) -> None:
    assert_post_asks_to_sign_in(app, PATH)


@pytest.mark.parametrize("role", ["auditor", "support"])
def test_no_permission(signed_in: SignedIn, role: str) -> None:
    visitor = signed_in(role)
    assert PATH not in visitor.get("/users/").text
    assert_refused(visitor, PATH)


def test_a_get_is_no_page_of_anybody(signed_in: SignedIn) -> None:
    visitor = signed_in()
    before = read_tables(visitor.app)
    assert visitor.get(PATH).status_code == 405
    assert read_tables(visitor.app) == before


def test_filters_that_mean_nothing_take_nothing_out(signed_in: SignedIn) -> None:
    visitor = signed_in()
    answer = assert_refused(visitor, PATH, {"status": "asleep", "q": "marie"}, status=422)
    assert 'value="marie"' in answer.text
    assert_refused(visitor, PATH, {"created_from": "2026-02-30"}, status=422)


@pytest.mark.parametrize("name", ["q", "status", "role", "sort", "page_size", "page", "created_from"])
def test_bad_input_is_answered(signed_in: SignedIn, name: str) -> None:
    visitor = signed_in()
    token = visitor.csrf_token()
    for text in TEXTS.values():
        body = encode({"csrf_token": token, name: text})
        answer = visitor.post_raw(PATH, body, content_type=FORM)
        assert answer.status_code in {200, 422, 413}, repr(text[:80])


@pytest.mark.parametrize("raw", RAW)
def test_a_body_that_is_no_form_is_answered(signed_in: SignedIn, raw: str) -> None:
    visitor = signed_in()
    body = f"csrf_token={visitor.csrf_token()}&".encode() + RAW[raw]
    assert visitor.post_raw(PATH, body, content_type=FORM).status_code in {200, 400, 413, 422}


def test_as_many_as_there_is_room_for(signed_in: SignedIn) -> None:
    visitor = signed_in()
    for _ in range(AT_ONCE):
        assert PLACES.acquire(blocking=False)
    before = read_tables(visitor.app)
    answer = visitor.post(PATH)
    assert answer.status_code == 409
    assert "Other exports are still running." in text_of(answer)
    assert read_tables(visitor.app) == before
    PLACES.release(AT_ONCE)
    assert emails_in(visitor.post(PATH)) == ["administrator@desk.example"]


def test_number_of_queries(signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries) -> None:
    """Who it is, how many, the entry in its lane (four), and the users: two looks, for a thousand each."""
    visitor = signed_in()
    for _ in range(3):
        make_user()
    with count_queries() as statements:
        assert len(emails_in(visitor.post(PATH))) == 4
    assert len(statements) <= 9


@atomic
def end_sessions() -> None:
    get_session().execute(delete(SignInSession))


ENDS: dict[str, Callable[[int], object]] = {
    "deactivated": lambda i: users.deactivate_user(get_user(i), actor=TERMINAL),
    "given another role": lambda i: users.update_user(get_user(i), version=1, role="auditor", actor=TERMINAL),
    "signed out everywhere": lambda i: users.sign_out_everywhere(get_user(i), actor=TERMINAL),
    "deleted": lambda i: trash.delete_user(get_user(i), version=1, actor=TERMINAL),
    "signed out here": lambda _: end_sessions(),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("what", ["users", "a ledger"])
def test_it_breaks_off_when_who_takes_it_out_may_not_any_more(
    app: Flask,
    signed_in: SignedIn,
    make_user: MakeUser,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    what: str,
) -> None:
    monkeypatch.setattr(page, "WALKED_AT_ONCE", 2)
    caplog.set_level(logging.ERROR, logger="webapp.web.csv")  # whatever another test has left
    desk, ann = signed_in(), make_user()
    make_user(role=Role.ADMINISTRATOR)
    for _ in range(3):
        make_user()
        with app.app_context():
            move(order_grant(to_user_id=ann.id, amount_cents=100, reason="Why"), actor=TERMINAL)
    path = PATH if what == "users" else f"/users/{ann.id}/credits/export"
    answer = desk.post_raw(path, {"csrf_token": desk.csrf_token()}, buffered=False)
    assert answer.status_code == 200
    parts = iter(answer.response)
    next(parts)
    assert desk.user
    with app.app_context():
        ENDS[name](desk.user.id)
    assert "This file is incomplete" in str(next(parts))
    with pytest.raises(DomainError):
        next(parts)
    answer.close()
    assert "an export broke off" in caplog.text
    story = read_stories(app)[-1]
    assert (story.kind, story.actor_id) == (Kind.EXPORTED, desk.user.id)
    assert story.facts == {"count": 2, "is_stopped": True}
    other = signed_in(email="other@desk.example")
    assert "broke off after 2: the sign-in had ended" in text_of(other.get("/history/"))
    assert len(emails_in(other.post(PATH))) >= 6, "the place is free again"
