"""Reading history, and following its chains."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.db import get_session
from webapp.errors import N_, NotFound
from webapp.history.models import ENTRIES, ORDERS
from webapp.history.rules import Kind, read_named_since, segment_of
from webapp.listing.definition import Listing, Range, SearchIndex, Segments, Selection
from webapp.listing.keyset import LARGEST_ID, SortKey
from webapp.listing.types import AnyRow

_entries = ENTRIES.c

LISTING = Listing(
    columns=(
        _entries.id,
        _entries.at,
        _entries.kind,
        _entries.door,
        _entries.subject_id,
        _entries.actor_id,
        _entries.actor_role,
        _entries.request_id,
        _entries.version,
        _entries.undoes_id,
        _entries.details,
        _entries.origin,
    ),
    row_id=_entries.id,
    sorts={"at": SortKey(_entries.at, datetime)},
    segments=Segments(
        _entries.segment, tuple(segment_of(kind, door) for kind in Kind for door in Door), leads=False
    ),
    search=SearchIndex(_entries.search_text, "entries_search", _entries.at, ORDERS),
    owners={"subject": _entries.subject_id, "actor": _entries.actor_id},
)


def select_entries(
    *,
    words: tuple[str, ...] = (),
    subject_id: int | None = None,
    actor_id: int | None = None,
    kind: Kind | None = None,
    door: Door | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
) -> Selection:
    """Which entries to list; everything None or empty means all. Times are half-open: [since, before)."""
    segments = frozenset(
        segment_of(one, through)
        for one in ([kind] if kind else Kind)
        for through in ([door] if door else Door)
    )
    owners = {"subject": subject_id, "actor": actor_id}
    return Selection(
        words=words,
        segments=segments if kind or door else None,
        range=Range("at", since, before) if since or before else None,
        owners=tuple((name, owner) for name, owner in owners.items() if owner is not None),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """An entry as people read it. What was personal is empty once the person is forgotten."""

    id: int
    at: datetime
    kind: Kind
    door: Door
    subject_id: int | None
    subject_name: str
    actor_id: int | None
    actor_name: str
    actor_role: str | None
    token_id: int | None
    address: str
    request_id: str
    version: int | None
    undoes_id: int | None
    changes: Mapping[str, tuple[Any, Any]]
    facts: Mapping[str, Any]


def tell(row: AnyRow) -> Story:
    details: dict[str, Any] = json.loads(row.details) if row.details else {}
    origin: dict[str, Any] = json.loads(row.origin) if row.origin else {}
    changes = {name: (old, new) for name, (old, new) in details.pop("changes", {}).items()}
    details.pop("salt", None)
    return Story(
        id=row.id,
        at=row.at,
        kind=Kind(row.kind),
        door=Door(row.door),
        subject_id=row.subject_id,
        subject_name=details.pop("name", ""),
        actor_id=row.actor_id,
        actor_name=origin.get("name", ""),
        actor_role=row.actor_role,
        token_id=origin.get("token"),
        address=origin.get("address", ""),
        request_id=row.request_id,
        version=row.version,
        undoes_id=row.undoes_id,
        changes=changes,
        facts=details,
    )


def get_story(entry_id: int) -> Story:
    """Raises NotFound."""
    statement = select(*LISTING.columns).where(_entries.id == entry_id)
    row = get_session().execute(statement).one_or_none() if entry_id <= LARGEST_ID else None
    if row is None:
        raise NotFound(N_("There is no such entry in the history."))
    return tell(row)


def get_stories(entry_ids: Collection[int]) -> dict[int, Story]:
    """By their ids; one that is not there is left out."""
    statement = select(*LISTING.columns).where(_entries.id.in_(entry_ids))
    return {row.id: tell(row) for row in get_session().execute(statement)} if entry_ids else {}


def list_stories(subject_id: int, *, most: int) -> list[Story]:
    """The latest entries about somebody, the newest first."""
    statement = (
        select(*LISTING.columns)
        .where(_entries.subject_id == subject_id)
        .order_by(_entries.at.desc(), _entries.id.desc())
        .limit(most)
    )
    return [tell(row) for row in get_session().execute(statement)]


def list_latest(kind: Kind, *, most: int) -> list[Story]:
    """The latest entries of that kind, the newest first."""
    segments = [segment_of(kind, door) for door in Door]
    statement = (
        select(*LISTING.columns)
        .where(_entries.segment.in_(segments))
        .order_by(_entries.at.desc(), _entries.id.desc())
        .limit(most)
    )
    return [tell(row) for row in get_session().execute(statement)]


def list_stories_between(
    subject_id: int, kinds: Collection[Kind], *, since: datetime, until: datetime, most: int
) -> list[Story]:
    """Return the latest entries of these kinds about a person, from one time to the other, newest first."""
    statement = (
        select(*LISTING.columns)
        .where(
            _entries.subject_id == subject_id,
            _entries.kind.in_([kind.value for kind in kinds]),
            _entries.at.between(since, until),
        )
        .order_by(_entries.at.desc(), _entries.id.desc())
        .limit(most)
    )
    return [tell(row) for row in get_session().execute(statement)]


def find_own(subject_id: int, actor: Actor) -> int | None:
    """The id of the last entry that this request of the actor wrote about somebody."""
    statement = select(_entries.id).where(
        _entries.subject_id == subject_id,
        _entries.actor_id == actor.user_id,
        _entries.request_id == actor.request_id,
    )
    return get_session().scalar(statement.order_by(_entries.at.desc(), _entries.id.desc()).limit(1))


def find_latest_of(kind: Kind, subject_ids: Collection[int]) -> frozenset[int]:
    """The ids of the last entries of that kind about each of them."""
    statement = (
        select(func.max(_entries.id))
        .where(_entries.subject_id.in_(subject_ids), _entries.kind == kind.value)
        .group_by(_entries.subject_id)
    )
    return frozenset(get_session().scalars(statement)) if subject_ids else frozenset()


def list_stories_since(subject_id: int, version: int) -> list[Story]:
    """Those that made the subject's later versions, the newest first."""
    statement = (
        select(*LISTING.columns)
        .where(_entries.subject_id == subject_id, _entries.version > version)
        .order_by(_entries.version.desc(), _entries.id.desc())
    )
    return [tell(row) for row in get_session().execute(statement)]


def find_undone(entry_ids: Collection[int]) -> frozenset[int]:
    """Which of the entries were undone."""
    statement = select(_entries.undoes_id).where(_entries.undoes_id.in_(entry_ids))
    return frozenset(get_session().scalars(statement)) if entry_ids else frozenset()


# In SQL what rules.is_staff() says.
IS_STAFF = and_(_entries.actor_role.is_not(None), _entries.actor_role != Role.MEMBER.value)
PURGES = tuple(segment_of(Kind.PURGED, door) for door in Door)
PEOPLE_AT_ONCE = 500


def find_kept_names(actor_ids: Collection[int]) -> dict[int, str]:
    """By id what those were called who are users no more, while what they did as staff still names them."""
    names = {}
    for actor_id in actor_ids:
        latest = (
            select(_entries.origin)
            .where(_entries.actor_id == actor_id, _entries.origin.is_not(None), IS_STAFF)
            .order_by(_entries.at.desc(), _entries.id.desc())
            .limit(1)
        )
        if origin := get_session().scalar(latest):
            names[actor_id] = json.loads(origin)["name"]
    return names


def list_named(*, before: datetime) -> list[int]:
    """Those deleted for good whom something still names that they did as staff before then.

    Of those who were deleted before the time of an earlier sweep all is erased already.
    """
    named: set[int] = set()
    purges = select(_entries.at, _entries.id, _entries.subject_id).where(
        _entries.segment.in_(PURGES), _entries.subject_id.is_not(None)
    )
    at, entry_id = find_last_sweep() or datetime.min.replace(tzinfo=UTC), 0
    while True:
        later = or_(_entries.at > at, and_(_entries.at == at, _entries.id > entry_id))
        rows = purges.where(later).order_by(_entries.at, _entries.id).limit(PEOPLE_AT_ONCE)
        found = get_session().execute(rows).all()
        if not found:
            return sorted(named)
        ids = [row.subject_id for row in found]
        is_named = and_(_entries.actor_id.in_(ids), _entries.origin.is_not(None), _entries.at < before)
        named |= set(get_session().scalars(select(_entries.actor_id).where(is_named, IS_STAFF).distinct()))
        at, entry_id = found[-1].at, found[-1].id


def find_last_sweep() -> datetime | None:
    """Before when nothing names any more who was deleted for good, by the sweeps of all."""
    sweeps = select(_entries.details).where(_entries.segment.in_(PURGES), _entries.subject_id.is_(None))
    told = map(read_named_since, get_session().scalars(sweeps))
    return max((moment for moment in told if moment is not None), default=None)
