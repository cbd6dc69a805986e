"""The calls about the history: what was done, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from webapp.access.actor import Actor, Door
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission, Role
from webapp.api.bodies import WHOLE
from webapp.api.calls import Answer, Calls, Shown
from webapp.api.credits import write_amount
from webapp.api.lists import (
    LINKED,
    ListQuery,
    Moment,
    PageShown,
    SearchText,
    find_page,
    link_pages,
    number_page,
)
from webapp.api.users import UserShown
from webapp.api.users import show as show_user
from webapp.history import queries
from webapp.history.queries import Story
from webapp.history.rules import Kind
from webapp.history.timeline import find_told_people, is_by_deleted, may_undo
from webapp.listing.definition import Selection
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.search import split_words
from webapp.users.queries import find_roles, get_user
from webapp.users.undoing import undo_change

calls = Calls("History")

Id = Annotated[int, WHOLE]


class UserHistoryQuery(ListQuery):
    sort: Literal["at", "-at"] = Field("-at", description="“-” in front turns the order round.")
    kind: Kind | None = Field(None, description="Only what is of this kind.")
    door: Door | None = Field(None, description="Only what came through this door.")
    at_from: Moment | None = Field(None, description="At this moment or later.")
    at_before: Moment | None = Field(None, description="Earlier than this.")


class HistoryQuery(UserHistoryQuery):
    query: SearchText = Field("", description="Words of the names of who did it and whom it is about.")
    subject_id: Id | None = Field(None, ge=1, le=LARGEST_ID, description="Only what is about this user.")
    actor_id: Id | None = Field(None, ge=1, le=LARGEST_ID, description="Only what this user did.")


class ChangeShown(Shown):
    old: Any
    new: Any


class EntryShown(Shown):
    """A name is empty where the person is forgotten; an id is null where there is nobody. Who acted as staff
    stays named for a time, 400 days unless set otherwise, though they are deleted for good.

    Without the scope users.read names are empty and what was written of people is left out, without
    credits.read amounts are.
    """

    id: int
    at: datetime
    kind: Kind
    door: Door
    subject_id: int | None
    subject_name: str
    actor_id: int | None
    actor_name: str
    actor_role: str | None
    actor_is_deleted: bool = Field(description="Whether who did it is in the trash, or deleted for good.")
    token_id: int | None = Field(description="The token that it was done with, if it was through the API.")
    address: str
    request_id: str
    version: int | None = Field(description="The one that the change made of the user.")
    changes: dict[str, ChangeShown] = Field(
        description="Field → what it was and is. A balance is a text such as “12.50”."
    )
    facts: dict[str, Any] = Field(
        description="What else there is to tell of this kind. An amount is a text such as “12.50”."
    )
    undoes_id: int | None = Field(description="The entry that this one took back.")
    is_undone: bool
    is_undoable: bool = Field(description="Whether this token may try to undo it.")


class EntryPage(PageShown):
    entries: list[EntryShown]


class Undone(Shown):
    user: UserShown | None = Field(description="As the user is now; null for one who is in the trash now.")


def show_all(stories: Sequence[Story], actor: Actor) -> list[EntryShown]:
    undone = queries.find_undone([story.id for story in stories])
    roles = find_roles(find_told_people(stories))
    return [show(story, actor, roles, is_undone=story.id in undone) for story in stories]


def show(story: Story, actor: Actor, roles: Mapping[int, Role], *, is_undone: bool) -> EntryShown:
    knows_people = actor.may(Permission.USERS_READ)
    return EntryShown(
        **{name: getattr(story, name) for name in PLAIN},
        subject_name=story.subject_name if knows_people else "",
        actor_name=story.actor_name if knows_people else "",
        changes={
            name: ChangeShown(old=_write(name, old), new=_write(name, new))
            for name, (old, new) in story.changes.items()
            if _may_see(name, actor)
        },
        facts={
            "amount" if name == "cents" else name: _write(name, value)
            for name, value in story.facts.items()
            if _may_see(name, actor)
        },
        actor_is_deleted=is_by_deleted(story, roles),
        is_undone=is_undone,
        is_undoable=not is_undone and may_undo(story, actor, roles),
    )


PLAIN = tuple(
    name
    for name in EntryShown.model_fields
    if name not in {"subject_name", "changes", "facts", "is_undone", "is_undoable"}
    and not name.startswith(("actor_name", "actor_is"))
)
# Fields and facts that other calls tell only with a scope of their own.
GUARDED: Mapping[str, Permission] = {
    **dict.fromkeys(("note", "email", "full_name"), Permission.USERS_READ),
    **dict.fromkeys(("balance", "cents"), Permission.CREDITS_READ),
}


def _may_see(name: str, actor: Actor) -> bool:
    needed = GUARDED.get(name)
    return needed is None or actor.may(needed)


def _write(name: str, value: Any) -> Any:
    """An amount as the calls about credits write it, anything else as it is."""
    return write_amount(value) if name in {"balance", "cents"} and isinstance(value, int) else value


def answer_entries(selection: Selection, query: UserHistoryQuery) -> Answer:
    page = find_page(queries.LISTING, selection, query, sort=query.sort)
    entries = show_all([queries.tell(row) for row in page.rows], current_actor())
    return Answer(value=EntryPage(entries=entries, **number_page(page)._asdict()), headers=link_pages(page))


def filters_of(query: UserHistoryQuery) -> Mapping[str, Any]:
    return {"kind": query.kind, "door": query.door, "since": query.at_from, "before": query.at_before}


@calls.get(
    "/history", permission=Permission.HISTORY_READ, query=HistoryQuery, answer=EntryPage, headers=LINKED
)
def list_history(query: HistoryQuery) -> Answer:
    """List what was done, the latest first.

    To search needs the scope users.read, too: who may not read names does not find by them.
    """
    words = split_words(query.query)
    if words:
        current_actor().require(Permission.USERS_READ)
    selection = queries.select_entries(
        words=words,
        subject_id=query.subject_id,
        actor_id=query.actor_id,
        **filters_of(query),
    )
    return answer_entries(selection, query)


@calls.get(
    "/users/<id:user_id>/history",
    permission=Permission.HISTORY_READ,
    query=UserHistoryQuery,
    answer=EntryPage,
    headers=LINKED,
)
def list_user_history(user_id: int, query: UserHistoryQuery) -> Answer:
    """List what was done to a user, the latest first."""
    get_user(user_id)
    return answer_entries(queries.select_entries(subject_id=user_id, **filters_of(query)), query)


@calls.get("/history/<id:entry_id>", permission=Permission.HISTORY_READ, answer=EntryShown)
def show_entry(entry_id: int) -> Answer:
    """Read one entry."""
    (entry,) = show_all([queries.get_story(entry_id)], current_actor())
    return Answer(value=entry)


@calls.post(
    "/history/<id:entry_id>/undo",
    permission=Permission.USERS_EDIT,
    answer=Undone,
    refusals=(409,),
)
def undo_entry(entry_id: int) -> Answer:
    """Undo a change: as a change of its own, unless a later one stands in its way.

    Undoing needs the scope of what it does, too: users.set_role for a role, users.set_status for is_active,
    users.delete where somebody was created, deleted or restored.
    """
    user = undo_change(entry_id, actor=current_actor())
    return Answer(value=Undone(user=show_user(user) if user else None))
