"""Ways that the tests of the bulk changes go: make one, look at it, run it, read what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import update

from tests.conftest import read_tables
from tests.history.ways import read_rows
from tests.users.test_many import DESK, SUPPORT, settle_crowd
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches import drafts, running
from webapp.batches.models import BATCHES, Batch
from webapp.batches.preview import Preview, examine
from webapp.batches.queries import Resolution, get_batch, show_rows
from webapp.batches.rules import Action, Source
from webapp.batches.undoing import create_undo
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.users import trash
from webapp.users.models import User
from webapp.users.queries import get_user

COMMAND = Actor.command_line()
OTHER = Actor(user_id=1_000_004, name="Other Administrator", role=Role.ADMINISTRATOR)
VALUES = {Action.SET_ROLE: "auditor", Action.ADD_NOTE: "Called twice."}
KINDS = {
    Action.ACTIVATE: Kind.ACTIVATED,
    Action.DEACTIVATE: Kind.DEACTIVATED,
    Action.SET_ROLE: Kind.EDITED,
    Action.SIGN_OUT: Kind.SIGNED_OUT_EVERYWHERE,
    Action.ADD_NOTE: Kind.NOTE_ADDED,
    Action.TRASH: Kind.DELETED,
    Action.RESTORE: Kind.RESTORED,
}
FORWARD = tuple(KINDS)
few = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes; the seed is printed
)


def be_there(app: Flask, *actors: Actor) -> None:
    """Give them rows: who acts is looked at again. None of them counts among the administrators who could
    sign in.
    """
    with app.app_context():
        session = get_session()
        for actor in actors:
            if actor.user_id is not None and session.get(User, actor.user_id) is None:
                email = f"desk{actor.user_id}@desk.example"
                session.add(User(id=actor.user_id, full_name=actor.name, email=email, role=actor.role))
        session.commit()


def draft(
    app: Flask, user_ids: Iterable[int], action: Action | None = None, *, actor: Actor = DESK, value: str = ""
) -> int:
    """The id of a batch that waits to be run."""
    be_there(app, actor, DESK, SUPPORT, OTHER)
    with app.app_context():
        source = Source.TRASH if action is Action.RESTORE else Source.SELECTED
        batch = drafts.create_batch(set(user_ids), source=source, actor=actor)
        if action is not None:
            value = value or VALUES.get(action, "")
            drafts.choose_action(batch, action=action.value, value=value, actor=actor)
        return batch.id


def look(app: Flask, batch_id: int, *, actor: Actor = DESK) -> Preview:
    with app.app_context():
        return examine(get_batch(batch_id), actor=actor)


def run(app: Flask, batch_id: int, *, actor: Actor = DESK, seen: str | None = None) -> bool:
    """As whoever just looked at it, unless ``seen`` is what somebody saw earlier."""
    seen = look(app, batch_id, actor=actor).seen if seen is None else seen
    with app.app_context():
        return running.run_batch(get_batch(batch_id), seen=seen, actor=actor)


def step(app: Flask, batch_id: int, *, most: int = 2, actor: Actor = COMMAND) -> bool:
    """With the rights of who began it, whoever takes the step."""
    with app.app_context():
        return running.run_step(batch_id, most=most, actor=actor)


def finish(app: Flask, batch_id: int, *, actor: Actor = DESK, most: int = 2) -> None:
    """Run it to its end, in steps where it goes in steps."""
    if not run(app, batch_id, actor=actor):
        while step(app, batch_id, most=most):
            pass


def undo_of(app: Flask, batch_id: int, *, actor: Actor = DESK) -> int:
    with app.app_context():
        return create_undo(get_batch(batch_id), actor=actor).id


def read_batch(app: Flask, batch_id: int) -> Batch:
    with app.app_context():
        batch = get_batch(batch_id)
        get_session().expunge(batch)
        return batch


def numbers(app: Flask, batch_id: int) -> tuple[str, int, int, int, int]:
    batch = read_batch(app, batch_id)
    return batch.state, batch.total, batch.position, batch.done, batch.refused


def outcomes(app: Flask, batch_id: int) -> dict[int, tuple[str | None, str]]:
    """What became of each: the result, and the reason of a refusal."""
    with app.app_context():
        rows = show_rows(batch_id, outcome=None, after=0, most=1_000)
        return {row.user_id: (row.outcome, str(row.refusal) if row.refusal else "") for row in rows}


def results(app: Flask, batch_id: int) -> list[str | None]:
    return [outcome for outcome, _reason in outcomes(app, batch_id).values()]


def people_for(app: Flask, action: Action, number: int = 3) -> list[int]:
    """An administrator, and after him people whom the action changes."""
    settle_crowd(app, 1 + number, is_active=action is not Action.ACTIVATE)
    be_there(app, DESK, SUPPORT, OTHER)
    with app.app_context():
        first = update(User).where(User.id == 1)
        get_session().execute(first.values(role=Role.ADMINISTRATOR, is_active=True))
        get_session().commit()
    ids = list(range(2, 2 + number))
    if action is Action.RESTORE:
        with app.app_context():
            for user_id in ids:
                trash.delete_user(get_user(user_id), version=1, actor=DESK)
    return ids


def snapshot(app: Flask) -> tuple[object, ...]:
    return read_tables(app), read_rows(app)


def from_list(app: Flask, ids: Iterable[int], **unclear: Any) -> int:
    """Of a pasted list, of which something is unclear."""
    be_there(app, DESK)
    with app.app_context():
        resolution = Resolution(set(ids), **unclear)
        return drafts.create_batch(set(ids), source=Source.PASTED, resolution=resolution, actor=DESK).id


def age(app: Flask, batch_id: int, by: timedelta) -> None:
    with app.app_context():
        old = update(BATCHES).where(BATCHES.c.id == batch_id)
        get_session().execute(old.values(created_at=utc_now() - by))
        get_session().commit()
