"""flask batches resume: what was interrupted goes on with the rights of who began it, and stops without."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from tests.batches.ways import draft, numbers, step
from tests.batches.ways import run as begin
from tests.cli.test_database import run
from tests.conftest import PASSWORD, MakeUser
from tests.history.ways import read_stories
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches import running
from webapp.batches.models import BATCHES
from webapp.batches.rules import Action, State
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.users import services as users
from webapp.users.queries import find_administrators, get_user

TERMINAL = Actor.command_line()
RESUME = ("batches", "resume")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 2)


def interrupted(app: Flask, make_user: MakeUser) -> tuple[Actor, int]:
    """Support chose members and all administrators, and the worker ended after the first two members."""
    support = make_user(full_name="Sue", role=Role.SUPPORT)
    members = [make_user().id for _ in range(4)]
    staff = [make_user(role=Role.ADMINISTRATOR).id for _ in range(3)]
    actor = Actor(user_id=support.id, name="Sue", role=Role.SUPPORT, epoch=0)
    batch_id = draft(app, [*members, *staff], Action.DEACTIVATE, actor=actor)
    begin(app, batch_id, actor=actor)
    step(app, batch_id, actor=actor)
    with app.app_context():
        get_session().execute(update(BATCHES).values(touched_at=utc_now() - timedelta(minutes=1)))
        get_session().commit()
    return actor, batch_id


def test_those_whom_the_preview_had_left_out_stay_as_they_are(app: Flask, make_user: MakeUser) -> None:
    actor, batch_id = interrupted(app, make_user)
    result = run(app, *RESUME)
    assert result.exit_code == 0, result.output
    assert "4 changed." in result.output
    assert numbers(app, batch_id) == (State.DONE, 7, 7, 4, 3)
    with app.app_context():
        assert len(find_administrators(changing=9)) == 3
    stories = read_stories(app)
    assert {(story.actor_id, story.actor_name) for story in stories} == {(actor.user_id, "Sue")}
    assert [story.door for story in stories] == ["page", "page", "command", "command"]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda i: users.deactivate_user(get_user(i), actor=TERMINAL), "Sue, who began this, is inactive."),
        (
            lambda i: users.set_password(get_user(i), password=f"{PASSWORD} two", actor=TERMINAL),
            "was signed out everywhere",
        ),
    ],
)
def test_it_stops_what_was_begun_by_who_may_not_go_on_and_says_so(
    app: Flask, make_user: MakeUser, end: object, why: str
) -> None:
    actor, batch_id = interrupted(app, make_user)
    with app.app_context():
        end(actor.user_id)  # type: ignore[operator]
    result = run(app, *RESUME)
    assert result.exit_code == 0, result.output
    assert f"Bulk change {batch_id} stopped after 2 of 7:" in result.output
    assert why in result.output
    assert numbers(app, batch_id) == (State.STOPPED, 7, 2, 2, 0)
    assert "Nothing was interrupted." in run(app, *RESUME).output
