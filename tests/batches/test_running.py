"""A bulk change does what its preview promised, or nothing; in steps it ends the same however it rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from time import sleep

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.batches.ways import (
    COMMAND,
    FORWARD,
    KINDS,
    OTHER,
    draft,
    few,
    finish,
    look,
    numbers,
    outcomes,
    people_for,
    results,
    run,
    snapshot,
    step,
)
from tests.conftest import MakeUser
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from tests.users.test_many import DESK, SUPPORT, clear, read_people, settle_crowd
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.batches import drafts, running
from webapp.batches.queries import get_batch, show_rows
from webapp.batches.rules import MAX_RUNNING, OF_USERS, Action, State
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, SignInEnded, Stale
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.listing.maintenance import find_miscounts
from webapp.users import services as users
from webapp.users import trash
from webapp.users.queries import LISTING, find_administrators, get_user

each_action = pytest.mark.parametrize("action", FORWARD)


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
        assert find_miscounts(get_session(), LISTING) == []
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
    app: Flask, at_once: int, first: tuple[str, str], later: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same people, but something else would be done to them."""
    monkeypatch.setattr(running, "AT_ONCE", at_once)
    batch_id = draft(app, people_for(app, Action.DEACTIVATE))
    with app.app_context():
        drafts.choose_action(get_batch(batch_id), action=first[0], value=first[1], actor=DESK)
    seen = look(app, batch_id).seen
    with app.app_context():
        drafts.choose_action(get_batch(batch_id), action=later[0], value=later[1], actor=DESK)
    before = snapshot(app)
    with pytest.raises(DomainError):
        run(app, batch_id, seen=seen)
    assert snapshot(app) == before


@each_action
def test_in_steps_it_ends_as_at_once(app: Flask, action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for at_once in (1_000, 2):
        with app.app_context():
            clear()
        monkeypatch.setattr(running, "AT_ONCE", at_once)
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
        running.stop(get_batch(batch_id), actor=OTHER)
        with pytest.raises(Conflict):
            running.stop(get_batch(batch_id), actor=OTHER)
    assert step(app, batch_id) is False
    assert numbers(app, batch_id) == (State.STOPPED, 5, 2, 2, 0)
    with app.app_context():
        running.go_on(get_batch(batch_id), actor=OTHER)
    while step(app, batch_id, actor=OTHER):
        pass
    assert numbers(app, batch_id) == (State.DONE, 5, 5, 5, 0)
    with app.app_context(), pytest.raises(Conflict):
        running.go_on(get_batch(batch_id), actor=OTHER)


@few
@given(
    sizes=st.lists(st.integers(1, 3), max_size=4), action=st.sampled_from(FORWARD), number=st.integers(1, 7)
)
def test_however_often_it_is_interrupted_it_ends_the_same(
    app: Flask, sizes: list[int], action: Action, number: int
) -> None:
    """Another person lets each piece go on."""
    with app.app_context():
        clear()
    ids = people_for(app, action, number)
    earlier = len(read_rows(app))
    batch_id = draft(app, ids, action)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "AT_ONCE", 0)
        run(app, batch_id)
    for size in sizes:
        step(app, batch_id, most=size, actor=COMMAND)
        if numbers(app, batch_id)[0] == State.RUNNING:
            with app.app_context():
                batch = get_batch(batch_id)
                batch.touched_at = utc_now() - timedelta(minutes=1)  # nobody is at it any more
                get_session().commit()
                running.go_on(batch, actor=OTHER)
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
        actor = Actor(user_id=user.id, name="Desk", role=role, epoch=0)
    batch_id = draft(app, ids, action, actor=actor)
    run(app, batch_id, actor=actor)
    assert step(app, batch_id, actor=actor)
    return actor, batch_id


MiddleAct = Callable[[int], object]
LIKES = "orchard lantern velvet"
IN_THE_MIDDLE: dict[str, tuple[MiddleAct, str]] = {
    "deactivated": (lambda i: users.deactivate_user(get_user(i), actor=DESK), "is inactive"),
    "demoted": (
        lambda i: users.update_user(get_user(i), version=1, role="auditor", actor=DESK),
        "The role of",
    ),
    "promoted": (
        lambda i: users.update_user(get_user(i), version=1, role="administrator", actor=DESK),
        "The role of",
    ),
    "deleted": (lambda i: trash.delete_user(get_user(i), version=1, actor=DESK), "not a user any more"),
    "erased": (lambda i: trash.erase_user(get_user(i), actor=DESK), "not a user any more"),
    "signed out everywhere": (
        lambda i: users.sign_out_everywhere(get_user(i), actor=DESK),
        "was signed out everywhere",
    ),
    "given a password": (
        lambda i: users.set_password(get_user(i), password=LIKES, actor=DESK),
        "was signed out everywhere",
    ),
}


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("name", IN_THE_MIDDLE)
@pytest.mark.parametrize("resumer", [None, DESK, COMMAND], ids=["creator", "administrator", "command line"])
def test_it_stops_when_its_creator_may_not_go_on_whoever_resumes_it(
    app: Flask, name: str, resumer: Actor | None
) -> None:
    actor, batch_id = start_by(app, Role.SUPPORT)
    act, why = IN_THE_MIDDLE[name]
    with app.app_context():
        act(actor.user_id or 0)
    assert step(app, batch_id, actor=resumer or actor) is False
    assert numbers(app, batch_id) == (State.STOPPED, 6, 2, 2, 0)
    with app.app_context(), pytest.raises(Conflict, match=why):
        running.go_on(get_batch(batch_id), actor=DESK)
    with app.app_context(), pytest.raises((Conflict, SignInEnded)):
        running.go_on(get_batch(batch_id), actor=actor)
    assert numbers(app, batch_id) == (State.STOPPED, 6, 2, 2, 0)
    with app.app_context():  # the rest is another person's change, with their rights
        rest_id = drafts.create_rest(get_batch(batch_id), actor=DESK).id
    finish(app, rest_id)
    assert numbers(app, rest_id) == (State.DONE, 4, 4, 4, 0)
    assert {story.actor_id for story in read_stories(app)[-4:]} == {DESK.user_id}


def signed_in_again(app: Flask, actor: Actor) -> Actor:
    with app.app_context():
        user = get_user(actor.user_id or 0)
        return replace(actor, role=user.role, epoch=user.session_epoch)


@pytest.mark.usefixtures("in_steps")
def test_its_creator_continues_it_after_signing_in_again(app: Flask) -> None:
    actor, batch_id = start_by(app, Role.SUPPORT)
    with app.app_context():
        users.sign_out_everywhere(get_user(actor.user_id or 0), actor=DESK)
    assert step(app, batch_id, actor=actor) is False
    again = signed_in_again(app, actor)
    with app.app_context():
        running.go_on(get_batch(batch_id), actor=again)
    while step(app, batch_id, actor=again):
        pass
    assert numbers(app, batch_id) == (State.DONE, 6, 6, 6, 0)
    assert {story.actor_id for story in read_stories(app)[-4:]} == {actor.user_id}


@pytest.mark.usefixtures("in_steps")
def test_with_another_role_not_even_its_creator_continues_it(app: Flask) -> None:
    """What the preview left out for want of a right would be changed else."""
    actor, batch_id = start_by(app, Role.SUPPORT)
    with app.app_context():
        running.stop(get_batch(batch_id), actor=actor)
        users.update_user(get_user(actor.user_id or 0), version=1, role="administrator", actor=DESK)
    again = signed_in_again(app, actor)
    with app.app_context(), pytest.raises(Conflict, match="The role of"):
        running.go_on(get_batch(batch_id), actor=again)


@pytest.mark.usefixtures("in_steps")
def test_what_one_was_shown_in_one_role_is_not_run_in_another(app: Flask) -> None:
    """The form of before the promotion, sent again after it."""
    ids = people_for(app, Action.DEACTIVATE, 6)
    with app.app_context():
        support = users.create_user(email="desk@example.org", role=Role.SUPPORT, actor=DESK)
        actor = Actor(user_id=support.id, name="Desk", role=Role.SUPPORT, epoch=0)
    batch_id = draft(app, [1, *ids], Action.DEACTIVATE, actor=actor)
    preview = look(app, batch_id, actor=actor)
    assert preview.left_out == 1
    with app.app_context():
        users.update_user(get_user(support.id), version=1, role="administrator", actor=DESK)
    with pytest.raises(SignInEnded):
        run(app, batch_id, actor=actor, seen=preview.seen)
    with pytest.raises(Stale):
        run(app, batch_id, actor=signed_in_again(app, actor), seen=preview.seen)
    assert numbers(app, batch_id)[0] == State.DRAFT


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("resumer", [DESK, COMMAND], ids=["administrator", "command line"])
def test_nobody_whom_the_preview_left_out_is_changed_by_who_resumes_it(app: Flask, resumer: Actor) -> None:
    """Support began it, the command line did the rest by its own rights, and one administrator was left."""
    members = people_for(app, Action.DEACTIVATE, 4)
    with app.app_context():
        for number in range(3):
            users.create_user(
                email=f"admin{number}@example.org", role="administrator", password=LIKES, actor=DESK
            )
        staff = sorted(find_administrators(changing=9))
        support = users.create_user(email="desk@example.org", role=Role.SUPPORT, actor=DESK)
        actor = Actor(user_id=support.id, name="Desk", role=Role.SUPPORT, epoch=0, address="192.0.2.7")
    batch_id = draft(app, [*members, *staff], Action.DEACTIVATE, actor=actor)
    assert look(app, batch_id, actor=actor).left_out == len(staff)
    run(app, batch_id, actor=actor)
    step(app, batch_id, actor=actor)
    while step(app, batch_id, actor=replace(resumer, address="198.51.100.1")):
        pass
    assert numbers(app, batch_id) == (State.DONE, 4 + len(staff), 4 + len(staff), 4, len(staff))
    with app.app_context():
        assert sorted(find_administrators(changing=9)) == staff
    stories = read_stories(app)[-4:]
    assert {(story.actor_id, story.actor_role) for story in stories} == {(support.id, "support")}
    told = [(story.door, story.address, story.facts.get("resumed_by", "…")) for story in stories]
    assert told[0] == (Door.PAGE, "192.0.2.7", "…")
    assert told[1:] == [(resumer.door, "", resumer.user_id)] * 3


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
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SUPPORT])
@pytest.mark.parametrize("action", [Action.TRASH, Action.SIGN_OUT])
def test_who_may_not_change_its_creator_may_not_stop_it_or_let_it_go_on(
    app: Flask, action: Action, role: Role
) -> None:
    if action is Action.TRASH and role is Role.SUPPORT:
        return
    actor, batch_id = start_by(app, role, action)
    with app.app_context():
        with pytest.raises(Forbidden):
            running.stop(get_batch(batch_id), actor=SUPPORT)
        running.stop(get_batch(batch_id), actor=OTHER)
        with pytest.raises(Forbidden):
            running.go_on(get_batch(batch_id), actor=SUPPORT)
        assert get_batch(batch_id).state == State.STOPPED.value
        running.go_on(get_batch(batch_id), actor=actor)
        running.stop(get_batch(batch_id), actor=actor)


@pytest.mark.usefixtures("in_steps")
def test_one_s_own_is_stopped_in_any_role(app: Flask) -> None:
    actor, batch_id = start_by(app, Role.ADMINISTRATOR, Action.TRASH)
    with app.app_context():
        users.update_user(get_user(actor.user_id or 0), version=1, role="support", actor=DESK)
    again = signed_in_again(app, actor)
    with app.app_context():
        running.stop(get_batch(batch_id), actor=again)
        with pytest.raises(Forbidden):
            running.go_on(get_batch(batch_id), actor=again)
    assert numbers(app, batch_id)[0] == State.STOPPED


def test_at_once_too_it_is_asked_whether_the_sign_in_still_stands(app: Flask) -> None:
    ids = people_for(app, Action.DEACTIVATE)
    with app.app_context():
        user = users.create_user(email="desk@example.org", role=Role.SUPPORT, actor=DESK)
    actor = Actor(user_id=user.id, name="Desk", role=Role.SUPPORT, epoch=0)
    batch_id = draft(app, ids, Action.DEACTIVATE, actor=actor)
    seen = look(app, batch_id, actor=actor).seen
    with app.app_context():
        users.sign_out_everywhere(get_user(user.id), actor=DESK)
    before = snapshot(app)
    with pytest.raises(SignInEnded):
        run(app, batch_id, actor=actor, seen=seen)
    assert snapshot(app) == before


@pytest.mark.usefixtures("in_steps")
def test_a_step_and_the_end_of_its_creator_come_one_after_the_other(file_app: Flask) -> None:
    """No row is changed after the end was written, and none of the two waits for the other for ever."""
    for number in range(3):
        with file_app.app_context():
            clear()
        ids = people_for(file_app, Action.SIGN_OUT, 30)
        with file_app.app_context():
            user_id = users.create_user(email="desk@example.org", role=Role.SUPPORT, actor=DESK).id
        actor = Actor(user_id=user_id, name="Desk", role=Role.SUPPORT, epoch=0)
        batch_id = draft(file_app, ids, Action.SIGN_OUT, actor=actor)
        run(file_app, batch_id, actor=actor)

        def run_on(batch_id: int = batch_id, actor: Actor = actor) -> None:
            while running.run_step(batch_id, most=1, actor=actor):
                pass

        def end(user_id: int = user_id, number: int = number) -> None:
            sleep(0.02 * number)
            users.deactivate_user(get_user(user_id), actor=DESK)

        race(file_app, run_on, run_on, end)
        stories = read_stories(file_app)
        (end_at,) = [story.at for story in stories if story.kind is Kind.DEACTIVATED]
        assert [story for story in stories if story.actor_id == user_id and story.at > end_at] == []
        assert numbers(file_app, batch_id)[0] in {State.STOPPED, State.DONE}


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("is_own", [True, False])
def test_of_one_person_only_so_many_run_at_the_same_time(file_app: Flask, is_own: bool) -> None:
    """Begun or continued, by themselves or others, all at once: two requests more make no batch more."""
    app = file_app
    ids = people_for(app, Action.SIGN_OUT, 3)
    batches = [draft(app, ids, Action.SIGN_OUT) for _ in range(MAX_RUNNING + 3)]
    first, rest = batches[0], batches[1:]
    run(app, first)
    with app.app_context():
        running.stop(get_batch(first), actor=DESK)
    seen = {batch_id: look(app, batch_id).seen for batch_id in rest}
    jobs = [
        lambda batch_id=batch_id: running.run_batch(get_batch(batch_id), seen=seen[batch_id], actor=DESK)
        for batch_id in rest
    ]
    goes_on = DESK if is_own else OTHER
    found = race(app, *jobs, lambda: running.go_on(get_batch(first), actor=goes_on))
    states = [numbers(app, batch_id)[0] for batch_id in batches]
    assert states.count(State.RUNNING) == MAX_RUNNING
    assert sum(isinstance(outcome, Conflict) for outcome in found) == len(batches) - MAX_RUNNING
    with app.app_context():  # of another person as many
        own = draft(app, ids, Action.SIGN_OUT, actor=OTHER)
        assert run(app, own, actor=OTHER) is False


@pytest.mark.usefixtures("in_steps")
def test_all_administrators_in_steps_leave_one(app: Flask) -> None:
    settle_crowd(app, 5, role=Role.ADMINISTRATOR)
    batch_id = draft(app, range(1, 6), Action.DEACTIVATE)
    finish(app, batch_id)
    assert results(app, batch_id) == [*["done"] * 4, "refused"]
    with app.app_context():
        assert find_administrators() == {5}
