"""Reading notes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from webapp.db import get_session
from webapp.errors import N_, NotFound
from webapp.listing.keyset import LARGEST_ID
from webapp.notes.models import Note

MOST_SHOWN = 100


def list_notes(user_id: int, *, older_than: int | None = None, most: int = MOST_SHOWN) -> Sequence[Note]:
    """The latest first; with ``older_than`` those that came before that note."""
    statement = select(Note).where(Note.user_id == user_id).order_by(Note.id.desc()).limit(most)
    if older_than is not None:
        statement = statement.where(Note.id < older_than)
    return get_session().scalars(statement).all()


def get_note(note_id: int) -> Note:
    """Raises NotFound."""
    note = get_session().get(Note, note_id) if note_id <= LARGEST_ID else None
    if note is None:
        raise NotFound(N_("This note was deleted meanwhile."))
    return note
