"""The trash's calls: who is in it, back out of it, or gone for good."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, read_tables, read_user

TRASH = "/api/v1/trash"


def throw_away(program: Program, *user_ids: int) -> None:
    for user_id in user_ids:
        assert program.change("DELETE", f"{USERS}/{user_id}").status_code == 200


def test_the_list_begins_with_who_came_last(with_token: WithToken, make_user: MakeUser) -> None:
    program, users = with_token(), [make_user() for _ in range(3)]
    throw_away(program, *(user.id for user in users))
    answer = program.get(f"{TRASH}?page_size=2")
    assert set(answer.json) == {"users", "page", "page_size", "total", "pages"}
    assert [user["id"] for user in answer.json["users"]] == [users[2].id, users[1].id]
    assert (answer.json["total"], answer.json["pages"]) == (3, 2)
    following = answer.headers["Link"].partition(">")[0].removeprefix("<")
    assert [user["id"] for user in program.get(following).json["users"]] == [users[0].id]
    oldest = program.get(f"{TRASH}?sort=deleted_at&page_size=1").json["users"][0]
    assert (oldest["id"], oldest["email"]) == (users[0].id, users[0].email)
    assert program.get(f"{TRASH}/{oldest['id']}").json == oldest
    assert "hash" not in answer.text


def test_pages_by_number_from_either_end(with_token: WithToken, make_user: MakeUser) -> None:
    program, users = with_token(), [make_user() for _ in range(5)]
    throw_away(program, *(user.id for user in users))
    pages = [program.get(f"{TRASH}?page_size=1&page={number}").json["users"] for number in range(1, 6)]
    assert [user["id"] for page in pages for user in page] == [user.id for user in reversed(users)]
    beyond = program.get(f"{TRASH}?page_size=1&page=6")
    assert (beyond.status_code, list(errors_of(beyond))) == (422, ["page"])


def test_who_is_restored_is_as_before(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user(full_name="Zoé")
    shown = program.get(f"{USERS}/{user.id}").json
    throw_away(program, user.id)
    assert program.get(f"{USERS}/{user.id}").status_code == 404
    answer = program.post(f"{TRASH}/{user.id}/restore", {})
    assert answer.status_code == 200
    assert {**answer.json, "version": 1} == shown
    again = program.get(answer.headers["Location"])
    assert (again.json, again.headers["ETag"]) == (answer.json, answer.headers["ETag"])
    assert program.get(f"{TRASH}/{user.id}").status_code == 404
    assert program.post(f"{TRASH}/{user.id}/restore", {}).status_code == 404


def test_where_the_address_is_taken_by_now_another_one_is_given(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user(email="same@example.org")
    throw_away(program, user.id)
    make_user(email="same@example.org")
    before = read_tables(app)
    refused = program.post(f"{TRASH}/{user.id}/restore", {})
    assert (refused.status_code, list(errors_of(refused))) == (409, ["email"])
    wrong = program.post(f"{TRASH}/{user.id}/restore", {"email": "none"})
    assert (wrong.status_code, list(errors_of(wrong))) == (422, ["email"])
    assert read_tables(app) == before
    answer = program.post(f"{TRASH}/{user.id}/restore", {"email": "other@example.org"})
    assert (answer.status_code, answer.json["email"]) == (200, "other@example.org")


def test_who_is_purged_is_gone_for_good(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user(full_name="Zoé Unique", email="unique@example.org")
    throw_away(program, user.id)
    assert program.ask("DELETE", f"{TRASH}/{user.id}").status_code == 200
    assert program.get(f"{TRASH}/{user.id}").status_code == 404
    assert program.ask("DELETE", f"{TRASH}/{user.id}").status_code == 404
    assert read_user(app, user.id) is None
    assert "unique@example.org" not in program.get("/api/v1/history").text


def test_who_is_not_in_the_trash_is_not_purged(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user()
    before = read_tables(app)
    assert program.ask("DELETE", f"{TRASH}/{user.id}").status_code == 404
    assert program.post(f"{TRASH}/{user.id}/restore", {}).status_code == 404
    assert read_tables(app) == before


@pytest.mark.parametrize("number", [0, 99, 2**63 - 1, 2**63, 10**19 - 1])
def test_somebody_who_is_not_there(with_token: WithToken, number: int) -> None:
    program = with_token()
    assert program.get(f"{TRASH}/{number}").status_code == 404
    assert program.ask("DELETE", f"{TRASH}/{number}").status_code == 404
    assert program.post(f"{TRASH}/{number}/restore", {}).status_code == 404


def test_restoring_needs_no_body(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user()
    assert program.change("DELETE", f"{USERS}/{user.id}").status_code == 200
    path = f"{TRASH}/{user.id}/restore"
    typed = {"Content-Type": "application/json"}
    assert program.post(path, None, headers=typed).status_code == 400
    assert program.post(path, None, headers={"Content-Type": "text/plain"}).status_code == 415
    assert program.post(path, None).status_code == 200
    assert read_user(app, user.id) is not None
    assert program.post(USERS, None).status_code == 415  # it requires an address
