"""The role table says exactly what it is meant to say, and `may` reads nothing else."""

from __future__ import annotations

import pytest

from webapp.access.permissions import (
    MANAGED_ROLES,
    PERMISSIONS,
    ROLE_LABELS,
    Permission,
    Role,
    may,
    may_sign_in,
)

STAFF = (Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR)

# Written out once more, by permission instead of by role: a slip in one of the two shows.
HOLDERS: dict[Permission, set[Role]] = {
    Permission.PUBLIC: {Role.MEMBER, *STAFF},
    Permission.OWN_ACCOUNT: {*STAFF},
    Permission.HISTORY_READ: {*STAFF},
    Permission.TOKENS_MANAGE: {Role.ADMINISTRATOR},
    Permission.USERS_READ: {*STAFF},
    Permission.USERS_CREATE: {Role.SUPPORT, Role.ADMINISTRATOR},
    Permission.USERS_EDIT: {Role.SUPPORT, Role.ADMINISTRATOR},
    Permission.USERS_SET_STATUS: {Role.SUPPORT, Role.ADMINISTRATOR},
    Permission.USERS_PASSWORD_LINK: {Role.SUPPORT, Role.ADMINISTRATOR},
    Permission.USERS_SET_ROLE: {Role.ADMINISTRATOR},
    Permission.USERS_DELETE: {Role.ADMINISTRATOR},
    Permission.USERS_EXPORT: {Role.ADMINISTRATOR},
    Permission.CREDITS_READ: {*STAFF},
    Permission.CREDITS_MOVE: {Role.SUPPORT, Role.ADMINISTRATOR},
    Permission.CREDITS_ISSUE: {Role.ADMINISTRATOR},
}


def test_every_permission_is_written_down_here() -> None:
    assert set(HOLDERS) == set(Permission)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_holds_just_its_permissions(role: Role, permission: Permission) -> None:
    assert may(role, permission) is (role in HOLDERS[permission])


@pytest.mark.parametrize(
    ("role", "managed"),
    [
        (Role.MEMBER, set()),
        (Role.AUDITOR, set()),
        (Role.SUPPORT, {Role.MEMBER}),
        (Role.ADMINISTRATOR, set(Role)),
    ],
)
@pytest.mark.parametrize("permission", Permission)
def test_over_a_person_a_permission_holds_only_where_the_role_manages_his(
    role: Role, managed: set[Role], permission: Permission
) -> None:
    allowed = {on for on in Role if may(role, permission, on=on)}
    assert allowed == (managed if role in HOLDERS[permission] else set())


def test_nobody_manages_a_person_who_may_do_more_than_himself() -> None:
    for role, managed in MANAGED_ROLES.items():
        for other in managed:
            assert PERMISSIONS[other] <= PERMISSIONS[role]


def test_only_who_manages_a_role_may_set_roles() -> None:
    """Else support could make himself a way up."""
    for role in Role:
        if may(role, Permission.USERS_SET_ROLE):
            assert MANAGED_ROLES[role] == set(Role)


def test_each_role_holds_what_the_lesser_one_holds() -> None:
    for lesser, greater in zip(Role, list(Role)[1:], strict=False):
        assert PERMISSIONS[lesser] < PERMISSIONS[greater]


@pytest.mark.parametrize("role", Role)
def test_everybody_but_members_may_sign_in(role: Role) -> None:
    assert may_sign_in(role) is (role in STAFF)


def test_every_role_has_its_row_and_its_name() -> None:
    assert set(PERMISSIONS) == set(MANAGED_ROLES) == set(ROLE_LABELS) == set(Role)
    assert len(set(ROLE_LABELS.values())) == len(Role)
