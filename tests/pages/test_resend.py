"""A form sent when the session had ended, or with an old token: it comes back, without any password."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import delete

from tests.conftest import PASSWORD, MakeUser, SignedIn, read_tables, read_user
from tests.pages.asking import text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor, field_value
from webapp.access.permissions import Role
from webapp.auth.models import SignInSession
from webapp.db import get_session
from webapp.web import resend
from webapp.web.resend import LARGEST_BYTES

DESK = {"email": "administrator@desk.example", "password": PASSWORD}
SIGN_IN = "/auth/login"


def end_sessions(app: Flask) -> None:
    with app.app_context():
        get_session().execute(delete(SignInSession))
        get_session().commit()


def sign_in_from(visitor: Visitor, page: str) -> str:
    """Fill in the sign-in form of ``page``; the page that follows."""
    form = read_form(page, holding="password")
    answer = visitor.post_raw(form.action or SIGN_IN, {**form.fields, **DESK})
    assert answer.status_code == 200, answer.headers.get("Location")
    return answer.text


def test_an_edit_survives_an_expired_session(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee", email="ann@example.org")
    path = f"/users/{user.id}/edit"
    typed = {**read_form(visitor.get(path).text, holding="full_name").fields, "full_name": "Ann <Typed>"}
    end_sessions(app)
    refused = visitor.post_raw(path, typed)
    assert refused.status_code == 401
    assert "What you typed is kept" in text_of(refused)
    assert read_user(app, user.id).full_name == "Ann Lee"  # type: ignore[union-attr]

    shown = sign_in_from(visitor, refused.text)
    assert "Ann &lt;Typed&gt;" in shown
    again = read_form(shown, holding="full_name")
    assert again.action == path
    assert visitor.post_raw(again.action, again.fields).status_code == 303
    saved = read_user(app, user.id)
    assert saved is not None
    assert (saved.full_name, saved.version) == ("Ann <Typed>", 2)


def test_nothing_is_sent_by_itself(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    refused = visitor.post("/users/new", {"email": "zoe@example.org", "role": "member"})
    sign_in_from(visitor, refused.text)
    assert len(read_tables(app)["users"]) == 1


@pytest.mark.parametrize(
    ("act", "page"),
    [
        ("delete", "/users/1/delete"),  # it has a page of its own, which says what goes
        ("deactivate", "/users/1?back=q%3Dann"),  # the page that the button is on
    ],
)
def test_an_act_without_anything_typed_is_begun_anew_from_its_page(
    app: Flask, signed_in: SignedIn, act: str, page: str
) -> None:
    """Nobody should confirm what he cannot read: what a button would do is said on its page."""
    visitor = signed_in()
    end_sessions(app)
    referrer = {"Referer": "http://localhost/users/1?back=q%3Dann"}
    refused = visitor.post(f"/users/1/{act}", {"version": "1"}, headers=referrer)
    assert refused.status_code == 401
    form = read_form(refused.text, holding="password")
    assert form.fields["resend"] == ""
    assert visitor.post_raw(SIGN_IN, {**form.fields, **DESK}).headers["Location"] == page


def test_a_form_kept_for_one_browser_is_not_offered_in_another(app: Flask, signed_in: SignedIn) -> None:
    signed_in()
    sealed = field_value(Visitor(app).post("/users/new", {"email": "planted@example.org"}).text, "resend")
    assert sealed
    other = Visitor(app)
    answer = other.post(SIGN_IN, {**DESK, "resend": sealed})
    assert answer.status_code == 303
    assert "planted" not in answer.text


def test_signing_out_in_an_old_tab_signs_out(signed_in: SignedIn) -> None:
    visitor = signed_in()
    own = {"Sec-Fetch-Site": "same-origin"}
    assert visitor.post_raw("/auth/logout", {"csrf_token": "old"}, headers=own).status_code == 303
    assert visitor.get("/users/").status_code == 303


def test_an_old_form_of_a_password_leads_back_to_an_empty_one(signed_in: SignedIn) -> None:
    answer = signed_in().post_raw("/auth/password", {"csrf_token": "old", "new_password": "secret words"})
    assert answer.status_code == 400
    assert 'href="/auth/password"' in answer.text
    assert "secret words" not in answer.text


def test_a_new_user_survives_too_with_every_field(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    typed = {
        "full_name": "Zoë\u200d",
        "email": "zoe@example.org",
        "role": "support",
        "back": "q=a%26b&sort=-email",
    }
    end_sessions(app)
    shown = sign_in_from(visitor, visitor.post("/users/new", typed).text)
    again = read_form(shown, holding="full_name")
    assert {name: again.fields[name] for name in typed} == typed


def test_a_wrong_password_in_between_loses_nothing(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    form = read_form(visitor.post("/users/new", {"email": "zoe@example.org"}).text, holding="password")
    wrong = visitor.post_raw(SIGN_IN, {**form.fields, **DESK, "password": "wrong"})
    assert wrong.status_code == 422
    assert 'value="zoe@example.org"' in sign_in_from(visitor, wrong.text)


def test_neither_does_a_sign_in_page_that_was_open_for_too_long(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    form = read_form(visitor.post("/users/new", {"email": "zoe@example.org"}).text, holding="password")
    old = visitor.post_raw(SIGN_IN, {**form.fields, **DESK, "csrf_token": "old"})
    assert old.status_code == 400
    assert 'value="zoe@example.org"' in sign_in_from(visitor, old.text)


def test_passwords_are_never_kept(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    secret = "harbour candle meadow"
    typed = {"email": "zoe@example.org", "password": secret, "new_password": secret}
    shown = sign_in_from(visitor, visitor.post("/users/new", typed).text)
    assert "zoe@example.org" in shown
    assert secret not in shown


CROSS_SITE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://["},
]


def test_a_page_that_has_no_address_leads_to_the_beginning(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    refused = visitor.post("/users/1/deactivate", {"version": "1"}, headers={"Referer": "http://[localhost"})
    assert refused.status_code == 401
    assert field_value(refused.text, "next") == "/"


@pytest.mark.parametrize("headers", CROSS_SITE, ids=lambda headers: str(*headers.values()))
def test_what_another_site_sends_is_not_kept(
    app: Flask, signed_in: SignedIn, headers: dict[str, str]
) -> None:
    visitor, planted = signed_in(), {"email": "eve@example.org", "role": "administrator"}
    old_token = visitor.post_raw("/users/new", planted, headers=headers)
    assert old_token.status_code == 400
    assert "eve@example.org" not in old_token.text
    end_sessions(app)
    signed_out = Visitor(app).post("/users/new", planted, headers=headers)
    assert signed_out.status_code == 401
    assert field_value(signed_out.text, "resend") == ""
    large = Visitor(app).post("/users/new", {"full_name": "n" * (LARGEST_BYTES + 1)}, headers=headers)
    assert large.status_code == 401
    assert "too long to be kept" not in large.text, "its length is not why"


def test_an_old_token_shows_what_was_typed_with_a_new_one(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    path = f"/users/{user.id}/edit"
    typed = {"full_name": "Typed", "email": user.email, "version": "1", "csrf_token": "old"}
    refused = visitor.post_raw(path, typed)
    assert refused.status_code == 400
    again = read_form(refused.text, holding="full_name")
    assert (again.action, again.fields["full_name"]) == (path, "Typed")
    assert visitor.post_raw(again.action, again.fields).status_code == 303
    saved = read_user(app, user.id)
    assert saved is not None
    assert saved.full_name == "Typed"


@pytest.mark.parametrize(
    "sealed",
    ["x", "WyIvIixbXV0.x.y", "a" * 100_000, "\0", "é", '["/users/new",[]]'],
    ids=lambda text: ascii(text[:6]),
)
def test_what_we_did_not_seal_is_ignored(visitor: Visitor, make_user: MakeUser, sealed: str) -> None:
    make_user(email=DESK["email"], role=Role.ADMINISTRATOR)
    answer = visitor.post(SIGN_IN, {**DESK, "resend": sealed, "next": "/help"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/help")


def test_what_was_signed_for_another_purpose_is_ignored(app: Flask, signed_in: SignedIn) -> None:
    """One key signs the cookie, the tokens of forms and kept forms; none of them passes for another."""
    visitor = signed_in()
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = visitor.client.get_cookie(name)
    assert cookie is not None
    end_sessions(app)
    sealed = field_value(visitor.post("/users/new", {"email": "zoe@example.org"}).text, "resend")
    assert sealed
    for other in (cookie.value, visitor.csrf_token()):
        assert (
            visitor.post(SIGN_IN, {**DESK, "resend": other, "next": "/help"}).headers["Location"] == "/help"
        )
    for other in (sealed, visitor.csrf_token()):
        impostor = Visitor(app)
        impostor.client.set_cookie(name, other)
        assert impostor.get("/users/").status_code == 303
    assert visitor.post_raw("/users/new", {"csrf_token": sealed}).status_code == 400


def test_a_kept_form_ends_after_a_day(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = signed_in()
    end_sessions(app)
    form = read_form(visitor.post("/users/new", {"email": "zoe@example.org"}).text, holding="password")
    assert form.fields["resend"]
    monkeypatch.setattr(resend, "LIFETIME_SECONDS", -1)
    answer = visitor.post_raw(SIGN_IN, {**form.fields, **DESK})
    assert (answer.status_code, "zoe" in answer.text) == (303, False)


@pytest.mark.parametrize(("path", "name"), [("/users/new", "full_name"), ("/batches/paste", "text")])
def test_a_very_large_form_is_not_kept_and_that_is_said(
    app: Flask, signed_in: SignedIn, path: str, name: str
) -> None:
    visitor, typed = signed_in(), {name: "n" * (LARGEST_BYTES + 1)}
    old = visitor.post_raw(path, {**typed, "csrf_token": "old"})
    assert old.status_code == 400
    assert "nothing was done. What you sent is too long to be kept: enter or paste it again." in old.text
    end_sessions(app)
    answer = visitor.post(path, typed)
    assert answer.status_code == 401
    assert field_value(answer.text, "resend") == ""
    assert "What you sent is too long to be kept: sign in, and enter or paste it again." in answer.text
    form = read_form(answer.text, holding="password")
    assert visitor.post_raw(SIGN_IN, {**form.fields, **DESK}).headers["Location"] == path


def test_what_is_not_quite_so_large_is_kept(app: Flask, signed_in: SignedIn) -> None:
    visitor, text = signed_in(), "ann@example.org\n" * 16_000
    end_sessions(app)
    shown = sign_in_from(visitor, visitor.post("/batches/paste", {"text": text}).text)
    assert read_form(shown, holding="text").fields["text"].split() == text.split()


def test_any_name_and_value_can_be_kept(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    end_sessions(app)
    typed = {"full_name": '"><script>canary', "a\"'<b>": "\r\nX: y", "empty": "", "%": "\u202e"}
    shown = sign_in_from(visitor, visitor.post("/users/new", typed).text)
    assert "<script>canary" not in shown
    again = read_form(shown, holding="full_name")
    for name, value in typed.items():
        assert again.fields[name].replace("\n", "\r\n").replace("\r\r", "\r") == value
