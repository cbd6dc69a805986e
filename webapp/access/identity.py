"""Who sends this request, as pages, the API and guards see him. Each door knows people in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from flask import Flask, current_app, g, request

from webapp.access.actor import Actor, Door
from webapp.access.permissions import PERMISSIONS, Permission, Role

_LOADERS = "identity_loaders"
API_PATH = "/api"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A snapshot for one request: no database behind it, so that any page, the error page too, can show it.

    They came by a session or by a token: the other id is None. ``scopes`` are those of the token;
    ``epoch`` and ``credential`` are those of Actor, and have no default, so that no door forgets them;
    ``is_confirmed`` is Actor's too. ``notices_since``: what happened to their account since then is still to
    be shown.
    """

    id: int
    email: str
    full_name: str
    role: Role
    language: str | None
    time_zone: str | None
    epoch: int
    credential: Callable[[], bool] = field(compare=False, repr=False)
    session_id: int | None = None
    token_id: int | None = None
    scopes: frozenset[Permission] | None = None
    is_confirmed: bool = True
    notices_since: datetime | None = None
    must_change_password: bool = False

    @property
    def display_name(self) -> str:
        return self.full_name or self.email

    @property
    def permissions(self) -> frozenset[Permission]:
        held = PERMISSIONS[self.role]
        return held if self.scopes is None else held & self.scopes

    @cached_property
    def actor(self) -> Actor:
        return page_actor(
            user_id=self.id,
            name=self.display_name,
            role=self.role,
            scopes=self.scopes,
            token_id=self.token_id,
            epoch=self.epoch,
            credential=self.credential,
            is_confirmed=self.is_confirmed,
        )


def door_of_request() -> Door:
    """The API's is all that lies at /api or below, whether or not there is such a page."""
    return Door.API if f"{request.path}/".startswith(f"{API_PATH}/") else Door.PAGE


def page_actor(
    *,
    user_id: int | None = None,
    name: str = "",
    role: Role = Role.MEMBER,
    scopes: frozenset[Permission] | None = None,
    token_id: int | None = None,
    epoch: int | None = None,
    credential: Callable[[], bool] | None = None,
    is_confirmed: bool = True,
) -> Actor:
    """Whoever sends this request; by default somebody who is not signed in, and may do what everybody may."""
    return Actor(
        user_id=user_id,
        name=name,
        role=role,
        scopes=scopes,
        token_id=token_id,
        epoch=epoch,
        credential=credential,
        is_confirmed=is_confirmed,
        door=door_of_request(),
        address=request.remote_addr or "",
        request_id=g.get("request_id", ""),
    )


def set_identity_loader(app: Flask, load: Callable[[], Identity | None], *, door: Door = Door.PAGE) -> None:
    app.extensions.setdefault(_LOADERS, {})[door] = load


def find_identity() -> Identity | None:
    """Who sent this request; asked of the database once. A door that knows nobody lets nobody in."""
    if "identity" not in g:
        load = current_app.extensions[_LOADERS].get(door_of_request())
        g.identity = load() if load else None
    return known_identity()


def known_identity() -> Identity | None:
    """The same, without asking the database: None where nobody has asked yet."""
    identity: Identity | None = g.get("identity")
    return identity


def current_identity() -> Identity:
    """Only in views that need somebody signed in."""
    identity = find_identity()
    if identity is None:
        raise RuntimeError("this view is public: it must not ask who is signed in")
    return identity


def current_actor() -> Actor:
    return current_identity().actor
