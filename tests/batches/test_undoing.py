"""A bulk change is taken back as a whole, but for what stands in the way, and an undo likewise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.batches.ways import (
    FORWARD,
    OTHER,
    draft,
    few,
    finish,
    look,
    numbers,
    people_for,
    read_batch,
    results,
    run,
    snapshot,
    step,
    undo_of,
)
from tests.conftest import MakeUser, read_user
from tests.history.ways import assert_intact, read_stories
from tests.racing import race
from tests.users.test_many import DESK, SUPPORT, clear, insert_people, read_people
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches import drafts, running
from webapp.batches.preview import examine
from webapp.batches.queries import find_undoing, get_batch
from webapp.batches.rules import OF_USERS, UNDOABLE, Action, Source, State
from webapp.batches.undoing import create_undo
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Stale
from webapp.listing.maintenance import find_miscounts
from webapp.notes.models import Note
from webapp.notes.services import add_note
from webapp.users import services as users
from webapp.users import trash
from webapp.users.queries import LISTING, get_user

TAKEN_BACK = tuple(action for action in FORWARD if action in UNDOABLE)


def assert_undone(app: Flask, before: list[dict[str, Any]]) -> None:
    """But that it is told: a version, and sign-ins that have ended. And the password of a member who became
    staff is gone, with which the segment changes, too.
    """
    spared = {"version", "session_epoch", "hashed_password", "segment"}
    now = read_people(app)
    assert [{name: row[name] for name in row.keys() - spared} for row in now] == [
        {name: row[name] for name in row.keys() - spared} for row in before
    ]
    for row, old in zip(now, before, strict=True):
        assert row["hashed_password"] in {None, old["hashed_password"]}
    with app.app_context():
        assert get_session().scalar(select(func.count()).select_from(Note)) == 0
        assert find_miscounts(get_session(), LISTING) == []
    assert_intact(app)


@pytest.mark.parametrize("action", TAKEN_BACK)
@pytest.mark.usefixtures("in_steps")
def test_all_of_it_is_undone(app: Flask, action: Action) -> None:
    ids = people_for(app, action, 3)
    before = read_people(app)
    batch_id = draft(app, [*ids, 999], action)
    finish(app, batch_id)
    changes = [story.id for story in read_stories(app)[-3:]]
    undo_id = undo_of(app, batch_id)
    preview = look(app, undo_id)
    assert (preview.changing, preview.same, preview.left_out) == (3, 0, 0)
    finish(app, undo_id)
    assert numbers(app, undo_id) == (State.DONE, 3, 3, 3, 0)
    assert_undone(app, before)
    undos = read_stories(app)[-3:]
    assert [story.undoes_id for story in undos] == changes
    assert [story.facts["batch"] for story in undos] == [undo_id] * 3
    batch = read_batch(app, undo_id)
    assert (batch.source, batch.action, batch.undoes_id) == (Source.UNDO, Action.UNDO, batch_id)


def test_a_sign_out_is_not_undone(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.SIGN_OUT), Action.SIGN_OUT)
    finish(app, batch_id)
    with pytest.raises(Conflict, match="nothing to undo"):
        undo_of(app, batch_id)


@pytest.mark.usefixtures("in_steps")
def test_what_is_not_through_or_changed_nobody_is_not_undone(app: Flask, make_user: MakeUser) -> None:
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    for _ in range(2):
        with pytest.raises(Conflict, match="Wait until it is through"):
            undo_of(app, batch_id)
        if numbers(app, batch_id)[0] == State.DRAFT:
            run(app, batch_id)
    with app.app_context():
        running.stop(get_batch(batch_id), actor=DESK)
    with pytest.raises(Conflict, match="nothing to undo"):
        undo_of(app, batch_id)


@pytest.mark.parametrize("action", TAKEN_BACK)
def test_nothing_is_undone_twice(app: Flask, action: Action) -> None:
    batch_id = draft(app, people_for(app, action), action)
    finish(app, batch_id)
    finish(app, undo_of(app, batch_id))
    before = snapshot(app)
    with pytest.raises(Conflict, match="undone already"):
        undo_of(app, batch_id)
    assert snapshot(app) == before


def test_a_draft_of_an_undo_is_made_anew_for_who_comes_next(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(app, batch_id)
    first = undo_of(app, batch_id, actor=OTHER)
    second = undo_of(app, batch_id)
    assert second != first
    with app.app_context(), pytest.raises(NotFound):
        get_batch(first)
    finish(app, second)
    assert results(app, second) == ["done"] * 3


def test_of_two_undos_at_once_one_is_done(file_app: Flask) -> None:
    people_for(file_app, Action.DEACTIVATE, 6)
    before = read_people(file_app)
    batch_id = draft(file_app, range(2, 8), Action.DEACTIVATE)
    finish(file_app, batch_id)

    def undo(actor: Actor) -> Callable[[], object]:
        def act() -> bool:
            batch = create_undo(get_batch(batch_id), actor=actor)
            seen = examine(batch, actor=actor).seen
            return running.run_batch(batch, seen=seen, actor=actor)

        return act

    found = race(file_app, undo(DESK), undo(OTHER), undo(DESK), undo(Actor.command_line()))
    assert found.count(True) == 1, found
    assert sum(isinstance(outcome, DomainError) for outcome in found) == 3
    assert_undone(file_app, before)
    with file_app.app_context():
        made = find_undoing(batch_id)
        assert made is not None
        assert (made.state, made.done) == (State.DONE, 6)


def test_where_a_later_change_stands_in_the_way_the_rest_is_undone(app: Flask) -> None:
    ids = people_for(app, Action.SET_ROLE, 4)
    batch_id = draft(app, ids, Action.SET_ROLE)
    finish(app, batch_id)
    with app.app_context():
        users.update_user(get_user(ids[0]), version=2, role="support", actor=OTHER)
        users.update_user(get_user(ids[1]), version=2, full_name="New Name", actor=OTHER)
        trash.delete_user(get_user(ids[2]), version=2, actor=OTHER)
    undo_id = undo_of(app, batch_id)
    preview = look(app, undo_id)
    assert (preview.changing, preview.left_out) == (2, 2)
    reasons = {item.people[0][0]: str(item.refusal) for item in preview.refused}
    assert "changed again since: Role" in reasons[ids[0]]
    assert ids[2] in reasons
    finish(app, undo_id)
    assert results(app, undo_id) == ["refused", "done", "refused", "done"]
    roles = [read_user(app, user_id) for user_id in ids]
    assert [user.role if user else None for user in roles] == [Role.SUPPORT, Role.MEMBER, None, Role.MEMBER]


def test_what_was_undone_one_by_one_stands_in_the_way_too(app: Flask) -> None:
    ids = people_for(app, Action.TRASH)
    batch_id = draft(app, ids, Action.TRASH)
    finish(app, batch_id)
    with app.app_context():
        trash.restore_user(ids[0], actor=OTHER)
        trash.purge_user(ids[1], actor=OTHER)
    undo_id = undo_of(app, batch_id)
    finish(app, undo_id)
    assert results(app, undo_id) == ["refused", "refused", "done"]


@pytest.mark.parametrize("action", TAKEN_BACK)
def test_an_undo_is_undone(app: Flask, action: Action) -> None:
    """And that undo again: each is a change like others."""
    ids = people_for(app, action)
    batch_id = draft(app, ids, action)
    finish(app, batch_id)
    after = [state_of(app, user_id) for user_id in ids]
    undo_id = undo_of(app, batch_id)
    finish(app, undo_id)
    before = [state_of(app, user_id) for user_id in ids]
    redo_id = undo_of(app, undo_id)
    finish(app, redo_id)
    assert numbers(app, redo_id)[3:] == (3, 0)
    assert [state_of(app, user_id) for user_id in ids] == after
    finish(app, undo_of(app, redo_id))
    assert [state_of(app, user_id) for user_id in ids] == before
    assert_intact(app)


def state_of(app: Flask, user_id: int) -> tuple[object, ...] | None:
    user = read_user(app, user_id)
    if user is None:
        return None
    with app.app_context():
        texts = get_session().scalars(select(Note.text).where(Note.user_id == user_id)).all()
    return user.role, user.is_active, list(texts)


@pytest.mark.usefixtures("in_steps")
def test_what_was_stopped_is_undone_as_far_as_it_went(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE, 6)
    before = read_people(app)
    batch_id = draft(app, ids, Action.DEACTIVATE)
    run(app, batch_id)
    for _ in range(2):
        step(app, batch_id)
    with app.app_context():
        running.stop(get_batch(batch_id), actor=DESK)
    undo_id = undo_of(app, batch_id)
    finish(app, undo_id)
    assert numbers(app, undo_id) == (State.DONE, 4, 4, 4, 0)
    assert_undone(app, before)
    with app.app_context(), pytest.raises(Conflict, match="undone already"):
        running.go_on(get_batch(batch_id), actor=DESK)


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("is_through", [False, True])
def test_an_undo_of_a_part_is_not_run_once_more_was_done(app: Flask, is_through: bool) -> None:
    """Else the rest could never be undone as a whole."""
    ids = people_for(app, Action.DEACTIVATE, 6)
    before = read_people(app)
    batch_id = draft(app, ids, Action.DEACTIVATE)
    run(app, batch_id)
    step(app, batch_id)
    with app.app_context():
        running.stop(get_batch(batch_id), actor=DESK)
    early = undo_of(app, batch_id)
    seen = look(app, early).seen
    with app.app_context():
        running.go_on(get_batch(batch_id), actor=OTHER)
    while step(app, batch_id) and is_through:
        pass
    with pytest.raises((Conflict, Stale)):
        run(app, early, seen=seen)
    while step(app, batch_id):
        pass
    finish(app, undo_of(app, batch_id))
    assert_undone(app, before)


def test_support_cannot_undo_what_only_administrators_may(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.TRASH), Action.TRASH)
    finish(app, batch_id)
    own = undo_of(app, batch_id)
    with pytest.raises(Forbidden):
        undo_of(app, batch_id, actor=SUPPORT)
    finish(app, own)
    redo_id = undo_of(app, own)
    with pytest.raises(Forbidden):
        undo_of(app, own, actor=SUPPORT)
    assert read_batch(app, redo_id).creator_id == DESK.user_id, "he takes the draft from nobody who may"


@pytest.mark.parametrize("action", [action for action in TAKEN_BACK if action is not Action.TRASH])
def test_who_is_forgotten_by_then_is_left_out_of_the_undo(app: Flask, action: Action) -> None:
    """The history does not tell any more what was changed of him."""
    ids = people_for(app, action)
    batch_id = draft(app, ids, action)
    finish(app, batch_id)
    with app.app_context():
        trash.erase_user(get_user(ids[0]), actor=OTHER)
    undo_id = undo_of(app, batch_id)
    assert look(app, undo_id).left_out == 1
    finish(app, undo_id)
    assert results(app, undo_id) == ["refused", "done", "done"]


def test_if_all_are_forgotten_nobody_is_left_to_undo(app: Flask) -> None:
    ids = people_for(app, Action.SET_ROLE)
    batch_id = draft(app, ids, Action.SET_ROLE)
    finish(app, batch_id)
    with app.app_context():
        for user_id in ids:
            trash.erase_user(get_user(user_id), actor=OTHER)
    assert look(app, undo_of(app, batch_id)).left_out == 3


batches = st.tuples(
    st.sampled_from(
        [
            ("activate", ""),
            ("deactivate", ""),
            ("trash", ""),
            ("add_note", "One"),
            *(("set_role", role.value) for role in Role),
        ]
    ),
    st.sets(st.integers(1, 7), min_size=1),
    st.booleans(),
)


@few
@given(steps=st.lists(batches, min_size=1, max_size=5))
def test_whatever_was_done_all_is_as_before_when_it_is_undone_in_reverse(
    app: Flask, steps: list[tuple[tuple[str, str], set[int], bool]]
) -> None:
    with app.app_context():
        clear()
        insert_people(
            {
                "id": at,
                "email": f"p{at}@example.org",
                "full_name": f"Person {at}",
                "role": role,
                "is_active": at % 3 > 0,
                "hashed_password": "no hash" if at % 2 else None,
            }
            for at, role in enumerate([Role.ADMINISTRATOR, *Role, Role.MEMBER, Role.MEMBER], 1)
        )
        last = {"id": 99, "email": "last@example.org", "full_name": "Last", "hashed_password": "no hash"}
        insert_people([{**last, "role": Role.ADMINISTRATOR}])
    before = read_people(app)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        for (action, value), ids, is_large in steps:
            patch.setattr(running, "AT_ONCE", 2 if is_large else 1_000)
            made.append(draft(app, ids, Action(action), value=value))
            finish(app, made[-1])
            _state, total, position, done, refused = numbers(app, made[-1])
            found = results(app, made[-1])
            assert (total, position) == (len(ids), len(ids))
            assert (done, refused) == (found.count("done"), found.count("refused"))
        for batch_id in reversed(made):
            if numbers(app, batch_id)[3]:
                undo_id = undo_of(app, batch_id)
                assert look(app, undo_id).left_out == 0
                finish(app, undo_id)
    assert_undone(app, before)


def test_notes_of_others_stay_when_a_note_on_many_is_undone(app: Flask) -> None:
    ids = people_for(app, Action.ADD_NOTE)
    with app.app_context():
        for user_id in ids:
            add_note(get_user(user_id), text="Mine.", actor=SUPPORT)
    batch_id = draft(app, ids, Action.ADD_NOTE)
    finish(app, batch_id)
    finish(app, undo_of(app, batch_id))
    with app.app_context():
        assert get_session().scalars(select(Note.text)).all() == ["Mine."] * 3


def test_an_undo_stays_the_undo_that_it_is(app: Flask) -> None:
    """It knows of each which change it takes back: nobody is added, and nothing else is done."""
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(app, batch_id)
    undo_id = undo_of(app, batch_id)
    before = snapshot(app)
    with app.app_context():
        for action in OF_USERS:
            with pytest.raises(Invalid):
                drafts.choose_action(get_batch(undo_id), action=action, value="support", actor=DESK)
        with pytest.raises(DomainError):
            drafts.choose_namesakes(get_batch(undo_id), user_ids=[1], actor=DESK)
    assert snapshot(app) == before
    finish(app, undo_id)
    assert results(app, undo_id) == ["done"] * 3
