"""The permissions, the roles, and the one table that joins them."""

from __future__ import annotations

from enum import StrEnum

from webapp.errors import N_


class Permission(StrEnum):
    PUBLIC = "public"  # anybody, signed in or not
    OWN_ACCOUNT = "own_account"  # everybody who may sign in, on himself
    CREDITS_READ = "credits.read"
    CREDITS_MOVE = "credits.move"  # from one user to another
    CREDITS_ISSUE = "credits.issue"  # grant and withdraw: there are more or fewer then
    HISTORY_READ = "history.read"
    TOKENS_MANAGE = "tokens.manage"
    USERS_READ = "users.read"
    USERS_CREATE = "users.create"
    USERS_EDIT = "users.edit"
    USERS_SET_STATUS = "users.set_status"
    USERS_SET_ROLE = "users.set_role"
    USERS_DELETE = "users.delete"
    USERS_EXPORT = "users.export"
    USERS_PASSWORD_LINK = "users.password_link"  # noqa: S105 - a permission's name


class Role(StrEnum):
    """Members are the application's own users; the others work at the front desk."""

    MEMBER = "member"
    AUDITOR = "auditor"
    SUPPORT = "support"
    ADMINISTRATOR = "administrator"


ROLE_LABELS: dict[Role, str] = {
    Role.MEMBER: N_("Member"),
    Role.AUDITOR: N_("Auditor"),
    Role.SUPPORT: N_("Support"),
    Role.ADMINISTRATOR: N_("Administrator"),
}

_AUDITOR = frozenset(
    {
        Permission.PUBLIC,
        Permission.OWN_ACCOUNT,
        Permission.CREDITS_READ,
        Permission.HISTORY_READ,
        Permission.USERS_READ,
    }
)
_SUPPORT = _AUDITOR | {
    Permission.CREDITS_MOVE,
    Permission.USERS_CREATE,
    Permission.USERS_EDIT,
    Permission.USERS_SET_STATUS,
    Permission.USERS_PASSWORD_LINK,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.MEMBER: frozenset({Permission.PUBLIC}),
    Role.AUDITOR: _AUDITOR,
    Role.SUPPORT: _SUPPORT,
    Role.ADMINISTRATOR: frozenset(Permission),
}

# Whose row a role may change. A permission alone would let support take over an administrator.
MANAGED_ROLES: dict[Role, frozenset[Role]] = {
    Role.MEMBER: frozenset(),
    Role.AUDITOR: frozenset(),
    Role.SUPPORT: frozenset({Role.MEMBER}),
    Role.ADMINISTRATOR: frozenset(Role),
}


def may(role: Role, permission: Permission, *, on: Role | None = None) -> bool:
    """Whether ``role`` holds ``permission``, and, when ``on`` is given, over a person of that role."""
    return permission in PERMISSIONS[role] and (on is None or on in MANAGED_ROLES[role])


def may_sign_in(role: Role) -> bool:
    return Permission.OWN_ACCOUNT in PERMISSIONS[role]
