"""Many users in one call: every row has its own outcome, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, event, or_, select, update
from sqlalchemy.exc import OperationalError

from tests.api.asking import USERS, Program, Reply, errors_of, make_token
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, read_tables, read_user
from tests.corpus import CANARY, TEXTS
from tests.history.ways import assert_intact
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.api import bulk
from webapp.api.bulk import MOST_AT_ONCE, MOST_ROWS, STEP_SECONDS
from webapp.api.models import KEPT_ANSWERS
from webapp.db import atomic, get_session
from webapp.extensions import sqla, utc_now
from webapp.history.models import ENTRIES
from webapp.tokens.models import TOKENS
from webapp.users import services
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.trash import delete_user, erase_user

BULK = f"{USERS}/bulk"
SHOWN = {"row", "status", "user", "problem"}


def rows_of(number: int) -> list[dict[str, Any]]:
    return [{"email": f"new{place}@example.org", "full_name": f"New {place}"} for place in range(number)]


def create(program: Program, rows: list[Any], **options: Any) -> Reply:
    return program.post(BULK, {"rows": rows}, **options)


def change(program: Program, rows: list[Any], **options: Any) -> Reply:
    return program.ask("PATCH", BULK, {"rows": rows}, **options)


def statuses(answer: Reply) -> list[int]:
    assert answer.status_code == 200
    assert [row["row"] for row in answer.json["rows"]] == list(range(len(answer.json["rows"])))
    assert answer.json["succeeded"] == sum(row["status"] < 300 for row in answer.json["rows"])
    assert answer.json["succeeded"] + answer.json["failed"] == len(answer.json["rows"])
    for row in answer.json["rows"]:
        assert set(row) == SHOWN
        assert (row["user"] is None) is (row["status"] >= 400) is (row["problem"] is not None)
    return [row["status"] for row in answer.json["rows"]]


def count_new(app: Flask) -> int:
    with app.app_context():
        return len(get_session().scalars(select(User.id).where(User.email.like("new%"))).all())


def test_each_row_has_the_outcome_of_a_call_of_its_own(with_token: WithToken, make_user: MakeUser) -> None:
    program = with_token("support")
    make_user(email="taken@example.org")
    rows: list[Any] = [
        {"email": "zoe@example.org", "full_name": "Zoé"},
        {"email": "TAKEN@example.org"},
        {"email": "none"},
        {"email": "ann@example.org", "role": "administrator"},
        {"email": "ann@example.org", "is_active": False},
        {"email": "ANN@example.org"},
        {"email": "bob@example.org", "password": "orchard lantern velvet"},
        {"full_name": "Nobody"},
        "no object",
        {"email": "carl@example.org", "role": "member"},
    ]
    answer = create(program, rows)
    assert statuses(answer) == [201, 409, 422, 403, 201, 409, 422, 422, 422, 201]
    fields = [
        [error["field"] for error in row["problem"].get("errors", [])]
        for row in answer.json["rows"]
        if row["problem"]
    ]
    assert fields == [["email"], ["email"], [], ["email"], ["password"], ["email"], ["body"]]
    for row in answer.json["rows"]:
        if row["user"]:
            assert program.get(f"{USERS}/{row['user']['id']}").json == row["user"]


def test_the_history_tells_each_and_stays_whole(app: Flask, with_token: WithToken) -> None:
    program = with_token()
    with app.app_context():
        before = get_session().scalars(select(ENTRIES.c.id)).all()
    answer = create(program, [*rows_of(3), {"email": "new0@example.org"}])
    assert sorted(statuses(answer)) == [201, 201, 201, 409]
    with app.app_context():
        entries = get_session().execute(select(ENTRIES).where(ENTRIES.c.id.not_in(before))).all()
    assert_intact(app)
    assert [(entry.kind, entry.door) for entry in entries] == [("created", "api")] * 3
    ids = {row["user"]["id"] for row in answer.json["rows"] if row["user"]}
    assert {entry.subject_id for entry in entries} == ids


def test_a_change_of_each_names_its_version(with_token: WithToken, make_user: MakeUser, app: Flask) -> None:
    program = with_token("support")
    ann, bob, desk, same = make_user(), make_user(), make_user(role="administrator"), make_user()
    rows = [
        {"id": same.id, "version": 1, "full_name": same.full_name},
        {"id": bob.id, "version": 2, "full_name": "Too Early"},
        {"id": ann.id, "version": 1, "full_name": "Ann", "is_active": False},
        {"id": desk.id, "version": 1, "full_name": "Mine"},
        {"id": 999_999, "version": 1, "full_name": "Nobody"},
        {"id": bob.id, "full_name": "No Version"},
        {"id": bob.id, "version": 1, "email": ann.email},
        {"id": bob.id, "version": 1, "full_name": "Bob"},
        {"id": bob.id, "version": 1, "full_name": "Twice"},
    ]
    assert statuses(change(program, rows)) == [200, 412, 200, 403, 404, 422, 409, 200, 412]
    stored = read_user(app, ann.id), read_user(app, bob.id), read_user(app, desk.id)
    assert all(stored)
    names = [(user.full_name, user.is_active, user.email) for user in stored if user]
    assert names[0] == ("Ann", False, ann.email)
    assert names[1] == ("Bob", True, bob.email)
    assert names[2] == (desk.full_name, True, desk.email)


def test_the_last_administrator_stays_one(with_token: WithToken, app: Flask) -> None:
    program = with_token()
    assert program.user is not None
    rows = [
        {"id": program.user.id, "version": 1, **change}
        for change in ({"role": "member"}, {"is_active": False})
    ]
    assert statuses(change(program, rows)) == [409, 409]


@pytest.mark.parametrize("number", [0, MOST_ROWS + 1])
def test_as_many_rows_as_are_allowed_and_no_others(app: Flask, with_token: WithToken, number: int) -> None:
    answer = create(with_token(), rows_of(number))
    assert answer.status_code == 422
    assert list(errors_of(answer)) == ["rows"]
    assert count_new(app) == 0


def test_a_thousand_rows_are_stored_and_no_step_takes_long(app: Flask, with_token: WithToken) -> None:
    program, seconds = with_token(), []
    began: list[float] = []

    def begin(_connection: object) -> None:
        began.append(monotonic())

    def commit(_connection: object) -> None:
        seconds.append(monotonic() - began[-1])

    with app.app_context():
        event.listen(sqla.engine, "begin", begin)
        event.listen(sqla.engine, "commit", commit)
    try:
        answer = create(program, rows_of(MOST_ROWS), key="all")
    finally:
        with app.app_context():
            event.remove(sqla.engine, "begin", begin)
            event.remove(sqla.engine, "commit", commit)
    assert statuses(answer) == [201] * MOST_ROWS
    assert count_new(app) == MOST_ROWS
    assert len(seconds) >= MOST_ROWS / MOST_AT_ONCE
    # A machine may be slow; all at once would take longer still.
    assert sorted(seconds)[len(seconds) // 2] < STEP_SECONDS * 10


def test_what_is_sent_again_is_not_done_again(app: Flask, with_token: WithToken) -> None:
    program, rows = with_token(), [*rows_of(5), {"email": "none"}]
    first = create(program, rows, key="k")
    tables = read_tables(app)
    again = create(program, rows, key="k")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.data) == (200, first.data)
    assert read_tables(app) == tables
    assert create(program, rows[:5], key="k").status_code == 422


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "STEP_SECONDS", 60)


@pytest.mark.usefixtures("small_steps")
def test_a_call_that_broke_off_is_gone_on_with_where_it_stopped(app: Flask, with_token: WithToken) -> None:
    program, rows = with_token(), [*rows_of(7), {"email": "new0@example.org"}]
    with failing_at(app, "new4@example.org"):
        broken = create(program, rows, key="k")
    assert broken.status_code == 503
    assert count_new(app) == 3, "two steps are there, and of the third nothing"
    whole = create(program, rows, key="k")
    assert sorted(statuses(whole)) == [201] * 7 + [409]
    assert count_new(app) == 7
    assert create(program, rows, key="k").data == whole.data


@pytest.mark.usefixtures("small_steps")
def test_a_call_that_broke_off_does_not_make_anew_who_is_deleted_for_good(
    app: Flask, with_token: WithToken
) -> None:
    program, rows = with_token(), rows_of(5)
    with failing_at(app, "new2@example.org"):
        create(program, rows, key="k")
    with app.app_context():
        user = get_session().scalars(select(User).where(User.email == "new0@example.org")).one()
        erase_user(user, actor=Actor.command_line())
    assert create(program, rows, key="k").status_code == 409
    assert count_new(app) == 1


@pytest.mark.usefixtures("small_steps")
def test_while_a_call_is_held_by_another_request_it_is_not_done_twice(
    app: Flask, with_token: WithToken
) -> None:
    program, rows = with_token(), rows_of(5)
    with failing_at(app, "new2@example.org"):
        create(program, rows, key="k")
    hold(app, utc_now() + timedelta(seconds=30))  # as by a worker that still runs, or was killed just now
    running = create(program, rows, key="k")
    assert (running.status_code, running.headers["Retry-After"]) == (409, "2")
    assert count_new(app) == 2
    hold(app, utc_now())
    assert statuses(create(program, rows, key="k")) == [201] * 5


@atomic
def revoke_all() -> None:
    get_session().execute(delete(TOKENS))


ENDS: dict[str, Callable[[int], object]] = {
    "deactivated": lambda i: services.deactivate_user(get_user(i), actor=Actor.command_line()),
    "given another role": lambda i: services.update_user(
        get_user(i), version=1, role="auditor", actor=Actor.command_line()
    ),
    "signed out everywhere": lambda i: services.sign_out_everywhere(get_user(i), actor=Actor.command_line()),
    "deleted": lambda i: delete_user(get_user(i), version=1, actor=Actor.command_line()),
    "its token revoked": lambda _: revoke_all(),
}


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("send", [create, change])
def test_a_call_ends_with_who_sent_it(
    app: Flask,
    with_token: WithToken,
    make_user: MakeUser,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    send: Callable[..., Reply],
) -> None:
    """And with a token of later the same call is gone on with, under its key: each row is done once."""
    program, pauses = with_token(), [0]
    make_user(role=Role.ADMINISTRATOR)
    rows: list[dict[str, Any]] = rows_of(7)
    if send is change:
        people = [make_user(full_name=f"Old {place}").id for place in range(7)]
        rows = [{"id": user_id, "version": 1, "full_name": "new"} for user_id in people]
    user = program.user
    assert user

    def end(_seconds: float) -> None:
        pauses[0] += 1
        if pauses[0] == 2:
            with app.app_context():
                ENDS[name](user.id)

    monkeypatch.setattr(bulk, "sleep", end)
    answer = send(program, rows, key="k")
    assert (answer.status_code, pauses) == (401, [2])
    assert "ended after 4 of 7 rows" in answer.json["detail"]
    assert count_done(app) == 4
    assert send(program, rows, key="k").status_code == 401
    assert count_done(app) == 4
    if name == "deleted":
        return
    if name in {"deactivated", "given another role"}:
        with app.app_context():
            again = get_user(user.id)
            services.activate_user(again, actor=Actor.command_line())
            services.update_user(
                again, version=again.version, role="administrator", actor=Actor.command_line()
            )
    program.token = make_token(app, user)
    whole = send(program, rows, key="k")
    assert statuses(whole) == [201 if send is create else 200] * 7
    assert count_done(app) == 7
    assert send(program, rows, key="k").headers["Idempotency-Replayed"] == "true"
    assert_intact(app)


def count_done(app: Flask) -> int:
    with app.app_context():
        done = or_(User.email.like("new%"), User.full_name == "new")
        return len(get_session().scalars(select(User.id).where(done)).all())


def hold(app: Flask, until: datetime) -> None:
    with app.app_context():
        get_session().execute(update(KEPT_ANSWERS).values(held_until=until))
        get_session().commit()


class failing_at:
    """The database goes away when somebody of that address is stored."""

    def __init__(self, app: Flask, email: str) -> None:
        self.email = email
        with app.app_context():
            self.engine = sqla.engine

    def _fail(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO users") and self.email in repr(parameters):
            raise OperationalError(statement, None, Exception("database is locked"))

    def __enter__(self) -> None:
        event.listen(self.engine, "before_cursor_execute", self._fail)

    def __exit__(self, *_error: object) -> None:
        event.remove(self.engine, "before_cursor_execute", self._fail)


ROW_FIELDS: dict[Callable[..., Reply], dict[str, Any]] = {
    create: {"email": "new@example.org", "full_name": "New", "role": "member", "is_active": True},
    change: {
        "id": 1,
        "version": 1,
        "email": "new@example.org",
        "full_name": "New",
        "role": "member",
        "is_active": True,
    },
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_bad_text_in_each_field_of_a_row_is_refused_there_or_stored_clean(
    app: Flask, with_token: WithToken, make_user: MakeUser, text: str
) -> None:
    text.encode("utf-8", "replace")
    program = with_token()
    for send, good in ROW_FIELDS.items():
        for field in (*good, "unknown"):
            target = make_user()
            row = {
                **good,
                **({"id": target.id} if send is change else {}),
                "email": f"new{target.id}@example.org",
            }
            before = read_tables(app)
            answer = send(program, [{**row, field: text}])
            if answer.status_code == 200:
                (outcome,) = answer.json["rows"]
                assert outcome["status"] in {200, 201, 409, 422}, field
                found = [error["field"] for error in (outcome["problem"] or {}).get("errors", [])]
            else:  # what no reader of JSON takes is refused before any row is looked at
                assert answer.status_code in {413, 422}
                found = [name.rpartition(".")[2] for name in errors_of(answer)]
            assert CANARY not in answer.text or answer.json.get("succeeded")
            if answer.status_code != 200 or answer.json["failed"]:
                assert found in ([field], [])
                assert read_tables(app) == before
