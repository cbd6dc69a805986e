"""Changing all that a program may change of a user in one transaction.

A person who edits a form is merged with whoever saved meanwhile; a program named the very version that
its change is about, so any other refuses it.
"""

from __future__ import annotations

from webapp.access.actor import Actor
from webapp.db import atomic
from webapp.users.models import User
from webapp.users.queries import lock_administrators
from webapp.users.services import (
    activate_user,
    deactivate_user,
    lock_user,
    lock_with_actor,
    refuse_stale,
    update_user,
)


@atomic
def amend_user(
    user: User,
    *,
    version: int,
    email: str | None = None,
    full_name: str | None = None,
    role: str | None = None,
    is_active: bool | None = None,
    actor: Actor,
) -> bool:
    """Change what is given and differs; tells whether anything did. Raises Stale unless ``version`` is the
    present one. The history tells an edit, and an activation or deactivation, each as what it is.
    """
    if role is not None or is_active is False:
        lock_administrators()  # before the user, as everywhere
    if role is not None or is_active is not None:
        actor = lock_with_actor(user, actor)
    lock_user(user)
    refuse_stale(user, version)
    has_changed = False
    if (email, full_name, role) != (None, None, None):
        has_changed = update_user(
            user, version=version, email=email, full_name=full_name, role=role, actor=actor
        )
    if is_active is not None and is_active is not user.is_active:
        change = activate_user if is_active else deactivate_user
        has_changed = change(user, actor=actor) or has_changed
    return has_changed
