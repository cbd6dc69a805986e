"""One note on many users, and such notes taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, select

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import get_session
from webapp.errors import N_, Conflict
from webapp.history.queries import Story
from webapp.history.rules import Kind
from webapp.history.services import Happening
from webapp.notes.models import Note
from webapp.notes.rules import clean_text
from webapp.notes.services import describe, put_back, require_author
from webapp.users.many import Change, Planned
from webapp.users.queries import Person


class NoteAdding(Change):
    """Raises Invalid for a text that is none."""

    kind = Kind.NOTE_ADDED
    permission = Permission.USERS_EDIT

    def __init__(self, text: str) -> None:
        self._text = clean_text(text)

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        actor.require(Permission.USERS_EDIT, on=person.role)
        return {"note": self._text}

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        notes = [
            Note(user_id=person.id, author_id=actor.user_id, author_name=actor.name, text=self._text)
            for person, _values in planned
        ]
        session = get_session()
        session.add_all(notes)
        session.flush()
        return [
            describe(note, person, change=(None, note.text))
            for note, (person, _values) in zip(notes, planned, strict=True)
        ]


class NoteRemoving(Change):
    """Take back the notes that the ``stories`` tell of, by the ids of whom they are on."""

    kind = Kind.NOTE_DELETED
    permission = Permission.USERS_EDIT

    def __init__(self, stories: Mapping[int, Story]) -> None:
        self._stories = stories
        self._notes: dict[int, Note] = {}

    def read(self, user_ids: Collection[int], *, is_locking: bool) -> list[Person]:
        people = super().read(user_ids, is_locking=is_locking)
        stories = (self._stories[person.id] for person in people)
        ids = [int(story.facts["note_id"]) for story in stories]
        notes = select(Note).where(Note.id.in_(ids)).order_by(Note.id)
        if is_locking:
            notes = notes.with_for_update()
        notes = notes.execution_options(populate_existing=True)
        self._notes = {note.user_id: note for note in get_session().scalars(notes)}
        return people

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        note = self._notes.get(person.id)
        if note is None:
            raise Conflict(N_("This note was deleted meanwhile."))
        if not actor.may(Permission.USERS_DELETE, on=person.role):
            require_author(note, person, actor)
        if note.text != self._stories[person.id].changes["note"][1]:
            raise Conflict(N_("This note was changed again since. Undo the later change first."))
        return {"note": None}

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        notes = [self._notes[person.id] for person, _values in planned]
        session = get_session()
        session.execute(delete(Note).where(Note.id.in_([note.id for note in notes])))
        told = [
            describe(note, person, change=(note.text, None))
            for note, (person, _values) in zip(notes, planned, strict=True)
        ]
        for note in notes:
            session.expunge(note)
        return told


class NotePuttingBack(Change):
    """The notes that the ``stories`` tell were deleted, each with its author and its time."""

    kind = Kind.NOTE_ADDED
    permission = Permission.USERS_EDIT

    def __init__(self, stories: Mapping[int, Story]) -> None:
        self._stories = stories

    def plan(self, person: Person, actor: Actor, administrators: set[int]) -> dict[str, Any]:
        actor.require(Permission.USERS_EDIT, on=person.role)
        return {"note": self._stories[person.id].changes["note"][0]}

    def write(self, planned: list[Planned], actor: Actor) -> list[Happening]:
        notes = [put_back(self._stories[person.id]) for person, _values in planned]
        get_session().flush()
        return [
            describe(note, person, change=(None, note.text))
            for note, (person, _values) in zip(notes, planned, strict=True)
        ]
