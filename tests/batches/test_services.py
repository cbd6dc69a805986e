"""A bulk change does what its preview promised, or nothing; in steps it ends the same however it rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from tests.conftest import MakeUser, read_tables, read_user
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from tests.users.test_many import AUDITOR, DESK, SUPPORT, clear, insert_people, read_people, settle_crowd
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches import services
from webapp.batches.models import BATCHES, ROWS, Batch
from webapp.batches.queries import Ambiguous, Resolution, find_undoing, get_batch, show_rows
from webapp.batches.rules import MOST_ROWS, OF_USERS, UNDOABLE, WITH_VALUE, Action, Source, State
from webapp.batches.services import Preview
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Stale
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.listing.totals import find_differences
from webapp.notes.models import Note
from webapp.notes.services import add_note
from webapp.users import services as users
from webapp.users import trash
from webapp.users.models import User
from webapp.users.queries import PARTS, find_administrators, get_user

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
TAKEN_BACK = tuple(action for action in FORWARD if action in UNDOABLE)
few = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes; the seed is printed
)
each_action = pytest.mark.parametrize("action", FORWARD)


# Ways that the other tests of the bulk changes go, too


def draft(
    app: Flask, user_ids: Iterable[int], action: Action | None = None, *, actor: Actor = DESK, value: str = ""
) -> int:
    """The id of a batch that waits to be run."""
    with app.app_context():
        source = Source.TRASH if action is Action.RESTORE else Source.SELECTED
        batch = services.create_batch(set(user_ids), source=source, actor=actor)
        if action is not None:
            value = value or VALUES.get(action, "")
            services.choose_action(batch, action=action.value, value=value, actor=actor)
        return batch.id


def look(app: Flask, batch_id: int, *, actor: Actor = DESK) -> Preview:
    with app.app_context():
        return services.examine(get_batch(batch_id), actor=actor)


def run(app: Flask, batch_id: int, *, actor: Actor = DESK, seen: str | None = None) -> bool:
    """As whoever just looked at it, unless ``seen`` is what somebody saw earlier."""
    seen = look(app, batch_id, actor=actor).seen if seen is None else seen
    with app.app_context():
        return services.run_batch(get_batch(batch_id), seen=seen, actor=actor)


def step(app: Flask, batch_id: int, *, most: int = 2, actor: Actor = COMMAND) -> bool:
    """By somebody who is there, since he is looked at anew; the others of these tests are nobody's rows."""
    with app.app_context():
        return services.run_step(batch_id, most=most, actor=actor)


def finish(app: Flask, batch_id: int, *, actor: Actor = DESK, most: int = 2) -> None:
    """Run it to its end, in steps where it goes in steps."""
    if not run(app, batch_id, actor=actor):
        while step(app, batch_id, most=most):
            pass


def undo_of(app: Flask, batch_id: int, *, actor: Actor = DESK) -> int:
    with app.app_context():
        return services.create_undo(get_batch(batch_id), actor=actor).id


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


@pytest.fixture
def in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of more than two are run in steps."""
    monkeypatch.setattr(services, "AT_ONCE", 2)


# Choosing


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
    with app.app_context():
        batch = services.create_batch(range(1, MOST_ROWS + 1), source=Source.MATCHING, actor=DESK)
        assert batch.total == MOST_ROWS
        rows = get_session().execute(select(func.count(), func.max(ROWS.c.position)).select_from(ROWS))
        assert tuple(rows.one()) == (MOST_ROWS, MOST_ROWS)


@pytest.mark.parametrize("actor", [AUDITOR, Actor(user_id=3, name="", role=Role.MEMBER)])
def test_who_may_not_edit_may_not_begin(app: Flask, actor: Actor) -> None:
    batch_id = draft(app, [1], Action.DEACTIVATE)
    before = snapshot(app)
    with pytest.raises(Forbidden):
        draft(app, [1], actor=actor)
    for act in (services.stop, services.go_on, services.create_undo):
        with app.app_context(), pytest.raises(Forbidden):
            act(get_batch(batch_id), actor=actor)
    with pytest.raises(Forbidden):
        look(app, batch_id, actor=actor)
    assert snapshot(app) == before


@pytest.mark.parametrize("action", [Action.SET_ROLE, Action.TRASH, Action.RESTORE])
def test_support_may_not_choose_what_only_administrators_may(app: Flask, action: Action) -> None:
    source = Source.TRASH if action is Action.RESTORE else Source.SELECTED
    with app.app_context():
        with pytest.raises(Forbidden):
            services.create_batch({1}, source=source, action=action.value, actor=SUPPORT)
        if action is Action.RESTORE:  # what is in the trash is nothing that support sees
            with pytest.raises(Forbidden):
                services.create_batch({1}, source=source, actor=SUPPORT)
            return
        batch = services.create_batch({1}, source=source, actor=SUPPORT)
        with pytest.raises(Forbidden):
            services.choose_action(batch, action=action.value, value="auditor", actor=SUPPORT)
        assert get_batch(batch.id).action is None


def test_a_draft_is_its_maker_s_alone(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user().id for _ in range(2)]
    batch_id = draft(app, ids, Action.DEACTIVATE)
    seen = look(app, batch_id).seen
    before = snapshot(app)
    acts: list[Callable[[Batch], object]] = [
        lambda batch: services.choose_action(batch, action="trash", actor=OTHER),
        lambda batch: services.choose_namesakes(batch, user_ids=[1], actor=OTHER),
        lambda batch: services.run_batch(batch, seen=seen, actor=OTHER),
    ]
    for act in acts:
        with app.app_context(), pytest.raises(Forbidden, match="Somebody else"):
            act(get_batch(batch_id))
    assert snapshot(app) == before


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
        services.choose_action(get_batch(batch_id), action=action, value=value, actor=DESK)
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
        services.choose_action(get_batch(batch_id), action=action, value=value, actor=DESK)
    assert refusal.value.field == field
    assert snapshot(app) == before


@pytest.mark.parametrize("action", [None, *sorted(WITH_VALUE)])
def test_without_what_it_needs_nothing_is_run(app: Flask, make_user: MakeUser, action: Action | None) -> None:
    batch_id = draft(app, [make_user().id])
    if action is not None:
        with app.app_context():
            services.choose_action(get_batch(batch_id), action=action.value, actor=DESK)
    before = snapshot(app)
    with pytest.raises(Invalid):
        look(app, batch_id)
    with pytest.raises(Invalid):
        run(app, batch_id, seen="")
    assert snapshot(app) == before


# Namesakes


def from_list(app: Flask, ids: Iterable[int], **unclear: Any) -> int:
    """Of a pasted list, of which something is unclear."""
    with app.app_context():
        resolution = Resolution(set(ids), **unclear)
        return services.create_batch(set(ids), source=Source.PASTED, resolution=resolution, actor=DESK).id


def choose(app: Flask, batch_id: int, ids: Iterable[int]) -> Resolution:
    with app.app_context():
        services.choose_namesakes(get_batch(batch_id), user_ids=list(ids), actor=DESK)
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
    monkeypatch.setattr(services, "WRITTEN_AT_ONCE", at_once)
    ids = [make_user().id for _ in range(7)]
    batch_id = draft(app, reversed(ids), Action.DEACTIVATE)
    assert list(outcomes(app, batch_id)) == ids
    finish(app, batch_id)
    assert results(app, batch_id) == ["done"] * 7


def test_a_list_of_namesakes_alone_waits_for_the_answer(app: Flask, make_user: MakeUser) -> None:
    anns = [make_user(full_name="Ann Lee").id for _ in range(2)]
    batch_id = from_list(app, [], ambiguous=[Ambiguous("ann lee", "Ann Lee", 2)], unclear=1)
    with app.app_context():
        services.choose_action(get_batch(batch_id), action="deactivate", actor=DESK)
    assert choose(app, batch_id, anns).unclear == 0
    finish(app, batch_id)
    assert results(app, batch_id) == ["done", "done"]


def test_of_nobody_at_all_nothing_is_run(app: Flask) -> None:
    batch_id = from_list(app, [], ambiguous=[Ambiguous("ann lee", "Ann Lee", 2)], unclear=1)
    with app.app_context():
        services.choose_action(get_batch(batch_id), action="deactivate", actor=DESK)
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


def test_an_undo_stays_the_undo_that_it_is(app: Flask) -> None:
    """It knows of each which change it takes back: nobody is added, and nothing else is done."""
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(app, batch_id)
    undo_id = undo_of(app, batch_id)
    before = snapshot(app)
    with app.app_context():
        for action in OF_USERS:
            with pytest.raises(Invalid):
                services.choose_action(get_batch(undo_id), action=action, value="support", actor=DESK)
        with pytest.raises(DomainError):
            services.choose_namesakes(get_batch(undo_id), user_ids=[1], actor=DESK)
    assert snapshot(app) == before
    finish(app, undo_id)
    assert results(app, undo_id) == ["done"] * 3


# Looking ahead


def test_a_preview_tells_how_many_and_why_not_and_writes_nothing(app: Flask, make_user: MakeUser) -> None:
    staff = [make_user(role=role, full_name=f"Staff {role}").id for role in list(Role)[1:]]
    members = [make_user().id for _ in range(12)]
    same = make_user(is_active=False).id
    batch_id = draft(app, [*staff, *members, same, 998, 999], Action.DEACTIVATE, actor=SUPPORT)
    before = snapshot(app)
    preview = look(app, batch_id, actor=SUPPORT)
    assert snapshot(app) == before
    assert (preview.changing, preview.same, preview.left_out) == (12, 1, 5)
    assert [person.id for person in preview.sample] == members[:10]
    assert [(str(item.refusal), item.number) for item in preview.refused] == [
        ("Only an administrator may change a person who works here.", 3),
        ("There is no such user (any more).", 2),
    ]
    names = [f"Staff {role}" for role in list(Role)[1:]]
    assert preview.refused[0].people == list(zip(staff, names, strict=True))
    assert preview.refused[1].people == [(998, ""), (999, "")]


def test_of_many_who_are_left_out_some_are_named(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user(role=Role.SUPPORT).id for _ in range(7)]
    preview = look(app, draft(app, ids, Action.SIGN_OUT, actor=SUPPORT), actor=SUPPORT)
    [refused] = preview.refused
    assert (refused.number, [user_id for user_id, _name in refused.people]) == (7, ids[:5])


def test_who_stays_in_the_trash_is_named_too(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        trash.delete_user(get_user(user.id), version=1, actor=DESK)
    make_user(email="ann@example.org")
    [refused] = look(app, draft(app, [user.id], Action.RESTORE)).refused
    assert refused.people == [(user.id, "Ann Lee")]


def test_a_preview_in_parts_is_the_preview_of_all(app: Flask, make_user: MakeUser) -> None:
    """The last administrator is the last one over all parts; an address is taken over all parts."""
    admins = [make_user(role=Role.ADMINISTRATOR).id for _ in range(3)]
    away = []
    for _ in range(3):
        away.append(make_user(email="ann@example.org").id)
        with app.app_context():
            trash.delete_user(get_user(away[-1]), version=1, actor=DESK)
    for ids, action in ((admins, Action.TRASH), (away, Action.RESTORE)):
        batch_id = draft(app, ids, action)
        whole = look(app, batch_id)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services, "AT_ONCE", 1)
            parts = look(app, batch_id)
        assert (parts.changing, parts.left_out, parts.seen) == (whole.changing, whole.left_out, whole.seen)


def test_two_previews_differ_when_other_people_would_be_changed(app: Flask, make_user: MakeUser) -> None:
    users_ = [make_user() for _ in range(3)]
    batch_id = draft(app, [user.id for user in users_], Action.DEACTIVATE)
    seen = look(app, batch_id).seen
    with app.app_context():
        users.update_user(get_user(users_[0].id), version=1, full_name="New", actor=DESK)
    assert look(app, batch_id).seen == seen, "he would be changed all the same"
    with app.app_context():
        users.deactivate_user(get_user(users_[0].id), actor=DESK)
    assert look(app, batch_id).seen != seen


# All or nobody


@each_action
def test_all_are_changed_and_each_has_its_entry(app: Flask, action: Action) -> None:
    ids = people_for(app, action)
    earlier = len(read_rows(app))
    batch_id = draft(app, ids, action)
    assert run(app, batch_id)
    assert numbers(app, batch_id) == (State.DONE, 3, 3, 3, 0)
    stories = read_stories(app)[earlier:]
    assert [(story.kind, story.subject_id) for story in stories] == [(KINDS[action], i) for i in ids]
    assert [story.facts["batch"] for story in stories] == [batch_id] * 3
    with app.app_context():
        rows = show_rows(batch_id, outcome=None, after=0, most=10)
        assert [(row.outcome, row.entry_id) for row in rows] == [("done", story.id) for story in stories]
        assert get_batch(batch_id).finished_at is not None
        assert find_differences(get_session(), PARTS) == {}
    assert_intact(app)


def test_who_is_so_already_or_left_out_is_counted_as_that(app: Flask, make_user: MakeUser) -> None:
    plain, same = make_user().id, make_user(is_active=False).id
    last = make_user(role=Role.ADMINISTRATOR).id
    batch_id = draft(app, [plain, same, last, 999], Action.DEACTIVATE)
    finish(app, batch_id)
    assert numbers(app, batch_id) == (State.DONE, 4, 4, 1, 2)
    found = outcomes(app, batch_id)
    assert [found[user_id][0] for user_id in (plain, same, last)] == ["done", "same", "refused"]
    assert "last administrator" in found[last][1]
    assert "no such user" in found[999][1]


Meddle = Callable[[int], object]
# What somebody does to one of them between the look and the run, so that others would be changed than shown.
MEDDLINGS: dict[str, tuple[Action, Meddle]] = {
    "deactivated": (Action.DEACTIVATE, lambda i: users.deactivate_user(get_user(i), actor=OTHER)),
    "activated": (Action.ACTIVATE, lambda i: users.activate_user(get_user(i), actor=OTHER)),
    "given the role": (
        Action.SET_ROLE,
        lambda i: users.update_user(get_user(i), version=1, role="auditor", actor=OTHER),
    ),
    **{
        f"deleted before {action}": (
            action,
            lambda i: trash.delete_user(get_user(i), version=get_user(i).version, actor=OTHER),
        )
        for action in sorted(OF_USERS)
    },
    "erased": (Action.SIGN_OUT, lambda i: trash.erase_user(get_user(i), actor=OTHER)),
    "restored": (Action.RESTORE, lambda i: trash.restore_user(i, actor=OTHER)),
    "purged": (Action.RESTORE, lambda i: trash.purge_user(i, actor=OTHER)),
    "robbed of his address": (
        Action.RESTORE,
        lambda i: users.create_user(email=f"p{i}@example.org", actor=OTHER),
    ),
}


@pytest.mark.parametrize("name", MEDDLINGS)
def test_what_was_not_shown_is_not_done(app: Flask, name: str) -> None:
    action, meddle = MEDDLINGS[name]
    ids = people_for(app, action)
    batch_id = draft(app, ids, action)
    seen = look(app, batch_id).seen
    with app.app_context():
        meddle(ids[1])
    before = snapshot(app)
    with pytest.raises(Stale, match="Nothing was done yet"):
        run(app, batch_id, seen=seen)
    assert snapshot(app) == before
    finish(app, batch_id)
    assert results(app, batch_id).count("done") == 2, "once it is looked at again"


@pytest.mark.usefixtures("in_steps")
def test_in_steps_each_has_a_result_of_his_own_instead(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE, 4)
    batch_id = draft(app, ids, Action.DEACTIVATE)
    seen = look(app, batch_id).seen
    with app.app_context():
        users.deactivate_user(get_user(ids[0]), actor=OTHER)
        trash.delete_user(get_user(ids[1]), version=1, actor=OTHER)
    assert run(app, batch_id, seen=seen) is False
    while step(app, batch_id):
        pass
    assert results(app, batch_id) == ["same", "refused", "done", "done"]


def test_support_whose_member_became_staff_changes_nobody(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE)
    batch_id = draft(app, ids, Action.DEACTIVATE, actor=SUPPORT)
    seen = look(app, batch_id, actor=SUPPORT).seen
    with app.app_context():
        users.update_user(get_user(ids[0]), version=1, role="auditor", actor=OTHER)
    before = snapshot(app)
    with pytest.raises(Stale):
        run(app, batch_id, seen=seen, actor=SUPPORT)
    assert snapshot(app) == before


@pytest.mark.parametrize("at_once", [1_000, 2])
@pytest.mark.parametrize(
    ("first", "later"),
    [
        (("deactivate", ""), ("trash", "")),
        (("set_role", "auditor"), ("set_role", "administrator")),
        (("add_note", "Fine."), ("add_note", "Fraud.")),
    ],
)
def test_what_another_tab_chose_meanwhile_is_not_what_was_shown(
    app: Flask,
    at_once: int,
    first: tuple[str, str],
    later: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same people, but something else would be done to them."""
    monkeypatch.setattr(services, "AT_ONCE", at_once)
    batch_id = draft(app, people_for(app, Action.DEACTIVATE))
    with app.app_context():
        services.choose_action(get_batch(batch_id), action=first[0], value=first[1], actor=DESK)
    seen = look(app, batch_id).seen
    with app.app_context():
        services.choose_action(get_batch(batch_id), action=later[0], value=later[1], actor=DESK)
    before = snapshot(app)
    with pytest.raises(DomainError):
        run(app, batch_id, seen=seen)
    assert snapshot(app) == before


@pytest.mark.parametrize("at_once", [1_000, 2])
def test_nothing_is_run_twice(app: Flask, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "AT_ONCE", at_once)
    batch_id = draft(app, people_for(app, Action.SIGN_OUT), Action.SIGN_OUT)
    seen = look(app, batch_id).seen
    run(app, batch_id, seen=seen)
    before = snapshot(app)
    with pytest.raises(Conflict, match="run already"):
        run(app, batch_id, seen=seen)
    with app.app_context():
        with pytest.raises(Conflict):
            services.choose_action(get_batch(batch_id), action="trash", actor=DESK)
        with pytest.raises(Conflict):
            services.choose_namesakes(get_batch(batch_id), user_ids=[1], actor=DESK)
    assert snapshot(app) == before


@pytest.mark.parametrize("at_once", [1_000, 2])
def test_of_two_who_run_it_at_once_one_does(
    file_app: Flask, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AT_ONCE", at_once)
    batch_id = draft(file_app, people_for(file_app, Action.SIGN_OUT), Action.SIGN_OUT)
    seen = look(file_app, batch_id).seen
    found = race(file_app, *[lambda: services.run_batch(get_batch(batch_id), seen=seen, actor=DESK)] * 4)
    assert sum(isinstance(outcome, Conflict) for outcome in found) == 3
    assert found.count(at_once > 2) == 1
    while step(file_app, batch_id):
        pass
    assert len(read_rows(file_app)) == 3


# In steps


@each_action
def test_in_steps_it_ends_as_at_once(app: Flask, action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for at_once in (1_000, 2):
        with app.app_context():
            clear()
        monkeypatch.setattr(services, "AT_ONCE", at_once)
        ids = people_for(app, action, 5)
        earlier = len(read_rows(app))
        batch_id = draft(app, [*ids, 999], action)
        finish(app, batch_id)
        stories = [(story.kind, story.subject_id, story.changes) for story in read_stories(app)[earlier:]]
        found.append((numbers(app, batch_id), results(app, batch_id), read_people(app), stories))
        assert_intact(app)
    assert found[0] == found[1]
    assert found[0][0] == (State.DONE, 6, 6, 5, 1)


@pytest.mark.usefixtures("in_steps")
def test_a_step_takes_the_next_ones_and_tells_whether_there_are_more(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.SIGN_OUT, 5), Action.SIGN_OUT)
    assert run(app, batch_id) is False
    assert numbers(app, batch_id) == (State.RUNNING, 5, 0, 0, 0)
    assert step(app, batch_id) is True
    assert numbers(app, batch_id) == (State.RUNNING, 5, 2, 2, 0)
    assert results(app, batch_id) == ["done", "done", None, None, None]
    assert step(app, batch_id, most=3) is False
    assert numbers(app, batch_id) == (State.DONE, 5, 5, 5, 0)
    assert step(app, batch_id) is False, "and nothing more"
    assert len(read_rows(app)) == 5


@pytest.mark.usefixtures("in_steps")
def test_it_can_be_stopped_and_continued(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.SIGN_OUT, 5), Action.SIGN_OUT)
    run(app, batch_id)
    step(app, batch_id)
    with app.app_context():
        services.stop(get_batch(batch_id), actor=OTHER)
        with pytest.raises(Conflict):
            services.stop(get_batch(batch_id), actor=OTHER)
    assert step(app, batch_id) is False
    assert numbers(app, batch_id) == (State.STOPPED, 5, 2, 2, 0)
    with app.app_context():
        services.go_on(get_batch(batch_id), actor=OTHER)
    admin = Actor(user_id=1, name="Person 1", role=Role.ADMINISTRATOR)
    while step(app, batch_id, actor=admin):
        pass
    assert numbers(app, batch_id) == (State.DONE, 5, 5, 5, 0)
    assert [story.actor_id for story in read_stories(app)] == [None, None, 1, 1, 1]
    with app.app_context(), pytest.raises(Conflict):
        services.go_on(get_batch(batch_id), actor=OTHER)


@few
@given(
    sizes=st.lists(st.integers(1, 3), max_size=4), action=st.sampled_from(FORWARD), number=st.integers(1, 7)
)
def test_however_often_it_is_interrupted_it_ends_the_same(
    app: Flask, sizes: list[int], action: Action, number: int
) -> None:
    """Each piece is somebody else's; whoever comes last runs it to its end."""
    with app.app_context():
        clear()
    ids = people_for(app, action, number)
    earlier = len(read_rows(app))
    batch_id = draft(app, ids, action)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "AT_ONCE", 0)
        run(app, batch_id)
    for size in sizes:
        step(app, batch_id, most=size, actor=COMMAND)
        if numbers(app, batch_id)[0] == State.RUNNING:
            with app.app_context():
                batch = get_batch(batch_id)
                batch.touched_at = utc_now() - timedelta(minutes=1)  # nobody is at it any more
                get_session().commit()
                services.go_on(batch, actor=OTHER)
    while step(app, batch_id, actor=COMMAND):
        pass
    assert numbers(app, batch_id) == (State.DONE, number, number, number, 0)
    stories = read_stories(app)[earlier:]
    assert [(story.kind, story.subject_id) for story in stories] == [(KINDS[action], i) for i in ids]
    assert_intact(app)


@pytest.mark.usefixtures("in_steps")
def test_who_is_gone_in_the_middle_is_left_out_and_the_rest_goes_on(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE, 6)
    batch_id = draft(app, ids, Action.DEACTIVATE)
    run(app, batch_id)
    step(app, batch_id)
    with app.app_context():
        trash.delete_user(get_user(ids[3]), version=1, actor=OTHER)
        trash.erase_user(get_user(ids[4]), actor=OTHER)
        users.deactivate_user(get_user(ids[5]), actor=OTHER)
    while step(app, batch_id):
        pass
    assert results(app, batch_id) == ["done", "done", "done", "refused", "refused", "same"]
    assert "no such user" in outcomes(app, batch_id)[ids[3]][1]
    assert numbers(app, batch_id) == (State.DONE, 6, 6, 3, 2)


def start_by(app: Flask, role: Role, action: Action = Action.SIGN_OUT) -> tuple[Actor, int]:
    """Somebody who is there himself, and his batch after its first step."""
    ids = people_for(app, action, 6)
    with app.app_context():
        user = users.create_user(email="desk@example.org", role=role, actor=DESK)
        actor = Actor(user_id=user.id, name="Desk", role=role)
    batch_id = draft(app, ids, action, actor=actor)
    run(app, batch_id, actor=actor)
    assert step(app, batch_id, actor=actor)
    return actor, batch_id


MiddleAct = Callable[[int], object]
IN_THE_MIDDLE: dict[str, MiddleAct] = {
    "deactivated": lambda i: users.deactivate_user(get_user(i), actor=DESK),
    "demoted": lambda i: users.update_user(get_user(i), version=1, role="auditor", actor=DESK),
    "deleted": lambda i: trash.delete_user(get_user(i), version=1, actor=DESK),
    "erased": lambda i: trash.erase_user(get_user(i), actor=DESK),
}


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("name", IN_THE_MIDDLE)
def test_it_stops_when_who_runs_it_may_not_any_more(app: Flask, name: str) -> None:
    actor, batch_id = start_by(app, Role.SUPPORT)
    with app.app_context():
        IN_THE_MIDDLE[name](actor.user_id or 0)
    assert step(app, batch_id, actor=actor) is False
    assert numbers(app, batch_id) == (State.STOPPED, 6, 2, 2, 0)
    with app.app_context():
        services.go_on(get_batch(batch_id), actor=DESK)
    while step(app, batch_id, actor=COMMAND):
        pass
    assert numbers(app, batch_id) == (State.DONE, 6, 6, 6, 0)


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("action", [Action.TRASH, Action.SET_ROLE])
def test_it_stops_as_well_when_he_may_do_something_but_not_this(app: Flask, action: Action) -> None:
    """Else all the rest would be left out, and nobody could go on with it."""
    actor, batch_id = start_by(app, Role.ADMINISTRATOR, action)
    with app.app_context():
        users.update_user(get_user(actor.user_id or 0), version=1, role="support", actor=DESK)
    assert step(app, batch_id, actor=actor) is False
    assert numbers(app, batch_id) == (State.STOPPED, 6, 2, 2, 0)


@pytest.mark.usefixtures("in_steps")
def test_who_may_not_do_it_may_not_let_it_go_on(app: Flask) -> None:
    _actor, batch_id = start_by(app, Role.ADMINISTRATOR, Action.TRASH)
    with app.app_context():
        with pytest.raises(Forbidden):
            services.stop(get_batch(batch_id), actor=SUPPORT)
        services.stop(get_batch(batch_id), actor=OTHER)
        with pytest.raises(Forbidden):
            services.go_on(get_batch(batch_id), actor=SUPPORT)
    assert numbers(app, batch_id)[0] == State.STOPPED


@pytest.mark.usefixtures("in_steps")
def test_two_who_run_the_same_steps_do_each_row_once(file_app: Flask) -> None:
    ids = people_for(file_app, Action.SIGN_OUT, 24)
    batch_id = draft(file_app, ids, Action.SIGN_OUT)
    run(file_app, batch_id)

    def run_on() -> int:
        steps = 1
        while services.run_step(batch_id, most=3, actor=COMMAND):
            steps += 1
        return steps

    def stop_and_go_on() -> int:
        for _ in range(3):
            try:
                services.stop(get_batch(batch_id), actor=DESK)
                services.go_on(get_batch(batch_id), actor=DESK)
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


@pytest.mark.usefixtures("in_steps")
def test_all_administrators_in_steps_leave_one(app: Flask) -> None:
    settle_crowd(app, 5, role=Role.ADMINISTRATOR)
    batch_id = draft(app, range(1, 6), Action.DEACTIVATE)
    finish(app, batch_id)
    assert results(app, batch_id) == [*["done"] * 4, "refused"]
    with app.app_context():
        assert find_administrators() == {5}


# Undone


def assert_undone(app: Flask, before: list[dict[str, Any]]) -> None:
    """But that it is told: a version, and sign-ins that have ended."""
    spared = {"version", "session_epoch"}
    assert [{name: row[name] for name in row.keys() - spared} for row in read_people(app)] == [
        {name: row[name] for name in row.keys() - spared} for row in before
    ]
    with app.app_context():
        assert get_session().scalar(select(func.count()).select_from(Note)) == 0
        assert find_differences(get_session(), PARTS) == {}
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
        services.stop(get_batch(batch_id), actor=DESK)
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


def test_a_draft_that_is_gone_while_it_is_looked_at_is_not_found(app: Flask) -> None:
    batch_id = draft(app, people_for(app, Action.DEACTIVATE), Action.DEACTIVATE)
    finish(app, batch_id)
    undo_id = undo_of(app, batch_id)
    with app.app_context():
        undo = get_batch(undo_id)
        get_session().execute(BATCHES.delete().where(BATCHES.c.id == undo_id))
        get_session().commit()
        for act in (
            lambda: services.run_batch(undo, seen="", actor=DESK),
            lambda: services.stop(undo, actor=DESK),
            lambda: services.choose_namesakes(undo, user_ids=[], actor=DESK),
        ):
            with pytest.raises(NotFound):
                act()


def test_of_two_undos_at_once_one_is_done(file_app: Flask) -> None:
    people_for(file_app, Action.DEACTIVATE, 6)
    before = read_people(file_app)
    batch_id = draft(file_app, range(2, 8), Action.DEACTIVATE)
    finish(file_app, batch_id)

    def undo(actor: Actor) -> Callable[[], object]:
        def act() -> bool:
            batch = services.create_undo(get_batch(batch_id), actor=actor)
            seen = services.examine(batch, actor=actor).seen
            return services.run_batch(batch, seen=seen, actor=actor)

        return act

    found = race(file_app, undo(DESK), undo(OTHER), undo(DESK), undo(Actor.command_line()))
    assert found.count(True) == 1, found
    assert sum(isinstance(outcome, DomainError) for outcome in found) == 3
    assert_undone(file_app, before)
    with file_app.app_context():
        made = find_undoing(batch_id)
        assert made is not None
        assert (made.state, made.done) == (State.DONE, 6)


@contextmanager
def somebody_comes(
    monkeypatch: pytest.MonkeyPatch, app: Flask, act: Callable[[], object]
) -> Iterator[list[Future[object]]]:
    """In the block, while the end of a batch is written: he has to wait, or gets through at once."""
    written = services._finish
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

        monkeypatch.setattr(services, "_finish", finish_and_wait)
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
        monkeypatch, file_app, lambda: services.create_undo(get_batch(batch_id), actor=OTHER).id
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
        monkeypatch, file_app, lambda: services.create_batch({1}, source=Source.SELECTED, actor=OTHER).id
    ):
        finish(file_app, batch_id)
    assert numbers(file_app, batch_id) == (State.DONE, 3, 3, 3, 0)


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
        services.stop(get_batch(batch_id), actor=DESK)
    undo_id = undo_of(app, batch_id)
    finish(app, undo_id)
    assert numbers(app, undo_id) == (State.DONE, 4, 4, 4, 0)
    assert_undone(app, before)
    with app.app_context(), pytest.raises(Conflict, match="undone already"):
        services.go_on(get_batch(batch_id), actor=DESK)


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
        services.stop(get_batch(batch_id), actor=DESK)
    early = undo_of(app, batch_id)
    seen = look(app, early).seen
    with app.app_context():
        services.go_on(get_batch(batch_id), actor=OTHER)
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


# Those who are gone, and what is old


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


def age(app: Flask, batch_id: int, by: timedelta) -> None:
    with app.app_context():
        old = update(BATCHES).where(BATCHES.c.id == batch_id)
        get_session().execute(old.values(created_at=utc_now() - by))
        get_session().commit()


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
            services.choose_action(get_batch(each), action="sign_out", actor=DESK)
        finish(app, each)
    age(app, batch_id, timedelta(days=31))
    draft(app, [1])
    assert read_batch(app, batch_id).unresolved == ""
    assert "bob@example.org" in read_batch(app, young).unresolved


# Whatever was done

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
            patch.setattr(services, "AT_ONCE", 2 if is_large else 1_000)
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
