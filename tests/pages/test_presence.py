"""GET /users/<id>/presence, and the same line in the form: who else has it open, who saved meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tests.conftest import MakeUser, SignedIn, read_tables
from tests.corpus import CANARY
from tests.pages.asking import UNKNOWN_IDS, assert_get_writes_nothing, text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.users import presence
from webapp.users.models import OpenForm

CountQueries = Callable[[], AbstractContextManager[list[str]]]
MERGED = "What you typed is kept and merged when you save."


def path_of(user_id: int | str, version: object = 1) -> str:
    return f"/users/{user_id}/presence?version={version}"


def edit_path(user_id: int) -> str:
    return f"/users/{user_id}/edit"


def ask(visitor: Visitor, user_id: int, version: object = 1) -> str:
    """The line as it is read."""
    answer = visitor.get(path_of(user_id, version))
    assert answer.status_code == 200
    assert "<html" not in answer.text
    return line_in(text_of(answer))


def line_in(page: str) -> str:
    found = re.search(r"<p data-present>(.*?)</p>", page, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", "", found[1]).split())


def count_marks(app: Flask) -> int:
    with app.app_context():
        return len(get_session().execute(select(OpenForm.user_id)).all())


@pytest.fixture
def desk(signed_in: SignedIn) -> Visitor:
    return signed_in("administrator", full_name="Jeanne Dubois")


@pytest.fixture
def colleague(signed_in: SignedIn) -> Visitor:
    return signed_in("support", full_name="Omar Haddad", email="omar@desk.example")


def test_the_form_says_who_else_has_it_open(desk: Visitor, colleague: Visitor, make_user: MakeUser) -> None:
    """Without scripts too: it is in the page."""
    user = make_user()
    assert line_in(text_of(desk.get(edit_path(user.id)))) == ""
    page = text_of(colleague.get(edit_path(user.id)))
    assert line_in(page) == "Jeanne Dubois opened this form just now."
    assert f'hx-get="/users/{user.id}/presence?version=1"' in page
    assert ask(desk, user.id) == "Omar Haddad opened this form just now."
    assert ask(desk, user.id) == line_in(text_of(desk.get(edit_path(user.id))))


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (2, "Editor 0 and Editor 1 have this form open."),
        (3, "Editor 0, Editor 1 and one other person have this form open."),
        (4, "Editor 0, Editor 1 and 2 others have this form open."),
    ],
)
def test_several_are_named_or_counted(
    desk: Visitor, signed_in: SignedIn, make_user: MakeUser, number: int, line: str
) -> None:
    user = make_user()
    for index in range(number):
        signed_in("support", full_name=f"Editor {index}", email=f"e{index}@desk.example").get(
            edit_path(user.id)
        )
    assert ask(desk, user.id) == line


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, "Formulaire ouvert également par Editor 0 (à l’instant)."),
        (2, "Editor 0 et Editor 1 ont aussi ce formulaire ouvert."),
        (3, "Editor 0, Editor 1 et une autre personne ont aussi ce formulaire ouvert."),
        (4, "Editor 0, Editor 1 et 2 autres personnes ont aussi ce formulaire ouvert."),
    ],
)
def test_it_speaks_french(signed_in: SignedIn, make_user: MakeUser, number: int, line: str) -> None:
    user = make_user()
    for index in range(number):
        signed_in("support", full_name=f"Editor {index}", email=f"e{index}@desk.example").get(
            edit_path(user.id)
        )
    assert ask(signed_in("administrator", language="fr"), user.id) == line


def test_oneself_in_another_tab_or_on_another_device_is_not_told(
    app: Flask, desk: Visitor, make_user: MakeUser
) -> None:
    user = make_user()
    desk.get(edit_path(user.id))
    other_device = Visitor(app, desk.user)
    assert line_in(text_of(other_device.get(edit_path(user.id)))) == ""
    assert count_marks(app) == 1


def test_after_saving_it_is_gone_and_the_other_is_told(
    desk: Visitor, colleague: Visitor, make_user: MakeUser
) -> None:
    user = make_user()
    form = read_form(colleague.get(edit_path(user.id)).text, holding="full_name")
    desk.get(edit_path(user.id))
    assert colleague.post_raw(edit_path(user.id), {**form.fields, "full_name": "New"}).status_code == 303
    assert ask(desk, user.id) == f"Omar Haddad saved this user just now. {MERGED}"
    assert ask(desk, user.id, version=2) == ""
    assert line_in(text_of(desk.get(edit_path(user.id)))) == ""


def test_a_save_in_another_window_of_one_s_own_is_said_so(desk: Visitor, make_user: MakeUser) -> None:
    user = make_user()
    form = read_form(desk.get(edit_path(user.id)).text, holding="full_name")
    desk.post_raw(edit_path(user.id), {**form.fields, "full_name": "New"})
    assert ask(desk, user.id) == f"You saved this user just now in another window. {MERGED}"


def test_a_form_that_comes_back_with_errors_is_still_open(
    app: Flask, desk: Visitor, colleague: Visitor, make_user: MakeUser
) -> None:
    user = make_user()
    form = read_form(desk.get(edit_path(user.id)).text, holding="full_name")
    colleague.get(edit_path(user.id))
    answer = desk.post_raw(edit_path(user.id), {**form.fields, "email": "none"})
    assert answer.status_code == 422
    assert line_in(text_of(answer)) == "Omar Haddad opened this form just now."
    assert count_marks(app) == 2


def test_a_comparison_is_about_the_present_version(
    desk: Visitor, colleague: Visitor, make_user: MakeUser
) -> None:
    """What the page above it says, the line need not repeat."""
    user = make_user()
    form = read_form(desk.get(edit_path(user.id)).text, holding="full_name")
    colleague.post(edit_path(user.id), {"full_name": "Theirs", "email": user.email, "version": "1"})
    answer = desk.post_raw(edit_path(user.id), {**form.fields, "full_name": "Mine"})
    assert answer.status_code == 409
    assert "presence?version=2" in answer.text
    assert line_in(text_of(answer)) == ""


@pytest.mark.parametrize("query", ["", "?back=q%3Dann"])
def test_cancel_leaves_the_form(app: Flask, desk: Visitor, make_user: MakeUser, query: str) -> None:
    user = make_user()
    desk.get(edit_path(user.id) + query)
    came_from = {"Referer": f"http://localhost{edit_path(user.id)}{query}"}
    assert desk.get(f"/users/{user.id}", headers=came_from).status_code == 200
    assert count_marks(app) == 0


@pytest.mark.parametrize(
    "before", ["/users/", "/users/{0}", "/users/1{0}/edit", "/users/{0}/edit/", "http://[", "\udcff"]
)
def test_coming_from_elsewhere_leaves_nothing(
    app: Flask, desk: Visitor, make_user: MakeUser, before: str
) -> None:
    user = make_user()
    desk.get(edit_path(user.id))
    came_from = {"Referer": before.format(user.id).encode("utf-8", "surrogateescape").decode("latin-1")}
    assert desk.get(f"/users/{user.id}", headers=came_from).status_code == 200
    assert count_marks(app) == 1


def test_nobody_signed_in_is_told_nothing_and_led_nowhere(app: Flask, make_user: MakeUser) -> None:
    """A page to sign in would have no place in a line."""
    answer = Visitor(app).get(path_of(make_user().id))
    assert (answer.status_code, answer.data) == (401, b"")


@pytest.mark.parametrize(
    ("role", "target"),
    [("auditor", Role.MEMBER), *(("support", role) for role in Role if role is not Role.MEMBER)],
)
def test_who_may_not_edit_is_refused(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str, target: Role
) -> None:
    assert signed_in(role).get(path_of(make_user(role=target).id)).status_code == 403
    assert count_marks(app) == 0


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_not_found(desk: Visitor, user_id: str) -> None:
    assert desk.get(path_of(user_id)).status_code == 404


@pytest.mark.parametrize("version", ["", "x", "-1", "1.5", "9" * 5000, "٢", "\0", "2147483648"])
def test_a_bad_version_tells_of_no_save(
    desk: Visitor, colleague: Visitor, make_user: MakeUser, version: str
) -> None:
    user = make_user()
    form = read_form(colleague.get(edit_path(user.id)).text, holding="full_name")
    colleague.post_raw(edit_path(user.id), {**form.fields, "full_name": "New"})
    answer = desk.get(f"/users/{user.id}/presence", query_string={"version": version})
    assert (answer.status_code, line_in(text_of(answer))) == (200, "")


def test_asking_writes_nothing_else(desk: Visitor, make_user: MakeUser) -> None:
    assert_get_writes_nothing(desk, path_of(make_user().id))


def test_names_are_escaped(desk: Visitor, signed_in: SignedIn, make_user: MakeUser) -> None:
    user, name = make_user(), f"<img src=x> %(name)s {CANARY}"
    colleague = signed_in("support", full_name=name)
    form = read_form(colleague.get(edit_path(user.id)).text, holding="full_name")
    page = desk.get(path_of(user.id)).text
    assert "&lt;img src=x&gt; %(name)s" in page
    assert "<img" not in page
    colleague.post_raw(edit_path(user.id), {**form.fields, "full_name": "New"})
    page = desk.get(path_of(user.id)).text
    assert "&lt;img src=x&gt; %(name)s" in page
    assert "<img" not in page


def test_it_takes_three_queries_and_one_to_renew_the_mark(
    desk: Visitor, make_user: MakeUser, count_queries: CountQueries
) -> None:
    user = make_user()
    desk.get(edit_path(user.id))
    numbers = []
    for _ in range(2):
        with count_queries() as statements:
            ask(desk, user.id)
        numbers.append(len([statement for statement in statements if not statement.startswith("SET")]))
    assert numbers == [4, 3], "who is signed in, the user, who else"


def test_messages_wait_for_a_page(app: Flask, desk: Visitor, make_user: MakeUser) -> None:
    """A script that asks in between does not take the message that a person should read."""
    user = make_user()
    form = read_form(desk.get(edit_path(user.id)).text, holding="full_name")
    desk.post_raw(edit_path(user.id), {**form.fields, "full_name": "Ann New"})
    ask(desk, user.id)
    assert "Ann New is saved." in desk.get(f"/users/{user.id}").text


def test_a_mark_that_cannot_be_written_does_not_spoil_the_form(
    app: Flask, desk: Visitor, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise OperationalError("INSERT", None, Exception("database is locked"))

    monkeypatch.setattr(presence, "_write_mark", fail)
    monkeypatch.setattr(presence, "close_form", fail)
    user = make_user()
    before = read_tables(app)
    assert desk.get(edit_path(user.id)).status_code == 200
    assert ask(desk, user.id) == ""
    came_from = {"Referer": f"http://localhost{edit_path(user.id)}"}
    assert desk.get(f"/users/{user.id}", headers=came_from).status_code == 200
    assert read_tables(app) == before
    assert count_marks(app) == 0
