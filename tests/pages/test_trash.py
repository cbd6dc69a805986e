"""/trash/: who is in it; back out of it, also under another address; or gone for good, asked once."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_tables, read_user
from tests.corpus import CANARY, RAW, TEXTS, encode, received
from tests.history.ways import assert_intact, read_stories, read_texts
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import field_error, field_value
from webapp.access.actor import Actor
from webapp.history.rules import Kind
from webapp.users import trash
from webapp.users.queries import get_user
from webapp.web.forms import MAX_LINE

PATH = "/trash/"
FORM = "application/x-www-form-urlencoded"
Discard = Callable[..., int]
CountQueries = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def discard(app: Flask, make_user: MakeUser) -> Discard:
    """Put somebody with these columns into the trash; answer the id."""

    def put(**columns: object) -> int:
        user = make_user(**columns)
        with app.app_context():
            trash.delete_user(get_user(user.id), version=user.version, actor=Actor.command_line())
        return user.id

    return put


def restore_path(user_id: int | str) -> str:
    return f"/trash/{user_id}/restore"


def purge_path(user_id: int | str) -> str:
    return f"/trash/{user_id}/purge"


# The list


def test_it_lists_the_latest_first(signed_in: SignedIn, discard: Discard) -> None:
    desk = signed_in()
    ids = [discard(full_name=f"Person {letter}", email=f"{letter}@example.org") for letter in "abc"]
    page = desk.get(PATH).text
    assert [int(found) for found in re.findall(r'<li id="u(\d+)"', page)] == ids[::-1]
    for text in ("Person a", "b@example.org", "Member"):
        assert text in page


def test_an_empty_trash_says_so(signed_in: SignedIn) -> None:
    assert "The trash is empty" in signed_in().get(PATH).text


def test_its_pages_lead_through_all(signed_in: SignedIn, discard: Discard) -> None:
    desk = signed_in()
    ids = [discard() for _ in range(52)]
    seen: list[int] = []
    path: str | None = PATH
    while path:
        answer = desk.get(path)
        seen += [int(found) for found in re.findall(r'<li id="u(\d+)"', answer.text)]
        link = re.search(r'href="([^"]*after=[^"]*)"', text_of(answer))
        path = link[1] if link else None
    assert seen == ids[::-1]


# Back


def test_the_list_s_own_button_brings_back(app: Flask, signed_in: SignedIn, discard: Discard) -> None:
    desk, user_id = signed_in(), discard(full_name="Ann Lee")
    form = read_form(desk.get(PATH).text, action=restore_path(user_id))
    answer = desk.post_raw(form.action, form.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{user_id}")
    page = desk.get(answer.headers["Location"]).text
    assert "Ann Lee is back." in page
    assert "restored from the trash" in page
    assert read_user(app, user_id) is not None
    assert desk.user is not None
    story = read_stories(app)[-1]
    assert (story.kind, story.subject_id, story.actor_id) == (Kind.RESTORED, user_id, desk.user.id)
    assert_intact(app)


def test_a_clash_asks_for_another_address_and_takes_it(
    app: Flask, signed_in: SignedIn, discard: Discard, make_user: MakeUser
) -> None:
    desk, user_id = signed_in(), discard(email="ann@example.org")
    make_user(email="ANN@example.org")
    answer = assert_refused(desk, restore_path(user_id), status=409)
    assert field_error(answer.text, "email") == "Another user already has this e-mail."
    assert field_value(answer.text, "email") == "ann@example.org"
    form = read_form(answer.text, holding="email")
    again = desk.post_raw(restore_path(user_id), {**form.fields, "email": "ann.lee@example.org"})
    assert again.status_code == 303
    restored = read_user(app, user_id)
    assert restored is not None
    assert restored.email == "ann.lee@example.org"


def test_the_form_brings_back_too(app: Flask, signed_in: SignedIn, discard: Discard) -> None:
    desk, user_id = signed_in(), discard(email="ann@example.org")
    form = read_form(desk.get(restore_path(user_id)).text, holding="email")
    assert form.fields["email"] == "ann@example.org"
    assert desk.post_raw(restore_path(user_id), form.fields).status_code == 303
    assert read_user(app, user_id) is not None


def test_a_restore_sent_twice_is_done_once(signed_in: SignedIn, discard: Discard) -> None:
    desk, user_id = signed_in(), discard()
    assert [desk.post(restore_path(user_id)).status_code for _ in range(2)] == [303, 404]


def test_any_text_as_the_address_is_kept_and_its_error_named(
    app: Flask, signed_in: SignedIn, discard: Discard, make_user: MakeUser
) -> None:
    make_user(email="person2@example.org")
    desk, user_id = signed_in(), discard()
    before = read_tables(app)
    for name, text in TEXTS.items():
        body = encode({"email": text, "csrf_token": desk.csrf_token()})
        answer = desk.client.post(restore_path(user_id), data=body, content_type=FORM)
        assert answer.status_code in {409, 422}, name
        assert field_error(answer.text, "email"), name
        assert field_value(answer.text, "email") == received(text)[:MAX_LINE], f"{name}: the text is lost"
        assert CANARY not in answer.text, name
        assert read_tables(app) == before, name


# For good


def test_the_page_asks_and_its_button_deletes_for_good(
    app: Flask, signed_in: SignedIn, discard: Discard
) -> None:
    desk, user_id = signed_in(), discard(full_name="Ann Quixote", email="quixote@example.org")
    assert purge_path(user_id) in desk.get(PATH).text
    answer = desk.get(purge_path(user_id))
    assert "Ann Quixote" in answer.text
    assert "cannot be undone" in answer.text
    form = next(form for form in read_forms(answer.text) if "csrf_token" in form.fields and not form.action)
    sent = desk.post_raw(purge_path(user_id), form.fields)
    assert (sent.status_code, sent.headers["Location"]) == (303, PATH)
    assert "Ann Quixote is deleted for good." in desk.get(PATH).text
    assert "quixote" not in (read_texts(app) + str(read_tables(app))).casefold()
    assert [desk.get(path).status_code for path in (purge_path(user_id), restore_path(user_id))] == [404] * 2
    assert read_stories(app)[-1].kind is Kind.PURGED
    assert_intact(app)


def test_a_purge_sent_twice_is_done_once(app: Flask, signed_in: SignedIn, discard: Discard) -> None:
    desk, user_id = signed_in(), discard()
    assert [desk.post(purge_path(user_id)).status_code for _ in range(2)] == [303, 404]
    assert [story.kind for story in read_stories(app)].count(Kind.PURGED) == 1


# As of every page

PATHS = (PATH, restore_path("{}"), purge_path("{}"))
each_path = pytest.mark.parametrize("path", PATHS)
each_act = pytest.mark.parametrize("path", PATHS[1:])


@each_path
def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, discard: Discard, path: str) -> None:
    path = path.format(discard())
    assert_get_asks_to_sign_in(app, path)
    if path != PATH:
        assert_post_asks_to_sign_in(app, path)


@each_path
@pytest.mark.parametrize("role", ["auditor", "support"])
def test_only_administrators_may(signed_in: SignedIn, discard: Discard, path: str, role: str) -> None:
    desk, path = signed_in(role), path.format(discard())
    assert desk.get(path).status_code == 403
    if path != PATH:
        assert_refused(desk, path)
    assert f'href="{PATH}"' not in desk.get("/users/").text


@each_act
@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, path: str, user_id: str) -> None:
    desk, path = signed_in(), path.format(user_id)
    assert desk.get(path).status_code == 404
    assert "is not in the trash" in assert_refused(desk, path, status=404).text


@each_act
def test_who_is_not_in_the_trash_is_not_touched(signed_in: SignedIn, make_user: MakeUser, path: str) -> None:
    assert_refused(signed_in(), path.format(make_user().id), status=404)


@each_path
def test_looking_writes_nothing(signed_in: SignedIn, discard: Discard, path: str) -> None:
    assert_get_writes_nothing(signed_in(), path.format(discard()))


def test_it_takes_three_queries_however_many_there_are(
    signed_in: SignedIn, discard: Discard, count_queries: CountQueries
) -> None:
    desk = signed_in()
    for _ in range(2):
        discard()
        with count_queries() as statements:
            desk.get(PATH)
        assert len(statements) == 3, "who is signed in, the page, the count"


@pytest.mark.parametrize("parameter", ["after", "before", "unknown"])
def test_any_text_in_any_parameter(signed_in: SignedIn, discard: Discard, parameter: str) -> None:
    desk = signed_in()
    discard(full_name=f"Ann {CANARY}")
    for name, text in TEXTS.items():
        answer = desk.get(PATH, query_string=encode({parameter: text}))
        assert answer.status_code == 200, name
        assert CANARY not in answer.text, name


@each_act
@pytest.mark.parametrize("name", RAW)
def test_any_bytes_as_a_body(signed_in: SignedIn, discard: Discard, path: str, name: str) -> None:
    desk = signed_in()
    token = encode({"csrf_token": desk.csrf_token()}).encode()
    answer = desk.client.post(path.format(discard()), data=token + b"&" + RAW[name], content_type=FORM)
    assert answer.status_code < 500


def test_a_damaged_link_leads_to_the_first_page_and_says_so(signed_in: SignedIn, discard: Discard) -> None:
    discard(full_name="Ann Lee")
    page = signed_in().get(f"{PATH}?after=nonsense").text
    assert "Ann Lee" in page
    assert "damaged" in page
