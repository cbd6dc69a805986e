"""The users' calls: the contract, and everything that the pages can."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import PASSWORD, MakeUser, newest_entry, read_tables, read_user
from tests.pages.asking import UNKNOWN_IDS
from webapp.access.permissions import Permission, Role
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.users.passwords import verify_password
from webapp.users.services import note_sign_in

ENVELOPE = ["users", "page", "page_size", "total", "pages"]
SHOWN = {
    *("id", "email", "full_name", "is_active", "is_superuser", "is_invited", "role"),
    *("created_at", "last_sign_in_at", "version"),
}
NEW = {"email": "new@example.org", "full_name": "New Name"}
WHOLE = {**NEW, "role": "member", "is_active": True}


# Lists


@pytest.mark.parametrize(
    ("path", "numbers"), [("", [3, 1, 2]), ("/search?query=person", [2, 1]), ("/active", [3, 1])]
)
def test_the_three_lists_have_the_same_envelope(
    with_token: WithToken, make_user: MakeUser, path: str, numbers: list[int]
) -> None:
    program = with_token()
    make_user(full_name="Ann Person", is_active=path.startswith("/search"))
    make_user(full_name="Person Two") if path.startswith("/search") else make_user(is_active=False)
    answer = program.get(f"{USERS}{path}")
    assert answer.status_code == 200
    assert list(answer.json) == ENVELOPE
    assert (answer.json["page"], answer.json["page_size"], answer.json["pages"]) == (1, 20, 1)
    assert answer.json["total"] == len(answer.json["users"])
    assert all(set(user) == SHOWN for user in answer.json["users"])


def test_pages_by_number(with_token: WithToken, make_user: MakeUser) -> None:
    program = with_token()
    ids = [make_user(full_name=f"Person {number:02}").id for number in range(5)]
    pages = [program.get(f"{USERS}?page={number}&page_size=2&query=person").json for number in (1, 2, 3)]
    assert [[user["id"] for user in page["users"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert [(page["page"], page["page_size"], page["total"], page["pages"]) for page in pages] == [
        (1, 2, 5, 3),
        (2, 2, 5, 3),
        (3, 2, 5, 3),
    ]


def test_an_empty_list_has_no_pages(with_token: WithToken) -> None:
    answer = with_token().get(f"{USERS}/search?query=xyzzy")
    assert answer.json == {"users": [], "page": 1, "page_size": 20, "total": 0, "pages": 0}


def test_filters_and_sort_are_those_of_the_pages(with_token: WithToken, make_user: MakeUser) -> None:
    program = with_token()
    old = datetime(2020, 5, 17, 12, tzinfo=UTC)
    first = make_user(full_name="Zoé Old", role=Role.SUPPORT, is_active=False, created_at=old)
    second = make_user(
        full_name="Ann Old", role=Role.SUPPORT, hashed_password=None, created_at=old + timedelta(days=1)
    )

    def ids(query: str) -> list[int]:
        return [user["id"] for user in program.get(f"{USERS}?{query}").json["users"]]

    assert ids("role=support") == ids("role=support&sort=id") == [first.id, second.id]
    assert ids("role=support&sort=name") == [second.id, first.id]
    assert ids("role=support&sort=-name") == [first.id, second.id]
    assert ids("role=support&sort=-created_at") == [second.id, first.id]
    assert ids("role=support&status=active") == [second.id]
    assert ids("status=invited") == [second.id]
    assert ids("role=support&status=inactive") == [first.id]
    assert ids("query=OLD%20zoe") == [first.id]
    assert ids("created_from=2020-05-17&created_before=2020-05-18") == [first.id]
    assert ids("created_before=2020-05-18T12:00:00Z&created_from=2020-05-17T12:00:00.000001%2B00:00") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=2", "page"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=9223372036854775808", "page"),
        ("page=1000000000&page_size=200", "page"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("sort=hashed_password", "sort"),
        ("sort=", "sort"),
        ("status=king", "status"),
        ("role=", "role"),
        ("query=" + "x" * 201, "query"),
        ("query=a+b+c+d+e+f+g+h+i+j+k", "query"),
        ("after=x", "after"),
        ("after=", "after"),
        ("before=%00", "before"),
        ("created_from=yesterday", "created_from"),
        ("is_superuser=true", "is_superuser"),
        ("page=1&page=1", "page"),
    ],
)
def test_a_wrong_parameter_is_named(with_token: WithToken, query: str, field: str) -> None:
    answer = with_token().get(f"{USERS}?{query}")
    assert answer.status_code == 422
    assert list(errors_of(answer)) == [field]


def test_one_place_at_a_time(with_token: WithToken) -> None:
    answer = with_token().get(f"{USERS}?page=1&before=end")
    assert (answer.status_code, set(errors_of(answer))) == (422, {"page", "before"})


def test_a_search_needs_its_query(with_token: WithToken) -> None:
    assert errors_of(with_token().get(f"{USERS}/search")) == {"query": "This is required."}


def test_active_is_no_filter_of_the_active(with_token: WithToken) -> None:
    assert list(errors_of(with_token().get(f"{USERS}/active?status=inactive"))) == ["status"]


# One


def test_a_user_is_shown_without_a_hash(with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user(full_name="Ann", role=Role.ADMINISTRATOR)
    answer = program.get(f"{USERS}/{user.id}")
    assert answer.json == {
        "id": user.id,
        "email": user.email,
        "full_name": "Ann",
        "is_active": True,
        "is_superuser": True,
        "is_invited": False,
        "role": "administrator",
        "created_at": f"{user.created_at.isoformat()[:-6]}Z",
        "last_sign_in_at": None,
        "version": 1,
    }
    assert "argon2" not in answer.text


@pytest.mark.parametrize("user_id", [*UNKNOWN_IDS, "x", "-1", "1.0", "\u0661", "9" * 4000])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_whoever_is_not_there_is_404(with_token: WithToken, method: str, user_id: str) -> None:
    body = {"PUT": WHOLE, "PATCH": {}}.get(method)
    assert with_token().change(method, f"{USERS}/{user_id}", body).status_code == 404


def test_what_one_has_is_not_sent_again(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user()
    for path in (f"{USERS}/{user.id}", USERS, "/api/openapi.json"):
        tag = program.get(path).headers["ETag"]
        assert program.get(path, headers={"If-None-Match": tag}).status_code == 304
        assert program.get(path, headers={"If-None-Match": '"0"'}).status_code == 200


def test_a_sign_in_shows_yet_is_no_edit(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user()
    tag = program.get(f"{USERS}/{user.id}").headers["ETag"]
    with app.app_context():
        note_sign_in(user.id)
    answer = program.get(f"{USERS}/{user.id}", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.json["last_sign_in_at"]
    assert program.change("PATCH", f"{USERS}/{user.id}", {"full_name": "New"}, tag=tag).status_code == 200


# Changes


def test_a_user_is_created(app: Flask, with_token: WithToken) -> None:
    program = with_token()
    answer = program.ask("POST", USERS, {**NEW, "password": PASSWORD})
    assert answer.status_code == 201
    assert (answer.json["email"], answer.json["role"], answer.json["is_active"]) == (
        "new@example.org",
        "member",
        True,
    )
    assert answer.headers["Location"] == f"{USERS}/{answer.json['id']}"
    assert program.get(answer.headers["Location"]).json == answer.json
    stored = read_user(app, answer.json["id"])
    assert stored is not None
    assert stored.hashed_password
    assert verify_password(stored.hashed_password, PASSWORD)
    assert PASSWORD not in answer.text


def test_without_a_password_a_user_is_invited(with_token: WithToken) -> None:
    answer = with_token().ask("POST", USERS, {**NEW, "role": "auditor", "is_active": False})
    assert (answer.json["is_invited"], answer.json["role"], answer.json["is_active"]) == (
        True,
        "auditor",
        False,
    )


def test_the_history_tells_that_it_was_the_api(app: Flask, with_token: WithToken) -> None:
    program = with_token()
    program.ask("POST", USERS, NEW)
    assert program.user is not None
    with app.app_context():
        story = get_story(newest_entry(app))
        assert (story.kind, story.actor_id, story.door) == (Kind.CREATED, program.user.id, "api")


def test_what_is_put_is_all_there_is(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user()
    sent = {"email": "new@example.org", "full_name": "", "role": "support", "is_active": False}
    answer = program.change("PUT", f"{USERS}/{user.id}", sent, tag='"1"')
    assert answer.status_code == 200
    assert {name: answer.json[name] for name in sent} == sent
    assert answer.json == program.get(f"{USERS}/{user.id}").json
    again = program.change("PUT", f"{USERS}/{user.id}", sent, tag=answer.headers["ETag"])
    assert (again.status_code, again.headers["ETag"]) == (200, answer.headers["ETag"])


def test_what_is_put_is_put_wholly(with_token: WithToken, make_user: MakeUser) -> None:
    answer = with_token().change("PUT", f"{USERS}/{make_user().id}", {"email": "new@example.org"})
    assert (answer.status_code, set(errors_of(answer))) == (422, {"full_name", "role", "is_active"})


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_patched_is_all_that_changes(with_token: WithToken, make_user: MakeUser, name: str) -> None:
    program, user = with_token(), make_user()
    value = {**WHOLE, "role": "auditor", "is_active": False}[name]
    before = program.get(f"{USERS}/{user.id}").json
    answer = program.change("PATCH", f"{USERS}/{user.id}", {name: value})
    lost = {"is_invited": True} if name == "role" else {}  # the password of a member who becomes staff
    assert answer.json == {**before, name: value, "version": 2, **lost}


def test_a_patch_of_nothing_changes_nothing(app: Flask, with_token: WithToken, make_user: MakeUser) -> None:
    program, user = with_token(), make_user()
    before = read_tables(app)
    assert program.change("PATCH", f"{USERS}/{user.id}", {}).json["version"] == 1
    assert {**read_tables(app), "tokens": None} == {**before, "tokens": None}


def test_to_delete_says_so_and_fills_the_trash(
    app: Flask, with_token: WithToken, make_user: MakeUser
) -> None:
    program, user = with_token(), make_user()
    answer = program.change("DELETE", f"{USERS}/{user.id}", tag='"1"')
    assert answer.status_code == 200
    assert answer.json == {"message": "The user was deleted, and is in the trash.", "id": user.id}
    assert program.get(f"{USERS}/{user.id}").status_code == 404
    assert len(read_tables(app)["trash"]) == 1


CHANGES: list[tuple[str, object]] = [("PUT", WHOLE), ("PATCH", {"full_name": "New"}), ("DELETE", None)]
each_change = pytest.mark.parametrize(
    ("method", "body"), CHANGES, ids=lambda value: value if isinstance(value, str) else ""
)


def assert_refused(
    program: Program, method: str, path: str, body: object, status: int, **options: object
) -> dict[str, str]:
    before = stored(program.app)
    answer = program.ask(method, path, body, **options)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert stored(program.app) == before
    return errors_of(answer)


def stored(app: Flask) -> object:
    """Everything but when a token was last used."""
    return {name: rows for name, rows in read_tables(app).items() if name != "tokens"}


@each_change
def test_a_change_names_its_version(
    with_token: WithToken, make_user: MakeUser, method: str, body: object
) -> None:
    assert_refused(with_token(), method, f"{USERS}/{make_user().id}", body, 428)


@each_change
def test_a_change_of_another_version_is_refused(
    with_token: WithToken, make_user: MakeUser, method: str, body: object
) -> None:
    program, path = with_token(), f"{USERS}/{make_user().id}"
    tag = program.get(path).headers["ETag"]
    program.change("PATCH", path, {"email": "first@example.org"})
    for stale in (tag, 'W/"2"', "2", '"3"', "nonsense"):
        assert_refused(program, method, path, body, 412, headers={"If-Match": stale})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_taken_email_is_a_conflict_at_its_field(
    with_token: WithToken, make_user: MakeUser, method: str
) -> None:
    make_user(email="new@example.org")
    path = USERS if method == "POST" else f"{USERS}/{make_user().id}"
    body = (
        {"email": "NEW@example.org"}
        if method == "PATCH"
        else {**(NEW if method == "POST" else WHOLE), "email": "NEW@example.org"}
    )
    errors = assert_refused(with_token(), method, path, body, 409, headers={"If-Match": "*"})
    assert errors == {"email": "Another user already has this e-mail."}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "field", ["id", "hashed_password", "is_superuser", "version", "created_at", "session_epoch", "__class__"]
)
def test_no_other_field_is_written(
    with_token: WithToken, make_user: MakeUser, method: str, field: str
) -> None:
    path = USERS if method == "POST" else f"{USERS}/{make_user().id}"
    body = {**(NEW if method == "POST" else WHOLE), field: 1}
    errors = assert_refused(with_token(), method, path, body, 422, headers={"If-Match": "*"})
    assert errors == {field: "There is no such field here."}


# Who may


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"full_name": "New"}),
        ("PATCH", {"is_active": False}),
        ("PATCH", {"role": "member"}),
        ("PUT", WHOLE),
    ],
    ids=str,
)
def test_support_changes_members_only(
    with_token: WithToken, make_user: MakeUser, method: str, body: object
) -> None:
    program, colleague = with_token("support"), make_user(role=Role.AUDITOR)
    assert_refused(program, method, f"{USERS}/{colleague.id}", body, 403, headers={"If-Match": "*"})


@pytest.mark.parametrize(
    ("lacking", "body"),
    [
        (Permission.USERS_EDIT, {"full_name": "New"}),
        (Permission.USERS_SET_STATUS, {"full_name": "New", "is_active": False}),
        (Permission.USERS_SET_ROLE, {"full_name": "New", "role": "support"}),
    ],
    ids=str,
)
def test_a_scope_that_is_lacking_is_lacking_for_the_whole_change(
    with_token: WithToken, make_user: MakeUser, lacking: Permission, body: object
) -> None:
    scopes = {Permission.USERS_EDIT, Permission.USERS_SET_STATUS, Permission.USERS_SET_ROLE} - {lacking}
    program, user = with_token(scopes={Permission.USERS_READ, *scopes}), make_user()
    assert_refused(program, "PATCH", f"{USERS}/{user.id}", body, 403, headers={"If-Match": "*"})


def test_support_makes_members_only(with_token: WithToken) -> None:
    program = with_token("support")
    assert_refused(program, "POST", USERS, {**NEW, "role": "support"}, 403)
    assert program.ask("POST", USERS, NEW).status_code == 201


@pytest.mark.parametrize(
    ("method", "body"), [("PATCH", {"is_active": False}), ("PATCH", {"role": "support"}), ("DELETE", None)]
)
def test_the_last_administrator_stays(with_token: WithToken, method: str, body: object) -> None:
    program = with_token()
    assert program.user is not None
    assert_refused(program, method, f"{USERS}/{program.user.id}", body, 409, headers={"If-Match": "*"})


# Costs


@pytest.mark.parametrize(
    ("path", "most"),
    [(USERS, 3), (f"{USERS}?page=2&page_size=2", 4), (f"{USERS}?before=end", 3), (f"{USERS}/1", 2)],
)
def test_a_call_asks_the_database_as_often_however_many_there_are(
    with_token: WithToken,
    make_user: MakeUser,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    path: str,
    most: int,
) -> None:
    program = with_token()
    for _ in range(2):
        make_user()
    program.get(path)  # the token's first use is noted
    with count_queries() as few:
        program.get(path)
    for _ in range(20):
        make_user()
    with count_queries() as many:
        program.get(path)
    assert max(len(few), len(many)) <= most


# A token is no way to a way in that outlives it


CREATING = {Permission.USERS_READ, Permission.USERS_CREATE}
PEOPLE_WHO_WORK_HERE = pytest.mark.parametrize("role", ["auditor", "support", "administrator"])


@PEOPLE_WHO_WORK_HERE
@pytest.mark.parametrize("is_bulk", [False, True])
def test_who_works_here_is_created_only_with_the_scope_to_set_roles(
    app: Flask, with_token: WithToken, role: str, is_bulk: bool
) -> None:
    program = with_token(scopes=CREATING)
    before = read_tables(app)["users"]
    if is_bulk:
        answer = program.ask("POST", f"{USERS}/bulk", {"rows": [{**NEW, "role": role}]})
        assert [row["status"] for row in answer.json["rows"]] == [403]
    else:
        assert program.ask("POST", USERS, {**NEW, "role": role}).status_code == 403
    assert read_tables(app)["users"] == before
    assert program.ask("POST", USERS, NEW).status_code == 201


@PEOPLE_WHO_WORK_HERE
def test_no_program_sets_the_password_of_who_works_here(app: Flask, with_token: WithToken, role: str) -> None:
    program = with_token()
    before = read_tables(app)["users"]
    refused = program.ask("POST", USERS, {**NEW, "role": role, "password": "orchard lantern velvet"})
    assert refused.status_code == 403
    assert read_tables(app)["users"] == before
    assert program.ask("POST", USERS, {**NEW, "role": role}).json["is_invited"]
    assert not program.ask("POST", USERS, {"email": "b@example.org", "password": PASSWORD}).json["is_invited"]
