"""Of those who come at the same time one does it; what somebody is choosing is his alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask

from tests.batches.ways import (
    COMMAND,
    OTHER,
    age,
    draft,
    finish,
    from_list,
    look,
    numbers,
    people_for,
    run,
    snapshot,
    step,
    undo_of,
)
from tests.conftest import MakeUser, user_maker
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from tests.users.test_many import DESK
from webapp.batches import drafts, running
from webapp.batches.locks import lock
from webapp.batches.models import BATCHES, Batch
from webapp.batches.queries import get_batch
from webapp.batches.rules import Action, Source, State
from webapp.batches.undoing import create_undo
from webapp.db import atomic, get_session
from webapp.errors import Conflict, Forbidden, NotFound
from webapp.users import trash
from webapp.users.queries import get_user
from webapp.users.standing import lock_standing


def test_a_draft_is_its_maker_s_alone(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user().id for _ in range(2)]
    batch_id = draft(app, ids, Action.DEACTIVATE)
    seen = look(app, batch_id).seen
    before = snapshot(app)
    acts: list[Callable[[Batch], object]] = [
        lambda batch: drafts.choose_action(batch, action="trash", actor=OTHER),
        lambda batch: drafts.choose_namesakes(batch, user_ids=[1], actor=OTHER),
        lambda batch: running.run_batch(batch, seen=seen, actor=OTHER),
    ]
    for act in acts:
        with app.app_context(), pytest.raises(Forbidden, match="Somebody else"):
            act(get_batch(batch_id))
    assert snapshot(app) == before


@pytest.mark.parametrize("at_once", [1_000, 2])
def test_nothing_is_run_twice(app: Flask, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", at_once)
    batch_id = draft(app, people_for(app, Action.SIGN_OUT), Action.SIGN_OUT)
    seen = look(app, batch_id).seen
    run(app, batch_id, seen=seen)
    before = snapshot(app)
    with pytest.raises(Conflict, match="run already"):
        run(app, batch_id, seen=seen)
    with app.app_context():
        with pytest.raises(Conflict):
            drafts.choose_action(get_batch(batch_id), action="trash", actor=DESK)
        with pytest.raises(Conflict):
            drafts.choose_namesakes(get_batch(batch_id), user_ids=[1], actor=DESK)
    assert snapshot(app) == before


@pytest.mark.parametrize("at_once", [1_000, 2])
def test_of_two_who_run_it_at_once_one_does(
    file_app: Flask, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", at_once)
    batch_id = draft(file_app, people_for(file_app, Action.SIGN_OUT), Action.SIGN_OUT)
    seen = look(file_app, batch_id).seen
    found = race(file_app, *[lambda: running.run_batch(get_batch(batch_id), seen=seen, actor=DESK)] * 4)
    assert sum(isinstance(outcome, Conflict) for outcome in found) == 3
    assert found.count(at_once > 2) == 1
    while step(file_app, batch_id):
        pass
    assert len(read_rows(file_app)) == 3


@pytest.mark.usefixtures("in_steps")
def test_two_who_run_the_same_steps_do_each_row_once(file_app: Flask) -> None:
    ids = people_for(file_app, Action.SIGN_OUT, 24)
    batch_id = draft(file_app, ids, Action.SIGN_OUT)
    run(file_app, batch_id)

    def run_on() -> int:
        steps = 1
        while running.run_step(batch_id, most=3, actor=COMMAND):
            steps += 1
        return steps

    def stop_and_go_on() -> int:
        for _ in range(3):
            try:
                running.stop(get_batch(batch_id), actor=DESK)
                running.go_on(get_batch(batch_id), actor=DESK)
            except Conflict:
                break
        return run_on()

    race(file_app, run_on, run_on, stop_and_go_on)
    with file_app.app_context():
        if get_batch(batch_id).state == State.RUNNING.value:
            run_on()
    assert numbers(file_app, batch_id) == (State.DONE, 24, 24, 24, 0)
    assert sorted(story.subject_id or 0 for story in read_stories(file_app)) == ids
    assert_intact(file_app)


def test_a_draft_that_is_gone_while_it_is_looked_at_is_not_found(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(app, batch_id)
    undo_id = undo_of(app, batch_id)
    with app.app_context():
        undo = get_batch(undo_id)
        get_session().execute(BATCHES.delete().where(BATCHES.c.id == undo_id))
        get_session().commit()
        for act in (
            lambda: running.run_batch(undo, seen="", actor=DESK),
            lambda: running.stop(undo, actor=DESK),
            lambda: drafts.choose_namesakes(undo, user_ids=[], actor=DESK),
        ):
            with pytest.raises(NotFound):
                act()


@contextmanager
def somebody_comes(
    monkeypatch: pytest.MonkeyPatch, app: Flask, act: Callable[[], object]
) -> Iterator[list[Future[object]]]:
    """In the block, while the end of a batch is written: he has to wait, or gets through at once."""
    written = running._finish
    coming: list[Future[object]] = []
    with ThreadPoolExecutor(1) as threads:

        def come() -> object:
            with app.app_context():
                return act()

        def finish_and_wait(batch: Batch) -> None:
            written(batch)
            if not coming:
                coming.append(threads.submit(come))
                wait(coming, timeout=0.4)

        monkeypatch.setattr(running, "_finish", finish_and_wait)
        yield coming
        wait(coming, timeout=30)
        monkeypatch.undo()


def test_who_asks_for_an_undo_while_it_is_run_does_not_take_it_away(
    file_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = draft(file_app, people_for(file_app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(file_app, batch_id)
    undo_id = undo_of(file_app, batch_id)
    with somebody_comes(
        monkeypatch, file_app, lambda: create_undo(get_batch(batch_id), actor=OTHER).id
    ) as coming:
        finish(file_app, undo_id)
    assert isinstance(coming[0].exception(), Conflict), "it was undone already"
    assert numbers(file_app, undo_id) == (State.DONE, 3, 3, 3, 0)


def test_an_old_draft_that_is_run_at_last_is_not_swept_away(
    file_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = people_for(file_app, Action.DEACTIVATE)
    batch_id = draft(file_app, ids, Action.DEACTIVATE)
    age(file_app, batch_id, timedelta(days=2))
    with somebody_comes(
        monkeypatch, file_app, lambda: drafts.create_batch({1}, source=Source.SELECTED, actor=OTHER).id
    ):
        finish(file_app, batch_id)
    assert numbers(file_app, batch_id) == (State.DONE, 3, 3, 3, 0)


@pytest.mark.parametrize("is_erased", [False, True], ids=["from the trash", "at once"])
def test_who_deletes_for_good_and_who_runs_a_pasted_list_do_not_wait_crosswise(
    file_app: Flask, hashed_password: str, is_erased: bool
) -> None:
    """What was pasted is forgotten then: the bulk change is locked for it before its maker is, as always."""
    gone = user_maker(file_app, hashed_password)()
    batch_id = from_list(file_app, [1], not_found=["x@example.org"], missing=1)
    if not is_erased:
        with file_app.app_context():
            trash.delete_user(get_user(gone.id), version=1, actor=COMMAND)

    def delete_for_good() -> None:
        with file_app.app_context():
            if is_erased:
                trash.erase_user(get_user(gone.id), actor=DESK)
            else:
                trash.purge_user(gone.id, actor=DESK)

    @atomic
    def lock_as_a_run_does() -> Future[None]:
        lock(get_batch(batch_id))
        other = threads.submit(delete_for_good)
        wait([other], timeout=0.3)
        assert not other.done()
        lock_standing(DESK)
        return other

    with ThreadPoolExecutor(1) as threads, file_app.app_context():
        lock_as_a_run_does().result(timeout=10)
    with file_app.app_context():
        assert not get_batch(batch_id).unresolved
        assert not trash.is_trashed(gone.id)
