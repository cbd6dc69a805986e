"""An entry as a person reads it: in words, with what can be taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from webapp.access.actor import Actor, Door
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.history.queries import Story, get_story
from webapp.history.rules import KIND_LABELS, Kind
from webapp.history.services import Subject, record
from webapp.history.timeline import explain_fields, is_undoable, make_lines, show_value

DESK = Actor(user_id=77, name="Desk Person", role=Role.SUPPORT, address="192.0.2.1", request_id="r-1")
ROLES = {5: Role.MEMBER}
STORY = Story(
    id=1,
    at=datetime(2026, 3, 1, tzinfo=UTC),
    kind=Kind.EDITED,
    door=Door.PAGE,
    subject_id=5,
    subject_name="Ann Lee",
    actor_id=77,
    actor_name="Desk Person",
    actor_role="support",
    token_id=None,
    address="192.0.2.1",
    request_id="r-1",
    version=2,
    undoes_id=None,
    changes={"full_name": ("Ann", "Ann Lee")},
    facts={},
)


def test_what_a_program_did_names_its_token(app: Flask) -> None:
    with app.test_request_context():
        program = replace(DESK, door=Door.API, scopes=frozenset(), token_id=12)
        (line,) = make_lines([get_story(record(Kind.SIGNED_OUT, actor=program))], DESK, ROLES)
    assert line.door == "API, token 12"


def test_a_line_says_all_there_is_in_words(app: Flask) -> None:
    with app.test_request_context():
        changes = {"role": ("member", "auditor"), "is_active": (True, False), "language": (None, "fr")}
        entry_id = record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann Lee", 2), changes=changes)
        (line,) = make_lines([get_story(entry_id)], DESK, ROLES)
    assert (line.what, line.subject_name, line.actor_name) == ("edited", "Ann Lee", "Desk Person")
    assert (line.actor_role, line.door, line.address) == ("Support", "page", "192.0.2.1")
    assert set(map(tuple, line.changes)) == {
        ("Role", "Member", "Auditor"),
        ("Status", "Active", "Inactive"),
        ("Language", "", "fr"),
    }


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_words(app: Flask, kind: Kind) -> None:
    with app.test_request_context():
        (line,) = make_lines([replace(STORY, kind=kind)], DESK, ROLES)
    assert line.what == KIND_LABELS[kind]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        *(("role", role.value, label) for role, label in ROLE_LABELS.items()),
        ("role", "king", "king"),  # of an older version of the application
        ("is_active", True, "Active"),
        ("is_active", False, "Inactive"),
        ("full_name", "", ""),
        ("full_name", None, ""),
        ("full_name", "<b>", "<b>"),
        ("version", 7, "7"),
    ],
)
def test_a_value_is_shown_as_a_form_shows_it(app: Flask, name: str, value: Any, text: str) -> None:
    with app.test_request_context():
        assert show_value(name, value) == text


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (STORY, True),
        (replace(STORY, subject_id=None), False),
        (replace(STORY, changes={}), False),  # forgotten
        (replace(STORY, changes={"language": (None, "fr")}), False),
        (replace(STORY, changes={**STORY.changes, "language": (None, "fr")}), False),
        (replace(STORY, kind=Kind.DELETED, changes={}), True),
        (replace(STORY, kind=Kind.RESTORED, changes={}), True),
        (replace(STORY, kind=Kind.RESTORED, changes={"email": ("a", "b")}), True),
        *(
            (
                replace(STORY, kind=kind),
                kind in {"created", "edited", "activated", "deactivated"} or kind.startswith("note_"),
            )
            for kind in Kind
            if kind not in {Kind.DELETED, Kind.RESTORED}
        ),
    ],
)
def test_only_what_can_be_taken_back_is_offered(story: Story, expected: bool) -> None:
    assert is_undoable(story) is expected


def test_what_was_undone_is_not_offered_again(app: Flask) -> None:
    with app.test_request_context():
        subject = Subject(5, "Ann Lee", 2)
        entry_id = record(Kind.EDITED, actor=DESK, subject=subject, changes=STORY.changes)
        undo_id = record(Kind.EDITED, actor=DESK, subject=subject, changes=STORY.changes, undoes_id=entry_id)
        undone, undo = make_lines([get_story(entry_id), get_story(undo_id)], DESK, ROLES)
    assert (undone.is_undone, undone.is_undoable, undone.undoes_id) == (True, False, None)
    assert (undo.is_undone, undo.is_undoable, undo.undoes_id) == (False, True, entry_id)


@pytest.mark.parametrize("kind", [Kind.EDITED, Kind.DEACTIVATED, Kind.NOTE_DELETED])
@pytest.mark.parametrize("now", [None, *Role])
def test_nothing_is_offered_that_would_be_refused_of_this_person(
    app: Flask, kind: Kind, now: Role | None
) -> None:
    """Whoever is not there any more has no role, and is restored first."""
    story, roles = replace(STORY, kind=kind), {} if now is None else {5: now}
    for role in Role:
        actor = replace(DESK, role=role)
        with app.test_request_context():
            (line,) = make_lines([story], actor, roles)
        assert line.is_undoable is (now is not None and actor.may(Permission.USERS_EDIT, on=now))


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        (Kind.NOTE_ADDED, [False, False, False, True]),
        (Kind.NOTE_EDITED, [False, False, False, False]),
        (Kind.NOTE_DELETED, [False, False, True, True]),
    ],
)
def test_a_note_is_changed_by_its_author_alone(app: Flask, kind: Kind, offered: list[bool]) -> None:
    story = replace(STORY, kind=kind, changes={"note": ("Old.", "New.")}, facts={"author_id": 78})
    with app.test_request_context():
        of_others = [make_lines([story], replace(DESK, role=role), ROLES)[0].is_undoable for role in Role]
        (own,) = make_lines([story], replace(DESK, user_id=78), ROLES)
    assert of_others == offered
    assert own.is_undoable


def test_who_was_deleted_is_restored_by_whom_may(app: Flask) -> None:
    story = replace(STORY, kind=Kind.DELETED, changes={})
    with app.test_request_context():
        offered = [make_lines([story], replace(DESK, role=role), {})[0].is_undoable for role in Role]
    assert offered == [False, False, False, True]


def test_the_commands_have_no_role_and_the_forgotten_no_name(app: Flask) -> None:
    command = replace(STORY, actor_id=None, actor_name="command line", actor_role="administrator")
    forgotten = replace(STORY, actor_name="", subject_name="", address="", changes={})
    with app.test_request_context():
        first, second = make_lines([command, forgotten], DESK, ROLES)
    assert (first.actor_name, first.actor_role) == ("command line", "")
    assert (second.actor_name, second.subject_name, second.address, second.changes) == ("", "", "", [])


def test_each_field_tells_who_set_it_when_and_what_it_was_before(app: Flask) -> None:
    newest = replace(STORY, at=STORY.at.replace(day=3), actor_name="Newest", changes={"email": ("b", "c")})
    middle = replace(STORY, changes={"email": ("a", "b"), "role": ("member", "auditor")}, actor_name="Middle")
    with app.test_request_context():
        found = explain_fields([newest, middle, STORY])
        assert explain_fields([]) == {}
    assert {name: tuple(told) for name, told in found.items()} == {
        "email": ("Newest", newest.at, "b"),
        "role": ("Middle", middle.at, "Member"),
        "full_name": ("Desk Person", STORY.at, "Ann"),
    }
