"""GET, POST /auth/password: a new password for oneself; every other device is signed out."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from flask import Flask

from tests.conftest import PASSWORD, MakeUser, SignedIn, read_tables, read_user
from tests.pages.asking import (
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import Visitor, field_error, field_value
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.rules import MAX_PER_DEVICE, MOST_PER_ACCOUNT
from webapp.auth.services import create_password_link
from webapp.auth.throttle import count_attempt
from webapp.users.queries import get_user

PATH = "/auth/password"
NEW = "harbour candle meadow"
RIGHT = {"current_password": PASSWORD, "new_password": NEW, "confirm_password": NEW}


@pytest.mark.parametrize("role", ["auditor", "support", "administrator"])
def test_the_pages_own_form_changes_it(app: Flask, signed_in: SignedIn, role: str) -> None:
    visitor = signed_in(role, email="ann@example.org")
    assert visitor.user is not None
    other = Visitor(app, visitor.user)
    form = read_form(visitor.get(PATH).text, holding="new_password")
    answer = visitor.post_raw(form.action or PATH, {**form.fields, **RIGHT}, follow_redirects=True)
    assert answer.request.path == "/auth/devices"
    assert "Your password is changed." in answer.text
    assert other.get("/auth/devices").status_code == 303, "the other device is signed out"
    sign_in = {"email": "ann@example.org", "password": NEW}
    assert Visitor(app).post("/auth/login", sign_in).status_code == 303
    assert Visitor(app).post("/auth/login", {**sign_in, "password": PASSWORD}).status_code == 422


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, PATH, RIGHT)


def test_the_same_password_is_refused_on_its_field(signed_in: SignedIn) -> None:
    same = {"current_password": PASSWORD, "new_password": PASSWORD, "confirm_password": PASSWORD}
    answer = signed_in().post(PATH, same)
    assert answer.status_code == 422
    assert "This is your current password. Choose another one." in answer.text


def test_an_open_link_is_told_of_and_outlives_the_change(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    assert visitor.user is not None
    told = "A password link was made for you"
    assert told not in visitor.get(PATH).text
    with app.app_context():
        create_password_link(get_user(visitor.user.id), actor=Actor.command_line())
    assert told in visitor.get(PATH).text
    visitor.post(PATH, RIGHT)
    assert told in visitor.get(PATH).text


def test_opening_the_form_writes_nothing(signed_in: SignedIn) -> None:
    assert_get_writes_nothing(signed_in(), PATH)


def test_a_password_manager_can_fill_in_every_field(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    """Masked, named for it, and taking whatever is pasted: no limit cuts a password in the browser."""
    visitor = signed_in()
    link = re.search(
        r"/auth/set-password/[\w-]+", visitor.post(f"/users/{make_user().id}/password-link").text
    )
    assert link
    for page, kinds in (
        (Visitor(app).get("/auth/login"), ["current-password"]),
        (Visitor(app).get(link[0]), ["new-password"] * 2),
        (visitor.get(PATH), ["current-password", "new-password", "new-password"]),
    ):
        fields = re.findall(r'<input[^>]*\bname="\w*password"[^>]*>', page.text)
        assert [kind for field in fields for kind in re.findall(r'autocomplete="([^"]+)"', field)] == kinds
        for field in fields:
            assert 'type="password"' in field
            assert not re.search(r"maxlength|pattern|readonly|disabled| on\w+=| value=\"[^\"]", field)
        assert 'autocomplete="username"' in page.text


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"current_password": ""}, "current_password", "Enter your present password."),
        ({"current_password": "wrong"}, "current_password", "not your present password"),
        ({"new_password": "short", "confirm_password": "short"}, "new_password", "at least 15"),
        ({"new_password": "", "confirm_password": ""}, "new_password", "at least 15"),
        ({"new_password": "ann.lee was here"}, "new_password", "easy to guess"),
        ({"confirm_password": NEW + "!"}, "confirm_password", "not the same"),
        ({"confirm_password": ""}, "confirm_password", "not the same"),
    ],
)
def test_bad_input_is_named_and_no_password_is_sent_back(
    app: Flask, signed_in: SignedIn, values: dict[str, str], field: str, text: str
) -> None:
    visitor = signed_in("auditor", email="ann.lee@example.org")
    answer = visitor.post(PATH, {**RIGHT, **values})
    assert answer.status_code == 422
    assert text in (field_error(answer.text, field) or "")
    for name in RIGHT:
        assert field_value(answer.text, name) == ""
    assert PASSWORD not in answer.text
    assert visitor.user is not None
    same = read_user(app, visitor.user.id)
    assert same is not None
    assert same.hashed_password == visitor.user.hashed_password
    assert visitor.get(PATH).status_code == 200, "still signed in"


def test_guessing_the_present_password_ends_after_ten(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    for _ in range(MAX_PER_DEVICE):
        visitor.post(PATH, {**RIGHT, "current_password": "wrong"})
    answer = visitor.post(PATH, RIGHT)
    assert answer.status_code == 429
    assert "Too many attempts" in text_of(answer)
    assert int(answer.headers["Retry-After"]) > 0


def test_strangers_who_lock_the_account_hinder_no_one_who_is_signed_in(
    app: Flask, signed_in: SignedIn
) -> None:
    visitor = signed_in("auditor", email="ann@example.org")
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT):
            count_attempt(email="ann@example.org", address=f"198.51.100.{number}")
    assert visitor.post(PATH, RIGHT).status_code == 303
    visitor.post("/auth/logout")
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT):
            count_attempt(email="ann@example.org", address=f"198.51.100.{number}")
    again = visitor.post("/auth/login", {"email": "ann@example.org", "password": NEW})
    assert again.status_code == 303, "the device in which the password was changed is a known one"


def test_the_old_form_in_another_tab_cannot_be_sent_again(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    tab = read_form(visitor.get(PATH).text, holding="new_password").fields
    visitor.post(PATH, RIGHT)
    answer = visitor.post_raw(PATH, {**tab, **RIGHT})
    assert answer.status_code == 400, "its token died with the old session"
    assert NEW not in answer.text


@pytest.mark.parametrize("role", ["auditor", "support", "administrator"])
def test_the_help_names_the_real_minimum(signed_in: SignedIn, role: str) -> None:
    assert "At least 15 characters." in text_of(signed_in(role).get(PATH))


ANN = {"email": "ann@example.org", "password": PASSWORD}


@pytest.fixture
def temporary(app: Flask, make_user: MakeUser) -> Visitor:
    """The browser of a person whose password another has chosen, not yet signed in."""
    make_user(email=ANN["email"], role=Role.ADMINISTRATOR, must_change_password=True)
    return Visitor(app)


def test_a_password_that_another_has_chosen_is_changed_first(app: Flask, temporary: Visitor) -> None:
    answer = temporary.post("/auth/login", {**ANN, "next": "/users/?q=bob"})
    assert answer.status_code == 303
    page = temporary.get(answer.headers["Location"])
    assert "chosen by someone else" in text_of(page)
    form = read_form(page.text, holding="new_password")
    assert form.action == PATH
    for path in ("/users/", "/auth/devices", "/auth/profile", "/users/new"):
        answer = temporary.get(path)
        assert answer.status_code == 303
        assert urlsplit(answer.headers["Location"]).path == PATH
    assert temporary.post("/users/new", {"email": "new@example.org"}).status_code == 303
    assert [row for row in read_tables(app)["users"] if "new@example.org" in row] == []
    answer = temporary.post_raw(PATH, {**form.fields, **RIGHT})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/users/?q=bob")
    assert temporary.get("/users/?q=bob").status_code == 200
    assert Visitor(app).post("/auth/login", {**ANN, "password": NEW}).status_code == 303


def test_the_page_that_was_wanted_is_kept_over_the_change(temporary: Visitor) -> None:
    temporary.post("/auth/login", ANN)
    asked = temporary.get("/users/?q=bob")
    form = read_form(temporary.get(asked.headers["Location"]).text, holding="new_password")
    assert form.fields["next"] == "/users/?q=bob"
    refused = temporary.post_raw(PATH, {**form.fields, **RIGHT, "confirm_password": "x"})
    form = read_form(refused.text, holding="new_password")
    answer = temporary.post_raw(PATH, {**form.fields, **RIGHT})
    assert answer.headers["Location"] == "/users/?q=bob"


def test_it_leads_to_no_other_site(temporary: Visitor) -> None:
    temporary.post("/auth/login", ANN)
    answer = temporary.post(PATH, {**RIGHT, "next": "//evil.example"})
    assert answer.headers["Location"] == "/auth/devices"


def test_signing_out_instead_is_possible(temporary: Visitor) -> None:
    temporary.post("/auth/login", ANN)
    assert temporary.post("/auth/logout").headers["Location"] == "/auth/login"
    assert temporary.get(PATH).headers["Location"].startswith("/auth/login")


def test_a_form_that_was_kept_over_the_sign_in_is_kept_over_the_change_too(temporary: Visitor) -> None:
    typed = {"email": "new@example.org", "full_name": "New Person", "role": "member"}
    asked = temporary.post("/users/new", typed)
    signing = read_form(asked.text, holding="password")
    page = temporary.post_raw("/auth/login", {**signing.fields, **ANN})
    form = read_form(page.text, holding="new_password")
    kept = temporary.post_raw(PATH, {**form.fields, **RIGHT})
    assert "New Person" in kept.text
    resend = read_form(kept.text, holding="full_name")
    assert temporary.post_raw(resend.action, resend.fields).status_code == 303
