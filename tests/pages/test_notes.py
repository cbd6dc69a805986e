"""The notes' pages: a note saved, changed, deleted and back again, or what was typed and why it was not."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import MakeUser, SignedIn, newest_entry, read_tables
from tests.corpus import CANARY, RAW, TEXTS, encode, received
from tests.history.ways import assert_intact, read_stories
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import Visitor, field_error
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import Invalid
from webapp.history.rules import Kind
from webapp.notes import services
from webapp.notes.models import Note
from webapp.notes.rules import clean_text
from webapp.users import trash
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.web.forms import MAX_TEXT

FORM = "application/x-www-form-urlencoded"
CountQueries = Callable[[], AbstractContextManager[list[str]]]


def new_path(user_id: int | str) -> str:
    return f"/users/{user_id}/notes/new"


def edit_path(note_id: int | str) -> str:
    return f"/notes/{note_id}/edit"


def delete_path(note_id: int | str) -> str:
    return f"/notes/{note_id}/delete"


def put(app: Flask, user: User, text: str = "One", *, author: User | None = None) -> int:
    """A note by ``author``, or by the command line; answer its id."""
    actor = Actor(user_id=author.id, name=author.display_name, role=author.role) if author else None
    with app.app_context():
        note = services.add_note(get_user(user.id), text=text, actor=actor or Actor.command_line())
        return note.id


def read_notes(app: Flask) -> list[tuple[str, int | None, int]]:
    """Text, author and version of each, the oldest first."""
    with app.app_context():
        statement = select(Note.text, Note.author_id, Note.version).order_by(Note.id)
        return [(row.text, row.author_id, row.version) for row in get_session().execute(statement)]


def typed_in(page: str) -> str:
    """What stands in the text area: a browser drops the line break after the tag."""
    found = re.search(r'<textarea[^>]*\bname="text"[^>]*>(?:\r?\n)?(.*?)</textarea>', page, re.DOTALL)
    assert found, "no text area"
    return unescape(found[1])


def send(visitor: Visitor, path: str, fields: dict[str, str], text: str) -> tuple[int, str]:
    body = encode({**fields, "text": text})
    answer = visitor.client.post(path, data=body, content_type=FORM)
    return answer.status_code, answer.text


# It works


def test_the_page_s_own_form_adds(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user(full_name="Ann Lee")
    assert f'href="{new_path(user.id)}"' in desk.get(f"/users/{user.id}").text
    page = desk.get(new_path(user.id)).text
    assert "Ann Lee" in page
    assert typed_in(page) == ""
    answer = desk.post_raw(new_path(user.id), {**form_fields(page), "text": " Called\r\ntwice. "})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user.id}")
    page = desk.get(answer.headers["Location"]).text
    assert "The note is saved." in page
    assert "Called\ntwice." in page
    assert "Support Desk" in page
    assert desk.user is not None
    assert read_notes(app) == [("Called\ntwice.", desk.user.id, 1)]
    story = read_stories(app)[-1]
    assert (story.kind, story.subject_id, story.actor_id) == (Kind.NOTE_ADDED, user.id, desk.user.id)
    assert_intact(app)


def form_fields(page: str) -> dict[str, str]:
    """Of the page's own form, which goes to the page's own address."""
    [form] = [form for form in read_forms(page) if form.method == "post" and not form.action]
    return form.fields


def test_the_page_s_own_form_edits(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user()
    note_id = put(app, user, "One\nline", author=desk.user)
    assert f'href="{edit_path(note_id)}"' in desk.get(f"/users/{user.id}").text
    page = desk.get(edit_path(note_id)).text
    assert typed_in(page) == "One\nline"
    answer = desk.post_raw(edit_path(note_id), {**form_fields(page), "text": "Two"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user.id}")
    assert desk.user is not None
    assert read_notes(app) == [("Two", desk.user.id, 2)]
    assert read_stories(app)[-1].changes == {"note": ("One\nline", "Two")}


def test_the_list_s_own_button_deletes_and_the_toast_brings_back(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in("support"), make_user()
    note_id = put(app, user, "One", author=desk.user)
    form = read_form(desk.get(f"/users/{user.id}").text, action=delete_path(note_id))
    answer = desk.post_raw(form.action, form.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user.id}")
    page = desk.get(answer.headers["Location"]).text
    assert "The note is deleted." in page
    assert read_notes(app) == []
    path = f"/users/changes/{newest_entry(app)}/undo"
    button = next(form for form in read_forms(page) if form.action == path)
    answer = desk.post_raw(button.action, button.fields, follow_redirects=True)
    assert answer.status_code == 200
    assert desk.user is not None
    assert read_notes(app) == [("One", desk.user.id, 1)]
    assert_intact(app)


def test_a_deletion_sent_twice_is_done_once(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, note_id = signed_in(), put(app, make_user())
    assert [desk.post(delete_path(note_id)).status_code for _ in range(2)] == [303, 404]


def test_the_user_s_page_shows_the_latest_first(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user()
    ids = [put(app, user, f"Note {number}") for number in range(3)]
    page = signed_in("auditor").get(f"/users/{user.id}").text
    assert [int(found) for found in re.findall(r'<li id="note(\d+)"', page)] == ids[::-1]


def test_a_user_without_notes_has_none(signed_in: SignedIn, make_user: MakeUser) -> None:
    assert "No notes yet." in signed_in("auditor").get(f"/users/{make_user().id}").text


def test_each_is_offered_what_may_be_done(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user()
    note_id = put(app, user, author=make_user(role=Role.SUPPORT))
    offered = {}
    for role in ("auditor", "support", "administrator"):
        page = signed_in(role).get(f"/users/{user.id}").text
        offered[role] = tuple(f'"{path_of(name, user.id, note_id)}"' in page for name in EVERY)
    assert offered == {
        "auditor": (False, False, False),
        "support": (True, False, False),
        "administrator": (True, False, True),
    }


# Signed out, not permitted, not there

EVERY = ("new", "edit", "delete")
each_path = pytest.mark.parametrize("name", EVERY)


def path_of(name: str, user_id: int | str, note_id: int | str) -> str:
    return {"new": new_path(user_id), "edit": edit_path(note_id), "delete": delete_path(note_id)}[name]


@each_path
def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser, name: str) -> None:
    user = make_user()
    path = path_of(name, user.id, put(app, user))
    if name != "delete":
        assert_get_asks_to_sign_in(app, path)
    assert_post_asks_to_sign_in(app, path, {"text": "Two", "version": "1"})


@each_path
def test_an_auditor_may_not(app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str) -> None:
    desk, user = signed_in("auditor"), make_user()
    path = path_of(name, user.id, put(app, user))
    if name != "delete":
        assert desk.get(path).status_code == 403
    assert_refused(desk, path, {"text": "Two", "version": "1"})


@each_path
def test_support_may_not_on_who_works_here(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str
) -> None:
    desk, user = signed_in("support"), make_user(role=Role.AUDITOR)
    path = path_of(name, user.id, put(app, user))
    if name != "delete":
        assert desk.get(path).status_code == 403
    assert_refused(desk, path, {"text": "Two", "version": "1"})


@pytest.mark.parametrize("role", ["support", "administrator"])
def test_only_who_wrote_it_edits(app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str) -> None:
    desk = signed_in(role)
    note_id = put(app, make_user(), author=make_user(role=Role.SUPPORT))
    assert desk.get(edit_path(note_id)).status_code == 403
    answer = assert_refused(desk, edit_path(note_id), {"text": "Two", "version": "1"})
    assert "Only who wrote a note may change it." in text_of(answer)


def test_of_two_who_work_here_only_the_administrator_deletes_for_others(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    note_id = put(app, make_user(), author=make_user(role=Role.SUPPORT))
    assert_refused(signed_in("support"), delete_path(note_id))
    assert signed_in().post(delete_path(note_id)).status_code == 303
    assert read_notes(app) == []


@each_path
@pytest.mark.parametrize("id_", UNKNOWN_IDS)
def test_nobody_and_nothing_there_is_said(signed_in: SignedIn, name: str, id_: str) -> None:
    desk, path = signed_in(), path_of(name, id_, id_)
    if name != "delete":
        assert desk.get(path).status_code == 404
    assert_refused(desk, path, {"text": "Two", "version": "1"}, status=404)


@each_path
def test_notes_on_who_is_in_the_trash_wait(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str
) -> None:
    desk, user = signed_in(), make_user()
    path = path_of(name, user.id, put(app, user, author=desk.user))
    with app.app_context():
        trash.delete_user(get_user(user.id), version=user.version, actor=Actor.command_line())
    if name != "delete":
        assert desk.get(path).status_code == 404
    assert_refused(desk, path, {"text": "Two", "version": "1"}, status=404)


def test_deleting_takes_a_button(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, note_id = signed_in(), put(app, make_user())
    before = read_tables(app)
    assert desk.get(delete_path(note_id)).status_code == 405
    assert read_tables(app) == before


# Bad input


def is_fine(text: str) -> bool:
    try:
        clean_text(text)
    except Invalid:
        return False
    return True


def test_any_text_as_a_new_note_is_saved_or_kept_and_its_error_named(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in("support"), make_user()
    fields = {"csrf_token": desk.csrf_token()}
    for name, text in TEXTS.items():
        before = read_tables(app)
        status, page = send(desk, new_path(user.id), fields, text)
        if is_fine(received(text)):
            assert status == 303, name
            assert read_notes(app)[-1][0] == clean_text(received(text)), name
        else:
            assert status == 422, name
            assert field_error(page, "text"), name
            assert typed_in(page) == received(text)[:MAX_TEXT], f"{name}: the text is lost"
            assert read_tables(app) == before, name
        assert CANARY not in page, name
    page = desk.get(f"/users/{user.id}").text
    assert CANARY not in page
    assert_intact(app)


def test_any_text_in_an_edit_is_saved_or_kept_and_its_error_named(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in("support")
    note_id = put(app, make_user(), author=desk.user)
    for name, text in TEXTS.items():
        fields = form_fields(desk.get(edit_path(note_id)).text)
        before = read_tables(app)
        status, page = send(desk, edit_path(note_id), fields, text)
        if is_fine(received(text)):
            assert status == 303, name
            assert [note[0] for note in read_notes(app)] == [clean_text(received(text))], name
        else:
            assert status == 422, name
            assert field_error(page, "text"), name
            assert typed_in(page) == received(text)[:MAX_TEXT], f"{name}: the text is lost"
            assert read_tables(app) == before, name
        assert CANARY not in page + desk.get(edit_path(note_id)).text, name
    assert_intact(app)


def test_any_text_as_the_version_saves_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in("support")
    note_id = put(app, make_user(), author=desk.user)
    before = read_tables(app)
    for name, text in TEXTS.items():
        fields = {"csrf_token": desk.csrf_token(), "version": text}
        status, page = send(desk, edit_path(note_id), fields, "Typed")
        assert status == 409, name
        assert typed_in(page) == "Typed", name
        assert form_fields(page)["version"] == "1", name
        assert CANARY not in page, name
        assert read_tables(app) == before, name


def test_who_saw_an_older_version_keeps_what_was_typed_and_may_save_it_then(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in("support")
    note_id = put(app, make_user(), author=desk.user)
    old = form_fields(desk.get(edit_path(note_id)).text)
    desk.post_raw(edit_path(note_id), {**old, "text": "Two"})
    answer = assert_refused(desk, edit_path(note_id), {**old, "text": "Three"}, status=409)
    assert "changed while you were editing" in (field_error(answer.text, "text") or "")
    assert typed_in(answer.text) == "Three"
    again = desk.post_raw(edit_path(note_id), {**form_fields(answer.text), "text": "Three"})
    assert again.status_code == 303
    assert [note[0] for note in read_notes(app)] == ["Three"]


@each_path
@pytest.mark.parametrize("raw", RAW)
def test_any_bytes_as_a_body(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str, raw: str
) -> None:
    desk, user = signed_in("support"), make_user()
    path = path_of(name, user.id, put(app, user, author=desk.user))
    token = encode({"csrf_token": desk.csrf_token()}).encode()
    body = RAW[raw].replace(b"full_name=", b"text=")
    answer = desk.client.post(path, data=token + b"&" + body, content_type=FORM)
    assert answer.status_code < 500


def test_a_form_without_its_fields_changes_nothing(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in("support"), make_user()
    answer = assert_refused(desk, new_path(user.id), status=422)
    assert field_error(answer.text, "text") == "Write something."
    note_id = put(app, user, author=desk.user)
    before = read_tables(app)
    assert desk.post(edit_path(note_id)).status_code < 500
    assert read_tables(app) == before


# As of every page


@pytest.mark.parametrize("name", ["new", "edit"])
def test_looking_writes_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str) -> None:
    desk, user = signed_in("support"), make_user()
    assert_get_writes_nothing(desk, path_of(name, user.id, put(app, user, author=desk.user)))


@pytest.mark.parametrize(("name", "number"), [("new", 2), ("edit", 3)])
def test_the_form_takes_as_many_queries_however_many_notes_there_are(
    app: Flask,
    signed_in: SignedIn,
    make_user: MakeUser,
    count_queries: CountQueries,
    name: str,
    number: int,
) -> None:
    desk, user = signed_in("support"), make_user()
    for _ in range(3):
        path = path_of(name, user.id, put(app, user, author=desk.user))
        with count_queries() as statements:
            assert desk.get(path).status_code == 200
        assert len(statements) == number, "who is signed in, the note where there is one, the user"


def test_the_user_s_page_takes_one_query_for_all_notes(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    desk, user = signed_in(), make_user()
    for _ in range(3):
        put(app, user, author=desk.user)
        with count_queries() as statements:
            desk.get(f"/users/{user.id}")
        assert sum("FROM notes" in statement for statement in statements) == 1
