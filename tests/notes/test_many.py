"""A note on many, and such notes taken back, are what they are on one; only quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.conftest import MakeUser, newest_entry, read_tables
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.notes.test_services import add, edit, read_notes, remove, texts_on
from tests.racing import race
from tests.users.test_many import (
    AUDITOR,
    DESK,
    FACTS,
    NOBODY,
    SUPPORT,
    Somebody,
    actors,
    change,
    crowds,
    make_of,
    reasons,
    selections,
    settle,
    settle_crowd,
    take_each,
    tell_apart,
    thorough,
)
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid
from webapp.history.queries import Story
from webapp.history.rules import Kind
from webapp.notes import queries, services
from webapp.notes.many import NoteAdding, NoteRemoving
from webapp.notes.models import Note
from webapp.users import trash
from webapp.users.queries import Person, get_user
from webapp.users.undoing import undo_change

OTHER = Actor(user_id=1_000_003, name="Other Person", role=Role.SUPPORT)


def stories_of(app: Flask, kind: Kind) -> dict[int, Story]:
    """The latest of each person."""
    return {story.subject_id or 0: story for story in read_stories(app) if story.kind is kind}


def take_back(app: Flask, *, actor: Actor = SUPPORT, **more: Any) -> dict[int, str]:
    """Every note that was added; who was refused, and why."""
    stories = stories_of(app, Kind.NOTE_ADDED)
    undoes = {user_id: story.id for user_id, story in stories.items()}
    return reasons(change(app, NoteRemoving(stories), stories, actor=actor, undoes=undoes, **more))


# A note on many


def test_each_has_the_note_with_its_author_and_its_entry(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(3)]
    outcomes = change(app, NoteAdding(" Called\r\ntwice. "), [user.id for user in users], actor=SUPPORT)
    stories = read_stories(app)
    for user, story in zip(users, stories, strict=True):
        [note] = read_notes(app, user.id)
        assert (note.text, note.version) == ("Called\ntwice.", 1)
        assert (note.author_id, note.author_name) == (SUPPORT.user_id, "Support Person")
        assert (story.kind, story.subject_id, story.subject_name) == (
            Kind.NOTE_ADDED,
            user.id,
            user.full_name,
        )
        assert story.changes == {"note": (None, "Called\ntwice.")}
        assert story.facts["note_id"] == note.id
        assert story.facts["batch"] == FACTS["batch"]
        assert outcomes[user.id].entry_id == story.id
        with app.app_context():
            assert get_user(user.id).version == user.version, "the person is not edited"
    assert_intact(app)


def test_who_has_it_already_has_it_again(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    for _ in range(2):
        change(app, NoteAdding("One"), [user.id])
    assert texts_on(app, user.id) == ["One", "One"]


@pytest.mark.parametrize("text", ["", " \n ", "a\0b", "a\ud800b", "\x1b[31m", "x" * 5_001, "x" * 100_000])
def test_what_is_no_text_is_refused_before_anything_is_read(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        NoteAdding(text)
    assert refusal.value.field == "text"


def test_support_writes_on_members_an_auditor_on_nobody(app: Flask, make_user: MakeUser) -> None:
    users = {role: make_user(role=role).id for role in Role}
    outcomes = change(app, NoteAdding("One"), [*users.values(), NOBODY], actor=SUPPORT)
    assert outcomes[users[Role.MEMBER]].entry_id
    assert [type(outcomes[users[role]].refusal) for role in Role] == [type(None), *[Forbidden] * 3]
    assert "no such user" in reasons(outcomes)[NOBODY]
    outcomes = change(app, NoteAdding("Two"), users.values(), actor=AUDITOR)
    assert len(reasons(outcomes)) == 4
    assert [texts_on(app, user_id) for user_id in users.values()] == [["One"], [], [], []]


def test_who_is_in_the_trash_gets_none(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    with app.app_context():
        trash.delete_user(get_user(user.id), version=1, actor=DESK)
    assert list(reasons(change(app, NoteAdding("One"), [user.id]))) == [user.id]
    assert read_notes(app, user.id) == []


def test_one_alone_can_take_his_own_back(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(2)]
    change(app, NoteAdding("One"), [user.id for user in users], actor=SUPPORT)
    with app.app_context():
        undo_change(newest_entry(app), actor=SUPPORT)
    assert [texts_on(app, user.id) for user in users] == [["One"], []]


# Taken back


def test_they_are_taken_back_and_no_others(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(3)]
    add(app, users[0].id, "Before")
    change(app, NoteAdding("One"), [user.id for user in users], actor=SUPPORT)
    added = stories_of(app, Kind.NOTE_ADDED)
    assert take_back(app) == {}
    assert [texts_on(app, user.id) for user in users] == [["Before"], [], []]
    for user_id, story in stories_of(app, Kind.NOTE_DELETED).items():
        assert story.changes == {"note": ("One", None)}
        assert story.undoes_id == added[user_id].id
        assert story.facts["note_id"] == added[user_id].facts["note_id"]
        assert story.facts["batch"] == FACTS["batch"]
    assert_intact(app)


def test_what_was_edited_or_deleted_since_stays_as_it_is(app: Flask, make_user: MakeUser) -> None:
    edited, deleted, plain = [make_user().id for _ in range(3)]
    change(app, NoteAdding("One"), [edited, deleted, plain], actor=SUPPORT)
    edit(app, read_notes(app, edited)[0].id, "Two")
    remove(app, read_notes(app, deleted)[0].id)
    refused = take_back(app)
    assert list(refused) == [edited, deleted]
    assert "changed again since" in refused[edited]
    assert "deleted meanwhile" in refused[deleted]
    assert [texts_on(app, user_id) for user_id in (edited, deleted, plain)] == [["Two"], [], []]


def test_what_was_edited_there_and_back_is_taken_back(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    change(app, NoteAdding("One"), [user.id], actor=SUPPORT)
    note_id = read_notes(app, user.id)[0].id
    edit(app, note_id, "Two")
    edit(app, note_id, "One", version=2)
    assert take_back(app) == {}
    assert texts_on(app, user.id) == []


def test_its_author_takes_them_back_or_an_administrator(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user().id for _ in range(2)]
    change(app, NoteAdding("One"), ids, actor=SUPPORT)
    before, entries = read_tables(app), read_rows(app)
    assert set(take_back(app, actor=OTHER).values()) == {"Only who wrote a note may change it."}
    assert list(take_back(app, actor=AUDITOR)) == ids
    assert (read_tables(app), read_rows(app)) == (before, entries)
    assert take_back(app, actor=DESK) == {}


def test_who_is_forgotten_by_then_is_left_out(app: Flask, make_user: MakeUser) -> None:
    """Of him the history does not tell which note it was."""
    gone, user = make_user(role=Role.MEMBER).id, make_user().id
    change(app, NoteAdding("One"), [gone, user])
    with app.app_context():
        trash.erase_user(get_user(gone), actor=DESK)
    assert list(take_back(app, actor=DESK)) == [gone]
    assert texts_on(app, user) == []


# The same as one by one


def read_all(app: Flask) -> list[tuple[object, ...]]:
    """Every note but its times and its number."""
    with app.app_context():
        notes = get_session().scalars(select(Note).order_by(Note.user_id, Note.id))
        return [(note.user_id, note.author_id, note.author_name, note.text, note.version) for note in notes]


def add_one(user_id: int, actor: Actor) -> None:
    services.add_note(get_user(user_id), text="One", actor=actor)


@thorough
@given(crowd=crowds, user_ids=selections, actor=actors)
def test_many_notes_are_added_as_one_by_one(
    app: Flask, crowd: list[Somebody], user_ids: list[int], actor: Actor
) -> None:
    settle(app, crowd)
    refused = take_each(app, add_one, user_ids, actor)
    found = read_all(app), [tell_apart(story) for story in read_stories(app)]

    settle(app, crowd)
    outcomes = change(app, NoteAdding("One"), reversed(user_ids), actor=actor)
    assert (read_all(app), [tell_apart(story) for story in read_stories(app)]) == found
    assert reasons(outcomes) == refused
    assert_intact(app)


Meddling = tuple[str, int]
meddlings = st.lists(st.tuples(st.sampled_from(["edit", "delete", "trash"]), st.integers(1, 7)), max_size=4)


def meddle(app: Flask, meddling: Iterable[Meddling]) -> None:
    for act, user_id in meddling:
        notes = read_notes(app, user_id)
        try:
            with app.app_context():
                if act == "trash":
                    user = get_user(user_id)
                    trash.delete_user(user, version=user.version, actor=DESK)
                elif notes and act == "delete":
                    services.delete_note(queries.get_note(notes[-1].id), actor=DESK)
                elif notes:
                    version = notes[-1].version
                    author = Actor(user_id=notes[-1].author_id, name="", role=Role.ADMINISTRATOR)
                    services.edit_note(
                        queries.get_note(notes[-1].id), text="Edited", version=version, actor=author
                    )
        except DomainError:
            pass  # gone already, or nobody's


@thorough
@given(crowd=crowds, author=actors, meddling=meddlings, actor=actors)
def test_many_notes_are_taken_back_as_one_by_one(
    app: Flask, crowd: list[Somebody], author: Actor, meddling: list[Meddling], actor: Actor
) -> None:
    ids = range(1, 8)
    found = []
    for is_many in (False, True):
        settle(app, crowd)
        change(app, NoteAdding("One"), ids, actor=author)
        added = {user_id: story.id for user_id, story in stories_of(app, Kind.NOTE_ADDED).items()}
        meddle(app, meddling)
        earlier = len(read_rows(app))
        if is_many:
            refused = take_back(app, actor=actor)
        else:
            refused = take_each(app, lambda i, who, of=added: undo_change(of[i], actor=who), added, actor)  # type: ignore[misc]
        told = [tell_apart(story) for story in read_stories(app)[earlier:]]
        found.append((read_all(app), told, refused.keys()))
        assert_intact(app)
    assert found[0] == found[1]


# At once


Meanwhile = Callable[[int], object]
MEANWHILE: dict[str, Meanwhile] = {
    "edited": lambda note_id: services.edit_note(
        queries.get_note(note_id), text="Two", version=1, actor=SUPPORT
    ),
    "deleted": lambda note_id: services.delete_note(queries.get_note(note_id), actor=SUPPORT),
}


@pytest.mark.parametrize("name", MEANWHILE)
def test_a_note_that_is_changed_in_the_moment_in_which_it_is_taken_back_is_changed_once(
    file_app: Flask, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and its removal somebody else comes, who has to wait."""
    ids = settle_crowd(file_app, 2)
    change(file_app, NoteAdding("One"), ids, actor=SUPPORT)
    note_id = read_notes(file_app, 1)[0].id
    plan = NoteRemoving.plan
    with ThreadPoolExecutor(1) as threads:
        started: list[Any] = []

        def meddle() -> None:
            with file_app.app_context():
                MEANWHILE[name](note_id)

        def plan_and_wait(
            removing: NoteRemoving, person: Person, actor: Actor, administrators: set[int]
        ) -> dict[str, Any]:
            values = plan(removing, person, actor, administrators)
            if person.id == 1:
                started.append(threads.submit(meddle))
                wait(started, timeout=0.4)
            return values

        monkeypatch.setattr(NoteRemoving, "plan", plan_and_wait)
        assert take_back(file_app) == {}
        assert isinstance(started[0].exception(), DomainError), "it is deleted meanwhile"
    kinds = [story.kind for story in read_stories(file_app)]
    assert kinds == [Kind.NOTE_ADDED] * 2 + [Kind.NOTE_DELETED] * 2
    assert_intact(file_app)


def test_notes_that_are_added_and_taken_back_at_once_are_all_accounted_for(file_app: Flask) -> None:
    ids = settle_crowd(file_app, 20)
    change(file_app, NoteAdding("One"), ids)
    stories = stories_of(file_app, Kind.NOTE_ADDED)
    undoes = {user_id: story.id for user_id, story in stories.items()}

    def undo_each() -> int:
        undone = 0
        for entry_id in reversed(undoes.values()):
            try:
                undo_change(entry_id, actor=DESK)
                undone += 1
            except Conflict:
                pass  # undone by the others
        return undone

    race(
        file_app,
        lambda: change(file_app, NoteRemoving(stories), ids, undoes=undoes),
        undo_each,
        make_of(NoteAdding("Two"), reversed(ids)),
    )
    with file_app.app_context():
        assert get_session().scalar(select(func.count()).select_from(Note)) == 20
    kinds = [story.kind for story in read_stories(file_app)]
    assert (kinds.count(Kind.NOTE_ADDED), kinds.count(Kind.NOTE_DELETED)) == (40, 20)
    assert_intact(file_app)
