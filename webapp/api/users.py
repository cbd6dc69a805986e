"""The calls about users: the same services, rules and permissions as the pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from flask import url_for
from pydantic import AfterValidator, Field, Strict

from webapp.access.identity import current_actor
from webapp.access.permissions import Permission, Role
from webapp.api.bodies import Body, Changes, follows
from webapp.api.calls import Answer, Calls, Deleted, Shown
from webapp.api.conditions import TAGGED, Match, make_tag
from webapp.api.lists import LINKED, ListQuery, Moment, SearchText, find_page, link_pages, number_page
from webapp.listing.search import split_words
from webapp.listing.types import AnyRow
from webapp.users import amending, queries, rules, services, trash
from webapp.users.models import User
from webapp.web.language import gettext

calls = Calls("Users")

Sort = Literal[
    "id",
    "-id",
    "name",
    "-name",
    "email",
    "-email",
    "created_at",
    "-created_at",
    "last_sign_in_at",
    "-last_sign_in_at",
]
Status = Literal["active", "invited", "inactive"]
AnyRole = Annotated[Role, Strict(False)]  # JSON has no roles, only their names
Email = Annotated[
    str,
    AfterValidator(follows(rules.clean_email)),
    Field(json_schema_extra={"format": "email", "maxLength": rules.LONGEST_EMAIL}),
]
FullName = Annotated[
    str,
    AfterValidator(follows(rules.clean_full_name)),
    Field(json_schema_extra={"maxLength": rules.LONGEST_NAME}),
]


# What is sent


class ActiveUsersQuery(ListQuery):
    sort: Sort = Field("id", description="“id” is the order of arrival; “-” in front turns the order round.")
    query: SearchText = Field("", description="Words of name and e-mail, without regard to case and accents.")
    role: Role | None = Field(None, description="Only users of this role.")
    created_from: Moment | None = Field(None, description="Created at this moment or later.")
    created_before: Moment | None = Field(None, description="Created earlier than this.")


class UsersQuery(ActiveUsersQuery):
    status: Status | None = Field(None, description="“active” counts those who are invited, too.")


class SearchQuery(UsersQuery):
    query: SearchText = Field(description="Words of name and e-mail, without regard to case and accents.")


class NewUser(Body):
    email: Email
    full_name: FullName = ""
    role: AnyRole = Role.MEMBER
    is_active: bool = True
    password: str | None = Field(
        None,
        description="Without one the user is invited: a one-time link sets it. Only for members.",
    )


class WholeUser(Body):
    email: Email
    full_name: FullName
    role: AnyRole
    is_active: bool


class UserChanges(Changes):
    """What is left out stays as it is."""

    email: Email = ""
    full_name: FullName = ""
    role: AnyRole = Role.MEMBER
    is_active: bool = True


# What is answered


class UserShown(Shown):
    id: int
    email: str
    full_name: str
    is_active: bool
    is_superuser: bool = Field(description="Whether the role is administrator.")
    is_invited: bool = Field(description="Whether there is no password (any more): a one-time link sets one.")
    role: Role
    created_at: datetime
    last_sign_in_at: datetime | None
    version: int = Field(description="Counts edits; the ETag begins with it.")


class UserPage(Shown):
    users: list[UserShown]
    page: int | None = Field(description="null where a cursor led to a page whose place is not known.")
    page_size: int
    total: int | None = Field(description="Exact, or null where a search has more than 10,000 hits.")
    pages: int | None = Field(
        description="null where total is, and where not every page is found by its number."
    )


def show(user: User | AnyRow) -> UserShown:
    """Of a user, or of a row of the list."""
    return UserShown.model_construct(
        id=user.id,
        email=user.email,
        full_name=user.full_name,
        is_active=user.is_active,
        is_superuser=user.role is Role.ADMINISTRATOR,
        is_invited=user.is_invited,
        role=user.role,
        created_at=user.created_at,
        last_sign_in_at=user.last_sign_in_at,
        version=user.version,
    )


def answer_user(user: User, **headers: str) -> Answer:
    """A sign-in is no edit, yet shows; so the tag ends with it."""
    moment = user.last_sign_in_at
    tag = make_tag(user.version, rest=f"{int(moment.timestamp() * 1_000_000):x}" if moment else "")
    return Answer(value=show(user), headers={"ETag": tag, **headers})


def answer_users(query: ActiveUsersQuery, status: Status | None) -> Answer:
    selection = queries.select_users(
        words=split_words(query.query),
        status=status,
        role=query.role,
        created_from=query.created_from,
        created_before=query.created_before,
    )
    page = find_page(queries.LISTING, selection, query, sort=query.sort)
    users = [show(row) for row in page.rows]
    return Answer(value=UserPage(users=users, **number_page(page)._asdict()), headers=link_pages(page))


# The calls


@calls.get("/users", permission=Permission.USERS_READ, query=UsersQuery, answer=UserPage, headers=LINKED)
def list_users(query: UsersQuery) -> Answer:
    """List users.

    Filters and search work together. By the links of the header Link a page costs the same wherever it is; so
    it does by its number in the order of arrival, of all users, a status or a role.
    """
    return answer_users(query, query.status)


@calls.get(
    "/users/search", permission=Permission.USERS_READ, query=SearchQuery, answer=UserPage, headers=LINKED
)
def search_users(query: SearchQuery) -> Answer:
    """Search users by name or e-mail."""
    return answer_users(query, query.status)


@calls.get(
    "/users/active", permission=Permission.USERS_READ, query=ActiveUsersQuery, answer=UserPage, headers=LINKED
)
def list_active_users(query: ActiveUsersQuery) -> Answer:
    """List active users."""
    return answer_users(query, "active")


def hash_password(body: NewUser) -> dict[str, str | None]:
    email, role = rules.clean_email(body.email), rules.clean_role(body.role)
    full_name = rules.clean_full_name(body.full_name)
    if body.password is None:
        return {"hashed_password": None}
    return {
        "hashed_password": services.hash_new_password(
            body.password, role=role, email=email, full_name=full_name
        )
    }


@calls.post(
    "/users",
    prepare=hash_password,
    permission=Permission.USERS_CREATE,
    body=NewUser,
    answer=UserShown,
    status=201,
    headers={"Location": "The new user's address.", **TAGGED},
    refusals=(409,),
)
def create_user(body: NewUser, hashed_password: str | None) -> Answer:
    """Create a user."""
    values = body.model_dump(exclude={"password"})
    user = services.create_user(**values, hashed_password=hashed_password, actor=current_actor())
    return answer_user(user, Location=url_for("api.show_user", user_id=user.id))


@calls.get("/users/<id:user_id>", permission=Permission.USERS_READ, answer=UserShown, headers=TAGGED)
def show_user(user_id: int) -> Answer:
    """Read one user."""
    return answer_user(queries.get_user(user_id))


@calls.put(
    "/users/<id:user_id>",
    permission=Permission.USERS_EDIT,
    body=WholeUser,
    answer=UserShown,
    needs_match=True,
    headers=TAGGED,
    refusals=(409,),
)
def replace_user(user_id: int, match: Match, body: WholeUser) -> Answer:
    """Replace a user: all that can be changed is sent.

    Another role needs the scope users.set_role too, another is_active the scope users.set_status. A member
    who gets another role loses the password: a new one-time link sets one.
    """
    return _amend(user_id, match, body)


@calls.patch(
    "/users/<id:user_id>",
    permission=Permission.USERS_EDIT,
    body=UserChanges,
    answer=UserShown,
    needs_match=True,
    headers=TAGGED,
    refusals=(409,),
)
def change_user(user_id: int, match: Match, body: UserChanges) -> Answer:
    """Change a user: what is left out stays as it is.

    Another role needs the scope users.set_role too, another is_active the scope users.set_status. A member
    who gets another role loses the password: a new one-time link sets one.
    """
    return _amend(user_id, match, body)


def _amend(user_id: int, match: Match, body: WholeUser | UserChanges) -> Answer:
    user = queries.get_user(user_id)
    version = match.require(user.version)
    amending.amend_user(user, version=version, **body.model_dump(exclude_unset=True), actor=current_actor())
    return answer_user(user)


@calls.delete(
    "/users/<id:user_id>",
    permission=Permission.USERS_DELETE,
    answer=Deleted,
    needs_match=True,
    refusals=(409,),
)
def delete_user(user_id: int, match: Match) -> Answer:
    """Delete a user: into the trash, from which an administrator can restore it."""
    user = queries.get_user(user_id)
    trash.delete_user(user, version=match.require(user.version), actor=current_actor())
    return Answer(value=Deleted(message=gettext("The user was deleted, and is in the trash."), id=user_id))
