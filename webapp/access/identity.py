"""Who is signed in on this request, as pages and guards see him."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app, g, request

from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role, may

_LOADER = "identity_loader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A snapshot: no database behind it, so that any page, the error page too, can show it."""

    id: int
    email: str
    full_name: str
    role: Role
    language: str | None
    time_zone: str | None
    session_id: int

    @property
    def display_name(self) -> str:
        return self.full_name or self.email

    @property
    def actor(self) -> Actor:
        return page_actor(user_id=self.id, name=self.display_name, role=self.role)

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)


def page_actor(*, user_id: int | None = None, name: str = "", role: Role = Role.MEMBER) -> Actor:
    """Whoever sends this request; by default somebody who is not signed in, and may do what everybody may."""
    return Actor(
        user_id=user_id,
        name=name,
        role=role,
        address=request.remote_addr or "",
        request_id=g.get("request_id", ""),
    )


def set_identity_loader(app: Flask, load: Callable[[], Identity | None]) -> None:
    app.extensions[_LOADER] = load


def find_identity() -> Identity | None:
    """Who sent this request; asked of the database once."""
    if "identity" not in g:
        g.identity = current_app.extensions[_LOADER]()
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
