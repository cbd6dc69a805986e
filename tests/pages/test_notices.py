"""What happened to one's account is shown after signing in, until one says that one knows of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete, select

from tests.conftest import PASSWORD, MakeUser
from tests.pages.asking import assert_get_asks_to_sign_in, assert_post_asks_to_sign_in, text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.browser import remember_token
from webapp.auth.models import SignInSession
from webapp.auth.notice_views import begin_notices
from webapp.auth.services import create_password_link
from webapp.db import get_session
from webapp.tokens.services import create_token
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import update_user

PATH = "/auth/notices/"
SIGN_IN = "/auth/login"
BANNER = "There is new activity on your account."
HOME, ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "203.0.113.9"}
TERMINAL = Actor.command_line()


@pytest.fixture
def ann(make_user: MakeUser) -> User:
    return make_user(email="ann@example.org", full_name="Ann Lee", role=Role.SUPPORT)


def sign_in(visitor: Visitor, where: dict[str, str] = HOME, password: str = PASSWORD, **fields: str) -> str:
    """Answer where it leads; empty where it fails."""
    typed = {"email": "ann@example.org", "password": password, "next": "/help", **fields}
    answer = visitor.post(SIGN_IN, typed, environ_overrides=where)
    return answer.headers.get("Location", "")


def sign_out(visitor: Visitor) -> None:
    assert visitor.post("/auth/logout").status_code == 303


def send_link(app: Flask, user: User) -> None:
    ada = Actor(user_id=99, name="Ada Admin", role=Role.ADMINISTRATOR, address="198.51.100.7")
    with app.app_context():
        create_password_link(get_user(user.id), actor=ada)


def make_token(app: Flask, user: User) -> None:
    with app.app_context():
        create_token(get_user(user.id), name="Backdoor", scopes=["users.read"], days=30, actor=TERMINAL)


def acknowledge(visitor: Visitor, page: str) -> str:
    form = read_form(page, action=PATH)
    answer = visitor.post_raw(form.action, form.fields)
    assert answer.status_code == 303
    return answer.headers["Location"]


def test_it_is_shown_after_signing_in_until_it_is_acknowledged(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    assert sign_in(visitor) == "/help", "the first sign-in ever"
    sign_out(visitor)
    send_link(app, ann)
    assert sign_in(visitor) == f"{PATH}?next=/help"
    shown = visitor.get(f"{PATH}?next=/help")
    text = text_of(shown)
    assert ("Ada Admin" in text, "made a password link" in text, "198.51.100.7" in text) == (True,) * 3
    assert BANNER not in text, "here it is"
    for path in ("/users/", "/auth/profile", "/no-such-page"):
        assert BANNER in visitor.get(path).text
    for link in ("/auth/password", "/auth/devices", "/tokens/"):
        assert f'href="{link}"' in shown.text
    assert acknowledge(visitor, shown.text) == "/help"
    assert BANNER not in visitor.get("/users/").text
    assert "Nothing new happened to your account." in visitor.get(PATH).text
    sign_out(visitor)
    assert sign_in(visitor) == "/help"


def test_nothing_new_disturbs_nobody(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    for _ in range(3):
        assert sign_in(visitor) == "/help"
        assert BANNER not in visitor.get("/users/").text
        sign_out(visitor)


def test_what_is_not_acknowledged_comes_again(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    sign_in(visitor)
    sign_out(visitor)
    send_link(app, ann)
    for _ in range(2):
        assert sign_in(visitor) == f"{PATH}?next=/help"
        assert "made a password link" in visitor.get(PATH).text
        sign_out(visitor)
    # Another browser, while the first session is still there.
    sign_in(visitor)
    other = Visitor(app)
    assert sign_in(other) == f"{PATH}?next=/help"
    assert "made a password link" in other.get(PATH).text


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_thief_cannot_acknowledge_for_the_owner(app: Flask, ann: User, times: int) -> None:
    """However often they sign in with the password, and say that it was them."""
    owner = Visitor(app)
    sign_in(owner)
    sign_out(owner)
    thief = Visitor(app)
    sign_in(thief, ELSEWHERE)
    make_token(app, ann)
    for _ in range(times):
        sign_out(thief)
        sign_in(thief, ELSEWHERE)
        page = thief.get(PATH).text
        if f'action="{PATH}"' in page:
            acknowledge(thief, page)
    assert sign_in(owner) == f"{PATH}?next=/help"
    text = text_of(owner.get(PATH))
    assert ("Backdoor" in text, "signed in" in text, "203.0.113.9" in text) == (True, True, True)


def test_failed_sign_ins_are_summed_up(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    sign_in(visitor)
    sign_out(visitor)
    assert [sign_in(Visitor(app), ELSEWHERE, "wrong") for _ in range(2)] == ["", ""]
    assert sign_in(visitor) == f"{PATH}?next=/help"
    assert "2 failed sign-in attempts." in visitor.get(PATH).text


def test_ones_own_slip_is_no_news(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    sign_in(visitor)
    sign_out(visitor)
    assert sign_in(visitor, HOME, "wrong") == ""
    assert sign_in(visitor) == "/help"


def test_a_form_that_was_kept_comes_first(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    sign_in(visitor)
    with app.app_context():
        get_session().execute(delete(SignInSession))
        get_session().commit()
    send_link(app, ann)
    refused = visitor.post("/users/new", {"email": "zoe@example.org", "full_name": "Zoe"})
    form = read_form(refused.text, holding="password")
    again = visitor.post_raw(SIGN_IN, {**form.fields, "email": ann.email, "password": PASSWORD})
    assert (again.status_code, "Send again?" in again.text) == (200, True)
    kept = read_form(again.text, holding="full_name")
    assert visitor.post_raw(kept.action, kept.fields).status_code == 303
    assert BANNER in visitor.get("/users/").text


def test_what_one_does_from_then_on_is_no_news_in_this_session(app: Flask, ann: User) -> None:
    visitor = Visitor(app)
    sign_in(visitor)
    make_token(app, ann)
    assert BANNER not in visitor.get("/users/").text
    sign_out(visitor)
    assert sign_in(visitor) == f"{PATH}?next=/help", "but it is in the next"


def test_an_address_of_another_site_is_not_gone_to(app: Flask, ann: User) -> None:
    visitor = Visitor(app, ann)
    page = visitor.get(f"{PATH}?next=//evil.example/")
    assert "evil" not in page.text
    answer = visitor.post(PATH, {"next": "//evil.example/"})
    assert urlsplit(answer.headers["Location"]).netloc == ""


def test_each_acknowledges_for_their_own_session_alone(app: Flask, ann: User) -> None:
    first, second = Visitor(app), Visitor(app)
    sign_in(first)
    sign_out(first)
    send_link(app, ann)
    sign_in(first)
    sign_in(second)
    acknowledge(first, first.get(PATH).text)
    assert BANNER in second.get("/users/").text
    with app.app_context():
        marks = get_session().scalars(select(SignInSession.notices_since)).all()
    assert len([mark for mark in marks if mark is not None]) == 1


@pytest.mark.parametrize(
    "seen", [7, [], ["x"], [1, "no time", "x"], [1, None, None], {"a": 1}, ["1", 0.0, 0.0]], ids=str
)
def test_what_else_the_cookie_may_hold_is_not_believed(app: Flask, ann: User, seen: object) -> None:
    visitor = Visitor(app)
    with visitor.client.session_transaction() as cookie:
        cookie["seen"] = seen
    assert sign_in(visitor) == "/help"


def test_a_page_costs_no_query_more_for_it(
    app: Flask, ann: User, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    visitor = Visitor(app)
    sign_in(visitor)

    def read_queries() -> list[str]:
        visitor.get("/users/")
        with count_queries() as statements:
            visitor.get("/users/")
        return statements

    without = read_queries()
    sign_out(visitor)
    send_link(app, ann)
    sign_in(visitor)
    assert BANNER in visitor.get("/users/").text
    assert read_queries() == without


def test_a_session_that_was_born_dead_has_nothing_to_show(app: Flask, ann: User) -> None:
    with app.test_request_context(SIGN_IN, method="POST"):
        remember_token("a token of no session")
        assert begin_notices() is False


def test_it_is_in_the_language_of_the_person(app: Flask, ann: User) -> None:
    with app.app_context():
        update_user(get_user(ann.id), version=1, full_name="Ann", actor=TERMINAL)
    visitor = Visitor(app)
    sign_in(visitor)
    sign_out(visitor)
    send_link(app, ann)
    sign_in(visitor)
    page = visitor.get(PATH, headers={"Accept-Language": "fr"})
    assert "Activité récente du compte" in page.text


def test_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, PATH)
