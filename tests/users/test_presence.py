"""Who has a form open: told to others, soon forgotten, and never worth waiting for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from tests.conftest import MakeUser, user_maker
from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.db.session import is_sqlite, write_options
from webapp.errors import Forbidden
from webapp.extensions import sqla, utc_now
from webapp.users import trash
from webapp.users.models import OpenForm, User
from webapp.users.presence import (
    OPENED_LASTS,
    RENEWED_LASTS,
    SWEPT_AT_ONCE,
    WRITTEN_EVERY,
    Presence,
    close_form,
    find_presence,
    note_left,
    note_open,
)
from webapp.users.queries import get_user
from webapp.users.services import deactivate_user, set_password, update_user

SECOND = timedelta(seconds=1)
TERMINAL = Actor.command_line()


def actor_of(user: User) -> Actor:
    return replace(TERMINAL, user_id=user.id, name=user.display_name, role=user.role)


def look(user: User, editor: User, version: int = 1) -> Presence:
    return find_presence(get_user(user.id), version=version, actor=actor_of(editor))


def open_form(user: User, editor: User, lasts: timedelta = RENEWED_LASTS) -> None:
    note_open(user.id, look(user, editor), lasts=lasts, actor=actor_of(editor))


def names(user: User, editor: User) -> list[str]:
    return [other.name for other in look(user, editor).others]


def read_marks() -> list[tuple[int, int, datetime, datetime]]:
    statement = select(OpenForm.user_id, OpenForm.editor_id, OpenForm.opened_at, OpenForm.expires_at)
    return [(row[0], row[1], row[2], row[3]) for row in get_session().execute(statement)]


def age_marks(age: timedelta) -> None:
    """As if they had been written so long ago."""
    for user_id, editor_id, opened_at, expires_at in read_marks():
        aged = {"opened_at": opened_at - age, "expires_at": expires_at - age}
        own = (OpenForm.user_id == user_id, OpenForm.editor_id == editor_id)
        get_session().execute(update(OpenForm).where(*own).values(aged))
    get_session().commit()


@pytest.fixture
def ann(context: Flask, make_user: MakeUser) -> User:
    return make_user(full_name="Ann Desk", role=Role.ADMINISTRATOR)


@pytest.fixture
def bob(context: Flask, make_user: MakeUser) -> User:
    return make_user(full_name="", email="bob@desk.example", role=Role.SUPPORT)


@pytest.fixture
def person(context: Flask, make_user: MakeUser) -> User:
    return make_user()


def test_others_are_named_and_one_is_not_told_of_oneself(ann: User, bob: User, person: User) -> None:
    open_form(person, ann)
    open_form(person, bob)
    assert names(person, ann) == ["bob@desk.example"]
    assert names(person, bob) == ["Ann Desk"]
    assert utc_now() - look(person, bob).others[0].at < timedelta(minutes=1)


def test_who_came_first_is_named_first(ann: User, bob: User, person: User, make_user: MakeUser) -> None:
    eve = make_user(full_name="Eve", role=Role.SUPPORT)
    for editor in (bob, eve, ann):
        open_form(person, editor)
    assert names(person, make_user(role=Role.SUPPORT)) == ["bob@desk.example", "Eve", "Ann Desk"]


def test_a_form_is_about_one_user(ann: User, bob: User, person: User, make_user: MakeUser) -> None:
    open_form(person, ann)
    assert names(make_user(), bob) == []


@pytest.mark.parametrize("lasts", [RENEWED_LASTS, OPENED_LASTS])
def test_a_mark_ends_by_itself(ann: User, bob: User, person: User, lasts: timedelta) -> None:
    open_form(person, ann, lasts)
    age_marks(lasts - 10 * SECOND)
    assert names(person, bob) == ["Ann Desk"]
    age_marks(10 * SECOND)
    assert names(person, bob) == []


def test_a_form_that_renews_itself_is_soon_known_to_be_closed(ann: User, bob: User, person: User) -> None:
    open_form(person, ann, OPENED_LASTS)
    open_form(person, ann, RENEWED_LASTS)
    age_marks(RENEWED_LASTS)
    assert names(person, bob) == []


def test_a_mark_that_is_renewed_keeps_when_the_form_was_opened(ann: User, bob: User, person: User) -> None:
    open_form(person, ann)
    age_marks(30 * SECOND)
    opened_at = look(person, bob).others[0].at
    open_form(person, ann)
    assert look(person, bob).others[0].at == opened_at
    assert read_marks()[0][3] > utc_now() + RENEWED_LASTS - 10 * SECOND


def test_a_form_opened_again_after_its_mark_has_ended_was_opened_now(
    ann: User, bob: User, person: User
) -> None:
    open_form(person, ann)
    age_marks(timedelta(hours=1))
    open_form(person, ann)
    assert utc_now() - look(person, bob).others[0].at < timedelta(minutes=1)


def test_a_mark_is_not_written_again_at_every_request(ann: User, person: User) -> None:
    open_form(person, ann)
    written = read_marks()
    open_form(person, ann)
    assert read_marks() == written
    age_marks(WRITTEN_EVERY)
    open_form(person, ann)
    assert read_marks() != written


def test_what_is_over_is_swept_when_somebody_opens_a_form(
    ann: User, person: User, make_user: MakeUser
) -> None:
    old = utc_now() - timedelta(days=1)
    marks = [
        {"user_id": make_user().id, "editor_id": ann.id, "opened_at": old, "expires_at": old}
        for _ in range(5)
    ]
    get_session().execute(OpenForm.__table__.insert(), marks)  # type: ignore[attr-defined]
    get_session().commit()
    assert len(marks) < SWEPT_AT_ONCE
    open_form(person, ann)
    assert [(mark[0], mark[1]) for mark in read_marks()] == [(person.id, ann.id)]


def test_saving_closes_the_form_of_who_saved_and_of_nobody_else(ann: User, bob: User, person: User) -> None:
    open_form(person, ann)
    open_form(person, bob)
    update_user(get_user(person.id), version=1, full_name="Changed", actor=actor_of(bob))
    assert [mark[1] for mark in read_marks()] == [ann.id]
    update_user(get_user(person.id), version=2, full_name="Changed", actor=actor_of(ann))
    assert read_marks() == [], "though nothing was changed"


def test_the_command_line_has_no_form(ann: User, person: User) -> None:
    open_form(person, ann)
    update_user(get_user(person.id), version=1, full_name="Changed", actor=TERMINAL)
    assert len(read_marks()) == 1


def test_a_save_that_is_refused_leaves_the_form_open(ann: User, person: User) -> None:
    open_form(person, ann)
    with pytest.raises(Forbidden):
        update_user(
            get_user(person.id), version=1, role="support", actor=replace(actor_of(ann), role=Role.SUPPORT)
        )
    assert len(read_marks()) == 1


def test_leaving_closes_it(ann: User, bob: User, person: User) -> None:
    open_form(person, ann)
    note_left(person.id, actor=actor_of(bob))
    assert len(read_marks()) == 1
    note_left(person.id, actor=actor_of(ann))
    assert read_marks() == []


def test_who_is_shut_out_has_no_form_open(ann: User, bob: User, person: User) -> None:
    open_form(person, bob)
    deactivate_user(get_user(bob.id), actor=actor_of(ann))
    assert names(person, ann) == []


@pytest.mark.parametrize("is_editor", [True, False])
def test_nothing_is_left_of_who_is_erased(ann: User, bob: User, person: User, is_editor: bool) -> None:
    open_form(person, bob)
    trash.erase_user(get_user(bob.id if is_editor else person.id), actor=actor_of(ann))
    assert read_marks() == []


def test_who_may_not_edit_is_not_told_either(ann: User, bob: User) -> None:
    open_form(ann, ann)
    with pytest.raises(Forbidden):
        look(ann, bob)


def test_who_saved_meanwhile_is_named(ann: User, bob: User, person: User) -> None:
    assert look(person, ann).saved is None
    update_user(get_user(person.id), version=1, full_name="Changed", actor=actor_of(bob))
    saved = look(person, ann).saved
    assert saved is not None
    assert (saved.name, saved.is_own) == ("bob@desk.example", False)
    assert utc_now() - saved.at < timedelta(minutes=1)
    own = look(person, bob).saved
    assert own is not None
    assert own.is_own
    assert look(person, ann, version=2).saved is None


@pytest.mark.parametrize("version", [-1, 0, 3, 2**31, 2**64])
def test_a_version_that_nobody_can_have_seen_tells_of_no_save(ann: User, person: User, version: int) -> None:
    update_user(get_user(person.id), version=1, full_name="Changed", actor=actor_of(ann))
    assert look(person, ann, version=version).saved is None


def test_a_new_password_is_no_change_of_what_the_form_shows(ann: User, bob: User, person: User) -> None:
    set_password(get_user(person.id), password="gravel pillow tangerine", actor=actor_of(ann))
    assert get_user(person.id).version == 2
    assert look(person, bob).saved is None


def test_a_change_that_has_no_entry_was_made_by_somebody(ann: User, person: User) -> None:
    get_session().execute(update(User).where(User.id == person.id).values(version=2))
    get_session().commit()
    saved = look(person, ann).saved
    assert saved is not None
    assert (saved.name, saved.is_own) == ("", False)


def test_a_busy_database_keeps_nobody_waiting(file_app: Flask, hashed_password: str) -> None:
    make = user_maker(file_app, hashed_password)
    ann, person = make(role=Role.ADMINISTRATOR), make()
    with file_app.app_context():
        engine = sqla.engine.execution_options(**write_options(sqla.engine))
        presence = look(person, ann)
        with engine.begin() as other:
            if not is_sqlite(sqla.engine):
                other.execute(text("LOCK TABLE open_forms IN EXCLUSIVE MODE"))
            note_open(person.id, presence, lasts=OPENED_LASTS, actor=actor_of(ann))
            note_left(person.id, actor=actor_of(ann))
        assert read_marks() == []
        note_open(person.id, presence, lasts=OPENED_LASTS, actor=actor_of(ann))
        assert len(read_marks()) == 1


def test_who_is_deleted_at_that_moment_leaves_no_mark(ann: User, bob: User, person: User) -> None:
    presence = look(person, bob)
    trash.erase_user(get_user(person.id), actor=actor_of(ann))
    note_open(person.id, presence, lasts=OPENED_LASTS, actor=actor_of(bob))
    assert read_marks() == []


def test_many_at_once_fail_nobody(file_app: Flask, hashed_password: str) -> None:
    """Whose mark finds no room in time is noted when his form asks again."""
    make = user_maker(file_app, hashed_password)
    person, editors = make(), [make(role=Role.SUPPORT) for _ in range(6)]
    outcomes = race(file_app, *[partial(open_form, person, editor) for editor in editors])
    assert outcomes == [None] * len(editors)
    with file_app.app_context():
        for editor in editors:
            open_form(person, editor)
        assert {mark[1] for mark in read_marks()} == {editor.id for editor in editors}


def test_closing_joins_the_change_that_it_belongs_to(ann: User, person: User) -> None:
    open_form(person, ann)

    @atomic
    def close_and_fail() -> None:
        close_form(person.id, actor=actor_of(ann))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised just above
        close_and_fail()
    assert len(read_marks()) == 1
