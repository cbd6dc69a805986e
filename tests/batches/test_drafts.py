"""Who is chosen is frozen, and what is to be done is checked; nobody is changed yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.batches.ways import (
    OTHER,
    age,
    be_there,
    draft,
    finish,
    from_list,
    look,
    numbers,
    outcomes,
    people_for,
    read_batch,
    results,
    run,
    snapshot,
    step,
    undo_of,
)
from tests.conftest import MakeUser, read_tables
from tests.history.ways import read_rows
from tests.racing import race
from tests.users.test_many import AUDITOR, DESK, SUPPORT
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches import drafts, running
from webapp.batches.models import BATCHES, ROWS
from webapp.batches.queries import Ambiguous, Resolution, get_batch
from webapp.batches.rules import MAX_DRAFTS, MOST_ROWS, WITH_VALUE, Action, Source, State
from webapp.batches.undoing import create_undo
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, SignInEnded
from webapp.users import trash
from webapp.users.queries import list_people


def test_who_is_chosen_is_frozen_in_the_order_of_the_ids(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user().id for _ in range(3)]
    batch_id = draft(app, [ids[2], ids[0], 999, ids[1]])
    make_user()
    assert list(outcomes(app, batch_id)) == [*ids, 999]
    batch = read_batch(app, batch_id)
    assert (batch.state, batch.total, batch.position) == (State.DRAFT, 4, 0)
    assert (batch.creator_id, batch.source, batch.action) == (DESK.user_id, Source.SELECTED, None)
    assert read_rows(app) == [], "nobody is changed yet"


def test_nobody_or_too_many_are_refused(app: Flask) -> None:
    be_there(app, DESK, SUPPORT, OTHER)
    before = read_tables(app)
    with pytest.raises(Invalid):
        draft(app, [])
    with pytest.raises(Invalid):
        draft(app, range(1, MOST_ROWS + 2))
    assert read_tables(app) == before


@pytest.mark.parametrize("ids", [[0], [-5], [2**63], [10**40, 0]])
def test_ids_that_nobody_can_have_are_nobody(app: Flask, ids: list[int]) -> None:
    with pytest.raises(Invalid):
        draft(app, ids)


def test_the_most_are_taken(app: Flask) -> None:
    be_there(app, DESK)
    with app.app_context():
        batch = drafts.create_batch(range(1, MOST_ROWS + 1), source=Source.MATCHING, actor=DESK)
        assert batch.total == MOST_ROWS
        rows = get_session().execute(select(func.count(), func.max(ROWS.c.position)).select_from(ROWS))
        assert tuple(rows.one()) == (MOST_ROWS, MOST_ROWS)


@pytest.mark.parametrize("actor", [AUDITOR, Actor(user_id=3, name="", role=Role.MEMBER)])
def test_who_may_not_edit_may_not_begin(app: Flask, actor: Actor) -> None:
    batch_id = draft(app, [1], Action.DEACTIVATE)
    be_there(app, actor)
    before = snapshot(app)
    with pytest.raises(Forbidden):
        draft(app, [1], actor=actor)
    for act in (running.stop, running.go_on, create_undo):
        with app.app_context(), pytest.raises(Forbidden):
            act(get_batch(batch_id), actor=actor)
    with pytest.raises(Forbidden):
        look(app, batch_id, actor=actor)
    assert snapshot(app) == before


@pytest.mark.parametrize("action", [Action.SET_ROLE, Action.TRASH, Action.RESTORE])
def test_support_may_not_choose_what_only_administrators_may(app: Flask, action: Action) -> None:
    be_there(app, SUPPORT)
    source = Source.TRASH if action is Action.RESTORE else Source.SELECTED
    with app.app_context():
        with pytest.raises(Forbidden):
            drafts.create_batch({1}, source=source, action=action.value, actor=SUPPORT)
        if action is Action.RESTORE:  # what is in the trash is nothing that support sees
            with pytest.raises(Forbidden):
                drafts.create_batch({1}, source=source, actor=SUPPORT)
            return
        batch = drafts.create_batch({1}, source=source, actor=SUPPORT)
        with pytest.raises(Forbidden):
            drafts.choose_action(batch, action=action.value, value="auditor", actor=SUPPORT)
        assert get_batch(batch.id).action is None


@pytest.mark.parametrize(
    ("action", "value", "kept"),
    [
        ("deactivate", "whatever", ""),
        ("set_role", " auditor ", "auditor"),
        ("set_role", None, ""),
        ("add_note", "  Called. ", "Called."),
        ("add_note", None, ""),
    ],
)
def test_an_action_is_chosen_with_its_value(app: Flask, action: str, value: str | None, kept: str) -> None:
    batch_id = draft(app, [1])
    with app.app_context():
        drafts.choose_action(get_batch(batch_id), action=action, value=value, actor=DESK)
    batch = read_batch(app, batch_id)
    assert (batch.action, batch.value) == (action, kept)


@pytest.mark.parametrize(
    ("action", "value", "field"),
    [
        ("", "", "action"),
        ("undo", "", "action"),
        ("restore", "", "action"),
        ("set_role", "king", "role"),
        ("set_role", "mem\0ber", "role"),
        ("set_role", "\ud800", "role"),
        ("add_note", "a\0b", "text"),
        ("add_note", "a\ud800b", "text"),
        ("add_note", "x" * 5_001, "text"),
        ("add_note", "x" * 1_000_000, "text"),
    ],
)
def test_what_cannot_be_is_refused_on_its_field(app: Flask, action: str, value: str, field: str) -> None:
    batch_id = draft(app, [1], Action.DEACTIVATE)
    before = snapshot(app)
    with app.app_context(), pytest.raises(Invalid) as refusal:
        drafts.choose_action(get_batch(batch_id), action=action, value=value, actor=DESK)
    assert refusal.value.field == field
    assert snapshot(app) == before


@pytest.mark.parametrize("action", [None, *sorted(WITH_VALUE)])
def test_without_what_it_needs_nothing_is_run(app: Flask, make_user: MakeUser, action: Action | None) -> None:
    batch_id = draft(app, [make_user().id])
    if action is not None:
        with app.app_context():
            drafts.choose_action(get_batch(batch_id), action=action.value, actor=DESK)
    before = snapshot(app)
    with pytest.raises(Invalid):
        look(app, batch_id)
    with pytest.raises(Invalid):
        run(app, batch_id, seen="")
    assert snapshot(app) == before


def choose(app: Flask, batch_id: int, ids: Iterable[int]) -> Resolution:
    with app.app_context():
        drafts.choose_namesakes(get_batch(batch_id), user_ids=list(ids), actor=DESK)
        return Resolution.from_json(get_batch(batch_id).unresolved)


def test_who_is_meant_is_added_and_the_question_answered(app: Flask, make_user: MakeUser) -> None:
    anns = [make_user(full_name=name).id for name in ("Ann Lee", "ANN LÉE")]
    bob = make_user(full_name="Bob").id
    unclear = [Ambiguous("ann lee", "Ann Lee", 2), Ambiguous("cy", "Cy", 3)]
    batch_id = from_list(app, [bob], ambiguous=unclear, unclear=2, not_found=["x"], missing=1)
    left = choose(app, batch_id, [anns[1]])
    assert (left.ambiguous, left.unclear, left.not_found, left.missing) == (unclear[1:], 1, ["x"], 1)
    assert list(outcomes(app, batch_id)) == [bob, anns[1]], "after those who were found at once"
    assert choose(app, batch_id, [anns[1]]).unclear == 1
    assert list(outcomes(app, batch_id)) == [bob, anns[1]], "nobody twice"


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_very_many_are_written_in_parts(
    app: Flask, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(drafts, "WRITTEN_AT_ONCE", at_once)
    ids = [make_user().id for _ in range(7)]
    batch_id = draft(app, reversed(ids), Action.DEACTIVATE)
    assert list(outcomes(app, batch_id)) == ids
    finish(app, batch_id)
    assert results(app, batch_id) == ["done"] * 7


def test_a_list_of_namesakes_alone_waits_for_the_answer(app: Flask, make_user: MakeUser) -> None:
    anns = [make_user(full_name="Ann Lee").id for _ in range(2)]
    batch_id = from_list(app, [], ambiguous=[Ambiguous("ann lee", "Ann Lee", 2)], unclear=1)
    with app.app_context():
        drafts.choose_action(get_batch(batch_id), action="deactivate", actor=DESK)
    assert choose(app, batch_id, anns).unclear == 0
    finish(app, batch_id)
    assert results(app, batch_id) == ["done", "done"]


def test_of_nobody_at_all_nothing_is_run(app: Flask) -> None:
    batch_id = from_list(app, [], ambiguous=[Ambiguous("ann lee", "Ann Lee", 2)], unclear=1)
    with app.app_context():
        drafts.choose_action(get_batch(batch_id), action="deactivate", actor=DESK)
    try:
        assert run(app, batch_id)
    except DomainError:
        return
    assert numbers(app, batch_id) == (State.DONE, 0, 0, 0, 0)


@pytest.mark.parametrize("ids", [[2**63], [0, -1], range(1, 1_001)], ids=["large", "none", "many"])
def test_namesakes_that_nobody_is_are_nobody(app: Flask, make_user: MakeUser, ids: Iterable[int]) -> None:
    user = make_user(full_name="Ann Lee")
    batch_id = from_list(app, [user.id], ambiguous=[Ambiguous("cy", "Cy", 2)], unclear=1)
    assert choose(app, batch_id, ids).unclear == 1
    with pytest.raises(Invalid):
        choose(app, batch_id, range(1, 70_001))
    assert list(outcomes(app, batch_id)) == [user.id]


def test_what_nobody_came_back_to_is_swept_away(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE)
    done, old, older, young = [draft(app, ids, Action.DEACTIVATE) for _ in range(4)]
    finish(app, done)
    age(app, done, timedelta(days=3))
    age(app, old, timedelta(days=2))
    age(app, older, timedelta(days=4))
    age(app, young, timedelta(hours=23))
    for _ in range(3):
        draft(app, [1])
    with app.app_context():
        left = set(get_session().scalars(select(BATCHES.c.id)))
        assert {done, old, older, young} & left == {done, young}
        assert set(get_session().scalars(select(ROWS.c.batch_id))) == left


def test_what_was_pasted_is_not_kept_for_ever(app: Flask) -> None:
    batch_id = from_list(app, [1], not_found=["ann@example.org"], missing=1)
    young = from_list(app, [1], not_found=["bob@example.org"], missing=1)
    for each in (batch_id, young):
        with app.app_context():
            drafts.choose_action(get_batch(each), action="sign_out", actor=DESK)
        finish(app, each)
    age(app, batch_id, timedelta(days=31))
    draft(app, [1])
    assert read_batch(app, batch_id).unresolved == ""
    assert "bob@example.org" in read_batch(app, young).unresolved


def test_of_who_is_purged_a_bulk_change_keeps_nothing_personal(app: Flask, make_user: MakeUser) -> None:
    make_user(role=Role.ADMINISTRATOR)
    gone = make_user(full_name="Ann Quixote", email="quixote@example.org")
    other = make_user()
    for action in (Action.ADD_NOTE, Action.DEACTIVATE, Action.TRASH):
        finish(app, draft(app, [gone.id, other.id], action))
    unclear = [Ambiguous("ann quixote", "Ann Quixote", 2)]
    from_list(
        app, [1], not_found=["quixote@example.org", "x@example.org"], missing=2, ambiguous=unclear, unclear=1
    )
    with app.app_context():
        trash.purge_user(gone.id, actor=DESK)
    tables = read_tables(app)
    assert "quixote" not in str(tables["batch_rows"]).casefold()
    assert "quixote@example.org" not in str(tables["batches"]).casefold()


# How many one person may prepare


def drafts_of(app: Flask, actor: Actor) -> list[int]:
    with app.app_context():
        own = BATCHES.c.creator_id == actor.user_id, BATCHES.c.state == State.DRAFT.value
        return list(get_session().scalars(select(BATCHES.c.id).where(*own).order_by(BATCHES.c.id)))


def test_what_is_in_use_makes_no_room_but_the_next_draft_is_refused(app: Flask) -> None:
    made = [draft(app, [1]) for _ in range(MAX_DRAFTS)]
    before = snapshot(app)
    with pytest.raises(Conflict, match="Run or cancel one of them first"):
        draft(app, [1])
    assert snapshot(app) == before
    draft(app, [1], actor=OTHER)
    with app.app_context():
        drafts.discard(get_batch(made[3]), actor=DESK)
    draft(app, [1])


def test_what_was_not_used_for_an_hour_makes_room_the_oldest_first(app: Flask) -> None:
    made = [draft(app, [1]) for _ in range(MAX_DRAFTS)]
    for number, batch_id in enumerate(made):
        age(app, batch_id, timedelta(hours=3) - timedelta(minutes=number))
    with app.app_context():
        drafts.choose_action(get_batch(made[0]), action="deactivate", actor=DESK)  # so it is in use
    new = draft(app, [1])
    assert drafts_of(app, DESK) == [made[0], *made[2:], new]
    with app.app_context():
        assert get_session().scalar(select(func.count()).select_from(ROWS)) == MAX_DRAFTS


def test_many_requests_at_once_make_no_draft_more(file_app: Flask) -> None:
    for _ in range(MAX_DRAFTS - 2):
        draft(file_app, [1])

    def make() -> object:
        return drafts.create_batch({1}, source=Source.SELECTED, actor=DESK)

    found = race(file_app, *[make] * 8)
    assert sum(isinstance(outcome, Conflict) for outcome in found) == 6
    assert len(drafts_of(file_app, DESK)) == MAX_DRAFTS


def test_undos_that_are_only_looked_at_are_drafts_as_well(app: Flask) -> None:
    people_for(app, Action.ADD_NOTE)
    done: list[int] = []
    for _ in range(MAX_DRAFTS + 1):
        done.append(draft(app, [2], Action.ADD_NOTE))
        finish(app, done[-1])
    for batch_id in done[:-1]:
        undo_of(app, batch_id)
    with pytest.raises(Conflict, match="You are preparing"):
        undo_of(app, done[-1])


def test_only_one_s_own_draft_is_given_up_and_nothing_that_was_run(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE)
    own, done = draft(app, ids, Action.DEACTIVATE), draft(app, ids, Action.DEACTIVATE)
    finish(app, done)
    for batch_id, actor, refusal in ((own, OTHER, Forbidden), (done, DESK, Conflict)):
        with app.app_context(), pytest.raises(refusal):
            drafts.discard(get_batch(batch_id), actor=actor)
    with app.app_context():
        drafts.discard(get_batch(own), actor=DESK)
        with pytest.raises(NotFound):
            get_batch(own)
        assert set(get_session().scalars(select(ROWS.c.batch_id))) == {done}


def test_choosing_in_parts_ends_with_who_chooses(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "WRITTEN_AT_ONCE", 2)
    be_there(app, DESK, OTHER)
    parts = iter([True, False])
    actor = replace(DESK, epoch=0, credential=lambda: next(parts))
    with app.app_context(), pytest.raises(SignInEnded):
        drafts.create_batch(range(1, 8), source=Source.SELECTED, actor=actor)
    with app.app_context():
        assert get_session().scalar(select(func.count()).select_from(ROWS)) == 2


@pytest.mark.parametrize("action", [Action.TRASH, Action.SET_ROLE])
def test_the_rest_needs_what_the_action_needs_and_something_left(app: Flask, action: Action) -> None:
    batch_id = draft(app, people_for(app, action), action)
    with app.app_context():
        with pytest.raises(Forbidden):
            drafts.create_rest(get_batch(batch_id), actor=SUPPORT)
        with pytest.raises(Conflict):
            drafts.create_rest(get_batch(batch_id), actor=DESK)
    finish(app, batch_id)
    with app.app_context(), pytest.raises(Conflict, match="nothing left"):
        drafts.create_rest(get_batch(batch_id), actor=DESK)


@pytest.mark.usefixtures("in_steps")
def test_the_rest_of_an_undo_undoes_the_rest(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE, 6)
    batch_id = draft(app, ids, Action.DEACTIVATE)
    finish(app, batch_id)
    undo_id = undo_of(app, batch_id, actor=OTHER)
    run(app, undo_id, actor=OTHER)
    step(app, undo_id)
    with app.app_context():
        running.stop(get_batch(undo_id), actor=DESK)
        rest_id = drafts.create_rest(get_batch(undo_id), actor=DESK).id
    finish(app, rest_id)
    assert numbers(app, rest_id) == (State.DONE, 4, 4, 4, 0)
    with app.app_context():
        assert all(person.is_active for person in list_people(ids))
