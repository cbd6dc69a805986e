"""The calls about notes, which the people at the desk leave on a user for each other."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from flask import request, url_for
from pydantic import AfterValidator, Field

from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.api.bodies import WHOLE, Body, Query, follows
from webapp.api.calls import Answer, Calls, Deleted, Shown
from webapp.api.conditions import TAGGED, Match, make_tag
from webapp.api.lists import LINKED
from webapp.listing.keyset import LARGEST_ID
from webapp.notes import queries, rules, services
from webapp.notes.models import Note
from webapp.users.queries import get_user
from webapp.web.language import gettext

calls = Calls("Notes")


class NotesQuery(Query):
    page_size: Annotated[int, WHOLE] = Field(20, ge=1, le=queries.MOST_SHOWN, description="Notes of a page.")
    before: Annotated[int, WHOLE] | None = Field(
        None, ge=1, le=LARGEST_ID, description="The id of a note: only older ones."
    )


class NoteText(Body):
    text: Annotated[
        str,
        AfterValidator(follows(rules.clean_text)),
        Field(json_schema_extra={"maxLength": rules.LONGEST_NOTE}),
    ]


class NoteShown(Shown):
    id: int
    user_id: int
    author_id: int | None = Field(description="null for the command line.")
    author_name: str = Field(description="Empty for somebody who is deleted for good.")
    text: str
    created_at: datetime
    updated_at: datetime
    version: int


class NotePage(Shown):
    notes: list[NoteShown]


def show(note: Note) -> NoteShown:
    return NoteShown(**{name: getattr(note, name) for name in NoteShown.model_fields})


def answer_note(note: Note, **headers: str) -> Answer:
    return Answer(value=show(note), headers={"ETag": make_tag(note.version), **headers})


def find_note(note_id: int) -> Note:
    """Raises NotFound, where its user is in the trash, too."""
    note = queries.get_note(note_id)
    get_user(note.user_id)
    return note


@calls.get(
    "/users/<id:user_id>/notes",
    permission=Permission.USERS_READ,
    query=NotesQuery,
    answer=NotePage,
    headers=LINKED,
)
def list_notes(user_id: int, query: NotesQuery) -> Answer:
    """List the notes on a user, the latest first."""
    get_user(user_id)
    notes = queries.list_notes(user_id, older_than=query.before, most=query.page_size + 1)
    shown = [show(note) for note in notes[: query.page_size]]
    headers = {}
    if len(notes) > query.page_size:
        where = urlencode({"page_size": query.page_size, "before": shown[-1].id})
        headers["Link"] = f'<{request.script_root}{request.path}?{where}>; rel="next"'
    return Answer(value=NotePage(notes=shown), headers=headers)


@calls.post(
    "/users/<id:user_id>/notes",
    permission=Permission.USERS_EDIT,
    body=NoteText,
    answer=NoteShown,
    status=201,
    headers={"Location": "The new note's address.", **TAGGED},
)
def add_note(user_id: int, body: NoteText) -> Answer:
    """Add a note to a user."""
    note = services.add_note(get_user(user_id), text=body.text, actor=current_actor())
    return answer_note(note, Location=url_for("api.show_note", note_id=note.id))


@calls.get("/notes/<id:note_id>", permission=Permission.USERS_READ, answer=NoteShown, headers=TAGGED)
def show_note(note_id: int) -> Answer:
    """Read one note."""
    return answer_note(find_note(note_id))


@calls.put(
    "/notes/<id:note_id>",
    permission=Permission.USERS_EDIT,
    body=NoteText,
    answer=NoteShown,
    needs_match=True,
    headers=TAGGED,
)
def edit_note(note_id: int, match: Match, body: NoteText) -> Answer:
    """Edit a note: only who wrote it does that."""
    note = find_note(note_id)
    services.edit_note(note, text=body.text, version=match.require(note.version), actor=current_actor())
    return answer_note(note)


@calls.delete("/notes/<id:note_id>", permission=Permission.USERS_EDIT, answer=Deleted, needs_match=True)
def delete_note(note_id: int, match: Match) -> Answer:
    """Delete a note: who wrote it does that, or an administrator."""
    note = find_note(note_id)
    services.delete_note(note, version=match.require(note.version), actor=current_actor())
    return Answer(value=Deleted(message=gettext("The note is deleted."), id=note_id))
