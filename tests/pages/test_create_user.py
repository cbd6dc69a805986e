"""GET, POST /users/new: a new user, or the form again with all that was typed."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_tables
from tests.pages.asking import (
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import field_error, field_value
from webapp.db import get_session
from webapp.users.models import User
from webapp.users.queries import find_user_by_email

PATH = "/users/new"
ANN = {"full_name": "Ann Lee", "email": "ann@example.org"}


def stored(app: Flask, email: str) -> User:
    with app.app_context():
        user = find_user_by_email(email)
        assert user is not None
        get_session().expunge(user)
        return user


def test_the_pages_own_form_creates_a_user_and_shows_a_link(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    form = read_form(visitor.get(PATH).text, holding="full_name")
    assert form.fields["role"] == "member"
    assert form.fields["create_link"] == "y"
    sent = {**form.fields, **ANN, "role": "support"}
    answer = visitor.post_raw(form.action or PATH, sent)
    user = stored(app, ANN["email"])
    assert (answer.status_code, answer.headers["Location"]) == (307, f"/users/{user.id}/password-link")
    answer = visitor.post_raw(answer.headers["Location"], sent)  # as a browser does on 307
    assert (user.full_name, user.role.value, user.is_invited, user.version) == ("Ann Lee", "support", True, 1)
    assert answer.status_code == 200
    assert "/auth/set-password/" in answer.text


def test_without_a_link_one_lands_on_the_users_page(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    answer = visitor.post(PATH, {**ANN, "role": "member"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/users/{stored(app, ANN['email']).id}"
    assert "Ann Lee is created." in visitor.get(answer.headers["Location"]).text
    assert read_tables(app)["password_links"] == []


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, PATH, ANN)


def test_an_auditor_may_not(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    assert visitor.get(PATH).status_code == 403
    assert_refused(visitor, PATH, {**ANN, "role": "member"})


def test_support_creates_members_whatever_it_sends(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("support")
    assert 'name="role"' not in visitor.get(PATH).text
    extra = {"role": "administrator", "id": "1", "is_active": "", "version": "9", "hashed_password": "x"}
    assert visitor.post(PATH, {**ANN, **extra}).status_code == 303
    user = stored(app, ANN["email"])
    assert (user.role.value, user.is_active, user.version, user.hashed_password) == ("member", True, 1, None)
    assert user.id != 1


def test_opening_the_form_writes_nothing(signed_in: SignedIn) -> None:
    assert_get_writes_nothing(signed_in(), PATH)


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"email": ""}, "email", "Enter an e-mail address."),
        ({"email": "no address"}, "email", "not an e-mail address"),
        ({"full_name": "Ann\u202eLee"}, "full_name", "U+202E"),
        ({"full_name": "n" * 201}, "full_name", "at most 200"),
        ({"role": "king"}, "role", "Choose one of"),
    ],
)
def test_bad_input_is_named_and_what_was_typed_is_kept(
    signed_in: SignedIn, values: dict[str, str], field: str, text: str
) -> None:
    sent = {**ANN, "role": "support", "back": "q=ann", **values}
    answer = assert_refused(signed_in(), PATH, sent, status=422)
    assert text in (field_error(answer.text, field) or "")
    form = read_form(answer.text, holding="full_name").fields
    assert (form["full_name"], form["email"], form["back"]) == (sent["full_name"], sent["email"], "q=ann")
    assert "create_link" not in form, "unticked it stays unticked"
    if field != "role":
        assert form["role"] == "support"


def test_all_bad_fields_are_named_at_once(signed_in: SignedIn) -> None:
    page = signed_in().post(PATH, {"full_name": "\u202e", "email": "x", "role": "y"}).text
    for field in ("full_name", "email", "role"):
        assert field_error(page, field)
        assert f'href="#{field}"' in page


def test_a_taken_address_is_a_conflict_on_its_field(signed_in: SignedIn, make_user: MakeUser) -> None:
    make_user(email="ANN@example.org")
    answer = assert_refused(signed_in(), PATH, {**ANN, "role": "member"}, status=409)
    assert field_error(answer.text, "email") == "Another user already has this e-mail."
    assert field_value(answer.text, "email") == ANN["email"]


def test_a_form_sent_twice_creates_one_user(app: Flask, signed_in: SignedIn) -> None:
    """The back button, or two clicks: the second answer says so, and loses nothing."""
    visitor = signed_in()
    form = read_form(visitor.get(PATH).text, holding="full_name")
    statuses = [visitor.post_raw(PATH, {**form.fields, **ANN}).status_code for _ in range(2)]
    assert statuses == [307, 409]
    assert len(read_tables(app)["users"]) == 2


def test_two_tabs_create_two_users(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    tabs = [read_form(visitor.get(PATH).text, holding="full_name").fields for _ in range(2)]
    for number, fields in enumerate(tabs):
        email = f"ann{number}@example.org"
        assert visitor.post_raw(PATH, {**fields, "email": email, "full_name": ""}).status_code == 307
        assert text_of(visitor.get(f"/users/{stored(app, email).id}"))


def test_the_same_name_may_occur_twice(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    make_user(full_name="Ann Lee")
    assert signed_in().post(PATH, {**ANN, "role": "member"}).status_code == 303
