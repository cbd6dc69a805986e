"""POST /batches/: from the list or the trash, of those ticked or of all that match, as they are then."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_tables, read_user
from tests.corpus import CANARY, TEXTS, encode
from tests.pages.asking import assert_post_asks_to_sign_in, assert_refused, text_of
from tests.pages.batching import (
    FORM,
    PATH,
    begin,
    change,
    count_rows,
    outcomes_of,
    read_batches,
    read_members,
    run,
)
from tests.pages.form_reader import PageForm, read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.batches import drafts, views

CountQueries = Callable[[], AbstractContextManager[list[str]]]
OF_USERS = ["deactivate", "activate", "set_role", "sign_out", "add_note", "trash"]


def boxes_of(page: str) -> list[str]:
    return re.findall(r'<input type="checkbox" form="many" name="id" value="(\d+)"', page)


def buttons_of(page: str) -> list[str]:
    return re.findall(r'<button[^>]*name="action" value="(\w+)"', page)


def bar_of(page: str) -> PageForm:
    return read_form(page, action=PATH)


def told(desk: Visitor, location: str) -> str:
    """The page there, and so the message on it."""
    return text_of(desk.get(location))


# From the list


def test_ticked_rows_and_a_button_of_the_bar_make_a_draft_that_leads_back(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    users = [make_user(full_name=f"Ann {letter}") for letter in "abc"]
    page = desk.get("/users/?q=ann&sort=-name&page_size=20").text
    assert boxes_of(page) == [str(user.id) for user in users[::-1]]
    bar = bar_of(page)
    answer = desk.post_raw(bar.action, {**bar.fields, "id": boxes_of(page)[:2], "action": "deactivate"})
    target = urlsplit(answer.headers["Location"])
    assert (answer.status_code, target.path) == (303, "/batches/1")
    assert parse_qs(parse_qs(target.query)["back"][0]) == {
        "q": ["ann"],
        "sort": ["-name"],
        "page_size": ["20"],
    }
    assert read_members(app, target.path) == [users[1].id, users[2].id]
    draft = text_of(desk.get(answer.headers["Location"]))
    assert "Deactivate 2 users?" in draft
    assert "/users/?q=ann&sort=-name&page_size=20" in draft
    assert all(read_user(app, user.id).is_active for user in users)  # type: ignore[union-attr]


def test_all_that_match_are_those_of_that_moment(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    users = [make_user(full_name=f"Ann {number}") for number in range(22)]
    make_user(full_name="Bob")
    page = desk.get("/users/?q=ann&page_size=20&role=member").text
    assert "All that match (22)" in page
    bar = bar_of(page)
    answer = desk.post_raw(bar.action, {**bar.fields, "all": "1", "action": "deactivate"})
    path = urlsplit(answer.headers["Location"]).path
    later = make_user(full_name="Ann Later")
    assert read_members(app, path) == [user.id for user in users]
    run(desk, path)
    assert [read_user(app, user.id).is_active for user in users] == [False] * 22  # type: ignore[union-attr]
    assert read_user(app, later.id).is_active  # type: ignore[union-attr]


def test_all_of_them_count_for_more_than_those_ticked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    ids = [make_user(full_name="Ann").id for _ in range(3)]
    assert read_members(app, begin(desk, ids[0], all="1", q="ann")) == ids
    assert read_batches(app)[-1].source == "matching"


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("auditor", []),
        ("support", ["deactivate", "activate", "sign_out", "add_note"]),
        ("administrator", OF_USERS),
    ],
)
def test_everybody_is_offered_what_he_may(
    signed_in: SignedIn, make_user: MakeUser, role: str, actions: list[str]
) -> None:
    make_user()
    page = signed_in(role).get("/users/").text
    assert buttons_of(page) == actions
    assert bool(boxes_of(page)) is bool(actions)


def test_without_anybody_ticked_it_says_so_on_the_same_list(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    answer = desk.post(PATH, {"action": "deactivate", "back": "q=ann&sort=-name"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/users/?q=ann&sort=-name")
    assert "Choose at least one user." in told(desk, answer.headers["Location"])
    assert read_batches(app) == []


# From the trash


def test_the_trash_s_own_bar_restores(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    ids = [make_user().id for _ in range(3)]
    change(desk, "trash", *ids)
    page = desk.get("/trash/").text
    assert (buttons_of(page), sorted(boxes_of(page))) == (["restore"], sorted(map(str, ids)))
    bar = bar_of(page)
    answer = desk.post_raw(bar.action, {**bar.fields, "id": boxes_of(page)[:2], "action": "restore"})
    page = run(desk, urlsplit(answer.headers["Location"]).path)
    assert "2 users are back." in page
    assert [read_user(app, user_id) is None for user_id in ids] == [True, False, False]
    bar = bar_of(desk.get("/trash/").text)
    answer = desk.post_raw(bar.action, {**bar.fields, "all": "1", "action": "restore"})
    assert read_members(app, urlsplit(answer.headers["Location"]).path) == ids[:1]


def test_nobody_of_the_trash_ticked_leads_back_to_it(signed_in: SignedIn) -> None:
    desk = signed_in()
    answer = desk.post(PATH, {"action": "restore", "where": "trash"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/trash/")
    assert "Choose at least one user." in told(desk, "/trash/")


def test_who_may_not_see_the_trash_chooses_nobody_of_it(signed_in: SignedIn, make_user: MakeUser) -> None:
    change(signed_in(), "trash", make_user().id)
    support = signed_in("support")
    for sent in ({"all": "1"}, {"id": "1"}, {"all": "1", "action": "restore"}):
        assert_refused(support, PATH, {**sent, "where": "trash"})


# Forged


def test_ids_that_are_none_stand_for_nobody(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    garbage = [text for text in TEXTS.values() if len(text) < 10_000 and text not in {"1000000000"}]
    garbage += ["", "0", "-1", "1.0", " 1", "1 ", "+1", "٣", "1e1", "0x1", "9" * 20, "9" * 4000]
    numbers = {str(10**9 + 1), str(2**31), "0"}
    body = encode([("id", text) for text in garbage if text not in numbers])
    body += "&" + encode({"csrf_token": desk.csrf_token(), "action": "deactivate"})
    answer = desk.client.post(PATH, data=body, content_type=FORM)
    assert answer.status_code == 303
    assert "Choose at least one user." in told(desk, answer.headers["Location"])
    assert read_batches(app) == []


def test_ids_of_nobody_and_of_the_trash_are_left_out_and_named(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    user, gone = make_user(), make_user(full_name="Ann Gone")
    change(desk, "trash", gone.id)
    path = begin(desk, user.id, gone.id, 999_999, 2**63 - 1, action="deactivate")
    page = text_of(desk.get(path))
    assert "1 user will be changed." in page
    assert "3 are left out:" in page
    assert "There is no such user (any more)." in page
    assert "#999999" in page
    results = outcomes_of(run(desk, path))
    assert results[0].endswith("Done")
    assert results[1].startswith("Ann Gone in the trash")
    assert results[3].startswith(f"a deleted user, #{2**63 - 1}")
    assert read_batches(app)[-1].refused == 3


def test_who_is_not_in_the_trash_is_not_restored(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    path = begin(desk, user.id, where="trash", action="restore")
    page = text_of(desk.get(path))
    assert "Nobody would be changed." in page
    assert "This user is not in the trash." in page
    assert f'action="{path}/run"' not in page


def test_an_id_sent_many_times_counts_once(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in(), make_user()
    path = begin(desk, *[user.id] * 500, action="deactivate")
    assert read_members(app, path) == [user.id]
    assert "1 user is inactive" in run(desk, path)


def test_more_than_can_be_done_at_once_are_refused_and_not_kept(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    body = encode({"csrf_token": desk.csrf_token(), "action": "deactivate", "back": "q=ann"})
    body += "".join(f"&id={number}" for number in range(1, 100_002))
    answer = desk.client.post(PATH, data=body, content_type=FORM)
    assert answer.status_code == 413, "a page has no more than two hundred rows to tick"
    assert (read_batches(app), count_rows(app)) == ([], 0)


def test_when_more_match_than_can_be_done_at_once_nothing_is_kept(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MOST_ROWS", 2)
    monkeypatch.setattr(views, "MOST_ROWS", 2)
    desk = signed_in()
    ids = [make_user(full_name="Ann").id for _ in range(3)]
    answer = desk.post(PATH, {"all": "1", "q": "ann"})
    assert "At most 2 users at once." in told(desk, answer.headers["Location"])
    assert count_rows(app) == 0
    desk.post(f"/users/{ids[0]}/deactivate")
    assert read_members(app, begin(desk, all="1", q="ann", status="active")) == ids[1:]


@pytest.mark.parametrize("where", ["", "trash"])
@pytest.mark.parametrize(
    "action", ["king", "undo", "purge", "DEACTIVATE", "__class__", "deactivate,activate"]
)
def test_an_action_that_is_none_is_refused(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, where: str, action: str
) -> None:
    desk = signed_in()
    answer = desk.post(PATH, {"id": str(make_user().id), "action": action, "where": where})
    assert answer.status_code == 303
    assert "Choose one of:" in told(desk, answer.headers["Location"])
    assert read_batches(app) == []


@pytest.mark.parametrize(("where", "action"), [("", "restore"), *(("trash", action) for action in OF_USERS)])
def test_an_action_of_the_other_list_is_refused(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, where: str, action: str
) -> None:
    desk = signed_in()
    answer = desk.post(PATH, {"id": str(make_user().id), "action": action, "where": where})
    assert "Choose one of:" in told(desk, answer.headers["Location"])
    assert read_batches(app) == []


BROKEN = {
    "status": "asleep",
    "role": "king",
    "created_from": "2026-02-30",
    "created_to": "9999-12-31",
    "sort": "hashed_password",
    "page_size": "7",
    "q": "x" * 201,
    "page": "0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_filter_that_means_nothing_chooses_nobody(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, name: str
) -> None:
    desk = signed_in()
    make_user(full_name="Ann")
    answer = desk.post(PATH, {"all": "1", "action": "deactivate", name: BROKEN[name]})
    assert answer.status_code == 303
    assert 'class="toast' in told(desk, answer.headers["Location"])
    assert read_batches(app) == []


def test_any_text_in_any_field_is_no_defect(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    make_user(full_name=f"Ann {CANARY}")
    token = desk.csrf_token()
    for field in ("q", "back", "where"):
        for name, text in TEXTS.items():
            body = encode({"all": "1", "csrf_token": token, field: text})
            answer = desk.client.post(PATH, data=body, content_type=FORM)
            assert answer.status_code == 303, (field, name)
            target = answer.headers["Location"]
            assert target.startswith(("/users/", "/batches/", "/trash/")), (field, name)
    assert CANARY not in desk.get("/users/").text, "the messages are read there"


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser) -> None:
    assert_post_asks_to_sign_in(app, PATH, {"id": str(make_user().id), "action": "deactivate"})


@pytest.mark.parametrize(
    ("role", "action"),
    [*(("auditor", action) for action in OF_USERS), ("support", "set_role"), ("support", "trash")],
)
def test_who_may_not_is_refused(signed_in: SignedIn, make_user: MakeUser, role: str, action: str) -> None:
    assert_refused(signed_in(role), PATH, {"id": str(make_user().id), "action": action})


def test_it_takes_as_many_queries_however_many_are_chosen(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    desk, ids = signed_in(), [make_user().id for _ in range(40)]
    token = desk.csrf_token()
    numbers = []
    for chosen in (ids[:2], ids):
        with count_queries() as statements:
            desk.post_raw(PATH, {"id": [str(one) for one in chosen], "action": "trash", "csrf_token": token})
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 11, numbers


def test_support_s_choice_of_people_who_work_here_is_allowed_and_changes_none_of_them(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    support = signed_in("support")
    staff, member = make_user(role=Role.ADMINISTRATOR), make_user()
    before = read_tables(app)["users"]
    page = text_of(support.get(begin(support, staff.id, member.id, action="deactivate")))
    assert "1 user will be changed." in page
    assert "Only an administrator may change a person who works here." in page
    assert read_tables(app)["users"] == before
