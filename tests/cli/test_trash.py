"""flask trash purge and flask users erase: gone for good, and from the history too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.cli.test_database import run
from tests.conftest import MakeUser, read_tables, read_user
from webapp.access.actor import Actor
from webapp.api.calls import Answered
from webapp.api.keeping import KEPT_FOR, Ticket, keep_answer
from webapp.api.models import KEPT_ANSWERS
from webapp.db import get_session
from webapp.extensions import sqla, utc_now
from webapp.history.models import ENTRIES
from webapp.history.proof import find_faults
from webapp.users.models import TRASH
from webapp.users.queries import find_existing, get_user
from webapp.users.trash import delete_user

DESK = Actor.command_line()


def discard(app: Flask, user_id: int, *, days_ago: int) -> None:
    with app.app_context():
        delete_user(get_user(user_id), version=1, actor=DESK)
        with sqla.engine.begin() as connection:
            moment = utc_now() - timedelta(days=days_ago)
            connection.execute(update(TRASH).where(TRASH.c.user_id == user_id).values(deleted_at=moment))


def test_only_who_has_been_there_for_longer_is_purged(app: Flask, make_user: MakeUser) -> None:
    old, recent, there = (make_user() for _ in range(3))
    discard(app, old.id, days_ago=31)
    discard(app, recent.id, days_ago=29)
    result = run(app, "trash", "purge", "--older-than", "30d")
    assert (result.exit_code, result.output) == (0, "1 deleted for good.\n")
    assert [row[0] for row in read_tables(app)["trash"]] == [recent.id]
    assert read_user(app, there.id) is not None


def test_old_answers_are_swept_though_nobody_is_purged(app: Flask) -> None:
    with app.app_context():
        for key, age in (("old", KEPT_FOR + timedelta(minutes=1)), ("recent", timedelta())):
            keep_answer(Ticket(7, key, "x"), lambda: Answered(201, {}, "{}"))
            with sqla.engine.begin() as connection:
                made = update(KEPT_ANSWERS).where(KEPT_ANSWERS.c.key == key)
                connection.execute(made.values(made_at=utc_now() - age))
    result = run(app, "trash", "purge", "--older-than", "30d")
    assert (result.exit_code, result.output) == (0, "0 deleted for good.\n")
    with app.app_context():
        assert get_session().scalars(select(KEPT_ANSWERS.c.key)).all() == ["recent"]


@pytest.mark.parametrize("age", ["", "30", "30h", "-1d", "1.5d", "٣d", "999999d", "d"])
def test_an_age_that_is_none_is_a_usage_error(app: Flask, make_user: MakeUser, age: str) -> None:
    discard(app, make_user().id, days_ago=400)
    result = run(app, "trash", "purge", "--older-than", age)
    assert result.exit_code == 2
    assert len(read_tables(app)["trash"]) == 1


def test_who_is_erased_is_nowhere_any_more(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Zoë Unforgettable", email="zoe@example.org")
    run(app, "users", "deactivate", "zoe@example.org")
    result = run(app, "users", "erase", "zoe@example.org", "--yes")
    assert (result.exit_code, result.output) == (0, "The user is erased.\n")
    assert read_user(app, user.id) is None
    with app.app_context():
        rows = get_session().execute(select(ENTRIES)).all()
        assert "unforgettable" not in repr(rows).lower()
        assert "zoe@" not in repr(rows)
        assert len(rows) == 3  # deactivated, moved to the trash, deleted for good
        assert list(find_faults(find_existing)) == []


def test_erasing_asks_first(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email="zoe@example.org")
    assert run(app, "users", "erase", "zoe@example.org", input="n\n").exit_code == 1
    assert read_user(app, user.id) is not None
    assert run(app, "users", "erase", "zoe@example.org", input="y\n").exit_code == 0
    assert read_user(app, user.id) is None


def test_who_is_not_there_is_said(app: Flask) -> None:
    result = run(app, "users", "erase", "zoe@example.org", "--yes")
    assert result.exit_code == 1
    assert "There is no user with the e-mail zoe@example.org" in result.stderr
