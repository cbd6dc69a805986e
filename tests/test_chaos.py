"""A small run of ``make chaos``, and that what would be wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import delete, update

from chaos.crowd import EDITORS_OF_EACH, USERS, run
from chaos.editors import Edit, Outcome
from chaos.proof import compare, count_merged, count_outcomes
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.errors import Stale
from webapp.extensions import sqla
from webapp.history.models import ENTRIES
from webapp.users.models import PLACES, SPANS, TOTALS
from webapp.users.models import USERS as ROWS
from webapp.users.queries import get_user
from webapp.users.services import create_user, update_user


def test_of_conflicting_edits_none_is_lost_though_workers_are_killed(file_app: Flask) -> None:
    done = run(file_app, edits=60)
    told = compare(file_app, done.edits)
    assert told.violations == []
    outcomes = count_outcomes(done.edits)
    assert len(done.edits) == 60 == outcomes.total()
    assert done.kills >= 1
    rounds = 60 // (USERS * EDITORS_OF_EACH)
    assert len(told.saved) + outcomes[Outcome.LOST] >= 2 * USERS * rounds, "a name and an e-mail in each"
    assert outcomes[Outcome.REFUSED] > 0
    assert count_merged(done.edits, told) > 0


@pytest.fixture
def edits(app: Flask) -> list[Edit]:
    """Of one name two made another at once, and somebody changed the e-mail; true as they are told."""
    first = Edit(11, 1, 1, "full_name", "Ann", "Anna", Outcome.SAVED)
    second = replace(first, editor_id=12, typed="Anne", outcome=Outcome.REFUSED, theirs="Anna")
    third = Edit(13, 1, 1, "email", "ann@example.org", "anna@example.org", Outcome.SAVED)
    with app.app_context():
        create_user(email="ann@example.org", full_name="Ann", actor=Actor.command_line())
        for edit in (first, second, third):
            actor = Actor(user_id=edit.editor_id, name="", role=Role.SUPPORT)
            try:
                update_user(get_user(1), version=1, **{edit.field: edit.typed}, actor=actor)  # type: ignore[arg-type]
            except Stale:
                assert edit is second
    return [first, second, third]


def test_what_is_told_truly_has_no_violation(app: Flask, edits: list[Edit]) -> None:
    told = compare(app, edits)
    assert told.violations == []
    assert told.saved == {"Anna": 2, "anna@example.org": 3}
    assert count_merged(edits, told) == 1
    edits[0] = replace(edits[0], outcome=Outcome.LOST)
    assert compare(app, edits).violations == [], "saved, and the answer was lost"


@pytest.mark.parametrize(
    ("place", "untruth", "violation"),
    [
        (0, {"outcome": Outcome.REFUSED, "theirs": "Anne"}, "refused, but an entry tells of it"),
        (0, {"seen": "Annie"}, "is not what somebody sent"),
        (0, {"editor_id": 99}, "is not what somebody sent"),
        (1, {"outcome": Outcome.SAVED}, "saved, but no entry tells of it"),
        (1, {"theirs": "Nobody"}, "which nobody saved after that"),
        (1, {"outcome": Outcome.WRONG, "fault": "answered 500"}, "answered 500"),
        (1, {"field": "email", "seen": "x@example.org", "outcome": Outcome.SAVED}, "and 0 are saved"),
        (2, {"typed": "other@example.org"}, "is not what somebody sent"),
    ],
)
def test_an_answer_that_is_not_true_is_found(
    app: Flask, edits: list[Edit], place: int, untruth: dict[str, str], violation: str
) -> None:
    edits[place] = replace(edits[place], **untruth)  # type: ignore[arg-type]
    assert any(violation in it for it in compare(app, edits).violations)


DAMAGE: dict[str, Callable[[], object]] = {
    "full_name is 'Bob', the history says 'Anna'": lambda: update(ROWS).values(full_name="Bob"),
    "version is 9, the history says 3": lambda: update(ROWS).values(version=9),
    "name_key is 'x'": lambda: update(ROWS).values(name_key="x"),
    "after version 1 the history tells of 3": lambda: delete(ENTRIES).where(ENTRIES.c.version == 2),
    "entry 2 was changed": lambda: update(ENTRIES).where(ENTRIES.c.number == 2).values(actor_id=99),
    "The total of #mi is 1 too low": lambda: delete(TOTALS),
    "The rows of a block of ids that begins with 0": lambda: delete(PLACES),
    "The total of #mi in": lambda: delete(SPANS),
}


@pytest.mark.parametrize("violation", DAMAGE)
def test_a_damage_to_the_database_is_found(app: Flask, edits: list[Edit], violation: str) -> None:
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(DAMAGE[violation]())  # type: ignore[call-overload]
    assert any(violation in it for it in compare(app, edits).violations)
