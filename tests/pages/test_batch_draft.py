"""/batches/<id> before it is run: what to do, whom it would change and whom not, then all or nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import MakeUser, SignedIn, read_tables, read_user
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
from tests.pages.batching import (
    FORM,
    PATH,
    add_people,
    begin,
    choose,
    outcomes_of,
    read_batches,
    run,
    typed,
)
from tests.pages.form_reader import PageForm, read_form
from tests.visitor import Visitor, field_error
from webapp.access.permissions import Role
from webapp.batches.rules import digest_of
from webapp.db import get_session
from webapp.history.rules import Kind
from webapp.notes.models import Note
from webapp.users.models import User
from webapp.web.forms import MAX_TEXT

CountQueries = Callable[[], AbstractContextManager[list[str]]]
POSTS = ("action", "namesakes", "run", "stop", "continue", "undo")


def run_form(page: str, path: str) -> PageForm:
    return read_form(page, action=f"{path}/run")


def deactivate(desk: Visitor, user_id: int) -> None:
    assert desk.post(f"/users/{user_id}/deactivate").status_code == 303


# Each action, by its own buttons


def test_without_an_action_it_asks_what_to_do_and_offers_no_run(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, make_user().id)
    page = desk.get(path).text
    assert "2 users chosen" in page
    assert "Choose what to do." in page
    assert f"{path}/run" not in page
    assert re.findall(r'name="action" value="(\w+)"', page) == [
        *("deactivate", "activate", "set_role", "sign_out", "add_note", "trash")
    ]


# action → the row before, the value, the toast, the entry's kind
ACTS: dict[str, tuple[dict[str, object], dict[str, str], str, Kind]] = {
    "deactivate": ({}, {}, "2 users are inactive and signed out.", Kind.DEACTIVATED),
    "activate": ({"is_active": False}, {}, "2 users are active again.", Kind.ACTIVATED),
    "set_role": ({}, {"role": "auditor"}, "2 users have the role Auditor now.", Kind.EDITED),
    "sign_out": ({}, {}, "2 users are signed out.", Kind.SIGNED_OUT_EVERYWHERE),
    "add_note": ({}, {"note": " Called back.\r\nAll is well. "}, "2 users have the note.", Kind.NOTE_ADDED),
    "trash": ({}, {}, "2 users are in the trash.", Kind.DELETED),
}


@pytest.mark.parametrize("action", ACTS)
def test_each_action_from_its_button_to_the_results_and_the_history(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    columns, value, toast, kind = ACTS[action]
    desk = signed_in()
    users = [make_user(full_name=f"Ann {letter}", **columns) for letter in "ab"]
    bystander = make_user(**columns)
    path = begin(desk, *(user.id for user in users))
    assert choose(desk, path, action).headers["Location"] == path
    if value:
        page = desk.get(path).text
        assert f"{path}/run" not in page, "first it asks for the value"
        form = next(iter([read_form(page, holding="action")]))
        assert form.action == f"{path}/action"
        assert desk.post_raw(form.action, {**form.fields, **value}).status_code == 303
    page = text_of(desk.get(path))
    assert "2 users will be changed." in page
    assert "Ann a" in page
    page = run(desk, path)
    assert toast in page
    assert [outcome.endswith("Done") for outcome in outcomes_of(page)] == [True, True]
    assert_changed(app, action, users, bystander)
    assert desk.user is not None
    stories = [story for story in read_stories(app) if story.kind is kind]
    assert [(story.subject_id, story.actor_id, story.door) for story in stories] == [
        (user.id, desk.user.id, "page") for user in users
    ]
    assert {story.facts["batch"] for story in stories} == {read_batches(app)[-1].id}
    assert_intact(app)


def assert_changed(app: Flask, action: str, users: list[User], bystander: User) -> None:
    """The users are as the action makes them, and the bystander is not."""
    now = [read_user(app, user.id) for user in (*users, bystander)]
    if action == "trash":
        assert [user is None for user in now] == [True, True, False]
        return
    people = [user for user in now if user is not None]
    values: list[object]
    match action:
        case "set_role":
            values, wanted = [user.role for user in people], [Role.AUDITOR, Role.AUDITOR, Role.MEMBER]
        case "sign_out":
            epochs = zip(people, (*users, bystander), strict=True)
            values, wanted = [new.session_epoch - old.session_epoch for new, old in epochs], [1, 1, 0]  # type: ignore[list-item]
        case "add_note":
            with app.app_context():
                found = get_session().execute(select(Note.user_id, Note.text).order_by(Note.id))
                values = [tuple(row) for row in found]
            wanted = [(user.id, "Called back.\nAll is well.") for user in users]  # type: ignore[misc]
        case _:
            before = bystander.is_active
            values, wanted = [user.is_active for user in people], [not before, not before, before]  # type: ignore[list-item]
    assert values == wanted


# What it says before


def test_it_tells_apart_who_changes_who_is_so_already_and_who_is_left_out_and_why(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    assert desk.user is not None
    changing = [make_user(full_name=f"Changing {number}").id for number in range(12)]
    same = [make_user(is_active=False).id for _ in range(3)]
    path = begin(desk, *changing, *same, desk.user.id, 999_999, action="deactivate")
    page = text_of(desk.get(path))
    assert "Deactivate 17 users?" in page
    assert "12 users will be changed." in page
    assert len(re.findall(r"<bdi>Changing \d+</bdi>", page)) == 10
    assert "and 2 more" in page
    assert "3 users are so already and stay as they are." in page
    assert page.count("1 is left out:") == 2
    assert f'<a href="/users/{desk.user.id}"><bdi>Administrator Desk</bdi></a>' in page
    assert "#999999" in page
    form = run_form(page, path)
    assert form.fields["seen"].endswith(digest_of(changing))
    assert re.search(r"<button>Deactivate 12 users</button>", page), "the button says how many"
    results = outcomes_of(run(desk, path))
    ends = [next(end for end in ("Done", "So already", "Left out") if end in row) for row in results]
    assert [ends.count(end) for end in ("Done", "So already", "Left out")] == [12, 3, 2]


def test_the_last_administrator_stays_one_also_among_many(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    others = [make_user(role=Role.ADMINISTRATOR) for _ in range(3)]
    assert desk.user is not None
    path = begin(desk, desk.user.id, *(user.id for user in others), action="deactivate")
    run(desk, path)
    assert [read_user(app, user.id).is_active for user in (desk.user, *others)] == [True, False, False, False]  # type: ignore[union-attr]


def test_names_that_are_markup_are_only_shown(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    ids = [make_user(full_name=f"Ann {CANARY}", is_active=n > 0).id for n in range(3)]
    assert desk.user is not None
    staff = make_user(full_name=f"Staff {CANARY}", role=Role.SUPPORT).id
    support = signed_in("support")
    for path in (begin(support, *ids, staff, action="deactivate"), begin(support, *ids)):
        answer = support.get(path)
        assert CANARY not in answer.text
    page = support.get(begin(support, staff, ids[1], action="deactivate")).text
    assert page.count("&lt;script&gt;canary") == 2


def test_a_note_that_is_markup_is_only_shown(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user()
    path = begin(desk, user.id)
    choose(desk, path, "add_note", note=f"</textarea>{CANARY}")
    page = desk.get(path).text
    assert CANARY not in page
    assert unescape(typed(page, "note") or "") == f"</textarea>{CANARY}", "it can be corrected"
    run(desk, path)
    assert all(CANARY not in desk.get(where).text for where in (path, PATH, f"/users/{user.id}", "/history/"))


# A value that is missing or wrong


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("set_role", "role", ""),
        ("set_role", "role", "king"),
        ("add_note", "note", ""),
        ("add_note", "note", " \r\n "),
        ("add_note", "note", "x" * 5001),
        ("add_note", "note", "a\0b"),
    ],
    ids=lambda text: text[:10],
)
def test_a_value_that_is_none_is_an_error_at_its_field_and_kept(
    signed_in: SignedIn, make_user: MakeUser, action: str, field: str, value: str
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action=action)
    form = read_form(desk.get(path).text, holding="action")
    answer = desk.post_raw(form.action, {**form.fields, field: value})
    assert answer.status_code == 422
    assert field_error(answer.text, field)
    assert 'role="alert"' in answer.text
    if field == "note":
        assert unescape(typed(answer.text, "note") or "").strip() == value.strip()
    assert f"{path}/run" not in desk.get(path).text


def test_a_wrong_value_after_a_right_one_does_not_offer_to_run_the_right_one(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    """Below the error would stand a button that does what is not in the form."""
    desk = signed_in()
    path = begin(desk, make_user().id, action="add_note")
    choose(desk, path, "add_note", note="Right")
    answer = choose(desk, path, "add_note", note="x" * 5001)
    assert answer.status_code == 422
    assert f"{path}/run" not in answer.text


def test_every_link_of_an_error_leads_to_something_on_the_page(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="set_role")
    for sent in ({"action": "set_role", "role": "king"}, {"action": "king"}, {"action": "restore"}):
        answer = desk.post(f"{path}/action", sent)
        assert answer.status_code == 422
        for target in re.findall(r'<a href="#([^"]+)">', answer.text):
            assert f'id="{target}"' in answer.text, target


def test_any_text_as_a_value_is_taken_or_kept_with_its_error(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="add_note")
    for field, action in (("note", "add_note"), ("role", "set_role")):
        for name, text in TEXTS.items():
            body = encode({"action": action, field: text, "csrf_token": desk.csrf_token()})
            answer = desk.client.post(f"{path}/action", data=body, content_type=FORM)
            assert answer.status_code in {303, 422}, name
            assert CANARY not in answer.text, name
            if field == "note" and answer.status_code == 422:
                assert field_error(answer.text, "note"), name
                assert unescape(typed(answer.text, "note") or "") == received(text)[:MAX_TEXT], (
                    f"{name}: it is lost"
                )
            page = desk.get(path)
            assert page.status_code == 200, name
            assert CANARY not in page.text, name
    assert read_batches(app)[-1].action == "add_note", "no text of these is a role"


@pytest.mark.parametrize("action", ["", "king", "undo", "restore", "__class__"])
def test_an_action_that_is_none_of_these_is_refused(
    signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="deactivate")
    answer = assert_refused(desk, f"{path}/action", {"action": action}, status=422)
    assert "Choose one of: activate, add_note" in text_of(answer)


def test_it_is_not_run_without_an_action_or_its_value(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user()
    for action in ("", "set_role", "add_note"):
        path = begin(desk, user.id, action=action)
        answer = assert_refused(desk, f"{path}/run", {"seen": digest_of([user.id])}, status=422)
        assert 'role="alert"' in answer.text


# All or nobody


@pytest.mark.parametrize("seen", ["", "x", "0" * 16, "e3b0c44298fc1c14", "x" * 100_000, CANARY, "\0"])
def test_a_forged_seal_changes_nobody_and_shows_the_preview_again(
    signed_in: SignedIn, make_user: MakeUser, seen: str
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="deactivate")
    answer = assert_refused(desk, f"{path}/run", {"seen": seen}, status=409)
    assert "Nothing was done yet: look again." in answer.text
    assert "1 user will be changed." in answer.text
    assert CANARY not in answer.text
    form = run_form(answer.text, path)
    assert desk.post_raw(form.action, form.fields).status_code == 303


def test_when_one_of_them_changed_since_nobody_is_changed_and_it_says_so(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    ids = [make_user().id for _ in range(3)]
    path = begin(desk, *ids, action="deactivate")
    form = run_form(desk.get(path).text, path)
    deactivate(desk, ids[1])
    before = read_tables(app), read_stories(app)
    answer = desk.post_raw(form.action, form.fields)
    assert answer.status_code == 409
    assert (read_tables(app), read_stories(app)) == before
    page = text_of(answer)
    assert "Some of them were changed since this was shown. Nothing was done yet: look again." in page
    assert "2 users will be changed." in page
    assert "1 user is so already" in page
    again = run_form(page, path)
    assert desk.post_raw(again.action, again.fields).status_code == 303
    assert read_batches(app)[-1].done == 2


def test_what_does_not_change_whom_it_is_about_does_not_disturb_it(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    path = begin(desk, user.id, action="deactivate")
    form = run_form(desk.get(path).text, path)
    desk.post(f"/users/{user.id}/edit", {"full_name": "New", "email": "n@example.org", "version": "1"})
    assert desk.post_raw(form.action, form.fields).status_code == 303
    assert read_user(app, user.id).is_active is False  # type: ignore[union-attr]


def test_run_twice_it_is_done_once_and_says_so(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="sign_out")
    form = run_form(desk.get(path).text, path)
    assert desk.post_raw(form.action, form.fields).status_code == 303
    desk.get(path)
    number = len(read_stories(app))
    answer = desk.post_raw(form.action, form.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert "This was run already." in desk.get(path).text
    assert len(read_stories(app)) == number


def test_what_was_run_is_not_chosen_anew(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, other = signed_in(), make_user()
    path = begin(desk, make_user().id, action="deactivate")
    run(desk, path)
    for button, sent in (("action", {"action": "trash"}), ("namesakes", {"id": str(other.id)})):
        answer = assert_refused(desk, f"{path}/{button}", sent, status=409)
        assert "This was run already." in answer.text


# Whose it is


def test_somebody_else_s_draft_is_not_seen_and_not_touched(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    owner, user = signed_in(), make_user()
    path = begin(owner, user.id, action="deactivate")
    form = run_form(owner.get(path).text, path)
    other = signed_in(email="other@desk.example")
    answer = other.get(path)
    assert answer.status_code == 403
    assert "Somebody else is still preparing this." in answer.text
    sent = {"seen": form.fields["seen"], "action": "trash", "id": str(user.id)}
    for button in ("action", "namesakes", "run"):
        assert_refused(other, f"{path}/{button}", sent)
    for button in ("stop", "continue", "undo"):
        assert_refused(other, f"{path}/{button}", sent, status=303)
    assert f'href="{path}"' not in other.get(PATH).text
    assert f'href="{path}"' in owner.get(PATH).text
    run(owner, path)
    assert other.get(path).status_code == 200


def test_support_is_not_offered_what_it_may_not_and_is_refused(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    support = signed_in("support")
    path = begin(support, make_user().id)
    page = support.get(path).text
    assert re.findall(r'name="action" value="(\w+)"', page) == [
        "deactivate",
        "activate",
        "sign_out",
        "add_note",
    ]
    for sent in ({"action": "trash"}, {"action": "set_role", "role": "administrator"}):
        assert_refused(support, f"{path}/action", sent)


def test_who_may_no_longer_do_it_is_refused(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    """The role is asked for again when it is run, not only when it was chosen."""
    desk, user = signed_in(), make_user()
    path = begin(desk, user.id, action="trash")
    form = run_form(desk.get(path).text, path)
    with app.app_context():
        get_session().get_one(User, desk.user.id).role = Role.SUPPORT  # type: ignore[union-attr]
        get_session().commit()
    assert_refused(desk, f"{path}/run", form.fields)


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    path = begin(signed_in(), make_user().id, action="deactivate")
    assert_get_asks_to_sign_in(app, path)
    for button in POSTS:
        assert_post_asks_to_sign_in(app, f"{path}/{button}")


def test_an_auditor_sees_no_draft_and_presses_nothing(signed_in: SignedIn, make_user: MakeUser) -> None:
    path = begin(signed_in(), make_user().id, action="deactivate")
    auditor = signed_in("auditor")
    assert auditor.get(path).status_code == 403
    for button in POSTS:
        assert_refused(auditor, f"{path}/{button}")


@pytest.mark.parametrize("batch_id", UNKNOWN_IDS)
def test_there_is_none_is_said(signed_in: SignedIn, batch_id: str) -> None:
    desk, path = signed_in(), f"/batches/{batch_id}"
    answer = desk.get(path)
    assert answer.status_code == 404
    assert "There is no such bulk change (any more)." in answer.text
    for button in POSTS:
        assert_refused(desk, f"{path}/{button}", status=404)


def test_any_text_as_its_number_is_no_page(signed_in: SignedIn) -> None:
    desk = signed_in()
    for text in ("x", "-1", "1.0", "1e3", "٣", "%00", "..", "paste%2f", "__class__"):
        assert desk.get(f"/batches/{text}").status_code == 404, text


def test_looking_writes_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    for action in ("", "set_role", "deactivate"):
        assert_get_writes_nothing(desk, begin(desk, make_user().id, 999_999, action=action))
    assert [story.kind for story in read_stories(app)] == []


@pytest.mark.parametrize("button", POSTS)
def test_any_bytes_as_a_body(signed_in: SignedIn, make_user: MakeUser, button: str) -> None:
    desk = signed_in()
    token = encode({"csrf_token": desk.csrf_token()}).encode()
    path = begin(desk, make_user().id, action="set_role")
    for name, raw in RAW.items():
        answer = desk.client.post(f"{path}/{button}", data=token + b"&" + raw, content_type=FORM)
        assert answer.status_code < 500, name


def test_any_text_as_the_way_back_leads_to_the_list_or_nowhere(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="deactivate")
    for name, text in TEXTS.items():
        answer = desk.get(path, query_string=encode({"back": text}))
        assert answer.status_code == 200, name
        assert CANARY not in answer.text, name
        link = re.search(r'<a class="back" href="([^"]*)"', answer.text)
        assert link, name
        assert re.match(r"/(users|batches)/(\?|$)", link[1]), name


def test_it_takes_as_many_queries_however_many_are_in_it(
    app: Flask, signed_in: SignedIn, count_queries: CountQueries
) -> None:
    """Looking: who is signed in, the draft, its rows, the people, the administrators, who is left out."""
    desk = signed_in()
    add_people(app, 200)
    looking, running = [], []
    for ids in (range(2, 5), range(5, 200)):
        path = begin(desk, *ids, action="deactivate")
        with count_queries() as statements:
            page = desk.get(path).text
        looking.append(len(statements))
        form = run_form(page, path)
        with count_queries() as statements:
            assert desk.post_raw(form.action, form.fields).status_code == 303
        running.append(len(statements))
    assert looking[0] == looking[1] <= 7, looking
    assert running[0] == running[1] <= 21, running
