"""@requires names each route's permission; guard_routes() asks it before any view runs.

The check stands in one place and fails closed: a view that names no permission stops the
application from starting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from webapp.access.identity import find_identity
from webapp.access.permissions import Permission
from webapp.errors import N_, Forbidden

View = TypeVar("View", bound=Callable[..., Any])


class SignInRequired(Exception):
    """The page needs somebody signed in and nobody is."""


class NewPasswordRequired(Exception):
    """Another person has chosen the password: until it is changed no other page opens."""


def requires(permission: Permission) -> Callable[[View], View]:
    def name_permission(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return name_permission


def permission_of(view: Callable[..., Any]) -> Permission | None:
    return getattr(view, "permission", None)


def before_new_password(view: View) -> View:
    """Opens also while the person must change their password first."""
    view.is_before_new_password = True  # type: ignore[attr-defined]
    return view


def unattended(view: View) -> View:
    """Asked for by a script again and again, while nobody may be there.

    So it keeps no session from being idle, and answers a plain 401 where a page would ask to sign in.
    """
    view.is_unattended = True  # type: ignore[attr-defined]
    return view


def is_unattended() -> bool:
    """Whether the present request is one of those."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "is_unattended", False)


def guard_routes(app: Flask) -> None:
    """Guard every route registered so far. Raises RuntimeError on one that names no permission."""
    for endpoint, view in app.view_functions.items():
        if permission_of(view) is None:
            raise RuntimeError(f"the route {endpoint} names no permission: add @requires(Permission.…)")
    app.before_request(_ask_permission)


def _ask_permission() -> None:
    if request.endpoint is None:  # no such page: answered as such by Flask
        return
    view = current_app.view_functions[request.endpoint]
    permission = permission_of(view)
    if permission is Permission.PUBLIC:
        return
    identity = find_identity()
    if identity is None:
        raise SignInRequired
    if permission is None:
        raise Forbidden(N_("Your role does not allow this. Ask an administrator."))
    if identity.must_change_password and not getattr(view, "is_before_new_password", False):
        raise NewPasswordRequired
    identity.actor.require(permission)
