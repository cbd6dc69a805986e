"""Drafts: who is chosen, frozen as they are now, and what is to be done to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import delete, func, select, update

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.batches.changes import change_of
from webapp.batches.creators import sign
from webapp.batches.locks import lock, lock_draft, needed_for
from webapp.batches.models import BATCHES, ROWS, Batch
from webapp.batches.queries import Resolution, parts_of
from webapp.batches.rules import (
    AT_ONCE,
    MAX_DRAFTS,
    MOST_ROWS,
    PERMISSIONS,
    WITH_VALUE,
    Source,
    State,
    clean_action,
)
from webapp.db import atomic, get_session
from webapp.db.bulk import load_rows
from webapp.errors import N_, Conflict, Invalid
from webapp.extensions import utc_now
from webapp.listing.keyset import LARGEST_ID
from webapp.users.models import derive_keys
from webapp.users.queries import Person, list_people
from webapp.users.standing import lock_standing

DRAFTS_KEPT = timedelta(days=1)
DRAFTS_IN_USE = timedelta(hours=1)  # for so long after its last use a draft makes no room for another
UNRESOLVED_KEPT = timedelta(days=30)
WRITTEN_AT_ONCE = 25_000


def create_batch(
    user_ids: Collection[int],
    *,
    source: Source,
    action: str = "",
    resolution: Resolution | None = None,
    actor: Actor,
) -> Batch:
    """Freeze who is chosen. Nobody is changed yet; ``action`` may be chosen later.

    Raises Invalid when there is nobody, or more than MOST_ROWS.
    """
    actor.require(Permission.USERS_DELETE if source is Source.TRASH else Permission.USERS_EDIT)
    user_ids = _possible(user_ids)
    if len(user_ids) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    if not user_ids and not (resolution and resolution.unclear):
        raise Invalid(N_("Choose at least one user."))
    chosen = clean_action(action, source) if action else None
    if chosen:
        actor.require(PERMISSIONS[chosen])
    batch = Batch(
        creator_id=actor.user_id,
        source=source.value,
        action=chosen.value if chosen else None,
        unresolved=resolution.to_json() if resolution else "",
    )
    _write(batch, [(user_id, None) for user_id in sorted(user_ids)], actor)
    return batch


def create_rest(batch: Batch, *, actor: Actor) -> Batch:
    """Of a batch that was stopped: freeze those whose turn never came, for the same change as one's own.

    It is looked at and run with the rights of ``actor``. Raises Conflict where there is no rest.
    """
    actor.require(needed_for(batch))
    if batch.state != State.STOPPED.value or batch.position >= batch.total:
        raise Conflict(N_("There is nothing left to do."))
    rest = Batch(
        creator_id=actor.user_id,
        source=batch.source,
        action=batch.action,
        value=batch.value,
    )
    parts = parts_of(batch.id, after=batch.position, size=WRITTEN_AT_ONCE)
    _write(rest, [(row.user_id, row.undoes_entry_id) for rows in parts for row in rows], actor)
    return rest


Chosen: TypeAlias = tuple[int, int | None]  # a user, and which entry is to be undone


def _write(batch: Batch, chosen: Sequence[Chosen], actor: Actor) -> None:
    _begin(batch, chosen[:WRITTEN_AT_ONCE], actor)
    for start in range(WRITTEN_AT_ONCE, len(chosen), WRITTEN_AT_ONCE):
        _go_on_choosing(batch, chosen[start : start + WRITTEN_AT_ONCE], actor)


@atomic
def _begin(batch: Batch, chosen: Sequence[Chosen], actor: Actor) -> None:
    _sweep()
    actor = lock_standing(actor)
    make_room(actor)
    sign(batch, actor)
    batch.total = 0
    get_session().add(batch)
    get_session().flush()
    _append(batch, chosen)
    get_session().flush()


@atomic
def _go_on_choosing(batch: Batch, chosen: Sequence[Chosen], actor: Actor) -> None:
    """On SQLite nobody else writes while a hundred thousand rows are: so they are written in parts."""
    lock(batch)
    lock_standing(actor)
    _append(batch, chosen)


def _append(batch: Batch, chosen: Iterable[Chosen]) -> None:
    rows = [(batch.id, position, *each) for position, each in enumerate(chosen, batch.total + 1)]
    load_rows(get_session(), ROWS, ("batch_id", "position", "user_id", "undoes_entry_id"), rows)
    batch.total += len(rows)


def make_room(actor: Actor) -> None:
    """Of MAX_DRAFTS of one person, whose row is locked, the one that was not used for longest goes; raises
    Conflict where all of them were used lately, for then they may be looked at. What is just being run is
    passed over: it is no draft in a moment.
    """
    if actor.user_id is None:
        return
    used_at = func.coalesce(BATCHES.c.touched_at, BATCHES.c.created_at)
    own = BATCHES.c.creator_id == actor.user_id, BATCHES.c.state == State.DRAFT.value
    drafts = select(BATCHES.c.id, used_at.label("used_at")).where(*own).order_by(used_at, BATCHES.c.id)
    found = get_session().execute(drafts.with_for_update(skip_locked=True)).all()
    surplus = found[: max(0, len(found) - MAX_DRAFTS + 1)]
    if surplus and surplus[-1].used_at > utc_now() - DRAFTS_IN_USE:
        raise Conflict(
            N_("You are preparing %(most)s bulk changes already. Run or cancel one of them first."),
            most=MAX_DRAFTS,
        )
    if surplus:
        get_session().execute(delete(BATCHES).where(BATCHES.c.id.in_([draft.id for draft in surplus])))


@atomic
def discard(batch: Batch, *, actor: Actor) -> None:
    """Give up a draft of one's own. Raises Conflict when it was run already."""
    lock_draft(batch, actor)
    get_session().delete(batch)


def _possible(user_ids: Iterable[int]) -> set[int]:
    """Without those that no database has room for."""
    return {user_id for user_id in user_ids if 0 < user_id <= LARGEST_ID}


def _sweep() -> None:
    """Of what nobody came back to, the oldest; and lists that people pasted are not kept for ever."""
    session, now = get_session(), utc_now()
    is_draft = BATCHES.c.state == State.DRAFT.value
    old = select(BATCHES.c.id).where(is_draft, BATCHES.c.created_at < now - DRAFTS_KEPT)
    oldest = BATCHES.c.id.in_(old.order_by(BATCHES.c.id).limit(1))
    session.execute(delete(BATCHES).where(oldest, is_draft))  # asked again: it may just have been run
    listed = BATCHES.c.created_at < now - UNRESOLVED_KEPT
    session.execute(update(BATCHES).where(listed, BATCHES.c.unresolved != "").values(unresolved=""))


@atomic
def choose_action(batch: Batch, *, action: str, value: str | None = None, actor: Actor) -> None:
    """What is to be done; ``value`` is None when it is still to be asked for. Raises Invalid on the field."""
    lock_draft(batch, actor)
    chosen = clean_action(action, Source(batch.source))
    actor.require(PERMISSIONS[chosen])
    text = (value or "").strip() if chosen in WITH_VALUE else ""
    if value is not None:
        change_of(chosen, text)
    batch.action, batch.value, batch.touched_at = chosen.value, text, utc_now()


@atomic
def choose_namesakes(batch: Batch, *, user_ids: Collection[int], actor: Actor) -> None:
    """Of names that several have: who is meant. Their names are answered with that.

    Raises Invalid for more than can have been asked about; who has none of these names is left out.
    """
    lock_draft(batch, actor)
    resolution = Resolution.from_json(batch.unresolved)
    if batch.source != Source.PASTED.value or len(user_ids) > AT_ONCE:
        raise Invalid(N_("At most %(most)s at once. Paste it in parts."), most=AT_ONCE)
    asked = {item.key for item in resolution.ambiguous}
    meant = {person.id: name_key_of(person) for person in list_people(_possible(user_ids))}
    meant = {user_id: key for user_id, key in meant.items() if key in asked}
    present = set(get_session().scalars(select(ROWS.c.user_id).where(ROWS.c.batch_id == batch.id)))
    if len(present | meant.keys()) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s users at once. Narrow the filters."), most=MOST_ROWS)
    _append(batch, [(user_id, None) for user_id in sorted(meant.keys() - present)])
    if meant:
        batch.touched_at = utc_now()
    left = [item for item in resolution.ambiguous if item.key not in meant.values()]
    resolution.unclear -= len(resolution.ambiguous) - len(left)
    resolution.ambiguous = left
    batch.unresolved = resolution.to_json()


def name_key_of(person: Person) -> str:
    return derive_keys(full_name=person.full_name, email=person.email)["name_key"]


@atomic
def forget_lists(_user_id: int) -> None:
    """Somebody is deleted for good, and what was pasted and not found may have been his address.

    Locked in the order of their ids: two may be deleted for good at the same moment.
    """
    session = get_session()
    listed = select(BATCHES.c.id).where(BATCHES.c.unresolved != "").order_by(BATCHES.c.id)
    ids = session.scalars(listed.with_for_update()).all()
    session.execute(update(BATCHES).where(BATCHES.c.id.in_(ids)).values(unresolved=""))
