"""An entry: written with the change and undone with it, of whom and from where, never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import PASSWORD, MakeUser, read_user
from tests.history.ways import age, assert_intact, let_names_go, read_rows, read_stories, read_texts
from tests.racing import race
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.auth import services as auth
from webapp.auth.models import SignInSession
from webapp.db import atomic, get_session
from webapp.errors import Conflict, Forbidden, Invalid, Stale
from webapp.extensions import utc_now
from webapp.history.models import LANES
from webapp.history.queries import LISTING, find_kept_names, select_entries
from webapp.history.rules import Kind
from webapp.history.services import Subject, forget, forget_names, record
from webapp.listing.page import PageRequest, paginate
from webapp.listing.search import split_words
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.queries import get_user

NEW_PASSWORD = "harbour candle meadow"
ADDRESS = "2001:db8::7"
DESK = Actor(
    user_id=77,
    name="Desk Person",
    role=Role.ADMINISTRATOR,
    door=Door.PAGE,
    address=ADDRESS,
    request_id="request-1",
)


# What an entry tells


def test_an_entry_tells_who_did_what_when_from_where_and_to_whom(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        services.update_user(get_user(user.id), version=1, full_name="Ann Other", actor=DESK)
    (story,) = read_stories(app)
    assert (story.kind, story.door) == (Kind.EDITED, Door.PAGE)
    assert (story.subject_id, story.subject_name, story.version) == (user.id, "Ann Other", 2)
    assert (story.actor_id, story.actor_name, story.actor_role) == (77, "Desk Person", "administrator")
    assert (story.address, story.request_id) == ("2001:db8::7", "request-1")
    assert story.changes == {"full_name": ("Ann Lee", "Ann Other")}
    assert (story.undoes_id, story.facts) == (None, {})
    assert abs(utc_now() - story.at) < timedelta(minutes=1)


Act = Callable[[User], object]
ACTS: dict[str, tuple[dict[str, object], Act, Kind, dict[str, tuple[object, object]]]] = {
    "edit": (
        {"full_name": "Ann", "email": "ann@example.org"},
        lambda user: services.update_user(
            user, version=1, full_name="Bob", email="bob@example.org", actor=DESK
        ),
        Kind.EDITED,
        {"full_name": ("Ann", "Bob"), "email": ("ann@example.org", "bob@example.org")},
    ),
    "role": (
        {},
        lambda user: services.update_user(user, version=1, role=Role.AUDITOR, actor=DESK),
        Kind.EDITED,
        {"role": ("member", "auditor")},
    ),
    "activate": (
        {"is_active": False},
        lambda user: services.activate_user(user, actor=DESK),
        Kind.ACTIVATED,
        {"is_active": (False, True)},
    ),
    "deactivate": (
        {},
        lambda user: services.deactivate_user(user, actor=DESK),
        Kind.DEACTIVATED,
        {"is_active": (True, False)},
    ),
    "sign out": (
        {},
        lambda user: services.sign_out_everywhere(user, actor=DESK),
        Kind.SIGNED_OUT_EVERYWHERE,
        {},
    ),
    "set password": (
        {},
        lambda user: services.set_password(user, password=NEW_PASSWORD, actor=DESK),
        Kind.PASSWORD_SET,
        {},
    ),
    "make link": (
        {},
        lambda user: auth.create_password_link(user, actor=DESK),
        Kind.LINK_MADE,
        {},
    ),
    "delete": (
        {},
        lambda user: trash.delete_user(user, version=1, actor=DESK),
        Kind.DELETED,
        {},
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_each_act_writes_one_entry_of_its_kind(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, act, kind, changes = ACTS[name]
    user = make_user(**columns)
    with app.app_context():
        act(get_user(user.id))
    (story,) = read_stories(app)
    assert (story.kind, story.subject_id, story.actor_id, story.changes) == (kind, user.id, 77, changes)
    assert_intact(app)


def test_a_creation_tells_all_that_was_given(app: Flask) -> None:
    with app.app_context():
        user = services.create_user(
            email="ann@example.org", full_name="Ann Lee", role="auditor", password=PASSWORD, actor=DESK
        )
        user_id = user.id
    (story,) = read_stories(app)
    assert (story.kind, story.subject_id, story.version) == (Kind.CREATED, user_id, 1)
    assert story.changes == {
        "email": (None, "ann@example.org"),
        "full_name": (None, "Ann Lee"),
        "role": (None, "auditor"),
        "is_active": (None, True),
    }


@pytest.mark.parametrize(
    ("columns", "password", "reason"),
    [
        ({}, "another long password", "password"),
        ({"is_active": False}, PASSWORD, "inactive"),
        ({"hashed_password": None}, PASSWORD, "no_password"),
        ({"role": Role.MEMBER}, PASSWORD, "role"),
    ],
)
def test_a_failed_sign_in_tells_why(
    app: Flask, make_user: MakeUser, columns: dict[str, object], password: str, reason: str
) -> None:
    user = make_user(**{"role": Role.AUDITOR, **columns})
    stranger = Actor(user_id=None, name="", role=Role.MEMBER, address="192.0.2.1")
    with app.app_context(), pytest.raises(Invalid):
        auth.sign_in(email=user.email, password=password, address="192.0.2.1", user_agent="", actor=stranger)
    (story,) = read_stories(app)
    assert (story.kind, story.subject_id, story.actor_id) == (Kind.SIGN_IN_FAILED, user.id, None)
    assert (story.facts, story.address) == ({"reason": reason}, "192.0.2.1")


def test_what_was_typed_for_an_account_that_is_not_there_is_not_kept(app: Flask) -> None:
    """Many type their password there."""
    stranger = Actor(user_id=None, name="", role=Role.MEMBER, address="192.0.2.1")
    with app.app_context(), pytest.raises(Invalid):
        auth.sign_in(
            email="my-secret-word", password=PASSWORD, address="192.0.2.1", user_agent="", actor=stranger
        )
    (story,) = read_stories(app)
    assert (story.kind, story.subject_id, story.facts) == (Kind.SIGN_IN_FAILED, None, {"reason": "unknown"})
    assert "my-secret-word" not in read_texts(app)


def test_signing_in_and_out_is_told_of_oneself(app: Flask, make_user: MakeUser) -> None:
    user = make_user(role=Role.SUPPORT, full_name="Ann Lee")
    stranger = Actor(user_id=None, name="", role=Role.MEMBER, address="192.0.2.1")
    own = Actor(user_id=user.id, name="Ann Lee", role=Role.SUPPORT)
    with app.app_context():
        tokens = [
            auth.sign_in(email=user.email, password=PASSWORD, address="", user_agent="", actor=stranger)
            for _ in range(3)
        ]
        auth.sign_out(tokens[0], actor=own)
        auth.sign_out(tokens[0], actor=own)  # nothing left to do
        keep = max(get_session().scalars(select(SignInSession.id)))
        assert auth.revoke_other_sessions(keep=keep, actor=own) == 1
        assert auth.revoke_other_sessions(keep=keep, actor=own) == 0
        auth.revoke_session(get_session().get_one(SignInSession, keep), actor=own)
    stories = read_stories(app)
    kinds = [Kind.SIGNED_IN] * 3 + [Kind.SIGNED_OUT, Kind.DEVICE_SIGNED_OUT, Kind.DEVICE_SIGNED_OUT]
    assert [story.kind for story in stories] == kinds
    for story in stories:
        assert (story.subject_id, story.actor_id, story.actor_role) == (user.id, user.id, "support")
    assert_intact(app)


def test_an_address_or_a_request_id_that_is_too_long_is_cut(context: Flask) -> None:
    long = Actor(user_id=1, name="x" * 500, role=Role.MEMBER, address="a" * 500, request_id="r" * 500)
    record(Kind.REFUSED, actor=long, facts={"rule": "GET /"})
    (story,) = read_stories(context)
    assert (story.address, story.request_id) == ("a" * 45, "r" * 64)


# When there is one


def test_what_is_undone_is_undone_with_its_entry(app: Flask, make_user: MakeUser) -> None:
    user_id = make_user(full_name="Ann").id

    @atomic
    def fail() -> None:
        services.update_user(get_user(user_id), version=1, full_name="Bob", actor=DESK)
        raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        fail()
    assert read_stories(app) == []
    stored = read_user(app, user_id)
    assert stored is not None
    assert stored.full_name == "Ann"
    assert_intact(app)
    with app.app_context():
        assert get_session().scalars(select(LANES.c.number).where(LANES.c.number > 0)).all() == []


def test_a_change_is_undone_when_its_entry_cannot_be_written(app: Flask, make_user: MakeUser) -> None:
    """As by the first of two undos: the second's change goes with its entry."""
    user_id = make_user(full_name="Ann").id
    with app.app_context():
        services.update_user(get_user(user_id), version=1, full_name="Bob", undoes_id=5, actor=DESK)
        with pytest.raises(Conflict):
            services.update_user(get_user(user_id), version=2, full_name="Eve", undoes_id=5, actor=DESK)
    stored = read_user(app, user_id)
    assert stored is not None
    assert (stored.full_name, stored.version) == ("Bob", 2)
    assert len(read_stories(app)) == 1
    assert_intact(app)


def test_one_entry_is_undone_once_also_by_many_at_once(file_app: Flask) -> None:
    def undo() -> int:
        return record(Kind.EDITED, actor=DESK, subject=Subject(1, "Ann"), undoes_id=9)

    outcomes = race(file_app, *[undo] * 8)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
    assert len(read_stories(file_app)) == 1
    assert_intact(file_app)


UNCHANGING: dict[str, tuple[bool, Act]] = {
    "edit": (
        True,
        lambda user: services.update_user(
            user, version=1, full_name=user.full_name, email=user.email, role=user.role, actor=DESK
        ),
    ),
    "activate": (True, lambda user: services.activate_user(user, actor=DESK)),
    "deactivate": (False, lambda user: services.deactivate_user(user, actor=DESK)),
    "sign out a device that is gone": (True, lambda user: auth.sign_out("no such token", actor=DESK)),
}


@pytest.mark.parametrize("name", UNCHANGING)
def test_nothing_is_told_when_nothing_changed(app: Flask, make_user: MakeUser, name: str) -> None:
    is_active, act = UNCHANGING[name]
    user_id = make_user(is_active=is_active).id
    with app.app_context():
        act(get_user(user_id))
    assert read_stories(app) == []


REFUSALS: dict[str, Act] = {
    "forbidden": lambda user: services.update_user(
        user, version=1, full_name="Bob", actor=Actor(user_id=1, name="", role=Role.AUDITOR)
    ),
    "stale": lambda user: trash.delete_user(user, version=9, actor=DESK),
    "invalid": lambda user: services.update_user(user, version=1, email="nonsense", actor=DESK),
    "taken": lambda user: services.update_user(user, version=1, email="taken@example.org", actor=DESK),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_was_refused_is_no_change(app: Flask, make_user: MakeUser, name: str) -> None:
    make_user(email="taken@example.org")
    user_id = make_user().id
    with app.app_context(), pytest.raises((Forbidden, Stale, Invalid, Conflict)):
        REFUSALS[name](get_user(user_id))
    assert read_stories(app) == []
    assert_intact(app)


# Never a secret


def test_no_password_hash_or_token_is_in_it(app: Flask, make_user: MakeUser) -> None:
    old = make_user(role=Role.SUPPORT, email="ann@example.org")
    own = Actor(user_id=old.id, name="Ann", role=Role.SUPPORT)
    stranger = Actor(user_id=None, name="", role=Role.MEMBER)
    secrets = [PASSWORD, NEW_PASSWORD]
    with app.app_context():
        created = services.create_user(email="new@example.org", password=NEW_PASSWORD, actor=DESK)
        secrets.append(created.hashed_password or "")
        secrets += [
            auth.sign_in(email=old.email, password=PASSWORD, address="", user_agent="", actor=stranger)
            for _ in range(2)
        ]
        with pytest.raises(Invalid):
            auth.sign_in(email=old.email, password=NEW_PASSWORD, address="", user_agent="", actor=stranger)
        auth.sign_out(secrets[-1], actor=own)
        user = get_user(old.id)
        services.set_password(user, password=NEW_PASSWORD, actor=own)
        token, _ = auth.create_password_link(user, actor=DESK)
        secrets.append(token)
        auth.use_password_link(token, password=PASSWORD, address="", actor=stranger)
        secrets.append(get_user(old.id).hashed_password or "")
        trash.delete_user(get_user(old.id), version=get_user(old.id).version, actor=DESK)
    text = read_texts(app)
    assert len(read_rows(app)) == 9
    for secret in secrets:
        assert secret
        assert secret not in text
    for word in ("hashed", "argon2", "token", "session_epoch", "email_key"):
        assert word not in text


# Forgetting


def everything_about(app: Flask, words: str) -> list[int]:
    with app.app_context():
        page = paginate(
            get_session(),
            LISTING,
            select_entries(words=split_words(words)),
            PageRequest(sort="-at"),
        )
        return [row.id for row in page.rows]


def test_who_is_deleted_for_good_is_told_of_no_more_and_named_for_a_time_in_what_they_did(
    app: Flask, make_user: MakeUser
) -> None:
    ann = make_user(full_name="Ann Quixote", email="quixote@example.org", role=Role.SUPPORT)
    bob = make_user(full_name="Bob Other", email="bob@example.org")
    own = Actor(user_id=ann.id, name="Ann Quixote", role=Role.SUPPORT, address="203.0.113.99", token_id=5)
    with app.app_context():
        services.update_user(get_user(ann.id), version=1, email="quixote2@example.org", actor=DESK)
        services.update_user(get_user(bob.id), version=1, full_name="Bob Third", actor=own)
        services.deactivate_user(get_user(bob.id), actor=own)
        services.sign_out_everywhere(get_user(ann.id), actor=own)
        services.update_user(get_user(bob.id), version=3, full_name="Bob Fourth", actor=DESK)
    assert len(everything_about(app, "quixote")) == 4
    rows = read_rows(app)
    with app.app_context():
        trash.erase_user(get_user(ann.id), actor=DESK)
    stories = read_stories(app)
    for story in stories:
        expected = (
            ("Ann Quixote", "203.0.113.99", 5) if story.actor_id == ann.id else ("Desk Person", ADDRESS, None)
        )
        assert (story.actor_name, story.address, story.token_id) == expected
        if story.subject_id == ann.id:
            assert (story.subject_name, story.changes) == ("", {})
    assert everything_about(app, "quixote") == [it.id for it in stories[::-1] if it.actor_id == ann.id]
    assert "quixote2" not in read_texts(app)
    assert_intact(app)
    after = read_rows(app)[: len(rows)]
    kept = [name for name in rows[0]._mapping if name not in {"details", "origin", "search_text"}]
    assert [[getattr(row, name) for name in kept] for row in after] == [
        [getattr(row, name) for name in kept] for row in rows
    ]
    with app.app_context():
        forget(ann.id)  # once more changes nothing
        assert forget_names(actor=DESK) == 0
    assert read_rows(app)[: len(rows)] == after
    assert len(read_rows(app)) == len(rows) + 2


def test_when_the_time_is_over_who_did_it_is_forgotten_too(app: Flask, make_user: MakeUser) -> None:
    ann, bob = make_user(full_name="Ann Quixote", role=Role.SUPPORT), make_user(full_name="Bob Other")
    own = Actor(user_id=ann.id, name="Ann Quixote", role=Role.SUPPORT, address="203.0.113.99")
    with app.app_context():
        services.deactivate_user(get_user(bob.id), actor=own)
    age(app, days=399)
    with app.app_context():
        services.activate_user(get_user(bob.id), actor=own)
        trash.erase_user(get_user(ann.id), actor=DESK)
        assert trash.purge_older(utc_now() - timedelta(days=30), actor=DESK) == 0
    names = [story.actor_name for story in read_stories(app)]
    assert names == ["Ann Quixote", "Ann Quixote", "Desk Person", "Desk Person"]
    age(app, days=1)
    with app.app_context():
        trash.purge_older(utc_now() - timedelta(days=30), actor=Actor.command_line())
    stories = read_stories(app)
    assert [story.actor_name for story in stories] == [
        "",
        "Ann Quixote",
        *["Desk Person"] * 2,
        "command line",
    ]
    assert (stories[-1].kind, stories[-1].subject_id, stories[-1].facts["count"]) == (Kind.PURGED, None, 1)
    assert everything_about(app, "quixote") == [stories[1].id]
    assert_intact(app)
    let_names_go(app)
    text = read_texts(app).casefold()
    assert "quixote" not in text
    assert "203.0.113.99" not in text
    assert_intact(app)
    with app.app_context():
        assert forget_names(actor=DESK) == 0, "nothing is told where nothing is left"


def test_what_is_too_old_at_the_deletion_is_forgotten_with_it(app: Flask, make_user: MakeUser) -> None:
    ann, bob = make_user(full_name="Ann Quixote", role=Role.SUPPORT), make_user(full_name="Bob Other")
    own = Actor(user_id=ann.id, name="Ann Quixote", role=Role.SUPPORT)
    with app.app_context():
        services.deactivate_user(get_user(bob.id), actor=own)
    age(app, days=400)
    with app.app_context():
        services.activate_user(get_user(bob.id), actor=own)
        trash.erase_user(get_user(ann.id), actor=DESK)
    assert [story.actor_name for story in read_stories(app)][:2] == ["", "Ann Quixote"]
    assert_intact(app)


def test_what_a_member_did_is_forgotten_at_once(app: Flask, make_user: MakeUser) -> None:
    ann = make_user(full_name="Ann Quixote", email="quixote@example.org")
    stranger = Actor(user_id=None, name="", role=Role.MEMBER, address="203.0.113.99")
    with app.app_context():
        token, _ = auth.create_password_link(get_user(ann.id), actor=DESK)
        auth.use_password_link(token, password=NEW_PASSWORD, address="", actor=stranger)
        trash.erase_user(get_user(ann.id), actor=DESK)
    assert [story.actor_id for story in read_stories(app)][1] == ann.id
    text = read_texts(app).casefold()
    assert "quixote" not in text
    assert "203.0.113.99" not in text
    assert_intact(app)


def test_a_colleague_made_to_act_as_and_deleted_hides_nobody(app: Flask, make_user: MakeUser) -> None:
    """As an attacker would: make a second administrator, act as them, delete them for good."""
    ann, victim = make_user(full_name="Ann Lee", role=Role.ADMINISTRATOR), make_user(role=Role.SUPPORT)
    own = Actor(user_id=ann.id, name="Ann Lee", role=Role.ADMINISTRATOR, address="203.0.113.99")
    with app.app_context():
        mask = services.create_user(
            email="mask@example.org", full_name="Mask", role="administrator", actor=own
        )
        as_mask = Actor(user_id=mask.id, name="Mask", role=Role.ADMINISTRATOR, address="203.0.113.99")
        services.deactivate_user(get_user(victim.id), actor=as_mask)
        trash.delete_user(get_user(mask.id), version=1, actor=own)
        trash.purge_user(mask.id, actor=own)
    made, did, deleted, purged = read_stories(app)
    assert (did.actor_name, did.actor_id, did.address) == ("Mask", mask.id, "203.0.113.99")
    for story in (made, deleted, purged):
        assert (story.actor_name, story.subject_id, story.subject_name) == ("Ann Lee", mask.id, "")
    assert everything_about(app, "mask") == [did.id]
    with app.app_context():
        assert find_kept_names([mask.id, victim.id, 999]) == {mask.id: "Mask"}
    assert_intact(app)


def test_a_setting_that_was_changed_leaves_none_named_for_longer(app: Flask, make_user: MakeUser) -> None:
    """Neither a longer time after a shorter one nor the other way round leaves an entry out."""
    ann, bob = make_user(full_name="Ann Quixote", role=Role.SUPPORT), make_user()
    own = Actor(user_id=ann.id, name="Ann Quixote", role=Role.SUPPORT)
    configured = app.extensions["settings"]
    try:
        for days in (40, 1000, 35, 400):
            app.extensions["settings"] = replace(configured, history_staff_days=days)
            with app.app_context():
                services.deactivate_user(get_user(bob.id), actor=own)
                services.activate_user(get_user(bob.id), actor=own)
                forget_names(actor=DESK)
            age(app, days=20)
        with app.app_context():
            trash.erase_user(get_user(ann.id), actor=DESK)
        assert_intact(app)
        let_names_go(app)
    finally:
        app.extensions["settings"] = configured
    assert "quixote" not in read_texts(app).casefold()
    assert_intact(app)


def test_what_is_about_others_stays(app: Flask, make_user: MakeUser) -> None:
    ann, bob = make_user(full_name="Ann Lee"), make_user(full_name="Bob Other")
    own = Actor(user_id=ann.id, name="Ann Lee", role=Role.ADMINISTRATOR, address="203.0.113.99")
    with app.app_context():
        services.update_user(get_user(bob.id), version=1, full_name="Bob Third", actor=own)
        services.update_user(get_user(ann.id), version=1, full_name="Ann Third", actor=DESK)
        trash.erase_user(get_user(ann.id), actor=DESK)
    let_names_go(app)
    of_bob, of_ann, *_rest = read_stories(app)
    assert of_bob.changes == {"full_name": ("Bob Other", "Bob Third")}
    assert (of_bob.subject_name, of_bob.actor_id, of_bob.actor_name) == ("Bob Third", ann.id, "")
    assert (of_ann.subject_id, of_ann.subject_name, of_ann.changes) == (ann.id, "", {})
    assert (of_ann.actor_name, of_ann.address) == ("Desk Person", ADDRESS)
    assert everything_about(app, "bob") == [of_bob.id]
    assert of_ann.id in everything_about(app, "desk")


def test_a_digest_gives_no_guess_away(app: Flask) -> None:
    """Two equal entries have unequal digests: nobody can try names against a forgotten one."""
    with app.app_context():
        for _ in range(2):
            record(Kind.EDITED, actor=DESK, subject=Subject(1, "Ann"))
    first, second = read_rows(app)
    assert first.details_digest != second.details_digest
    assert first.origin_digest != second.origin_digest
    salts = [json.loads(text)["salt"] for text in (first.details, first.origin)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", salt) for salt in salts)
