"""A preview tells what would be done to whom, and why not to others, and writes nothing."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.batches.ways import draft, look, snapshot
from tests.conftest import MakeUser
from tests.users.test_many import DESK, SUPPORT
from webapp.access.permissions import Role
from webapp.batches.rules import Action
from webapp.users import services as users
from webapp.users import trash
from webapp.users.queries import get_user


def test_a_preview_tells_how_many_and_why_not_and_writes_nothing(app: Flask, make_user: MakeUser) -> None:
    staff = [make_user(role=role, full_name=f"Staff {role}").id for role in list(Role)[1:]]
    members = [make_user().id for _ in range(12)]
    same = make_user(is_active=False).id
    batch_id = draft(app, [*staff, *members, same, 998, 999], Action.DEACTIVATE, actor=SUPPORT)
    before = snapshot(app)
    preview = look(app, batch_id, actor=SUPPORT)
    assert snapshot(app) == before
    assert (preview.changing, preview.same, preview.left_out) == (12, 1, 5)
    assert [person.id for person in preview.sample] == members[:10]
    assert [(str(item.refusal), item.number) for item in preview.refused] == [
        ("Only an administrator may change a person who works here.", 3),
        ("There is no such user (any more).", 2),
    ]
    names = [f"Staff {role}" for role in list(Role)[1:]]
    assert preview.refused[0].people == list(zip(staff, names, strict=True))
    assert preview.refused[1].people == [(998, ""), (999, "")]


def test_of_many_who_are_left_out_some_are_named(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user(role=Role.SUPPORT).id for _ in range(7)]
    preview = look(app, draft(app, ids, Action.SIGN_OUT, actor=SUPPORT), actor=SUPPORT)
    [refused] = preview.refused
    assert (refused.number, [user_id for user_id, _name in refused.people]) == (7, ids[:5])


def test_who_stays_in_the_trash_is_named_too(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        trash.delete_user(get_user(user.id), version=1, actor=DESK)
    make_user(email="ann@example.org")
    [refused] = look(app, draft(app, [user.id], Action.RESTORE)).refused
    assert refused.people == [(user.id, "Ann Lee")]


def test_a_preview_in_parts_is_the_preview_of_all(app: Flask, make_user: MakeUser) -> None:
    """The last administrator is the last one over all parts; an address is taken over all parts."""
    admins = [make_user(role=Role.ADMINISTRATOR).id for _ in range(3)]
    away = []
    for _ in range(3):
        away.append(make_user(email="ann@example.org").id)
        with app.app_context():
            trash.delete_user(get_user(away[-1]), version=1, actor=DESK)
    for ids, action in ((admins, Action.TRASH), (away, Action.RESTORE)):
        batch_id = draft(app, ids, action)
        whole = look(app, batch_id)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("webapp.batches.preview.AT_ONCE", 1)
            parts = look(app, batch_id)
        assert (parts.changing, parts.left_out, parts.seen) == (whole.changing, whole.left_out, whole.seen)


def test_two_previews_differ_when_other_people_would_be_changed(app: Flask, make_user: MakeUser) -> None:
    users_ = [make_user() for _ in range(3)]
    batch_id = draft(app, [user.id for user in users_], Action.DEACTIVATE)
    seen = look(app, batch_id).seen
    with app.app_context():
        users.update_user(get_user(users_[0].id), version=1, full_name="New", actor=DESK)
    assert look(app, batch_id).seen == seen, "he would be changed all the same"
    with app.app_context():
        users.deactivate_user(get_user(users_[0].id), actor=DESK)
    assert look(app, batch_id).seen != seen
