"""An answer is kept with its change or not at all, and of two at once one is done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Event

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from tests.racing import race
from webapp.api.calls import Answered
from webapp.api.keeping import (
    HELD_FOR,
    KEPT_FOR,
    SWEPT_AT_ONCE,
    KeptProgress,
    Reused,
    Running,
    Ticket,
    begin_steps,
    find_answer,
    keep_answer,
)
from webapp.api.models import KEPT_ANSWERS
from webapp.db import atomic, get_session
from webapp.errors import Conflict
from webapp.extensions import utc_now
from webapp.users.models import User

CountQueries = Callable[[], AbstractContextManager[list[str]]]

TICKET = Ticket(7, "key", "a digest")
DONE = Answered(201, {"ETag": '"1"'}, '{"a": "é"}')


def add_user(email: str, *, then: Callable[[], object] = lambda: None) -> Answered:
    session = get_session()
    session.add(User(email=email))
    session.flush()
    then()
    return DONE


def emails() -> list[str]:
    return list(get_session().scalars(select(User.email).order_by(User.email)))


def count_kept() -> int:
    return get_session().scalar(select(func.count()).select_from(KEPT_ANSWERS)) or 0


@pytest.fixture
def _context(context: Flask) -> Flask:
    return context


@pytest.mark.usefixtures("_context")
def test_a_change_and_its_answer_are_there_together() -> None:
    assert find_answer(TICKET) is None
    assert keep_answer(TICKET, lambda: add_user("a@example.org")) == (DONE, False)
    assert find_answer(TICKET) == DONE
    assert keep_answer(TICKET, lambda: add_user("b@example.org")) == (DONE, True)
    assert emails() == ["a@example.org"]


@pytest.mark.usefixtures("_context")
def test_what_fails_after_the_change_leaves_neither() -> None:
    def fail() -> None:
        raise Conflict("no")

    with pytest.raises(Conflict):
        keep_answer(TICKET, lambda: add_user("a@example.org", then=fail))
    assert (emails(), count_kept()) == ([], 0)
    assert keep_answer(TICKET, lambda: add_user("a@example.org")) == (DONE, False)


@pytest.mark.usefixtures("_context")
def test_a_key_given_to_another_call_is_told_so() -> None:
    keep_answer(TICKET, lambda: DONE)
    other = TICKET._replace(digest="another")
    for use in (find_answer, begin_steps, lambda ticket: keep_answer(ticket, lambda: DONE)):
        with pytest.raises(Reused):
            use(other)
    assert keep_answer(TICKET._replace(owner_id=8), lambda: DONE) == (DONE, False)


@pytest.mark.usefixtures("_context")
def test_old_answers_go_a_few_at_a_time() -> None:
    for number in range(SWEPT_AT_ONCE + 3):
        keep_answer(Ticket(7, str(number), "x"), lambda: DONE)
    age(KEPT_FOR + timedelta(seconds=1))
    keep_answer(TICKET, lambda: DONE)
    assert count_kept() == 4
    keep_answer(TICKET._replace(key="next"), lambda: DONE)
    assert count_kept() == 2


@pytest.mark.usefixtures("_context")
def test_who_waits_for_a_key_holds_nothing_that_others_wait_for(count_queries: CountQueries) -> None:
    keep_answer(Ticket(7, "old", "x"), lambda: DONE)
    age(KEPT_FOR + timedelta(seconds=1))
    with count_queries() as queries:
        keep_answer(TICKET, lambda: DONE)
    assert [query.split()[0] for query in queries if not query.startswith("SET")] == [
        "INSERT",
        "WITH",  # what is old enough, to be deleted
        "UPDATE",
    ]
    with count_queries() as queries:
        keep_answer(TICKET, lambda: DONE)
    assert [query.split()[0] for query in queries if not query.startswith("SET")] == ["INSERT", "SELECT"]


def age(by: timedelta) -> None:
    session = get_session()
    session.execute(update(KEPT_ANSWERS).values(made_at=utc_now() - by))
    session.commit()


def test_of_two_at_once_one_is_done_and_both_are_answered_alike(file_app: Flask) -> None:
    done: list[str] = []

    def call() -> object:
        return keep_answer(TICKET, lambda: add_user("a@example.org", then=lambda: done.append("once")))

    for number in range(5):
        done.clear()
        with file_app.app_context():
            empty()
        outcomes = race(file_app, *[call] * 6)
        assert sorted(outcomes, key=repr) == [(DONE, False), *[(DONE, True)] * 5], number
        assert done == ["once"]
        with file_app.app_context():
            assert emails() == ["a@example.org"]


def test_when_the_first_fails_the_second_does_it(file_app: Flask) -> None:
    has_begun, tries = Event(), []

    def fail_at_first() -> None:
        tries.append("once")
        has_begun.set()
        if len(tries) == 1:
            raise Conflict("no")

    def call() -> object:
        return keep_answer(TICKET, lambda: add_user("a@example.org", then=fail_at_first))

    with file_app.app_context():
        empty()
    outcomes = race(file_app, call, call, call)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    assert (DONE, False) in outcomes
    assert (DONE, True) in outcomes


@atomic
def empty() -> None:
    get_session().execute(KEPT_ANSWERS.delete())
    get_session().execute(delete(User))


# In steps


@pytest.mark.usefixtures("_context")
def test_another_request_goes_on_where_one_was_lost_and_not_before_it_is() -> None:
    lost = begin_steps(TICKET)
    assert isinstance(lost, KeptProgress)
    step(lost, "a@example.org")
    with pytest.raises(Running):
        begin_steps(TICKET)
    assert find_answer(TICKET) is None
    let_go()
    again = begin_steps(TICKET)
    assert isinstance(again, KeptProgress)
    assert again.done == ["a@example.org"]
    with pytest.raises(Running):
        step(lost, "late@example.org")
    with pytest.raises(Running):
        lost.end(DONE)
    step(again, "b@example.org")
    again.end(DONE)
    assert emails() == ["a@example.org", "b@example.org"], "what came late was undone"
    assert begin_steps(TICKET) == DONE
    with pytest.raises(Running):
        again.note(["more"])


@atomic
def step(progress: KeptProgress, email: str) -> None:
    add_user(email)
    progress.note([email])


@atomic
def let_go() -> None:
    """As if the worker had been killed for so long."""
    values = {"held_until": utc_now() - timedelta(seconds=1)}
    get_session().execute(update(KEPT_ANSWERS).values(values))


@pytest.mark.usefixtures("_context")
def test_each_step_holds_the_call_anew() -> None:
    progress = begin_steps(TICKET)
    assert isinstance(progress, KeptProgress)
    let_go()
    progress._held_until = get_session().execute(select(KEPT_ANSWERS.c.held_until)).scalar_one()
    step(progress, "a@example.org")
    until = get_session().execute(select(KEPT_ANSWERS.c.held_until)).scalar_one()
    assert utc_now() < until <= utc_now() + HELD_FOR


def test_of_two_who_begin_at_once_one_goes_on(file_app: Flask) -> None:
    def call() -> object:
        try:
            return begin_steps(TICKET)
        except Running:
            return "running"

    with file_app.app_context():
        empty()
    outcomes = race(file_app, *[call] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeptProgress", "str", "str", "str"]
    with file_app.app_context():
        let_go()
    outcomes = race(file_app, *[call] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeptProgress", "str", "str", "str"]
