"""Changing notes. Raises Invalid, Conflict, Stale, Forbidden or NotFound, and then nothing was written."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.exc import InvalidRequestError

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, Forbidden, NotFound, Stale
from webapp.extensions import utc_now
from webapp.history.queries import Story
from webapp.history.rules import Change, Kind
from webapp.history.services import Happening, Subject, record_all
from webapp.notes.models import Note
from webapp.notes.queries import get_note
from webapp.notes.rules import clean_text
from webapp.users.models import User
from webapp.users.queries import Person, find_user, get_user
from webapp.users.services import lock_user
from webapp.users.trash import find_trashed


@atomic
def add_note(user: User, *, text: str, actor: Actor, undoes_id: int | None = None) -> Note:
    lock_user(user)
    actor.require(Permission.USERS_EDIT, on=user.role)
    note = Note(user_id=user.id, author_id=actor.user_id, author_name=actor.name, text=clean_text(text))
    get_session().add(note)
    get_session().flush()
    _record(Kind.NOTE_ADDED, note, user, actor=actor, change=(None, note.text), undoes_id=undoes_id)
    return note


@atomic
def edit_note(note: Note, *, text: str, version: int, actor: Actor, undoes_id: int | None = None) -> bool:
    """Only its author does that; tells whether anything changed."""
    user = _lock(note)
    require_author(note, user, actor)
    text = clean_text(text)
    if text == note.text:
        return False
    if version != note.version:
        raise Stale(N_("This note was changed while you were editing. Nothing was saved."), field="text")
    old, note.text, note.updated_at = note.text, text, utc_now()
    get_session().flush()
    _record(Kind.NOTE_EDITED, note, user, actor=actor, change=(old, text), undoes_id=undoes_id)
    return True


@atomic
def delete_note(
    note: Note, *, version: int | None = None, actor: Actor, undoes_id: int | None = None
) -> None:
    """Its author does that, or an administrator; of no other ``version``, where one is given."""
    user = _lock(note)
    if not actor.may(Permission.USERS_DELETE, on=user.role):
        require_author(note, user, actor)
    if version is not None and version != note.version:
        raise Stale(N_("This note was changed meanwhile. Nothing was deleted."))
    get_session().execute(delete(Note).where(Note.id == note.id))
    _record(Kind.NOTE_DELETED, note, user, actor=actor, change=(note.text, None), undoes_id=undoes_id)


@atomic
def undo_note_change(story: Story, actor: Actor) -> None:
    """Raises Conflict where a later change stands in the way."""
    user = get_user(story.subject_id or 0)
    old, new = story.changes["note"]
    if story.kind is Kind.NOTE_DELETED:
        _put_back(story, user, actor)
        return
    try:
        note = get_note(int(story.facts["note_id"]))
    except NotFound:
        raise Conflict(N_("This note was deleted meanwhile.")) from None
    _lock(note)
    if note.text != new:
        raise Conflict(N_("This note was changed again since. Undo the later change first."))
    if story.kind is Kind.NOTE_ADDED:
        delete_note(note, actor=actor, undoes_id=story.id)
    else:
        edit_note(note, text=old, version=note.version, actor=actor, undoes_id=story.id)


def _put_back(story: Story, user: User, actor: Actor) -> None:
    lock_user(user)
    actor.require(Permission.USERS_EDIT, on=user.role)
    note = put_back(story)
    get_session().flush()
    _record(Kind.NOTE_ADDED, note, user, actor=actor, change=(None, note.text), undoes_id=story.id)


def put_back(story: Story) -> Note:
    """The note as it was, with its author and its time; it gets a new number."""
    author_id = story.facts["author_id"]
    note = Note(
        user_id=story.subject_id,
        author_id=author_id,
        author_name=_name_of(author_id),
        text=story.changes["note"][0],
        created_at=datetime.fromisoformat(story.facts["created_at"]),
    )
    get_session().add(note)
    return note


def _name_of(author_id: int | None) -> str:
    """Empty for somebody who is forgotten."""
    if author_id is None:
        return Actor.command_line().name
    author = find_user(author_id) or find_trashed(author_id)
    return author.display_name if author else ""


def forget_notes(user_id: int) -> None:
    """The user is deleted for good: what was noted on him goes, and his name from what he noted himself."""
    session = get_session()
    session.execute(delete(Note).where(Note.user_id == user_id))
    session.execute(update(Note).where(Note.author_id == user_id).values(author_name=""))


def _lock(note: Note) -> User:
    try:
        get_session().refresh(note, with_for_update=True)
    except InvalidRequestError:
        raise NotFound(N_("This note was deleted meanwhile.")) from None
    return get_user(note.user_id)


def require_author(note: Note, user: User | Person, actor: Actor) -> None:
    actor.require(Permission.USERS_EDIT, on=user.role)
    if note.author_id is None or note.author_id != actor.user_id:
        raise Forbidden(N_("Only who wrote a note may change it."))


def _record(
    kind: Kind, note: Note, user: User, *, actor: Actor, change: Change, undoes_id: int | None
) -> None:
    told = describe(note, user, change=change)._replace(undoes_id=undoes_id)
    record_all(kind, [told], actor=actor)


def describe(note: Note, person: User | Person, *, change: Change) -> Happening:
    """What the history tells of a note."""
    return Happening(
        Subject(person.id, person.display_name),
        changes={"note": change},
        facts={
            "note_id": note.id,
            "author_id": note.author_id,
            "created_at": note.created_at.isoformat(),
        },
    )
