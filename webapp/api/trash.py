"""The calls about the trash: who is in it, back out of it, or gone for good."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flask import url_for
from pydantic import Field

from webapp.access.identity import current_actor
from webapp.access.permissions import Permission, Role
from webapp.api.bodies import Body
from webapp.api.calls import Answer, Calls, Deleted, Shown
from webapp.api.conditions import TAGGED
from webapp.api.lists import LINKED, ListQuery, PageShown, find_page, link_pages, number_page
from webapp.api.users import Email, UserShown, answer_user
from webapp.listing.definition import Selection
from webapp.listing.types import AnyRow
from webapp.users import queries, trash
from webapp.users.models import Trashed
from webapp.web.language import gettext

calls = Calls("Trash")


class TrashQuery(ListQuery):
    sort: Literal["deleted_at", "-deleted_at"] = Field(
        "-deleted_at", description="“-” in front turns the order round."
    )


class Restoring(Body):
    email: Email | None = Field(None, description="Another one, where somebody else has the old one by now.")


class TrashedShown(Shown):
    id: int
    email: str
    full_name: str
    role: Role
    deleted_at: datetime


class TrashPage(PageShown):
    users: list[TrashedShown]


def show(row: AnyRow | Trashed, user_id: int) -> TrashedShown:
    values = {name: getattr(row, name) for name in ("email", "full_name", "role", "deleted_at")}
    return TrashedShown(id=user_id, **values)


@calls.get("/trash", permission=Permission.USERS_DELETE, query=TrashQuery, answer=TrashPage, headers=LINKED)
def list_trash(query: TrashQuery) -> Answer:
    """List who is in the trash."""
    page = find_page(queries.TRASH_LISTING, Selection(), query, sort=query.sort)
    users = [show(row, row.id) for row in page.rows]
    return Answer(value=TrashPage(users=users, **number_page(page)._asdict()), headers=link_pages(page))


@calls.get("/trash/<id:user_id>", permission=Permission.USERS_DELETE, answer=TrashedShown)
def show_trashed(user_id: int) -> Answer:
    """Read one who is in the trash."""
    return Answer(value=show(trash.get_trashed(user_id), user_id))


@calls.post(
    "/trash/<id:user_id>/restore",
    permission=Permission.USERS_DELETE,
    body=Restoring,
    answer=UserShown,
    headers={"Location": "The user's address.", **TAGGED},
    refusals=(409,),
)
def restore_user(user_id: int, body: Restoring) -> Answer:
    """Restore a user as he was, under the same id."""
    user = trash.restore_user(user_id, email=body.email, actor=current_actor())
    return answer_user(user, Location=url_for("api.show_user", user_id=user.id))


@calls.delete("/trash/<id:user_id>", permission=Permission.USERS_DELETE, answer=Deleted)
def purge_user(user_id: int) -> Answer:
    """Delete for good: the history keeps that something was done, and forgets about whom.

    It keeps who acted as staff for 400 days after each action, unless set otherwise.
    """
    trash.purge_user(user_id, actor=current_actor())
    return Answer(value=Deleted(message=gettext("The user is deleted for good."), id=user_id))
