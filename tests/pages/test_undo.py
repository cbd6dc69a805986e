"""POST /users/changes/<id>/undo: from the toast or the entry, as before again, or why not and a way on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, newest_entry, read_tables, read_user
from tests.corpus import RAW, TEXTS, encode
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.pages.asking import UNKNOWN_IDS, assert_post_asks_to_sign_in, assert_refused, text_of
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import Visitor
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.history.rules import Kind
from webapp.history.services import Subject, record
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.queries import get_user

CountQueries = Callable[[], AbstractContextManager[list[str]]]


def path_of(entry_id: int | str) -> str:
    return f"/users/changes/{entry_id}/undo"


def change(app: Flask, user: User, **values: str) -> int:
    """Edit somebody; answer the entry."""
    with app.app_context():
        present = get_user(user.id)
        actor = Actor.command_line()
        services.update_user(present, version=present.version, **values, actor=actor)  # type: ignore[arg-type]
    return newest_entry(app)


def press_undo(visitor: Visitor, page: str, entry_id: int) -> str:
    """Press the first button there is for it; answer the page that comes."""
    form = next(form for form in read_forms(page) if form.action == path_of(entry_id))
    answer = visitor.post_raw(form.action, form.fields, follow_redirects=True)
    assert answer.status_code == 200
    return text_of(answer)


def test_each_act_s_toast_takes_it_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user(full_name="Ann Lee")
    before = read_user(app, user.id)
    assert before is not None
    acts: dict[str, dict[str, str]] = {
        "edit": {"full_name": "Ann Other", "email": "other@example.org", "role": "auditor"},
        "deactivate": {},
        "delete": {},
    }
    for act, values in acts.items():
        present = read_user(app, user.id)
        assert present is not None
        sent = {**values, "version": str(present.version)}
        answer = desk.post(f"/users/{user.id}/{act}", sent, follow_redirects=True)
        entry = newest_entry(app)
        assert "Undone: Ann Lee is as before." in press_undo(desk, answer.text, entry)
        now = read_user(app, user.id)
        assert now is not None
        assert (now.full_name, now.email, now.role, now.is_active) == (
            before.full_name,
            before.email,
            before.role,
            before.is_active,
        )
    kinds = [Kind.EDITED] * 2 + [Kind.DEACTIVATED, Kind.ACTIVATED, Kind.DELETED, Kind.RESTORED]
    assert [story.kind for story in read_stories(app)] == kinds
    assert_intact(app)


def test_the_undo_s_toast_takes_that_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user(full_name="Ann Lee")
    entry = change(app, user, full_name="Ann Other")
    page = press_undo(desk, desk.get(f"/users/{user.id}").text, entry)
    assert "Undone: Ann Other is as before." in press_undo(desk, page, newest_entry(app))


def test_an_undo_of_a_promotion_says_that_the_password_does_not_come_back(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    entry_id = change(app, user, role="support")
    said = press_undo(desk, desk.get(f"/users/{user.id}").text, entry_id)
    assert "is as before. They have no password now and need a new password link." in said


def test_the_history_s_own_button_takes_it_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user(full_name="Ann Lee")
    entry = change(app, user, full_name="Ann Other")
    assert "Undone: Ann Lee is as before." in press_undo(desk, desk.get("/history/").text, entry)
    page = desk.get("/history/").text
    assert path_of(entry) not in page, "it is not offered a second time"
    assert "undoes an earlier change" in page
    assert desk.user is not None
    story = read_stories(app)[-1]
    assert (story.undoes_id, story.actor_id, story.door) == (entry, desk.user.id, "page")


def test_a_creation_is_taken_back_into_the_trash(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    desk.post("/users/new", {"full_name": "Ann Lee", "email": "ann@example.org", "role": "member"})
    answer = desk.post(path_of(newest_entry(app)))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/trash/")
    page = desk.get("/trash/").text
    assert "Undone: the user is in the trash." in page
    assert "Ann Lee" in page


# Refused with a way on


def test_what_stands_in_its_way_is_named_as_the_form_names_it(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    entry = change(app, user, full_name="One", email="one@example.org")
    change(app, user, full_name="Two")
    answer = assert_refused(desk, path_of(entry), status=303)
    assert answer.headers["Location"] == f"/users/{user.id}"
    page = text_of(desk.get(answer.headers["Location"]))
    assert "It was changed again since: Full name." in page
    assert "Undo the later change first, or edit the user." in page


def test_an_undo_sent_twice_is_done_once_and_says_so(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    entry = change(app, user, full_name="One")
    assert desk.post(path_of(entry)).status_code == 303
    answer = assert_refused(desk, path_of(entry), status=303)
    assert "This change was undone already." in desk.get(answer.headers["Location"]).text
    assert len(read_rows(app)) == 2


@pytest.mark.parametrize("role", ["support", "administrator"])
def test_who_is_in_the_trash_by_now_is_said_to_everybody_who_may_undo(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str
) -> None:
    """Support may not see the trash: it is led to a page that it may see."""
    desk, user = signed_in(role), make_user()
    entry = change(app, user, full_name="One")
    with app.app_context():
        present = get_user(user.id)
        trash.delete_user(present, version=present.version, actor=Actor.command_line())
    answer = desk.post(path_of(entry), follow_redirects=True)
    assert answer.status_code == 200
    assert "This user is in the trash. Restore the user first." in answer.text


@pytest.mark.parametrize("role", ["support", "administrator"])
def test_what_cannot_be_undone_is_said_to_everybody_who_may_undo(
    app: Flask, signed_in: SignedIn, role: str
) -> None:
    desk = signed_in(role)
    with app.app_context():
        entry = record(Kind.LOADED, actor=Actor.command_line(), facts={"count": 5})
    answer = desk.post(path_of(entry), follow_redirects=True)
    assert answer.status_code == 200
    assert "This cannot be undone." in answer.text


def test_a_deletion_whose_address_is_taken_leads_to_where_another_is_asked_for(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user(email="ann@example.org")
    desk.post(f"/users/{user.id}/delete", {"version": "1"})
    entry = newest_entry(app)
    make_user(email="ANN@example.org")
    answer = desk.post(path_of(entry), follow_redirects=True)
    assert answer.status_code == 200
    assert "Another user already has this e-mail." in answer.text
    assert f"/trash/{user.id}/restore" in answer.text


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser) -> None:
    assert_post_asks_to_sign_in(app, path_of(change(app, make_user(), full_name="One")))


@pytest.mark.parametrize(
    ("role", "target"),
    [("auditor", role) for role in Role] + [("support", role) for role in Role if role is not Role.MEMBER],
)
def test_who_may_not_is_refused(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str, target: Role
) -> None:
    desk = signed_in(role)
    entry = change(app, make_user(role=target), full_name="One")
    assert_refused(desk, path_of(entry))
    assert read_stories(app)[-1].kind is Kind.REFUSED


def test_support_cannot_give_a_role_back(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user(role=Role.ADMINISTRATOR)
    make_user(role=Role.ADMINISTRATOR)
    assert_refused(desk, path_of(change(app, user, role="member")))


@pytest.mark.parametrize("entry_id", UNKNOWN_IDS)
def test_an_entry_that_is_not_there_is_said(signed_in: SignedIn, entry_id: str) -> None:
    answer = assert_refused(signed_in(), path_of(entry_id), status=404)
    assert "There is no such entry in the history." in answer.text


def test_a_link_alone_undoes_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, entry = signed_in(), change(app, make_user(), full_name="One")
    before = read_tables(app)
    for ask in (desk.get, desk.client.head):
        assert ask(path_of(entry), headers={"X-HTTP-Method-Override": "POST"}).status_code == 405
    assert desk.post_raw(path_of(entry)).status_code == 400
    assert read_tables(app) == before


def test_any_text_in_its_form_changes_nothing_about_it(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user(full_name="Zero")
    for name, text in TEXTS.items():
        if len(text) > 5000:
            continue
        entry = change(app, user, full_name="One")
        body = encode({"back": text, "version": text, "full_name": text, "csrf_token": desk.csrf_token()})
        answer = desk.client.post(path_of(entry), data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 303, name
        assert answer.headers["Location"].startswith((f"/users/{user.id}", "/history/")), name
        stored = read_user(app, user.id)
        assert stored is not None
        assert stored.full_name == "Zero", name


@pytest.mark.parametrize("name", RAW)
def test_any_bytes_as_a_body(app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str) -> None:
    desk, entry = signed_in(), change(app, make_user(), full_name="One")
    token = encode({"csrf_token": desk.csrf_token()}).encode()
    answer = desk.client.post(
        path_of(entry), data=token + b"&" + RAW[name], content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code in {303, 400, 413}


def test_a_forged_entry_of_nobody_s_leads_on(app: Flask, signed_in: SignedIn) -> None:
    """About a user who was never there (as after a restored backup)."""
    desk = signed_in()
    with app.app_context():
        subject = Subject(999, "Nobody", 2)
        changes = {"full_name": ("a", "b")}
        entry = record(Kind.EDITED, actor=Actor.command_line(), subject=subject, changes=changes)
    answer = desk.post(path_of(entry), follow_redirects=True)
    assert answer.status_code == 200


def test_the_toast_is_a_form_with_a_token(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user()
    desk.post(f"/users/{user.id}/deactivate")
    form = read_form(desk.get("/users/").text, action=path_of(newest_entry(app)))
    assert form.fields.keys() >= {"csrf_token"}


def test_support_is_offered_no_undo_that_it_may_not_do(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    """A creation is taken back by a deletion, and a role by who may set roles."""
    desk, user = signed_in("support"), make_user()
    edited = change(app, user, full_name="One")
    change(app, user, role="auditor")
    last = change(app, user, role="member")
    page = desk.get(f"/users/{user.id}").text
    assert path_of(edited) in page
    assert path_of(last) not in page


def test_it_takes_so_many_queries(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    desk, user = signed_in(), make_user()
    entry = change(app, user, full_name="One")
    with count_queries() as statements:
        desk.post(path_of(entry))
    assert len(statements) <= 15, "\n".join(statements)


@pytest.mark.parametrize("kind", Kind)
def test_an_entry_that_changed_a_balance_says_how_to_take_it_back(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, kind: Kind
) -> None:
    desk, user = signed_in(), make_user()
    with app.app_context():
        subject = Subject(user.id, user.full_name)
        entry = record(
            kind,
            actor=Actor.command_line(),
            subject=subject,
            changes={"balance": (0, 500)},
            facts={"reason": "password"},
        )
    answer = desk.post(path_of(entry), follow_redirects=True)
    assert answer.status_code == 200
    assert "make a transfer the other way" in text_of(answer)
