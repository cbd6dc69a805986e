"""Each action stands for one change, and each change that was made for the one that takes it back."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import MakeUser, newest_entry
from tests.users.test_many import DESK, change, reasons
from webapp.access.permissions import Role
from webapp.batches.changes import change_of, undoing
from webapp.batches.rules import PERMISSIONS, WITH_VALUE, Action
from webapp.errors import Conflict, Invalid
from webapp.history.queries import get_stories
from webapp.history.rules import Kind
from webapp.users import services
from webapp.users.many import Activation, Change, Deactivation, RoleChange, SignOut
from webapp.users.many_trash import Restoring, Trashing
from webapp.users.queries import get_user

VALUES = {Action.SET_ROLE: "auditor", Action.ADD_NOTE: "Called."}
FORWARD = [action for action in Action if action is not Action.UNDO]


@pytest.mark.parametrize("action", FORWARD)
def test_one_must_hold_the_same_to_begin_as_to_make_it(action: Action) -> None:
    assert change_of(action, VALUES.get(action, "")).permission is PERMISSIONS[action]


@pytest.mark.parametrize("action", sorted(WITH_VALUE))
@pytest.mark.parametrize("value", ["", "\0", "\ud800"])
def test_what_it_needs_must_be_there(action: Action, value: str) -> None:
    with pytest.raises(Invalid):
        change_of(action, value)


def test_no_action_by_itself_undoes() -> None:
    with pytest.raises(ValueError, match="undoing"):
        change_of(Action.UNDO, "")


INVERSE: dict[str, tuple[Change, Kind, dict[str, object]]] = {
    "activation": (Activation(), Kind.DEACTIVATED, {"is_active": False}),
    "deactivation": (Deactivation(), Kind.ACTIVATED, {}),
    "role": (RoleChange(Role.AUDITOR), Kind.EDITED, {}),
    "trash": (Trashing(), Kind.RESTORED, {}),
}


def take_back(app: Flask, user_id: int) -> dict[int, str]:
    """His latest change; who was refused, and why."""
    entry = newest_entry(app)
    with app.app_context():
        story = get_stories([entry])[entry]
        wanted = undoing({user_id: story})
    return reasons(change(app, wanted, [user_id], undoes={user_id: entry}))


@pytest.mark.parametrize("name", INVERSE)
def test_what_was_done_is_taken_back_once(app: Flask, make_user: MakeUser, name: str) -> None:
    wanted, kind, columns = INVERSE[name]
    user = make_user(**columns)
    entry = change(app, wanted, [user.id])[user.id].entry_id
    assert entry is not None
    with app.app_context():
        story = get_stories([entry])[entry]
        inverse = undoing({user.id: story})
    assert inverse.kind is kind
    assert reasons(change(app, inverse, [user.id], undoes={user.id: entry})) == {}
    again = reasons(change(app, inverse, [user.id], undoes={user.id: entry}))
    assert list(again) == [user.id]
    assert "already" in again[user.id] or "not in the trash" in again[user.id]


def test_who_was_changed_since_his_restoration_is_not_taken_away(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    change(app, Trashing(), [user.id])
    change(app, Restoring(), [user.id])
    entry = newest_entry(app)
    with app.app_context():
        story = get_stories([entry])[entry]
        services.update_user(get_user(user.id), version=2, full_name="New", actor=DESK)
    assert "changed since" in reasons(change(app, undoing({user.id: story}), [user.id]))[user.id]
    with app.app_context():
        assert get_user(user.id).full_name == "New"


def test_an_older_deletion_is_not_undone_in_place_of_the_latest(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    entries = []
    for _ in range(2):
        entries.append(change(app, Trashing(), [user.id])[user.id].entry_id or 0)
        if len(entries) == 1:
            change(app, Restoring(), [user.id])
    with app.app_context():
        stories = get_stories(entries)
    old = change(app, undoing({user.id: stories[entries[0]]}), [user.id])
    assert "not in the trash any more" in reasons(old)[user.id]
    assert take_back(app, user.id) == {}


def test_a_sign_out_has_no_inverse(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    change(app, SignOut(), [user.id])
    with pytest.raises(Conflict, match="cannot be undone"):
        take_back(app, user.id)
