"""The actor that services get: refused with words fit for the person, and never more than his role."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from flask import Flask, g

from webapp.access.actor import Actor, Door
from webapp.access.identity import Identity, page_actor
from webapp.access.permissions import Permission, Role, may
from webapp.errors import Forbidden


def actor_of(role: Role) -> Actor:
    return Actor(user_id=7, name="Someone", role=role)


@pytest.mark.parametrize("on", [None, *Role])
@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_an_actor_may_what_his_role_may(role: Role, permission: Permission, on: Role | None) -> None:
    actor = actor_of(role)
    assert actor.may(permission, on=on) is may(role, permission, on=on)
    if actor.may(permission, on=on):
        actor.require(permission, on=on)
    else:
        with pytest.raises(Forbidden):
            actor.require(permission, on=on)


def test_a_refusal_tells_a_missing_permission_from_a_protected_person() -> None:
    support = actor_of(Role.SUPPORT)
    with pytest.raises(Forbidden, match="Your role does not allow this"):
        support.require(Permission.USERS_DELETE, on=Role.ADMINISTRATOR)
    with pytest.raises(Forbidden, match="Only an administrator may change a person who works here"):
        support.require(Permission.USERS_EDIT, on=Role.ADMINISTRATOR)


def test_the_command_line_acts_with_every_right_and_as_nobody() -> None:
    actor = Actor.command_line()
    assert actor.user_id is None
    for permission in Permission:
        for role in Role:
            actor.require(permission, on=role)


def test_an_actor_cannot_be_changed_into_another() -> None:
    with pytest.raises(FrozenInstanceError):
        actor_of(Role.MEMBER).role = Role.ADMINISTRATOR  # type: ignore[misc]


@pytest.mark.parametrize(("full_name", "name"), [("Ann Lee", "Ann Lee"), ("", "ann@example.org")])
def test_who_is_signed_in_acts_under_his_name_or_else_his_email(
    app: Flask, full_name: str, name: str
) -> None:
    identity = Identity(
        id=3,
        email="ann@example.org",
        full_name=full_name,
        role=Role.SUPPORT,
        language=None,
        time_zone=None,
        session_id=1,
        epoch=4,
        credential=lambda: True,
    )
    with app.test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.9"}):
        g.request_id = "a-request"
        actor = identity.actor
    assert actor == Actor(
        user_id=3,
        name=name,
        role=Role.SUPPORT,
        door=Door.PAGE,
        address="192.0.2.9",
        request_id="a-request",
        epoch=4,
    )
    assert actor.credential is identity.credential


def test_who_is_not_signed_in_may_what_everybody_may_and_has_an_address_all_the_same(app: Flask) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.9"}):
        stranger = page_actor()
    assert (stranger.user_id, stranger.name, stranger.address) == (None, "", "192.0.2.9")
    assert {permission for permission in Permission if stranger.may(permission)} == {Permission.PUBLIC}


def test_the_door_of_the_command_line_is_its_own() -> None:
    actor = Actor.command_line()
    assert (actor.door, actor.address, actor.request_id) == (Door.COMMAND, "", "")
