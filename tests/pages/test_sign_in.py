"""GET, POST /auth/login and /auth/logout: in to where one wanted to go, and never to another site."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from tests.auth.test_rules import OTHER_SITES
from tests.conftest import PASSWORD, MakeUser, SignedIn, read_tables
from tests.pages.asking import text_of
from tests.pages.form_reader import read_form
from tests.racing import places_taken
from tests.visitor import Visitor, field_error, field_value
from webapp.access.permissions import Role
from webapp.auth.queries import find_session
from webapp.auth.rules import MAX_PER_DEVICE, MOST_PER_ACCOUNT, MOST_PER_PAIR
from webapp.auth.throttle import Device, count_attempt
from webapp.errors import Throttled
from webapp.users import passwords
from webapp.web.headers import HEADERS

PATH = "/auth/login"
ANN = {"email": "ann@example.org", "password": PASSWORD}
REFUSED = "E-mail or password is wrong, or this account may not sign in here."


@pytest.fixture
def ann(make_user: MakeUser) -> None:
    make_user(email=ANN["email"], role=Role.AUDITOR)


def test_the_pages_own_form_signs_in_and_leads_where_one_wanted_to_go(visitor: Visitor, ann: None) -> None:
    wanted = "/users/?q=b%C3%A9&sort=-email"
    asked = visitor.get(wanted)
    page = visitor.get(asked.headers["Location"])
    form = read_form(page.text, holding="password")
    answer = visitor.post_raw(form.action or PATH, {**form.fields, **ANN})
    assert answer.status_code == 303
    target = urlsplit(answer.headers["Location"])
    assert target.path == "/users/"
    assert parse_qs(target.query) == {"q": ["bé"], "sort": ["-email"]}
    assert visitor.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize("spelling", ["ANN@Example.org", " ann@example.org "])
def test_the_address_may_be_typed_in_any_way(visitor: Visitor, ann: None, spelling: str) -> None:
    assert visitor.post(PATH, {**ANN, "email": spelling}).status_code == 303


def test_who_goes_nowhere_in_particular_starts_at_the_list(visitor: Visitor, ann: None) -> None:
    answer = visitor.post(PATH, ANN, follow_redirects=True)
    assert answer.request.path == "/users/"


@pytest.mark.parametrize("target", OTHER_SITES, ids=lambda text: ascii(text[:24]))
def test_next_never_leads_to_another_site(signed_in: SignedIn, ann: None, target: str) -> None:
    visitor = Visitor(signed_in("auditor").app)
    assert field_value(visitor.get(PATH, query_string={"next": target}).text, "next") == "/"
    signed = signed_in("support")
    assert signed.get(PATH, query_string={"next": target}).headers["Location"] == "/"


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"]
)
def test_next_posted_by_hand_does_not_either(visitor: Visitor, ann: None, target: str) -> None:
    assert visitor.post(PATH, {**ANN, "next": target}).headers["Location"] == "/"
    other = Visitor(visitor.app)
    answer = other.post(f"{PATH}?next=//evil.example", {**ANN, "next": target})
    assert answer.headers["Location"] == "/"


def test_who_is_signed_in_already_is_led_on(signed_in: SignedIn) -> None:
    answer = signed_in().get(f"{PATH}?next=/users/?q=ann")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/users/?q=ann")


@pytest.mark.parametrize(
    "columns",
    [
        None,
        {"role": Role.AUDITOR},
        {"role": Role.AUDITOR, "is_active": False},
        {"role": Role.MEMBER},
        {"role": Role.AUDITOR, "hashed_password": None},
    ],
    ids=["unknown", "wrong", "inactive", "member", "invited"],
)
def test_a_refusal_looks_the_same_whatever_the_reason(
    visitor: Visitor, make_user: MakeUser, columns: dict[str, object] | None
) -> None:
    if columns is not None:
        make_user(email=ANN["email"], **columns)
    password = "wrong password" if columns == {"role": Role.AUDITOR} else PASSWORD
    answer = visitor.post(PATH, {**ANN, "password": password, "next": "/help"})
    assert answer.status_code == 422
    assert text_of(answer).count(REFUSED) == 1
    assert field_value(answer.text, "email") == ANN["email"]
    assert field_value(answer.text, "password") == ""
    assert field_value(answer.text, "next") == "/help"


@pytest.mark.parametrize(
    ("values", "field"),
    [({"email": ""}, "email"), ({"email": "  "}, "email"), ({"password": ""}, "password")],
)
def test_an_empty_field_is_named_and_counts_as_no_attempt(
    app: Flask, visitor: Visitor, values: dict[str, str], field: str
) -> None:
    answer = visitor.post(PATH, {**ANN, **values})
    assert answer.status_code == 422
    assert field_error(answer.text, field)
    assert read_tables(app)["attempts"] == []


def test_too_many_attempts_are_told_to_wait(
    visitor: Visitor, ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(MOST_PER_PAIR):
        visitor.post(PATH, {**ANN, "password": "wrong"})
    answer = visitor.post(PATH, ANN)
    assert answer.status_code == 429
    assert 14 * 60 < int(answer.headers["Retry-After"]) <= 15 * 60 + 1
    assert "Wait for 15 min" in answer.text
    assert field_value(answer.text, "email") == ANN["email"]
    assert Visitor(visitor.app).get("/users/").status_code == 303


@pytest.mark.parametrize("language", ["en", "fr"])
def test_who_finds_no_place_is_refused_at_once_and_keeps_what_was_typed(
    app: Flask, visitor: Visitor, ann: None, signed_in: SignedIn, language: str
) -> None:
    other = signed_in("support")
    typed = {**ANN, "email": 'ann"<b>@example.org', "next": "/help"}
    with places_taken():
        answer = visitor.post(PATH, typed, headers={"Accept-Language": language})
        assert other.get("/users/").status_code == 200
        assert visitor.get(PATH).status_code == 200
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert ("Too many people are signing in" if language == "en" else "Trop de personnes") in text_of(answer)
    assert f'<html lang="{language}"' in answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    form = read_form(answer.text, holding="password")
    assert form.fields["email"] == typed["email"]
    assert (form.fields["password"], form.fields["next"]) == ("", "/help")
    assert read_tables(app)["attempts"] == [], "what is not compared is no attempt"
    again = visitor.post_raw(PATH, {**form.fields, **ANN})
    assert (again.status_code, again.headers["Location"]) == (303, "/help")


@pytest.mark.parametrize(
    "sent",
    [
        {"data": "x" * 100_000, "content_type": "application/x-www-form-urlencoded"},
        {"data": "a=1&" * 1000, "content_type": "application/x-www-form-urlencoded"},
        {"data": b"\xff\x00=%ff", "content_type": "application/x-www-form-urlencoded"},
        {"data": {"email": "ann"}, "content_type": "multipart/form-data"},
        {"data": b""},
    ],
    ids=["long", "many fields", "no text", "multipart", "empty"],
)
def test_anything_can_be_refused_like_that(visitor: Visitor, sent: dict[str, Any]) -> None:
    with places_taken():
        answer = visitor.client.post(PATH, buffered=True, **sent)
    assert answer.status_code == 503
    assert "@@" not in answer.text


def test_no_place_is_told_by_the_form_as_well(
    visitor: Visitor, ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last place may go between the first look and the hashing."""
    monkeypatch.setattr(passwords, "is_full", lambda: False)
    with places_taken():
        answer = visitor.post(PATH, ANN)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert field_value(answer.text, "email") == ANN["email"]


def test_a_known_device_signs_in_while_strangers_lock_the_account(
    app: Flask, visitor: Visitor, ann: None
) -> None:
    assert visitor.post(PATH, ANN).status_code == 303
    visitor.post("/auth/logout")
    lock_account(app)
    assert Visitor(app).post(PATH, ANN).status_code == 429, "an unknown one waits"
    assert visitor.post(PATH, ANN).status_code == 303


def test_the_device_of_another_person_is_no_known_one(
    app: Flask, visitor: Visitor, ann: None, make_user: MakeUser
) -> None:
    make_user(email="bob@example.org", role=Role.AUDITOR)
    assert visitor.post(PATH, {**ANN, "email": "bob@example.org"}).status_code == 303
    visitor.post("/auth/logout")
    lock_account(app)
    assert visitor.post(PATH, ANN).status_code == 429


@pytest.mark.parametrize("forged", ["", "x", "WzEsIngiXQ.aaaa.bbbb", "ü"])
def test_a_forged_device_is_no_known_one(app: Flask, visitor: Visitor, ann: None, forged: str) -> None:
    lock_account(app)
    visitor.client.set_cookie("dossier-device", forged)
    assert visitor.post(PATH, ANN).status_code == 429


def test_a_stolen_device_has_few_attempts(app: Flask, visitor: Visitor, ann: None) -> None:
    visitor.post(PATH, ANN)
    visitor.post("/auth/logout")
    for _ in range(MAX_PER_DEVICE):
        assert visitor.post(PATH, {**ANN, "password": "wrong"}).status_code == 422
    assert visitor.post(PATH, ANN).status_code == 429
    assert Visitor(app).post(PATH, ANN).status_code == 303, "others are not held up by it"


def test_the_cookie_of_the_device_opens_nothing_and_lasts(visitor: Visitor, ann: None) -> None:
    answer = visitor.post(PATH, ANN)
    (cookie,) = (it for it in answer.headers.getlist("Set-Cookie") if it.startswith("dossier-device="))
    for part in ("HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={400 * 24 * 3600}"):
        assert part in cookie
    assert "ann" not in cookie
    visitor.client.delete_cookie("dossier")
    assert visitor.get("/users/").status_code == 303


def test_devices_known_before_a_reset_share_few_guesses_and_the_one_that_reset_has_its_own(
    app: Flask, visitor: Visitor, make_user: MakeUser, signed_in: SignedIn
) -> None:
    """Signing in again and again, a thief has made as many devices as they like."""
    user, desk = make_user(email=ANN["email"], role=Role.AUDITOR), signed_in()
    thief = Visitor(app)
    assert visitor.post(PATH, ANN).status_code == thief.post(PATH, ANN).status_code == 303
    made = desk.post(f"/users/{user.id}/password-link").text
    (link,) = set(re.findall(r"/auth/set-password/[A-Za-z0-9_-]+", made))
    new = "harbour candle meadow"
    done = visitor.post(link, {"new_password": new, "confirm_password": new})
    assert done.status_code == 200
    lock_account(app)
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT):
            count_attempt(email="", address="", device=Device(f"a thief's {number}", former_of=user.id))
    assert thief.post(PATH, {**ANN, "password": "a guess"}).status_code == 429
    assert visitor.post(PATH, {**ANN, "password": new}).status_code == 303


def test_a_copy_of_a_devices_cookie_cannot_use_up_its_attempts_after_a_reset(
    app: Flask, visitor: Visitor, make_user: MakeUser, signed_in: SignedIn
) -> None:
    user, desk = make_user(email=ANN["email"], role=Role.AUDITOR), signed_in()
    assert visitor.post(PATH, ANN).status_code == 303
    copied = visitor.client.get_cookie("dossier-device")
    assert copied is not None
    thief = Visitor(app)
    thief.client.set_cookie("dossier-device", copied.value)
    made = desk.post(f"/users/{user.id}/password-link").text
    (link,) = set(re.findall(r"/auth/set-password/[A-Za-z0-9_-]+", made))
    new = "harbour candle meadow"
    assert visitor.post(link, {"new_password": new, "confirm_password": new}).status_code == 200
    for _ in range(MAX_PER_DEVICE + MOST_PER_PAIR + 1):
        thief.post(PATH, {**ANN, "password": "a guess"})
    assert thief.post(PATH, {**ANN, "password": "a guess"}).status_code == 429
    assert visitor.post(PATH, {**ANN, "password": new}).status_code == 303


def test_a_browser_of_a_former_epoch_is_no_worse_off_than_an_unknown_one(
    app: Flask, visitor: Visitor, make_user: MakeUser, signed_in: SignedIn
) -> None:
    user, desk = make_user(email=ANN["email"], role=Role.AUDITOR), signed_in()
    assert visitor.post(PATH, ANN).status_code == 303
    assert desk.post(f"/users/{user.id}/sign-out").status_code == 303
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT + 1):
            with suppress(Throttled):
                count_attempt(email="", address="", device=Device(f"a thief's {number}", former_of=user.id))
    assert visitor.post(PATH, ANN).status_code == 303


def lock_account(app: Flask) -> None:
    """From as many addresses as it takes."""
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT):
            count_attempt(email=ANN["email"], address=f"198.51.100.{number}")


def test_a_wrong_device_answers_as_a_right_one(visitor: Visitor, ann: None) -> None:
    """Refusals set no cookie, whatever the account."""
    for email in (ANN["email"], "unknown@example.org"):
        answer = visitor.post(PATH, {"email": email, "password": "wrong"})
        assert not [it for it in answer.headers.getlist("Set-Cookie") if "device" in it]


def test_signing_in_again_ends_the_earlier_session_of_this_browser(
    app: Flask, visitor: Visitor, ann: None
) -> None:
    visitor.post(PATH, ANN)
    with visitor.client.session_transaction() as cookie:
        earlier = cookie["token"]
    elsewhere = Visitor(app)
    elsewhere.post(PATH, ANN)
    visitor.post(PATH, {**ANN, "password": "wrong"})
    assert is_alive(app, earlier), "a failure ends nothing"
    assert visitor.post(PATH, ANN).status_code == 303
    assert not is_alive(app, earlier)
    assert visitor.get("/users/").status_code == 200
    assert elsewhere.get("/users/").status_code == 200


def is_alive(app: Flask, token: str) -> bool:
    with app.app_context():
        return find_session(token, app.extensions["settings"]) is not None


def test_looking_writes_nothing(app: Flask, visitor: Visitor) -> None:
    before = read_tables(app)
    assert visitor.get(f"{PATH}?email=ann@example.org&password=x").status_code == 200
    assert read_tables(app) == before


def test_a_page_that_was_open_for_too_long_keeps_the_address(visitor: Visitor, ann: None) -> None:
    """Its token died with the cookie."""
    answer = visitor.post_raw(PATH, {**ANN, "csrf_token": "old", "next": "/help"})
    assert answer.status_code == 400
    form = read_form(answer.text, holding="password")
    assert (form.fields["email"], form.fields["password"], form.fields["next"]) == (ANN["email"], "", "/help")
    again = visitor.post_raw(PATH, {**form.fields, "password": PASSWORD})
    assert (again.status_code, again.headers["Location"]) == (303, "/help")


def test_next_on_an_old_page_leads_to_no_other_site(visitor: Visitor, ann: None) -> None:
    answer = visitor.post_raw(PATH, {**ANN, "csrf_token": "old", "next": "//evil.example"})
    form = read_form(answer.text, holding="password")
    assert visitor.post_raw(PATH, {**form.fields, "password": PASSWORD}).headers["Location"] == "/"


def test_signing_out_works_from_any_page_and_twice(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    button = read_form(visitor.get("/help").text, action="/auth/logout")
    answer = visitor.post_raw(button.action, button.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    assert "You are signed out." in visitor.get(PATH).text
    assert visitor.get("/users/").status_code == 303
    assert visitor.post("/auth/logout").status_code == 303
    assert visitor.get("/auth/logout").status_code == 405


def test_signing_out_clears_what_the_browser_has_stored_but_no_cookies(signed_in: SignedIn) -> None:
    """Cookies tell the message afterwards, and at the next sign-in that it is this browser again."""
    answer = signed_in("auditor").post("/auth/logout")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'


def test_another_site_cannot_sign_one_out(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    assert visitor.post_raw("/auth/logout", {}).status_code == 400
    assert visitor.get("/users/").status_code == 200


def test_the_back_button_after_signing_out_shows_nothing_stored(signed_in: SignedIn) -> None:
    assert signed_in().get("/users/").headers["Cache-Control"] == "no-store"
