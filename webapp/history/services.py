"""Writing history: one entry in the transaction of the change it tells of."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_, select, update

from webapp.access.actor import Actor
from webapp.db import atomic, get_connection, get_session
from webapp.db.bulk import insert_from_json, stored_time
from webapp.extensions import utc_now
from webapp.history.models import ENTRIES, LANES
from webapp.history.rules import (
    LONGEST_REQUEST_ID,
    Changes,
    Kind,
    canonical,
    digest,
    link,
    segment_of,
)
from webapp.listing.search import searchable

SALT_BYTES = 16  # not to be guessed (ASVS 5.0 11.5.1)
LONGEST_ADDRESS = 45


class Subject(NamedTuple):
    """Whom or what an entry is about; ``version`` is the one that the change made."""

    id: int | None
    name: str
    version: int | None = None


NOTHING: Mapping[str, Any] = {}


class Happening(NamedTuple):
    """What one entry tells besides its kind and its actor. ``facts`` is what else there is to tell, in plain
    JSON values; by ``words`` it is found besides the names.
    """

    subject: Subject | None = None
    changes: Changes = NOTHING
    facts: Mapping[str, Any] = NOTHING
    words: str = ""
    undoes_id: int | None = None


def record(
    kind: Kind,
    *,
    actor: Actor,
    subject: Subject | None = None,
    changes: Changes | None = None,
    facts: Mapping[str, Any] | None = None,
    words: str = "",
    undoes_id: int | None = None,
) -> int:
    """Write one entry and answer its id. Raises Conflict when ``undoes_id`` was undone already."""
    happening = Happening(subject, changes or NOTHING, facts or NOTHING, words, undoes_id)
    return record_all(kind, [happening], actor=actor)[0]


@atomic
def record_all(kind: Kind, happenings: Sequence[Happening], *, actor: Actor) -> list[int]:
    """Write an entry for each, one after the other in one lane, and answer their ids in that order.

    Call it last in a service: from here on the transaction holds one lane of the history.
    """
    if not happenings:
        return []
    get_session().flush()
    connection = get_connection()
    # On SQLite there is one writer, who takes the first; on Postgres whoever comes takes one that is free.
    lane = connection.execute(_FREE_LANE).one_or_none()
    if lane is None:  # more writers at once than lanes: wait for the first like the others
        lane = connection.execute(_FIRST_LANE).one()
    rows, last, origin = [], lane.hash, _origin(actor)
    for number, happening in enumerate(happenings, lane.number + 1):
        rows.append(_entry(kind, happening, actor, origin, lane=lane.lane, number=number, previous=last))
        last = rows[-1]["hash"]
    written = {
        "rows": json.dumps(rows, ensure_ascii=False, default=stored_time),
        "held": lane.lane,
        "last_number": rows[-1]["number"],
        "last_hash": last,
    }
    ids = sorted(connection.execute(_ADD[connection.dialect.name], written).all())  # by numbers in the lane
    if connection.dialect.name == "sqlite":
        connection.execute(_MOVE_END, written)
    return [entry_id for _number, entry_id in ids]


# What every change asks, made once: to put a statement together takes longer than to run it.
_FREE_LANE = select(LANES).order_by(LANES.c.lane).limit(1).with_for_update(skip_locked=True)
_FIRST_LANE = select(LANES).order_by(LANES.c.lane).limit(1).with_for_update()
_MOVE_END = (
    update(LANES)
    .where(LANES.c.lane == bindparam("held"))
    .values(number=bindparam("last_number"), hash=bindparam("last_hash"))
)
_ADD = {
    name: insert_from_json(ENTRIES, name).returning(ENTRIES.c.number, ENTRIES.c.id)
    for name in ("sqlite", "postgresql")
}
_ADD["postgresql"] = _ADD["postgresql"].add_cte(_MOVE_END.cte("moved"))  # both in one travel


def _origin(actor: Actor) -> str:
    """The same for all that he does at once: it is erased together."""
    token = {} if actor.token_id is None else {"token": actor.token_id}
    return _salted({"name": actor.name, "address": actor.address[:LONGEST_ADDRESS], **token})


def _entry(
    kind: Kind, happening: Happening, actor: Actor, origin: str, *, lane: int, number: int, previous: str
) -> dict[str, Any]:
    """The row, linked to the one before it in its lane."""
    subject, changes, facts, words, undoes_id = happening
    name = subject.name if subject else ""
    details = _salted({"name": name, "changes": dict(changes), **facts})
    values: dict[str, Any] = {
        "at": utc_now(),
        "kind": kind.value,
        "door": actor.door.value,
        "subject_id": subject.id if subject else None,
        "actor_id": actor.user_id,
        "actor_role": actor.role.value,
        "request_id": actor.request_id[:LONGEST_REQUEST_ID],
        "version": subject.version if subject else None,
        "undoes_id": undoes_id,
        "details_digest": digest(details),
        "origin_digest": digest(origin),
        "lane": lane,
        "number": number,
    }
    return {
        **values,
        "hash": link(previous, values),
        "details": details,
        "origin": origin,
        "search_text": searchable(name, actor.name, words),
        "segment": segment_of(kind, actor.door),
    }


def _salted(value: dict[str, Any]) -> str:
    """With a salt that is erased with it: nobody can try names against its digest then."""
    return canonical({"salt": secrets.token_hex(SALT_BYTES), **value})


@atomic
def forget(person_id: int) -> None:
    """Erase who a person was from all that is told about him, and from all that he did himself.

    That it happened, when, and what kind of thing it was stays, and so does the chain. The entries are locked
    in the order of their ids: whoever else they tell of may be forgotten at the same moment.
    """
    session = get_session()
    entries = select(ENTRIES).where(or_(ENTRIES.c.subject_id == person_id, ENTRIES.c.actor_id == person_id))
    for entry in session.execute(entries.order_by(ENTRIES.c.id).with_for_update()).all():
        details = None if entry.subject_id == person_id else entry.details
        origin = None if entry.actor_id == person_id else entry.origin
        told = [json.loads(text) for text in (details, origin) if text]
        notes = [note for it in told for note in it.get("changes", {}).get("note", []) if note]
        words = searchable(*(it["name"] for it in told), *notes)
        values = {"details": details, "origin": origin, "search_text": words}
        session.execute(update(ENTRIES).where(ENTRIES.c.id == entry.id).values(**values))
