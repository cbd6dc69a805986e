"""/batches/paste: a list of addresses, names and ids becomes a draft; what is unclear is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import delete

from tests.conftest import PASSWORD, MakeUser, SignedIn, read_tables
from tests.corpus import CANARY, TEXTS, encode, received
from tests.pages.asking import (
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.batching import FORM, PASTE, choose, count_rows, read_batches, read_members, run, typed
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import Visitor, field_error
from webapp.auth.models import SignInSession
from webapp.batches import drafts
from webapp.db import get_session
from webapp.web.bounds import MAX_FIELDS

CountQueries = Callable[[], AbstractContextManager[list[str]]]


def paste(desk: Visitor, text: str) -> str:
    """Answer the address of the draft."""
    forms = read_forms(desk.get(PASTE).text)
    form = next(form for form in forms if (form.action, form.method) == ("", "post"))
    answer = desk.post_raw(PASTE, {**form.fields, "text": text})
    assert answer.status_code == 303, typed(answer.text, "text")
    path: str = answer.headers["Location"]
    return path


def asked_about(page: str) -> list[str]:
    """The ids that the page offers for names that several have."""
    return re.findall(r'<input type="checkbox" name="id" value="(\d+)">', page)


def test_addresses_names_and_ids_are_found_and_changed(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    ann = make_user(full_name="Ann Lee", email="ann@example.org")
    zoe = make_user(full_name="Zoë Lefèbvre")
    bob = make_user(full_name="Bob", email="bob@example.org")
    eve, nameless = make_user(), make_user(full_name="", email="nameless@example.org")
    make_user()
    text = f"Ann Lee <ANN@example.org>;\r\n  ZOE   lefebvre\n#{eve.id}, {bob.id} 999999\nbob@example.org\n"
    path = paste(desk, text + "nameless@example.org\nNobody Known\nnobody@example.org")
    assert read_members(app, path) == [ann.id, zoe.id, bob.id, eve.id, nameless.id]
    page = text_of(desk.get(path))
    assert "5 users chosen" in page
    assert "3 entries of the list were not found" in page
    for missing in ("999999", "Nobody Known", "nobody@example.org"):
        assert f'<li dir="auto">{missing}</li>' in page
    assert choose(desk, path, "deactivate").headers["Location"] == path
    page = run(desk, path)
    assert "5 users are inactive and signed out." in page
    assert "3 entries of the list were not found" in page
    assert read_batches(app)[-1].source == "pasted"


def test_a_name_of_several_is_asked_about_and_the_chosen_ones_are_added(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, single = signed_in(), make_user(full_name="Single")
    anns = [make_user(full_name="Ann Lee", email=f"ann{n}@example.org") for n in range(3)]
    bobs = [make_user(full_name="bob") for _ in range(2)]
    path = paste(desk, "Single\nann lee\nBOB")
    assert read_members(app, path) == [single.id]
    page = desk.get(path).text
    assert "2 names stand for several people" in page
    assert "3 people have this name" in page
    assert sorted(asked_about(page), key=int) == [str(user.id) for user in (*anns, *bobs)]
    form = read_form(page, action=f"{path}/namesakes")
    assert desk.post_raw(form.action, {**form.fields, "id": [anns[0].id, anns[2].id]}).status_code == 303
    assert read_members(app, path) == [single.id, anns[0].id, anns[2].id]
    page = desk.get(path).text
    assert "One name stands for several people" in page, "the name is answered"
    assert asked_about(page) == [str(user.id) for user in bobs]
    assert desk.post(f"{path}/namesakes", {"id": str(bobs[1].id)}).status_code == 303
    assert "several people" not in desk.get(path).text
    assert read_members(app, path) == [single.id, anns[0].id, anns[2].id, bobs[1].id]


def test_names_of_several_alone_make_a_draft_too(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    ann = make_user(full_name="Ann Lee")
    make_user(full_name="Ann Lee")
    path = paste(desk, "Ann Lee")
    page = desk.get(path).text
    assert "One name stands for several people" in page
    desk.post(f"{path}/namesakes", {"id": str(ann.id)})
    assert read_members(app, path) == [ann.id]


def test_of_a_name_of_very_many_some_are_shown_and_it_is_said_what_else_to_do(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    for _ in range(7):
        make_user(full_name="Ann Lee")
    page = text_of(desk.get(paste(desk, "ann lee")))
    assert len(asked_about(page)) == 5
    assert "7 people have this name" in page
    assert "Paste the list again with the e-mail address in place of the name." in page


def test_choosing_nobody_of_a_name_changes_nothing(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, single = signed_in(), make_user(full_name="Single")
    for _ in range(2):
        make_user(full_name="Ann Lee")
    path = paste(desk, "Single\nann lee")
    assert_refused(desk, f"{path}/namesakes", status=303)
    assert read_members(app, path) == [single.id]


def test_namesakes_that_are_forged_add_only_people_that_there_are(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, single = signed_in(), make_user(full_name="Single")
    ann, _other = make_user(full_name="Ann Lee"), make_user(full_name="Ann Lee")
    path = paste(desk, "Single\nann lee")
    ids = [str(single.id), *[str(ann.id)] * 3, "999999", "-1", "x", "9" * 40, str(2**63 - 1), CANARY]
    assert desk.post(f"{path}/namesakes", {"id": ids}).status_code == 303
    assert read_members(app, path) == [single.id, ann.id]


def test_a_hundred_thousand_namesakes_are_no_defect(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    """The page has no more than a hundred to tick; and Postgres takes 65,535 parameters."""
    desk, single = signed_in(), make_user(full_name="Single")
    path = paste(desk, "Single")
    for number, status in ((MAX_FIELDS - 1, 303), (70_000, 413), (100_001, 413)):
        body = encode({"csrf_token": desk.csrf_token()})
        body += "".join(f"&id={number}" for number in range(1_000_000, 1_000_000 + number))
        answer = desk.client.post(f"{path}/namesakes", data=body, content_type=FORM)
        assert answer.status_code == status, number
    assert read_members(app, path) == [single.id]


@pytest.mark.parametrize("text", ["Nobody Known", "nobody@example.org", "999999", "a,b\n\n@\n"])
def test_when_nobody_is_found_the_list_is_kept_and_nothing_is_stored(signed_in: SignedIn, text: str) -> None:
    answer = assert_refused(signed_in(), PASTE, {"text": text}, status=422)
    assert field_error(answer.text, "text") == "Nobody of this list was found."
    assert unescape(typed(answer.text, "text") or "") == text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("text", ["", " \n\t\n", ',;\n""\n'])
def test_a_list_of_nothing_says_what_to_paste(signed_in: SignedIn, text: str) -> None:
    answer = assert_refused(signed_in(), PASTE, {"text": text}, status=422)
    assert field_error(answer.text, "text") == "Paste e-mail addresses, names or ids, one on each line."


def test_any_text_is_looked_up_or_kept(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 1_000)
    desk, ann = signed_in(), make_user(full_name="Ann Lee")
    for name, text in TEXTS.items():
        body = encode({"text": text, "csrf_token": desk.csrf_token()})
        answer = desk.client.post(PASTE, data=body, content_type=FORM)
        assert answer.status_code in {303, 422}, name
        if answer.status_code == 422:
            assert field_error(answer.text, "text"), name
            assert unescape(typed(answer.text, "text") or "") == received(text), f"{name}: the text is lost"
            assert CANARY not in answer.text, name
        body = encode({"text": f"{text}\n#{ann.id}\n{text}x", "csrf_token": desk.csrf_token()})
        answer = desk.client.post(PASTE, data=body, content_type=FORM)
        assert answer.status_code == 303, name
        page = desk.get(answer.headers["Location"])
        assert page.status_code == 200, name
        assert CANARY not in page.text, name
        assert ann.id in read_members(app, answer.headers["Location"]), name


def test_names_that_are_markup_are_only_shown(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    for _ in range(2):
        make_user(full_name=f"Ann {CANARY}", email="a@example.org" if not _ else "b@example.org")
    page = desk.get(paste(desk, f"ann {CANARY}\nMissing {CANARY}")).text
    assert len(asked_about(page)) == 2
    assert CANARY not in page
    assert "Missing &lt;script&gt;canary" in page


def test_more_than_can_be_done_at_once_are_refused_and_the_list_is_kept(
    app: Flask, signed_in: SignedIn
) -> None:
    text = " ".join(str(number) for number in range(1, 100_002))
    answer = signed_in().post(PASTE, {"text": text})
    assert answer.status_code == 422
    assert re.match(r"At most 100,?000 at once\. Paste it in parts\.", field_error(answer.text, "text") or "")
    assert typed(answer.text, "text") == text
    assert (read_batches(app), count_rows(app)) == ([], 0)


def test_more_than_a_request_may_hold_is_said_to_be_too_large(app: Flask, signed_in: SignedIn) -> None:
    answer = assert_refused(signed_in(), PASTE, {"text": "ann@example.org\n" * 140_000}, status=413)
    assert "This is too large" in answer.text
    assert "split it into parts" in answer.text


def test_of_very_many_that_are_not_found_some_are_shown(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, ann = signed_in(), make_user()
    page = desk.get(
        paste(desk, "\n".join(["x@example.org", f"#{ann.id}", *(f"Nobody {n}" for n in range(700))]))
    )
    assert "701 entries of the list were not found" in page.text
    assert page.text.count("<li dir=") == 500
    assert "and more" in page.text


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PASTE)
    assert_post_asks_to_sign_in(app, PASTE, {"text": "ann@example.org"})


def test_a_list_pasted_after_the_session_has_ended_is_not_lost(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    with app.app_context():
        get_session().execute(delete(SignInSession))
        get_session().commit()
    refused = desk.post(PASTE, {"text": f"{user.email}\r\nZoë"})
    assert refused.status_code == 401
    form = read_form(refused.text, holding="password")
    sent = {**form.fields, "email": "administrator@desk.example", "password": PASSWORD}
    shown = desk.post_raw(form.action or "/auth/login", sent)
    again = read_form(shown.text, action=PASTE)
    answer = desk.post_raw(PASTE, again.fields)
    assert answer.status_code == 303
    assert read_members(app, answer.headers["Location"]) == [user.id]


def test_an_auditor_may_not(signed_in: SignedIn) -> None:
    desk = signed_in("auditor")
    assert desk.get(PASTE).status_code == 403
    assert_refused(desk, PASTE, {"text": "1"})
    assert PASTE not in desk.get("/batches/").text


def test_looking_writes_nothing(signed_in: SignedIn) -> None:
    assert_get_writes_nothing(signed_in(), PASTE)


def test_a_forged_form_changes_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user()
    before = read_tables(app)
    assert desk.post_raw(PASTE, {"text": str(user.id)}).status_code == 400
    assert read_tables(app) == before


def test_it_takes_few_queries_whatever_is_pasted(
    signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    """Who is signed in; ids, addresses and names by 500; the draft and its rows, the same for any number."""
    desk, users = signed_in(), [make_user(full_name=f"Ann {number}") for number in range(30)]
    token = desk.csrf_token()
    with count_queries() as statements:
        desk.get(PASTE)
    assert len(statements) == 1
    numbers = []
    for some in (users[:2], users):
        text = "\n".join(f"{user.id}\n{user.email}\n{user.full_name}" for user in some)
        with count_queries() as statements:
            assert desk.post_raw(PASTE, {"text": text, "csrf_token": token}).status_code == 303
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 14, numbers
