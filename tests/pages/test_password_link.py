"""POST /users/<id>/password-link makes a link, shown once; GET, POST /auth/set-password/… uses it, once."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_tables, read_user
from tests.pages.asking import UNKNOWN_IDS, assert_post_asks_to_sign_in, assert_refused, text_of
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import Visitor, field_error, field_value
from webapp.access.permissions import Role
from webapp.users.passwords import verify_password

NEW = "harbour candle meadow"
RIGHT = {"new_password": NEW, "confirm_password": NEW}
BAD_TOKENS = ["x", "%00", "%FF", "%ED%A0%80", "a" * 5000, "..%2f..", "<script>"]


def make_path(user_id: int | str) -> str:
    return f"/users/{user_id}/password-link"


def make_link(visitor: Visitor, user_id: int) -> str:
    """The path of a new link, as its page shows it."""
    page = visitor.post(make_path(user_id)).text
    link = re.search(r'value="http://localhost(/auth/set-password/[A-Za-z0-9_-]{43,})"', page)
    assert link, "the whole address stands in a field, to be copied"
    return link[1]


def test_the_users_page_makes_a_link_that_the_person_uses(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(email="ann@example.org", role=Role.AUDITOR, hashed_password=None)
    page_of_ann = visitor.get(f"/users/{user.id}").text
    # One on top, one as the remedy for having no password.
    button, _remedy = (form for form in read_forms(page_of_ann) if form.action == make_path(user.id))
    answer = visitor.post_raw(button.action, button.fields)
    assert answer.status_code == 200
    link = re.search(r"http://localhost(/auth/set-password/[^\"]+)", answer.text)
    assert link
    person = Visitor(app)
    page = person.get(link[1])
    assert page.status_code == 200
    assert "ann@example.org" in page.text
    form = read_form(page.text, holding="new_password")
    done = person.post_raw(form.action or link[1], {**form.fields, **RIGHT})
    assert done.status_code == 200
    assert "Your password is set" in done.text
    assert person.post("/auth/login", {"email": "ann@example.org", "password": NEW}).status_code == 303


def test_the_link_stands_in_the_page_alone(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user()
    answer = visitor.post(make_path(user.id))
    token = re.search(r"/auth/set-password/([A-Za-z0-9_-]+)", answer.text)
    assert token
    assert token[1] not in str(answer.headers)
    assert answer.headers["Cache-Control"] == "no-store"
    assert token[1] not in str(read_tables(app)), "only its hash is stored"
    assert token[1] not in visitor.get(f"/users/{user.id}").text


def test_making_a_link_needs_a_post(signed_in: SignedIn, make_user: MakeUser) -> None:
    answer = signed_in().get(make_path(make_user().id))
    assert answer.status_code == 405


def test_without_anybody_signed_in_none_is_made(app: Flask, make_user: MakeUser) -> None:
    assert_post_asks_to_sign_in(app, make_path(make_user().id))


@pytest.mark.parametrize(
    ("role", "target"),
    [("auditor", role) for role in Role] + [("support", role) for role in Role if role is not Role.MEMBER],
)
def test_who_may_not_makes_none(signed_in: SignedIn, make_user: MakeUser, role: str, target: Role) -> None:
    assert_refused(signed_in(role), make_path(make_user(role=target).id))


def test_support_makes_one_for_a_member(signed_in: SignedIn, make_user: MakeUser) -> None:
    assert make_link(signed_in("support"), make_user().id)


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, user_id: str) -> None:
    assert_refused(signed_in(), make_path(user_id), status=404)


def test_an_inactive_person_gets_none(signed_in: SignedIn, make_user: MakeUser) -> None:
    answer = assert_refused(signed_in(), make_path(make_user(is_active=False).id), status=409)
    assert "Activate the user first" in text_of(answer)


def test_opening_the_link_does_not_use_it_up(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    """Mail scanners open links too."""
    path = make_link(signed_in(), make_user().id)
    before = read_tables(app)
    for _ in range(3):
        assert Visitor(app).get(path).status_code == 200
        assert Visitor(app).client.head(path).status_code == 200
    assert read_tables(app) == before


@pytest.mark.parametrize(("role", "least"), [(Role.MEMBER, 8), (Role.SUPPORT, 15)])
def test_the_shortest_password_is_that_of_the_persons_role(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: Role, least: int
) -> None:
    path = make_link(signed_in(), make_user(role=role).id)
    visitor, short = Visitor(app), "tp2k9vqw7x1zb4m"[: least - 1]
    assert f"At least {least} characters." in text_of(visitor.get(path))
    answer = visitor.post(path, {"new_password": short, "confirm_password": short})
    assert f"at least {least}" in (field_error(answer.text, "new_password") or "")
    right = f"{short}h"
    assert visitor.post(path, {"new_password": right, "confirm_password": right}).status_code == 200


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"new_password": "short", "confirm_password": "short"}, "new_password", "at least 8"),
        ({"new_password": "ann.lee was here"}, "new_password", "easy to guess"),
        ({"confirm_password": "another"}, "confirm_password", "not the same"),
    ],
)
def test_bad_input_is_named_and_the_link_still_works(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, values: dict[str, str], field: str, text: str
) -> None:
    user = make_user(email="ann.lee@example.org")
    path = make_link(signed_in(), user.id)
    person = Visitor(app)
    answer = person.post(path, {**RIGHT, **values})
    assert answer.status_code == 422
    assert text in (field_error(answer.text, field) or "")
    assert field_value(answer.text, "new_password") == ""
    assert person.post(path, RIGHT).status_code == 200
    changed = read_user(app, user.id)
    assert changed is not None
    assert verify_password(changed.hashed_password, NEW)


def assert_dead(app: Flask, path: str) -> None:
    for answer in (Visitor(app).get(path), Visitor(app).post(path, RIGHT)):
        assert answer.status_code == 404
        assert "no longer works" in answer.text


def test_a_used_link_is_dead_and_says_what_to_do(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    path = make_link(signed_in(), make_user().id)
    assert Visitor(app).post(path, RIGHT).status_code == 200
    assert_dead(app, path)


def test_a_newer_link_replaces_it(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user()
    old, new = make_link(visitor, user.id), make_link(visitor, user.id)
    assert_dead(app, old)
    assert Visitor(app).get(new).status_code == 200


@pytest.mark.parametrize("act", ["deactivate", "delete"])
def test_it_dies_with_the_account(app: Flask, signed_in: SignedIn, make_user: MakeUser, act: str) -> None:
    visitor, user = signed_in(), make_user()
    path = make_link(visitor, user.id)
    assert visitor.post(f"/users/{user.id}/{act}", {"version": "1"}).status_code == 303
    assert_dead(app, path)


@pytest.mark.parametrize("token", BAD_TOKENS, ids=lambda text: text[:8])
def test_a_damaged_link_is_a_dead_link(app: Flask, token: str) -> None:
    path = f"/auth/set-password/{token}"
    for answer in (Visitor(app).get(path), Visitor(app).post(path, RIGHT)):
        assert answer.status_code in ({404, 308} if "%2f" in token else {404})
        assert "<script>" not in answer.text.replace("<script src", "")


def test_a_member_is_not_sent_to_a_sign_in_that_would_refuse_him(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    path = make_link(signed_in(), make_user().id)
    answer = Visitor(app).post(path, RIGHT)
    assert "Your password is set" in answer.text
    assert "/auth/login" not in answer.text


def test_somebody_elses_link_opened_while_signed_in_changes_that_person_only(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    path = make_link(visitor, user.id)
    assert visitor.post(path, RIGHT).status_code == 200
    assert visitor.get("/users/").status_code == 200, "still signed in as before"
    assert visitor.user is not None
    own = read_user(app, visitor.user.id)
    assert own is not None
    assert own.hashed_password == visitor.user.hashed_password
