"""POST activate, deactivate, sign-out: done once, undone by the toast's button, refused where it must be."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_user
from tests.pages.asking import UNKNOWN_IDS, assert_post_asks_to_sign_in, assert_refused, text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role

ACTS = ("activate", "deactivate", "sign-out")


def is_active(app: Flask, user_id: int) -> bool:
    user = read_user(app, user_id)
    assert user is not None
    return user.is_active


def test_deactivating_shuts_out_at_once_and_undo_lets_in_again(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(role=Role.AUDITOR)
    other = Visitor(app, user)
    button = read_form(visitor.get(f"/users/{user.id}").text, action=f"/users/{user.id}/deactivate")
    answer = visitor.post_raw(button.action, button.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user.id}")
    assert not is_active(app, user.id)
    assert other.get("/users/").status_code == 303, "signed out"
    page = visitor.get(answer.headers["Location"]).text
    assert "is inactive and signed out everywhere" in page
    undo = next(
        tag for tag in page.split("<form") if f'"/users/{user.id}/activate"' in tag and "toast" not in tag
    )
    assert "csrf_token" in undo
    assert visitor.post(f"/users/{user.id}/activate").status_code == 303
    assert is_active(app, user.id)
    assert other.get("/users/").status_code == 303, "and stays so: the old session does not rise again"


def test_signing_out_ends_all_sessions_and_no_open_form(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(role=Role.AUDITOR)
    others = [Visitor(app, user), Visitor(app, user)]
    button = read_form(visitor.get(f"/users/{user.id}").text, action=f"/users/{user.id}/sign-out")
    answer = visitor.post_raw(button.action, button.fields)
    assert answer.status_code == 303
    assert [other.get("/users/").status_code for other in others] == [303, 303]
    same = read_user(app, user.id)
    assert same is not None
    assert (same.version, same.is_active) == (user.version, True)


@pytest.mark.parametrize(("act", "active"), [("activate", True), ("deactivate", False)])
def test_what_is_so_already_changes_nothing(
    signed_in: SignedIn, make_user: MakeUser, act: str, active: bool
) -> None:
    assert_refused(signed_in(), f"/users/{make_user(is_active=active).id}/{act}", status=303)


@pytest.mark.parametrize("act", ACTS)
def test_looking_is_no_doing(signed_in: SignedIn, make_user: MakeUser, act: str) -> None:
    answer = signed_in().get(f"/users/{make_user().id}/{act}")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("act", ACTS)
def test_without_anybody_signed_in_nothing_is_done(app: Flask, make_user: MakeUser, act: str) -> None:
    user = make_user(is_active=act != "activate")
    assert_post_asks_to_sign_in(app, f"/users/{user.id}/{act}")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("role", "target"), [("auditor", Role.MEMBER), ("support", Role.AUDITOR), ("support", Role.ADMINISTRATOR)]
)
def test_who_may_not_is_refused(
    signed_in: SignedIn, make_user: MakeUser, act: str, role: str, target: Role
) -> None:
    visitor, user = signed_in(role), make_user(role=target, is_active=act != "activate")
    assert_refused(visitor, f"/users/{user.id}/{act}")


@pytest.mark.parametrize("act", ["deactivate", "sign-out"])
def test_support_does_it_to_members(app: Flask, signed_in: SignedIn, make_user: MakeUser, act: str) -> None:
    user = make_user()
    assert signed_in("support").post(f"/users/{user.id}/{act}").status_code == 303
    changed = read_user(app, user.id)
    assert changed is not None
    assert changed.session_epoch == 1


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, act: str, user_id: str) -> None:
    assert_refused(signed_in(), f"/users/{user_id}/{act}", status=404)


def test_nobody_deactivates_himself(signed_in: SignedIn, make_user: MakeUser) -> None:
    make_user(role=Role.ADMINISTRATOR)
    visitor = signed_in()
    assert visitor.user is not None
    answer = assert_refused(visitor, f"/users/{visitor.user.id}/deactivate", status=409)
    assert "You cannot deactivate yourself" in text_of(answer)


@pytest.mark.parametrize("act", ACTS)
def test_without_the_token_nothing_is_done_but_offered_again(
    signed_in: SignedIn, make_user: MakeUser, act: str
) -> None:
    visitor, user = signed_in(), make_user(is_active=act != "activate")
    answer = visitor.post_raw(f"/users/{user.id}/{act}", {})
    assert answer.status_code == 400
    same = read_user(visitor.app, user.id)
    assert same is not None
    assert (same.is_active, same.session_epoch) == (user.is_active, 0)


@pytest.mark.parametrize("act", ACTS)
def test_the_way_back_to_the_list_is_kept(signed_in: SignedIn, make_user: MakeUser, act: str) -> None:
    user = make_user(is_active=act != "activate")
    answer = signed_in().post(f"/users/{user.id}/{act}", {"back": "q=ann&sort=-email"})
    assert answer.headers["Location"] == f"/users/{user.id}?back=q%3Dann%26sort%3D-email"
