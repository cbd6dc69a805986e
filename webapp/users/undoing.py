"""Taking a change back from its entry in the history: by the same services, as a change of its own.

It is refused where a later change stands in its way, and says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from webapp.access.actor import Actor
from webapp.db import atomic
from webapp.errors import N_, Conflict
from webapp.history.queries import Story, find_latest_of, find_undone, get_story
from webapp.history.rules import FIELD_LABELS, Kind
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.queries import Person, find_user, get_user, lock_administrators

Undoer = Callable[[Story, Actor], None]
_undoers: dict[Kind, Undoer] = {}
EDITABLE = frozenset({"full_name", "email", "role"})
# The fields that each kind may have changed for its undo to know what to do; None: it does not matter.
UNDOABLE: Mapping[Kind, frozenset[str] | None] = {
    Kind.CREATED: None,
    Kind.DELETED: None,
    Kind.RESTORED: None,
    Kind.ACTIVATED: frozenset({"is_active"}),
    Kind.DEACTIVATED: frozenset({"is_active"}),
    Kind.EDITED: EDITABLE,
}
TOUCHING_ADMINISTRATORS = frozenset({Kind.CREATED, Kind.RESTORED, Kind.ACTIVATED})

CANNOT = N_("This cannot be undone.")
CREDITS_STAY = N_("The ledger keeps what it has booked. To take it back, make a transfer the other way.")
UNDONE = N_("This change was undone already.")
NOT_IN_TRASH_NOW = N_("This user is not in the trash any more.")
CHANGED_SINCE = N_("This user was changed since. Delete the user instead.")


def add_undoer(kind: Kind, undoer: Undoer) -> None:
    """How a later feature takes back what it told the history of users."""
    _undoers[kind] = undoer


@atomic
def undo_change(entry_id: int, *, actor: Actor) -> User | None:
    """Undo the entry; answer the user as he is then, None when he is in the trash.

    Raises NotFound, Forbidden, and Conflict when it cannot be undone (any more).
    """
    story = get_story(entry_id)
    if story.subject_id is None:
        raise Conflict(CANNOT)
    refuse_other_kinds(story)
    if find_undone([entry_id]):
        raise Conflict(UNDONE)
    if story.kind is Kind.DELETED:
        latest = find_latest_of(Kind.DELETED, [story.subject_id])
        if entry_id not in latest or not trash.is_trashed(story.subject_id):
            raise Conflict(NOT_IN_TRASH_NOW)
        return trash.restore_user(story.subject_id, actor=actor, undoes_id=entry_id)
    user = find_user(story.subject_id)
    if user is None and trash.is_trashed(story.subject_id):
        raise Conflict(N_("This user is in the trash. Restore the user first."))
    if user is None:
        raise Conflict(N_("This user is deleted for good."))
    if story.kind in _undoers:
        _undoers[story.kind](story, actor)
        return user
    if story.kind in TOUCHING_ADMINISTRATORS or "role" in story.changes:
        lock_administrators()  # before the user, as everywhere
    actor = services.lock_with_actor(user, actor)
    return _undo(story, user, actor)


def _undo(story: Story, user: User, actor: Actor) -> User | None:
    if story.kind in {Kind.CREATED, Kind.RESTORED}:
        if user.version != story.version:
            raise Conflict(CHANGED_SINCE)
        trash.delete_user(user, version=user.version, actor=actor, undoes_id=story.id)
        return None
    refuse_later_changes(story, user)
    if story.kind is Kind.ACTIVATED:
        services.deactivate_user(user, actor=actor, undoes_id=story.id)
    elif story.kind is Kind.DEACTIVATED:
        services.activate_user(user, actor=actor, undoes_id=story.id)
    else:
        before = {name: old for name, (old, _new) in story.changes.items()}
        services.update_user(user, version=user.version, **before, actor=actor, undoes_id=story.id)
    return get_user(user.id)


def refuse_other_kinds(story: Story) -> None:
    """Raise Conflict unless the entry is of a kind, and changed fields, that can be taken back at all.

    Asked first, so that none that is new to the history ever comes to a branch that does not know it.
    """
    if "balance" in story.changes:
        raise Conflict(CREDITS_STAY)
    fields = frozenset({"note"}) if story.kind in _undoers else UNDOABLE.get(story.kind, frozenset())
    if fields is not None and not (story.changes and story.changes.keys() <= fields):
        raise Conflict(CANNOT)


def refuse_later_changes(story: Story, person: User | Person) -> None:
    changed = [name for name, (_old, new) in story.changes.items() if getattr(person, name) != new]
    if changed:
        raise Conflict(
            N_("It was changed again since: %(fields)s. Undo the later change first, or edit the user."),
            fields=tuple(FIELD_LABELS[name] for name in changed),
        )
