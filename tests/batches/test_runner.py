"""Beside the requests: to the end or until it is stopped, in steps that fit, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Event
from threading import enumerate as threads

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from tests.batches.ways import COMMAND, OTHER, draft, numbers, people_for, run
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from tests.users.test_many import DESK
from webapp.batches import runner, running
from webapp.batches.models import BATCHES, Batch
from webapp.batches.queries import get_batch, is_interrupted, list_running
from webapp.batches.rules import AT_ONCE, Action, State
from webapp.batches.runner import FEWEST, FIRST, MAX_THREADS, Pace, run_aside, run_steps
from webapp.db import get_session
from webapp.errors import Busy, Conflict, NotFound
from webapp.extensions import utc_now
from webapp.users import services as users
from webapp.users.many_trash import Restoring
from webapp.users.models import USERS, Trashed
from webapp.users.queries import get_user

Step = Callable[..., bool]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of more than two run in steps, which begin with two and are not waited after."""
    monkeypatch.setattr(running, "AT_ONCE", 2)
    monkeypatch.setattr(runner, "FIRST", 2)
    monkeypatch.setattr(runner, "sleep", lambda _seconds: None)


def started(app: Flask, number: int = 20, action: Action = Action.DEACTIVATE) -> int:
    """A batch that is to be run in steps."""
    batch_id = draft(app, people_for(app, action, number), action)
    assert run(app, batch_id) is False
    return batch_id


def test_it_is_run_to_its_end_and_tells_how_far_it_is(app: Flask) -> None:
    batch_id = started(app)
    told: list[int] = []
    run_steps(app, batch_id, actor=COMMAND, tell=told.append)
    assert numbers(app, batch_id) == (State.DONE, 20, 20, 20, 0)
    assert told == sorted(set(told))
    assert (told[0], told[-1]) == (2, 20)
    assert len(read_rows(app)) == 20
    assert_intact(app)
    run_steps(app, batch_id, actor=COMMAND)
    assert len(read_rows(app)) == 20, "and nothing more"


def test_it_ends_where_somebody_stops_it(app: Flask) -> None:
    batch_id = started(app)

    def stop(_position: int) -> None:
        with suppress(Conflict):  # told once more when it has ended
            running.stop(get_batch(batch_id), actor=OTHER)

    run_steps(app, batch_id, actor=COMMAND, tell=stop)
    assert numbers(app, batch_id) == (State.STOPPED, 20, 2, 2, 0)
    with app.app_context():
        running.go_on(get_batch(batch_id), actor=OTHER)
    run_steps(app, batch_id, actor=COMMAND)
    assert numbers(app, batch_id) == (State.DONE, 20, 20, 20, 0)


def test_it_ends_where_its_creator_may_not_go_on(app: Flask) -> None:
    batch_id = started(app)

    def deactivate(_position: int) -> None:
        users.deactivate_user(get_user(DESK.user_id or 0), actor=OTHER)

    run_steps(app, batch_id, actor=COMMAND, tell=deactivate)
    assert numbers(app, batch_id) == (State.STOPPED, 20, 2, 2, 0)


def test_what_is_not_there_is_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        run_steps(app, 999, actor=COMMAND)


def test_a_draft_is_not_run(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    run_steps(app, batch_id, actor=COMMAND)
    assert numbers(app, batch_id) == (State.DRAFT, 3, 0, 0, 0)


# What fails on the way


def failing(monkeypatch: pytest.MonkeyPatch, *, at: set[int]) -> list[int]:
    """The steps with these numbers write, and then lose the database; the list gets how many there were."""
    change_rows, steps = running._change_rows, [0]

    def change_and_fail(*arguments: object, **options: object) -> object:
        steps[0] += 1
        done = change_rows(*arguments, **options)  # type: ignore[arg-type]
        if steps[0] in at:
            raise OperationalError("UPDATE", None, Exception("it went away"))
        return done

    monkeypatch.setattr(running, "_change_rows", change_and_fail)
    return steps


def test_a_step_that_fails_is_taken_again_and_nobody_is_changed_twice(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = started(app)
    failing(monkeypatch, at={1, 2, 4, 5, 6})
    run_steps(app, batch_id, actor=COMMAND)
    assert numbers(app, batch_id) == (State.DONE, 20, 20, 20, 0)
    assert sorted(story.subject_id or 0 for story in read_stories(app)) == list(range(2, 22))
    assert_intact(app)


def test_what_fails_for_too_long_rests_and_can_be_continued(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = started(app)
    steps = failing(monkeypatch, at=set(range(3, 3 + runner.TRIES)))
    with pytest.raises(OperationalError):
        run_steps(app, batch_id, actor=COMMAND)
    state, _total, position, done, _refused = numbers(app, batch_id)
    assert (state, position, done) == (State.RUNNING, len(read_rows(app)), len(read_rows(app)))
    assert steps == [2 + runner.TRIES]
    run_steps(app, batch_id, actor=COMMAND)
    assert numbers(app, batch_id) == (State.DONE, 20, 20, 20, 0)


def test_an_address_that_is_taken_in_the_moment_of_a_step_stops_no_bulk_change(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constraint says so after the look; the step is taken again, and then he is left out."""
    batch_id = started(app, 6, Action.RESTORE)
    write = Restoring.write
    taken: list[str] = []

    def take_and_write(self: Restoring, *arguments: object) -> object:
        if not taken:
            taken.append("p3@example.org")
            row = {"email": "p3@example.org", "email_key": "p3@example.org", "full_name": ""}
            keys = {"name_key": "p3", "search_text": "  p3", "role": DESK.role}
            get_session().execute(USERS.insert().values(id=1_000, **row, **keys))
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Restoring, "write", take_and_write)
    run_steps(app, batch_id, actor=COMMAND)
    assert numbers(app, batch_id)[:3] == (State.DONE, 6, 6)
    with app.app_context():
        assert get_session().get(Trashed, 3) is None


# Beside the requests


def test_aside_it_is_run_by_itself(file_app: Flask) -> None:
    batch_id = draft(file_app, people_for(file_app, Action.DEACTIVATE, 20), Action.DEACTIVATE)
    run_aside(file_app, batch_id, actor=DESK, begin=lambda: run(file_app, batch_id))
    for thread in threads():
        if thread.name == f"batch-{batch_id}":
            thread.join(timeout=30)
    assert numbers(file_app, batch_id) == (State.DONE, 20, 20, 20, 0)


def test_several_who_run_it_at_once_change_each_once(file_app: Flask) -> None:
    batch_id = started(file_app, 40)
    race(file_app, *[lambda: run_steps(file_app, batch_id, actor=COMMAND)] * 3)
    assert numbers(file_app, batch_id) == (State.DONE, 40, 40, 40, 0)
    assert sorted(story.subject_id or 0 for story in read_stories(file_app)) == list(range(2, 42))
    assert_intact(file_app)


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        (State.RUNNING, 1, False),
        (State.RUNNING, 30, True),
        (State.RUNNING, None, True),
        (State.STOPPED, 30, False),
        (State.DONE, 30, False),
        (State.DRAFT, None, False),
    ],
)
def test_what_runs_but_was_not_touched_for_long_was_interrupted(
    state: State, seconds: int | None, expected: bool
) -> None:
    touched = None if seconds is None else utc_now() - timedelta(seconds=seconds)
    assert is_interrupted(Batch(state=state.value, touched_at=touched)) is expected


def test_those_that_run_are_listed(app: Flask) -> None:
    batch_id = started(app)
    draft(app, [1], Action.DEACTIVATE)
    with app.app_context():
        assert [batch.id for batch in list_running()] == [batch_id]
        assert not is_interrupted(get_batch(batch_id))
        old = update(BATCHES).values(touched_at=utc_now() - timedelta(minutes=1))
        get_session().execute(old)
        get_session().commit()
        assert is_interrupted(get_batch(batch_id))
    run_steps(app, batch_id, actor=COMMAND)
    with app.app_context():
        assert list_running() == []


@pytest.mark.parametrize(
    ("size", "seconds", "expected"),
    [
        (FIRST, 0.5, FIRST),
        (FIRST, 0.9, FIRST),
        (FIRST, 0.1, FIRST * 2),
        (FIRST, 1.1, FIRST // 2),
        (FEWEST, 9.0, FEWEST),
        (FEWEST + 1, 9.0, FEWEST),
        (AT_ONCE, 0.0, AT_ONCE),
        (AT_ONCE - 1, 0.0, AT_ONCE),
    ],
)
def test_a_step_is_as_large_as_the_time_allows(size: int, seconds: float, expected: int) -> None:
    assert runner._next_size(size, seconds, Pace(longest=1.0, pause=0.0)) == expected


def test_a_process_has_so_many_threads_and_one_for_each_batch(
    file_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping and continuing it again and again makes no thread more."""
    may_end = Event()
    monkeypatch.setattr(runner, "run_steps", lambda *_arguments, **_options: may_end.wait(30))
    begun: list[int] = []
    try:
        for batch_id in range(1, MAX_THREADS + 1):
            run_aside(file_app, batch_id, actor=DESK, begin=partial(begun.append, batch_id))
            with pytest.raises(Busy, match="just being stopped"):
                run_aside(file_app, batch_id, actor=DESK, begin=lambda: begun.append(0))
        with pytest.raises(Busy, match="Other bulk changes"):
            run_aside(file_app, 99, actor=DESK, begin=lambda: begun.append(99))
        assert begun == [1, 2, 3, 4]
        assert sum(thread.name.startswith("batch-") for thread in threads()) == MAX_THREADS
    finally:
        may_end.set()
        for thread in threads():
            if thread.name.startswith("batch-"):
                thread.join(timeout=30)
    run_aside(file_app, 99, actor=DESK, begin=lambda: begun.append(99))
    assert begun[-1] == 99


def test_what_cannot_begin_takes_no_thread(app: Flask) -> None:
    def refuse() -> None:
        raise Conflict("no")

    for _ in range(MAX_THREADS + 1):
        with pytest.raises(Conflict):
            run_aside(app, 1, actor=DESK, begin=refuse)
