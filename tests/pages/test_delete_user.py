"""GET, POST /users/<id>/delete: says where one goes, asks once, and refuses what would lock all out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, newest_entry, read_user
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.users.trash import get_trashed


def path_of(user_id: int | str) -> str:
    return f"/users/{user_id}/delete"


def test_the_pages_own_button_moves_to_the_trash(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee")
    form = read_form(visitor.get(f"{path_of(user.id)}?back=q%3Dann").text, holding="version")
    answer = visitor.post_raw(form.action or path_of(user.id), form.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/users/?q=ann")
    assert "Ann Lee is in the trash." in visitor.get(answer.headers["Location"]).text
    assert read_user(app, user.id) is None
    way_back = visitor.get(f"/users/{user.id}")
    assert (way_back.status_code, way_back.headers["Location"]) == (303, f"/trash/{user.id}/restore")
    assert signed_in("support").get(f"/users/{user.id}").status_code == 404
    with app.app_context():
        assert get_trashed(user.id).display_name == "Ann Lee"


def test_the_toast_brings_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee")
    visitor.post(path_of(user.id), {"version": "1"})
    undo = read_form(visitor.get("/users/").text, action=f"/users/changes/{newest_entry(app)}/undo")
    answer = visitor.post_raw(undo.action, undo.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user.id}")
    assert read_user(app, user.id) is not None


def test_it_is_in_the_history(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee")
    visitor.post(path_of(user.id), {"version": "1"})
    assert visitor.user is not None
    with app.app_context():
        story = get_story(newest_entry(app))
    assert (story.kind, story.subject_id, story.subject_name) == (Kind.DELETED, user.id, "Ann Lee")
    assert story.actor_id == visitor.user.id


def test_the_address_is_free_for_somebody_else(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(email="ann@example.org")
    visitor.post(path_of(user.id), {"version": "1"})
    answer = visitor.post("/users/new", {"full_name": "", "email": "ann@example.org", "role": "member"})
    assert answer.status_code == 303


def test_it_says_what_does_not_come_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee", email="ann@example.org", role=Role.AUDITOR)
    Visitor(app, user)
    Visitor(app, user)
    page = text_of(visitor.get(path_of(user.id)))
    for text in ("Ann Lee", "ann@example.org", "to the trash", "does not come back", "2 signed-in devices"):
        assert text in page


def test_where_everything_comes_back_it_does_not_say_otherwise(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    page = text_of(signed_in().get(path_of(make_user().id)))
    assert "to the trash" in page
    assert "does not come back" not in page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    assert_get_asks_to_sign_in(app, path_of(user.id))
    assert_post_asks_to_sign_in(app, path_of(user.id), {"version": "1"})


@pytest.mark.parametrize("role", ["auditor", "support"])
@pytest.mark.parametrize("target", list(Role))
def test_only_administrators_may(signed_in: SignedIn, make_user: MakeUser, role: str, target: Role) -> None:
    visitor, user = signed_in(role), make_user(role=target)
    assert visitor.get(path_of(user.id)).status_code == 403
    assert_refused(visitor, path_of(user.id), {"version": "1"})


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, user_id: str) -> None:
    visitor = signed_in()
    assert visitor.get(path_of(user_id)).status_code == 404
    assert_refused(visitor, path_of(user_id), {"version": "1"}, status=404)


def test_a_form_sent_twice_deletes_once(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user()
    statuses = [visitor.post(path_of(user.id), {"version": "1"}).status_code for _ in range(2)]
    assert statuses == [303, 404]


def test_opening_the_page_writes_nothing(signed_in: SignedIn, make_user: MakeUser) -> None:
    assert_get_writes_nothing(signed_in(), path_of(make_user().id))


def test_it_takes_four_queries_to_open(
    signed_in: SignedIn, make_user: MakeUser, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    visitor, user = signed_in(), make_user()
    with count_queries() as statements:
        visitor.get(path_of(user.id))
    assert len(statements) == 4, "who is signed in, the user, the user's sessions, an open link"


@pytest.mark.parametrize("version", ["", "0", "2", "x", "9" * 100])
def test_a_user_who_changed_meanwhile_is_shown_again_first(
    signed_in: SignedIn, make_user: MakeUser, version: str
) -> None:
    visitor, user = signed_in(), make_user()
    answer = assert_refused(visitor, path_of(user.id), {"version": version}, status=409)
    assert "Somebody else changed this user" in text_of(answer)
    again = read_form(answer.text, holding="version")
    assert visitor.post_raw(path_of(user.id), again.fields).status_code == 303


@pytest.mark.parametrize("others", [0, 1])
def test_nobody_deletes_himself(signed_in: SignedIn, make_user: MakeUser, others: int) -> None:
    for _ in range(others):
        make_user(role=Role.ADMINISTRATOR)
    visitor = signed_in()
    assert visitor.user is not None
    answer = assert_refused(visitor, path_of(visitor.user.id), {"version": "1"}, status=409)
    assert "You cannot delete yourself" in text_of(answer)
