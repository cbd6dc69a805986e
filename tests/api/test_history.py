"""The history's calls: what was done and by whom, page after page, and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, newest_entry, read_tables, read_user
from webapp.access.permissions import Permission, Role
from webapp.tokens.queries import list_own_tokens

HISTORY = "/api/v1/history"
ENVELOPE = {"entries", "page", "page_size", "total", "pages"}


def rename(program: Program, user_id: int, name: str) -> None:
    assert program.change("PATCH", f"{USERS}/{user_id}", {"full_name": name}).status_code == 200


def test_a_change_is_told_with_who_did_it_and_from_what_to_what(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token("support"), make_user(full_name="Old")
    rename(program, user.id, "New")
    answer = program.get(f"{USERS}/{user.id}/history")
    assert set(answer.json) == ENVELOPE
    (entry,) = answer.json["entries"]
    assert program.user is not None
    assert (entry["kind"], entry["door"], entry["version"]) == ("edited", "api", 2)
    assert (entry["subject_id"], entry["subject_name"]) == (user.id, "New")
    assert (entry["actor_id"], entry["actor_name"]) == (program.user.id, "Support Desk")
    assert (entry["actor_role"], entry["address"]) == ("support", "127.0.0.1")
    with app.app_context():
        (token,) = list_own_tokens(program.user.id)
    assert entry["token_id"] == token.id
    assert entry["changes"] == {"full_name": {"old": "Old", "new": "New"}}
    assert (entry["is_undone"], entry["is_undoable"]) == (False, True)
    assert program.get(f"{HISTORY}/{entry['id']}").json == entry
    assert entry["id"] == newest_entry(app)


def test_the_history_tells_no_more_than_the_other_scopes_of_a_token_allow(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user(full_name="Old Name")
    rename(program, user.id, "New Name")
    assert program.post(f"{USERS}/{user.id}/notes", {"text": "Called twice."}).status_code == 201
    grant = {"amount": "12.50", "reason": "Welcome"}
    assert program.post(f"{USERS}/{user.id}/credits/grants", grant).status_code == 201
    scopes = {Permission.HISTORY_READ}

    def read(*more: Permission) -> tuple[str, list[set[str]]]:
        reader = Program(app, make_user(role=Role.ADMINISTRATOR), scopes.union(more))
        answer = reader.get(f"{USERS}/{user.id}/history")
        return answer.text, [set(entry["changes"]) for entry in answer.json["entries"]]

    text, changed = read()
    assert changed == [set(), set(), set()]
    assert not any(secret in text for secret in ("Name", "Called", "Desk", "1250", "12.50"))
    text, changed = read(Permission.USERS_READ)
    assert changed == [set(), {"note"}, {"full_name"}]
    assert all(told in text for told in ("Old Name", "Called twice.", "Administrator Desk"))
    assert "12.50" not in text
    text, changed = read(Permission.CREDITS_READ)
    assert changed == [{"balance"}, set(), set()]
    assert "Name" not in text


def test_who_may_not_read_names_finds_nothing_by_them(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user(full_name="Old Name")
    rename(program, user.id, "Zoé")
    auditor = make_user(role=Role.AUDITOR)
    reader = Program(app, auditor, {Permission.HISTORY_READ})
    for words in ("zoe", "nobody", "z", "administrator"):
        answer = reader.get(f"{HISTORY}?query={words}")
        assert (answer.status_code, "users.read" in answer.json["detail"]) == (403, True)
        assert 'scope="users.read"' in answer.headers["WWW-Authenticate"]
    assert reader.get(f"{HISTORY}?query=&kind=edited").json["total"] == 1
    knowing = Program(app, auditor, {Permission.HISTORY_READ, Permission.USERS_READ})
    assert knowing.get(f"{HISTORY}?query=zoe").json["total"] == 1


def test_amounts_are_told_as_the_calls_about_credits_write_them(
    with_token: WithToken, make_user: MakeUser
) -> None:
    program, user, other = with_token(), make_user(), make_user()
    grant = {"amount": "12.50", "reason": "Welcome"}
    assert program.post(f"{USERS}/{user.id}/credits/grants", grant).status_code == 201
    transfer = {"from_user_id": user.id, "to_user_id": other.id, "amount": "0.05"}
    moved = program.post("/api/v1/transfer", transfer).json
    sent, granted = program.get(f"{USERS}/{user.id}/history").json["entries"]
    assert granted["changes"] == {"balance": {"old": "0.00", "new": "12.50"}}
    assert granted["facts"]["amount"] == "12.50"
    assert sent["changes"] == {"balance": {"old": "12.50", "new": "12.45"}}
    assert sent["facts"] == {"transfer": moved["id"], "amount": "0.05", "to": other.id}


def test_nothing_secret_is_told(with_token: WithToken) -> None:
    program = with_token()
    body = {"email": "new@example.org", "password": "orchard lantern velvet"}
    assert program.post(USERS, body).status_code == 201
    text = program.get(HISTORY).text
    assert "orchard" not in text
    assert str(program.token) not in text
    assert "hash" not in text
    assert "salt" not in text


def test_pages_follow_each_other_and_filters_narrow(with_token: WithToken, make_user: MakeUser) -> None:
    program, user, other = with_token(), make_user(full_name="Zoé"), make_user()
    for number in range(5):
        rename(program, user.id, f"Zoé {number}")
    rename(program, other.id, "Somebody")
    seen, path = [], f"{HISTORY}?kind=edited&subject_id={user.id}&page_size=2"
    while path:
        answer = program.get(path)
        assert answer.json["total"] == 5
        seen += [entry["version"] for entry in answer.json["entries"]]
        links = [link for link in answer.headers.get("Link", "").split(", ") if link.endswith('"next"')]
        path = links[0].partition(">")[0].removeprefix("<") if links else ""
    assert seen == [6, 5, 4, 3, 2]

    def total(query: str) -> int:
        number: int = program.get(f"{HISTORY}?{query}").json["total"]
        return number

    assert program.user is not None
    assert total("kind=edited") == 6
    assert total("kind=edited&door=page") == 0
    assert total(f"kind=edited&actor_id={program.user.id}") == 6
    assert total("kind=edited&query=zoe") == 5
    assert total("kind=edited&at_before=2020-01-01") == 0
    assert total("kind=edited&at_from=2020-01-01") == 6
    ascending = program.get(f"{USERS}/{user.id}/history?sort=at").json["entries"]
    assert [entry["version"] for entry in ascending] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "query",
    ["kind=x", "door=window", "subject_id=0", "actor_id=a", "at_from=x", "sort=name", "page=0", "after=x"],
)
def test_a_filter_that_is_none_is_refused_by_name(with_token: WithToken, query: str) -> None:
    answer = with_token().get(f"{HISTORY}?{query}")
    assert answer.status_code == 422
    assert list(errors_of(answer)) == [query.partition("=")[0]]


def test_a_page_takes_the_same_few_queries_however_long_it_is(
    with_token: WithToken,
    make_user: MakeUser,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    program, user = with_token(), make_user()
    numbers = []
    for wanted in (1, 10):
        for number in range(wanted):
            rename(program, user.id, f"Name {wanted} {number}")
        with count_queries() as statements:
            assert program.get(f"{USERS}/{user.id}/history").status_code == 200
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 7


def test_undoing_is_a_change_of_its_own(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token("support"), make_user(full_name="Old")
    rename(program, user.id, "New")
    entry_id = newest_entry(app)
    answer = program.post(f"{HISTORY}/{entry_id}/undo", None)
    assert answer.status_code == 200
    assert answer.json["user"] == program.get(f"{USERS}/{user.id}").json
    assert (answer.json["user"]["full_name"], answer.json["user"]["version"]) == ("Old", 3)
    told = program.get(f"{USERS}/{user.id}/history").json["entries"]
    assert [(entry["undoes_id"], entry["is_undone"]) for entry in told] == [(entry_id, False), (None, True)]
    again = program.post(f"{HISTORY}/{entry_id}/undo", None)
    assert again.status_code == 409


def test_undoing_twice_under_a_key_is_once(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token("support"), make_user()
    rename(program, user.id, "New")
    path = f"{HISTORY}/{newest_entry(app)}/undo"
    first, again = program.post(path, None, key="k"), program.post(path, None, key="k")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json == first.json


def test_who_is_in_the_trash_comes_back_and_who_was_created_goes_there(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user()
    assert program.change("DELETE", f"{USERS}/{user.id}").status_code == 200
    back = program.post(f"{HISTORY}/{newest_entry(app)}/undo", None)
    assert back.json["user"]["id"] == user.id
    created = program.post(USERS, {"email": "new@example.org"}).json["id"]
    gone = program.post(f"{HISTORY}/{newest_entry(app)}/undo", None)
    assert gone.json == {"user": None}
    assert read_user(app, created) is None


def test_what_moved_credits_is_refused_with_the_way_to_take_it_back(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user()
    grant = {"amount": "12.50", "reason": "Welcome"}
    assert program.post(f"{USERS}/{user.id}/credits/grants", grant).status_code == 201
    before = read_tables(app)
    answer = program.post(f"{HISTORY}/{newest_entry(app)}/undo", None)
    assert answer.status_code == 409
    assert "make a transfer the other way" in answer.json["detail"]
    assert read_tables(app) == before


def test_what_a_later_change_stands_in_the_way_of_is_not_undone(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user()
    rename(program, user.id, "First")
    entry_id = newest_entry(app)
    rename(program, user.id, "Second")
    before = read_tables(app)
    assert program.post(f"{HISTORY}/{entry_id}/undo", None).status_code == 409
    assert read_tables(app) == before


def test_a_token_undoes_no_more_than_its_scopes_allow(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    administrator, user = with_token(), make_user()
    change = {"is_active": False}
    assert administrator.change("PATCH", f"{USERS}/{user.id}", change).status_code == 200
    entry_id = newest_entry(app)
    editor = Program(
        app,
        make_user(role=Role.ADMINISTRATOR),
        {Permission.USERS_EDIT, Permission.USERS_READ, Permission.HISTORY_READ},
    )
    assert editor.get(f"{HISTORY}/{entry_id}").json["is_undoable"] is False
    assert editor.post(f"{HISTORY}/{entry_id}/undo", None).status_code == 403
    user_now = read_user(app, user.id)
    assert user_now is not None
    assert not user_now.is_active


def test_no_entry_is_undoable_to_a_token_that_the_call_refuses(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    administrator, user = with_token(), make_user()
    assert administrator.change("DELETE", f"{USERS}/{user.id}").status_code == 200
    entry_id = newest_entry(app)
    assert administrator.get(f"{HISTORY}/{entry_id}").json["is_undoable"] is True
    scopes = {Permission.USERS_DELETE, Permission.USERS_READ, Permission.HISTORY_READ}
    deleter = Program(app, make_user(role=Role.ADMINISTRATOR), scopes)
    assert deleter.get(f"{HISTORY}/{entry_id}").json["is_undoable"] is False
    assert deleter.post(f"{HISTORY}/{entry_id}/undo", None).status_code == 403


def test_neither_what_staff_became_nor_the_notes_of_others_are_undoable_to_support(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    administrator, support, user = with_token(), with_token("support"), make_user()
    colleague = make_user(full_name="Auditor", role=Role.AUDITOR)
    rename(administrator, colleague.id, "Other Auditor")
    entry_ids = [newest_entry(app)]
    assert administrator.post(f"{USERS}/{user.id}/notes", {"text": "Called twice."}).status_code == 201
    entry_ids.append(newest_entry(app))
    rename(administrator, user.id, "Member")
    entry_ids.append(newest_entry(app))

    def told(program: Program) -> list[bool]:
        return [program.get(f"{HISTORY}/{entry_id}").json["is_undoable"] for entry_id in entry_ids]

    assert (told(administrator), told(support)) == ([True, True, True], [False, False, True])
    undone = [support.post(f"{HISTORY}/{entry_id}/undo", None).status_code for entry_id in entry_ids]
    assert undone == [403, 403, 200]


@pytest.mark.parametrize("number", [0, 99_999, 2**63 - 1, 2**63, 10**19 - 1])
def test_an_entry_that_is_not_there(with_token: WithToken, number: int) -> None:
    program = with_token()
    assert program.get(f"{HISTORY}/{number}").status_code == 404
    assert program.post(f"{HISTORY}/{number}/undo", None).status_code == 404
    assert program.get(f"{USERS}/{number}/history").status_code == 404
