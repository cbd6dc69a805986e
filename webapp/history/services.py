"""Writing history: one entry in the transaction of the change it tells of."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update

from webapp.access.actor import Actor
from webapp.db import atomic, get_connection, get_session, get_settings
from webapp.db.bulk import insert_from_json, stored_time
from webapp.extensions import utc_now
from webapp.history.models import ENTRIES, LANES
from webapp.history.queries import IS_STAFF, list_named
from webapp.history.rules import (
    LONGEST_REQUEST_ID,
    NAMED_SINCE,
    Changes,
    Kind,
    canonical,
    digest,
    is_staff,
    link,
    search_text_of,
    segment_of,
)

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
    JSON values.
    """

    subject: Subject | None = None
    changes: Changes = NOTHING
    facts: Mapping[str, Any] = NOTHING
    undoes_id: int | None = None


def record(
    kind: Kind,
    *,
    actor: Actor,
    subject: Subject | None = None,
    changes: Changes | None = None,
    facts: Mapping[str, Any] | None = None,
    undoes_id: int | None = None,
) -> int:
    """Write one entry and answer its id. Raises Conflict when ``undoes_id`` was undone already."""
    happening = Happening(subject, changes or NOTHING, facts or NOTHING, undoes_id)
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
    told = _origin(actor)
    rows, last, origin = [], lane.hash, (told, _salted(told))
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


Told = dict[str, Any]


def _origin(actor: Actor) -> Told:
    token = {} if actor.token_id is None else {"token": actor.token_id}
    return {"name": actor.name, "address": actor.address[:LONGEST_ADDRESS], **token}


def _entry(
    kind: Kind,
    happening: Happening,
    actor: Actor,
    origin: tuple[Told, str],
    *,
    lane: int,
    number: int,
    previous: str,
) -> dict[str, Any]:
    """The row, linked to the one before it in its lane. ``origin`` is salted once for all that the actor does
    at once: it is erased together.
    """
    subject, changes, facts, undoes_id = happening
    told: Told = {"name": subject.name if subject else "", "changes": dict(changes), **facts}
    details, (told_of_actor, stored_origin) = _salted(told), origin
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
        "origin_digest": digest(stored_origin),
        "lane": lane,
        "number": number,
    }
    return {
        **values,
        "hash": link(previous, values),
        "details": details,
        "origin": stored_origin,
        "search_text": search_text_of(told, told_of_actor),
        "segment": segment_of(kind, actor.door),
    }


def _salted(value: Told) -> str:
    """With a salt that is erased with it: nobody can try names against its digest then."""
    return canonical({"salt": secrets.token_hex(SALT_BYTES), **value})


FORGOTTEN_AT_ONCE = 1_000  # entries of one transaction


def named_since() -> datetime:
    """Who acted as staff stays named in what they did since then (HISTORY_STAFF_DAYS)."""
    return utc_now() - timedelta(days=get_settings().history_staff_days)


@atomic
def forget(person_id: int) -> Mapping[str, Any]:
    """Erase who a person was from all that is told about them, and from what they did themselves; but for
    what they did as staff, which names them until its time is over: else who can delete a colleague could
    make one, act as them, and be known by none.

    Answer the facts that the entry of their deletion must tell: they explain what is erased. That it
    happened, when, and what kind of thing it was stays, and so does the chain.
    """
    since, entry = named_since(), ENTRIES.c
    is_about = and_(
        entry.subject_id == person_id, entry.details.is_not(None), entry.kind != Kind.PURGED.value
    )
    is_by = and_(entry.actor_id == person_id, entry.origin.is_not(None), or_(~IS_STAFF, entry.at < since))
    _erase(or_(is_about, is_by), person_id, since)
    return {NAMED_SINCE: since.isoformat()}


def forget_names(*, actor: Actor) -> int:
    """Of those who were deleted for good, erase who they were from what they did as staff so long ago that
    the time is over; answer how many of them there were.

    The entry that tells of it comes first, so that nothing is ever erased that none explains.
    """
    since = named_since()
    people = list_named(before=since)
    if people:
        record(Kind.PURGED, actor=actor, facts={NAMED_SINCE: since.isoformat(), "count": len(people)})
    for person_id in people:
        while _forget_some(person_id, since) == FORGOTTEN_AT_ONCE:
            pass
    return len(people)


@atomic
def _forget_some(person_id: int, since: datetime) -> int:
    entry = ENTRIES.c
    is_over = and_(entry.actor_id == person_id, entry.origin.is_not(None), entry.at < since)
    return _erase(is_over, person_id, since, most=FORGOTTEN_AT_ONCE)


def _erase(which: ColumnElement[bool], person_id: int, since: datetime, *, most: int | None = None) -> int:
    """The entries are locked in the order of their ids: others they tell of may be forgotten at the same
    moment. Answer how many they were.
    """
    session = get_session()
    found = session.execute(select(ENTRIES).where(which).order_by(ENTRIES.c.id).limit(most).with_for_update())
    entries = found.all()
    for entry in entries:
        is_about = entry.subject_id == person_id and entry.kind != Kind.PURGED
        is_over = entry.actor_id == person_id and (not is_staff(entry.actor_role) or entry.at < since)
        details = None if is_about else entry.details
        origin = None if is_over else entry.origin
        told = [json.loads(text) if text else {} for text in (details, origin)]
        values = {"details": details, "origin": origin, "search_text": search_text_of(*told)}
        session.execute(update(ENTRIES).where(ENTRIES.c.id == entry.id).values(**values))
    return len(entries)
