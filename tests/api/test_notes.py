"""The notes' calls: by the rules of the pages, each change on the version that was read."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, read_tables
from webapp.access.permissions import Role
from webapp.users.models import User

NOTES = "/api/v1/notes"


@pytest.fixture
def user(make_user: MakeUser) -> User:
    return make_user()


def add(program: Program, user: User, text: str = "Called.") -> int:
    answer = program.post(f"{USERS}/{user.id}/notes", {"text": text})
    assert answer.status_code == 201
    number: int = answer.json["id"]
    return number


def test_a_note_is_added_shown_and_found_at_its_address(with_token: WithToken, user: User) -> None:
    program = with_token("support")
    answer = program.post(f"{USERS}/{user.id}/notes", {"text": "  Called twice.\r\nNobody.  "})
    assert answer.status_code == 201
    assert program.user is not None
    assert answer.json["text"] == "Called twice.\nNobody."
    assert (answer.json["user_id"], answer.json["author_id"]) == (user.id, program.user.id)
    assert answer.json["author_name"] == program.user.display_name
    shown = program.get(answer.headers["Location"])
    assert (shown.status_code, shown.json) == (200, answer.json)
    assert shown.headers["ETag"] == answer.headers["ETag"] == '"1"'
    assert program.get(f"{USERS}/{user.id}/notes").json == {"notes": [answer.json]}


def test_the_list_begins_with_the_latest_and_its_pages_are_linked(with_token: WithToken, user: User) -> None:
    program = with_token("support")
    ids = [add(program, user, f"Note {number}") for number in range(5)]
    seen, path, pages = [], f"{USERS}/{user.id}/notes?page_size=2", 0
    while path:
        answer = program.get(path)
        seen += [note["id"] for note in answer.json["notes"]]
        link = answer.headers.get("Link", "")
        assert not link or link.endswith('; rel="next"')
        path, pages = link.partition(">")[0].removeprefix("<"), pages + 1
    assert (seen, pages) == (ids[::-1], 3)


def test_an_edit_names_the_version_and_is_the_author_s(
    app: Flask, with_token: WithToken, make_user: MakeUser, user: User
) -> None:
    author = with_token("support")
    path = f"{NOTES}/{add(author, user)}"
    other = Program(app, make_user(role=Role.ADMINISTRATOR))
    assert other.change("PUT", path, {"text": "Mine."}).status_code == 403
    assert author.ask("PUT", path, {"text": "New."}).status_code == 428
    assert author.change("PUT", path, {"text": "New."}, tag='"2"').status_code == 412
    edited = author.change("PUT", path, {"text": "New."}, tag='"1"')
    assert (edited.status_code, edited.json["text"], edited.headers["ETag"]) == (200, "New.", '"2"')
    same = author.change("PUT", path, {"text": "New."}, tag='"2"')
    assert (same.status_code, same.json) == (200, edited.json)


def test_a_deletion_names_the_version_too(
    app: Flask, with_token: WithToken, make_user: MakeUser, user: User
) -> None:
    author = with_token("support")
    path = f"{NOTES}/{add(author, user)}"
    other = Program(app, make_user(role=Role.SUPPORT))
    assert other.change("DELETE", path).status_code == 403
    assert author.ask("DELETE", path).status_code == 428
    assert author.change("DELETE", path, tag='"2"').status_code == 412
    administrator = Program(app, make_user(role=Role.ADMINISTRATOR))
    assert administrator.change("DELETE", path, tag='"1"').status_code == 200
    assert author.get(path).status_code == 404
    assert author.change("DELETE", path).status_code == 404


def test_on_somebody_who_works_here_support_leaves_no_note(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    desk = make_user(role=Role.ADMINISTRATOR)
    program, before = with_token("support"), read_tables(app)["notes"]
    assert program.post(f"{USERS}/{desk.id}/notes", {"text": "Called."}).status_code == 403
    assert read_tables(app)["notes"] == before


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\u3164", "x" * 5_001, "a\u0007b"])
def test_a_text_that_is_none_is_refused_at_its_field(
    app: Flask, with_token: WithToken, user: User, text: str
) -> None:
    answer = with_token("support").post(f"{USERS}/{user.id}/notes", {"text": text})
    assert answer.status_code == 422
    assert list(errors_of(answer)) == ["text"]
    assert read_tables(app)["notes"] == []


def test_the_notes_of_somebody_in_the_trash_wait_with_him(
    app: Flask, with_token: WithToken, user: User
) -> None:
    program = with_token()
    number = add(program, user)
    assert program.change("DELETE", f"{USERS}/{user.id}").status_code == 200
    assert program.get(f"{NOTES}/{number}").status_code == 404
    assert program.get(f"{USERS}/{user.id}/notes").status_code == 404
    assert program.change("PUT", f"{NOTES}/{number}", {"text": "New."}).status_code == 404
    assert program.post(f"/api/v1/trash/{user.id}/restore", {}).status_code == 200
    assert program.get(f"{NOTES}/{number}").status_code == 200


@pytest.mark.parametrize("number", [0, 99, 2**63 - 1, 2**63, 10**19 - 1])
def test_a_note_that_is_not_there(with_token: WithToken, number: int) -> None:
    program = with_token()
    assert program.get(f"{NOTES}/{number}").status_code == 404
    assert program.get(f"{USERS}/{number}/notes").status_code == 404
    assert program.post(f"{USERS}/{number}/notes", {"text": "Called."}).status_code == 404
