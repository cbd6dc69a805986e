"""Under one key a call is done once, whatever becomes of its answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.api.asking import USERS, Program, errors_of
from tests.conftest import PASSWORD, MakeUser, read_tables
from webapp.access.actor import Actor
from webapp.api.keeping import KEPT_FOR
from webapp.api.models import KEPT_ANSWERS
from webapp.config import Settings
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.trash import erase_user

NEW = {"email": "new@example.org", "full_name": "New Person"}
KEY = "4f9f-1"


@pytest.fixture
def support(app: Flask, make_user: MakeUser) -> Program:
    return Program(app, make_user(role="support", full_name="Support Desk"))


def count_users(app: Flask) -> int:
    with app.app_context():
        return get_session().scalar(select(func.count()).select_from(User)) or 0


def grow_old(app: Flask, age: timedelta) -> None:
    with app.app_context():
        session = get_session()
        session.execute(update(KEPT_ANSWERS).values(made_at=utc_now() - age))
        session.commit()


def test_the_second_time_it_is_answered_as_the_first_and_not_done(app: Flask, support: Program) -> None:
    first = support.post(USERS, NEW, key=KEY)
    tables = read_tables(app)
    again = [support.post(USERS, NEW, key=KEY) for _ in range(2)]
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    for answer in again:
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert (answer.status_code, answer.data) == (201, first.data)
        for name in ("Location", "ETag", "Content-Type", "Cache-Control"):
            assert answer.headers[name] == first.headers[name]
        assert answer.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert read_tables(app) == tables


def test_who_is_deleted_for_good_is_in_no_answer_and_is_not_made_anew(app: Flask, support: Program) -> None:
    note = {"text": "About New Person"}
    bulk = {"rows": [{"email": "bulk@example.org", "full_name": "New Person"}]}
    ids = [support.post(USERS, NEW, key="a").json["id"]]
    ids.append(support.post(f"{USERS}/bulk", bulk, key="b").json["rows"][0]["user"]["id"])
    notes = f"{USERS}/{ids[0]}/notes"
    assert support.post(notes, note, key="c").status_code == 201
    other = support.post(USERS, {"email": "other@example.org"}, key="d")
    with app.app_context():
        for user_id in ids:
            erase_user(get_user(user_id), actor=Actor.command_line())
    kept = read_tables(app)["kept_answers"]
    assert len(kept) == 4
    assert "New Person" not in str(kept)
    for path, body, key in ((USERS, NEW, "a"), (f"{USERS}/bulk", bulk, "b"), (notes, note, "c")):
        again = support.post(path, body, key=key)
        assert (again.status_code, "Location" in again.headers) == (409, False)
        assert "deleted for good" in again.json["detail"]
    assert support.post(USERS, {"email": "other@example.org"}, key="d").data == other.data
    assert support.post(USERS, {"email": "x@example.org"}, key="a").status_code == 422
    assert count_users(app) == 2


def test_what_is_too_old_goes_with_whoever_is_deleted_for_good(
    app: Flask, support: Program, make_user: MakeUser
) -> None:
    support.post(USERS, NEW, key=KEY)
    grow_old(app, KEPT_FOR + timedelta(minutes=1))
    user_id = make_user().id
    with app.app_context():
        erase_user(get_user(user_id), actor=Actor.command_line())
    assert read_tables(app)["kept_answers"] == []


def test_without_a_key_it_is_done_each_time(app: Flask, support: Program) -> None:
    assert support.post(USERS, NEW).status_code == 201
    assert support.post(USERS, NEW).status_code == 409
    assert read_tables(app)["kept_answers"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (USERS, {**NEW, "email": "other@example.org"}),
        (USERS, b'{"email":"new@example.org",  "full_name":"New Person"}'),
        (f"{USERS}?", {**NEW, "role": "member"}),
    ],
)
def test_another_call_under_the_same_key_is_refused(
    app: Flask, support: Program, path: str, body: object
) -> None:
    support.post(USERS, NEW, key=KEY)
    tables = read_tables(app)
    response = support.post(path, body, key=KEY)
    assert response.status_code == 422
    assert list(errors_of(response)) == ["Idempotency-Key"]
    assert read_tables(app) == tables


def test_what_failed_is_not_kept_and_can_be_sent_corrected_under_the_same_key(
    app: Flask, support: Program, make_user: MakeUser
) -> None:
    make_user(email="taken@example.org")
    before = count_users(app)
    refused = [
        support.post(USERS, {**NEW, "email": "taken@example.org"}, key=KEY),
        support.post(USERS, {**NEW, "email": "none"}, key=KEY),
        support.post(USERS, {**NEW, "role": "administrator"}, key=KEY),
        support.post(USERS, {**NEW, "password": "short"}, key=KEY),
        support.post(USERS, b"{", key=KEY),
    ]
    assert [response.status_code for response in refused] == [409, 422, 403, 422, 400]
    assert read_tables(app)["kept_answers"] == []
    assert count_users(app) == before
    assert support.post(USERS, NEW, key=KEY).status_code == 201


def test_a_new_secret_does_not_make_it_another_call(app: Flask, support: Program) -> None:
    """While the former one is named: else the same call could not be told from another."""
    settings: Settings = app.extensions["settings"]
    first = support.post(USERS, NEW, key=KEY)
    former = (settings.secret_key,)
    app.extensions["settings"] = replace(settings, secret_key="new " * 8, secret_key_fallbacks=former)
    try:
        assert support.post(USERS, NEW, key=KEY).data == first.data
        assert support.post(USERS, {**NEW, "full_name": "Another"}, key=KEY).status_code == 422
        app.extensions["settings"] = replace(settings, secret_key="new " * 8)
        assert support.post(USERS, NEW, key=KEY).status_code == 422
    finally:
        app.extensions["settings"] = settings


@pytest.mark.parametrize("key", ["", "é", "a\tb", "x" * 256])
def test_a_key_that_is_none_is_refused(app: Flask, support: Program, key: str) -> None:
    before = count_users(app)
    response = support.post(USERS, NEW, key=key)
    assert response.status_code == 422
    assert list(errors_of(response)) == ["Idempotency-Key"]
    assert count_users(app) == before


@pytest.mark.parametrize("key", ["x", "~", '"quoted key"', "x" * 255, "'; DROP TABLE users; --"])
def test_any_other_key_is_taken_as_it_is(support: Program, key: str) -> None:
    assert support.post(USERS, NEW, key=key).status_code == 201
    assert support.post(USERS, NEW, key=key).headers["Idempotency-Replayed"] == "true"
    assert support.post(USERS, NEW, key="other").status_code == 409


def test_a_key_is_its_owners(app: Flask, support: Program, make_user: MakeUser) -> None:
    other = Program(app, make_user(role="support"))
    assert support.post(USERS, NEW, key=KEY).status_code == 201
    assert other.post(USERS, NEW, key=KEY).status_code == 409, "it is done, and not told"
    response = other.post(USERS, {"email": "second@example.org"}, key=KEY)
    assert response.status_code == 201
    assert "Idempotency-Replayed" not in response.headers


def test_a_change_sent_twice_does_not_meet_its_own_version(
    app: Flask, support: Program, make_user: MakeUser
) -> None:
    user_id = make_user().id
    tag = support.get(f"{USERS}/{user_id}").headers["ETag"]
    answers = [
        support.change("PATCH", f"{USERS}/{user_id}", {"full_name": "Ann"}, tag=tag, key=KEY)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["ETag"] == answers[1].headers["ETag"] != tag
    assert answers[0].data == answers[1].data
    stale = support.change("PATCH", f"{USERS}/{user_id}", {"full_name": "Ann"}, tag='"9"', key=KEY)
    assert stale.status_code == 422, "another version is another call"
    other = support.change("PATCH", f"{USERS}/1", {"full_name": "Ann"}, tag=tag, key=KEY)
    assert other.status_code == 422, "as is another user"


def test_after_a_day_the_key_is_free_and_the_answer_gone(app: Flask, support: Program) -> None:
    support.post(USERS, NEW, key=KEY)
    grow_old(app, KEPT_FOR - timedelta(minutes=1))
    assert support.post(USERS, NEW, key=KEY).headers["Idempotency-Replayed"] == "true"
    grow_old(app, KEPT_FOR + timedelta(minutes=1))
    assert support.post(USERS, NEW, key=KEY).status_code == 409, "so it is done anew"
    support.post(USERS, {"email": "second@example.org"}, key="another")
    (kept,) = read_tables(app)["kept_answers"]
    assert "another" in kept


def test_no_password_is_kept_nor_anything_to_try_one_against(app: Flask, support: Program) -> None:
    first = support.post(USERS, {**NEW, "password": PASSWORD}, key=KEY)
    assert first.status_code == 201
    again = support.post(USERS, {**NEW, "password": PASSWORD}, key=KEY)
    assert again.data == first.data
    (kept,) = read_tables(app)["kept_answers"]
    assert PASSWORD not in repr(kept)
    other = support.post(USERS, {**NEW, "password": f"{PASSWORD}!"}, key=KEY)
    assert other.status_code == 422


def test_who_may_not_do_it_any_more_is_not_told_either(app: Flask, support: Program) -> None:
    support.post(USERS, NEW, key=KEY)
    with app.app_context():
        assert support.user is not None
        session = get_session()
        session.execute(update(User).where(User.id == support.user.id).values(role="auditor"))
        session.commit()
    assert support.post(USERS, NEW, key=KEY).status_code in {401, 403}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_methods_that_can_be_repeated_anyway_take_no_notice(
    app: Flask, support: Program, make_user: MakeUser, method: str
) -> None:
    body = {"email": "a@example.org", "full_name": "A", "role": "member", "is_active": True}
    path = f"{USERS}/{make_user().id}"
    support.change(method, path, body if method == "PUT" else None, key=KEY)
    assert read_tables(app)["kept_answers"] == []
