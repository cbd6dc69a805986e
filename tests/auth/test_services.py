"""Signing in tells nothing to strangers; a link works once; a new password ends what was before."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import delete, func, select, update
from werkzeug.security import generate_password_hash

from tests.conftest import PASSWORD, MakeUser, read_tables, read_user, user_maker
from tests.history.ways import assert_intact, read_stories, read_texts
from tests.racing import count_kinds, places_taken, race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth import services
from webapp.auth.models import Attempts, PasswordLink, SignInSession
from webapp.auth.queries import (
    Credentials,
    find_credentials,
    find_session,
    get_link_owner,
    get_own_session,
    has_open_link,
    list_sessions,
)
from webapp.auth.rules import LINK_LIFETIME, MAX_SESSIONS, MOST_PER_ADDRESS, MOST_PER_PAIR, hash_token
from webapp.config import Settings
from webapp.db import get_session
from webapp.errors import Busy, Conflict, Forbidden, Invalid, NotFound, SignInEnded, Throttled
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.users import passwords, trash
from webapp.users import services as users
from webapp.users.models import User
from webapp.users.passwords import verify_password
from webapp.users.queries import get_user, list_password_methods
from webapp.users.rules import LONGEST_PASSWORD

NEW_PASSWORD = "harbour candle meadow"
ANN = "ann@example.org"
ADDRESS = "192.0.2.1"
STRANGER = Actor(user_id=None, name="", role=Role.MEMBER)


def sign_in(email: str = ANN, password: str = PASSWORD) -> str:
    return services.sign_in(
        email=email, password=password, address="192.0.2.1", user_agent="Test/1", actor=STRANGER
    )


def settings_of(app: Flask) -> Settings:
    settings: Settings = app.extensions["settings"]
    return settings


def is_alive(app: Flask, token: str) -> bool:
    return find_session(token, settings_of(app)) is not None


def own_actor(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.display_name, role=user.role)


@pytest.mark.parametrize("spelling", [ANN, "ANN@EXAMPLE.ORG", " ann@example.org "])
def test_the_right_password_opens_a_session(app: Flask, make_user: MakeUser, spelling: str) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        token = sign_in(spelling)
        found = find_session(token, settings_of(app))
        assert found is not None
        assert found.id == user.id
        stored = get_session().scalars(select(SignInSession)).one()
        assert stored.token_hash == hash_token(token)
        assert (stored.address, stored.user_agent) == ("192.0.2.1", "Test/1")
    signed_in = read_user(app, user.id)
    assert signed_in is not None
    assert signed_in.last_sign_in_at is not None
    assert signed_in.version == user.version


@pytest.mark.parametrize(
    ("columns", "password"),
    [
        (None, PASSWORD),
        ({"role": Role.AUDITOR}, "wrong password"),
        ({"role": Role.AUDITOR}, ""),
        ({"role": Role.AUDITOR, "is_active": False}, PASSWORD),
        ({"role": Role.MEMBER}, PASSWORD),
        ({"role": Role.AUDITOR, "hashed_password": None}, PASSWORD),
        ({"role": Role.AUDITOR, "hashed_password": None}, ""),
        ({"role": Role.AUDITOR, "hashed_password": "bcrypt$old$hash"}, PASSWORD),
    ],
    ids=["unknown", "wrong", "empty", "inactive", "member", "invited", "invited and empty", "damaged hash"],
)
def test_a_refusal_never_says_why(
    context: Flask, make_user: MakeUser, columns: dict[str, object] | None, password: str
) -> None:
    if columns is not None:
        make_user(email=ANN, **columns)
    with pytest.raises(Invalid) as refusal:
        sign_in(password=password)
    assert (refusal.value.message, refusal.value.field) == (services.REFUSED, None)
    assert get_session().scalar(select(func.count()).select_from(SignInSession)) == 0


def test_guessing_ends_after_ten_even_with_the_right_password(context: Flask, make_user: MakeUser) -> None:
    make_user(email=ANN, role=Role.AUDITOR)
    for _ in range(MOST_PER_PAIR):
        with pytest.raises(Invalid):
            sign_in(password="")
    with pytest.raises(Throttled):
        sign_in()


def test_a_success_forgets_the_failures_before_it(context: Flask, make_user: MakeUser) -> None:
    make_user(email=ANN, role=Role.AUDITOR)
    with pytest.raises(Invalid):
        sign_in(password="")
    sign_in()
    assert get_session().scalars(select(Attempts.tried)).all() == [1], "the failure at the address alone"


@pytest.mark.parametrize(
    "hashed",
    [
        generate_password_hash(PASSWORD, method="scrypt:1024:8:1"),
        generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000"),
        PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD),
    ],
    ids=["scrypt", "pbkdf2", "weak argon2"],
)
def test_an_old_hash_is_renewed_by_signing_in(app: Flask, make_user: MakeUser, hashed: str) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR, hashed_password=hashed)
    with app.app_context():
        token = sign_in()
        assert is_alive(app, token)
    renewed = read_user(app, user.id)
    assert renewed is not None
    assert renewed.hashed_password is not None
    assert renewed.hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(renewed.hashed_password, PASSWORD)
    assert (renewed.version, renewed.session_epoch) == (user.version, user.session_epoch)


def old_hash(rounds: int = 1000) -> str:
    return generate_password_hash(PASSWORD, method=f"pbkdf2:sha256:{rounds}")


WHOSE: dict[str, dict[str, object] | None] = {
    "unknown": None,
    "current hash": {"role": Role.AUDITOR},
    "member": {"role": Role.MEMBER},
    "member of old": {"role": Role.MEMBER, "hashed_password": old_hash()},
    "inactive": {"role": Role.AUDITOR, "is_active": False},
    "invited": {"role": Role.AUDITOR, "hashed_password": None},
    "old hash": {"role": Role.AUDITOR, "hashed_password": old_hash()},
    "other old hash": {"role": Role.AUDITOR, "hashed_password": old_hash(2000)},
}


@pytest.mark.parametrize("whose", WHOSE)
def test_a_refusal_takes_the_same_work_whose_account_ever_it_is(
    context: Flask, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """As told by what is computed, on which no load of the machine has a part."""
    users.note_password_method("pbkdf2:sha256:1000")
    users.note_password_method("pbkdf2:sha256:2000")
    columns = WHOSE[whose]
    if columns is not None:
        make_user(email=ANN, **columns)
    worked: list[str | None] = []
    verify = passwords._verify

    def watch(hashed: str, typed: str) -> bool:
        worked.append(passwords.method_of(hashed))
        return verify(hashed, typed)

    monkeypatch.setattr(passwords, "_verify", watch)
    with pytest.raises(Invalid):
        sign_in(password="not the password")
    assert worked == [passwords.CURRENT_METHOD, "pbkdf2:sha256:1000", "pbkdf2:sha256:2000"]


def test_a_method_that_a_sign_in_meets_is_part_of_all_others_work(
    context: Flask, make_user: MakeUser
) -> None:
    make_user(email=ANN, role=Role.MEMBER, hashed_password=old_hash())
    for _ in range(2):
        with pytest.raises(Invalid):
            sign_in()
    assert list_password_methods() == ["pbkdf2:sha256:1000"]


def test_an_office_behind_one_address_signs_in_as_often_as_it_likes(
    context: Flask, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(email=ANN, role=Role.AUDITOR)
    monkeypatch.setattr(passwords, "_verify", lambda *_: True)
    for _ in range(MOST_PER_ADDRESS + 1):
        sign_in()


def test_what_finds_no_place_is_not_counted(context: Flask, make_user: MakeUser) -> None:
    make_user(email=ANN, role=Role.AUDITOR)
    with places_taken(), pytest.raises(Busy):
        sign_in()
    assert get_session().scalars(select(Attempts.tried)).all() == []
    sign_in()


def test_a_hash_of_today_stays(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        sign_in()
    same = read_user(app, user.id)
    assert same is not None
    assert same.hashed_password == user.hashed_password


def test_a_session_under_an_epoch_that_ended_meanwhile_is_born_dead(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    """The password was right when it was compared, but was changed before the session began."""
    user = make_user(role=Role.AUDITOR)
    with app.app_context():
        users.sign_out_everywhere(get_user(user.id), actor=actor)
        token = services.open_session(user_id=user.id, epoch=0, address="", user_agent="")
        assert not is_alive(app, token)


def test_a_sign_in_whose_password_was_changed_meanwhile_opens_nothing(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        found = find_credentials(ANN)
        assert found is not None
        users.store_password(get_user(user.id), hashed="$argon2id$new", actor=actor)
        with pytest.raises(Invalid):
            services._start_session(
                found, email=ANN, address="", user_agent="", rehashed_password="$late", actor=STRANGER
            )
        assert get_session().scalars(select(SignInSession)).all() == []
        same = get_user(user.id)
        assert (same.hashed_password, same.last_sign_in_at) == ("$argon2id$new", None)


def test_a_session_for_somebody_deleted_meanwhile_is_no_defect(app: Flask, make_user: MakeUser) -> None:
    """Between the comparison and the session lies the slow part; the account may be gone after it."""
    user = make_user(email=ANN, role=Role.AUDITOR)
    found = Credentials(user.id + 1, "Ann", user.hashed_password, user.role, True, 0)
    with app.app_context(), pytest.raises(Invalid):
        services._start_session(
            found, email=ANN, address="", user_agent="", rehashed_password=None, actor=STRANGER
        )


def test_opening_a_session_sweeps_the_dead_ones_away(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = make_user(role=Role.AUDITOR)
    with app.app_context():
        for _ in range(3):
            services.open_session(user_id=user.id, epoch=0, address="", user_agent="")
        users.sign_out_everywhere(get_user(user.id), actor=actor)
        services.open_session(user_id=user.id, epoch=1, address="", user_agent="")
        assert get_session().scalars(select(SignInSession.epoch)).all() == [1]


def test_a_session_that_is_born_dead_sweeps_no_living_one_away(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        alive = change_password(user)
        services.open_session(user_id=user.id, epoch=0, address="", user_agent="")
        assert is_alive(app, alive)


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "<script>"], ids=lambda text: text[:8])
def test_long_headers_fit(context: Flask, make_user: MakeUser, text: str) -> None:
    user = make_user(role=Role.AUDITOR)
    services.open_session(user_id=user.id, epoch=0, address=text, user_agent=text)
    assert get_session().scalars(select(SignInSession.user_agent)).one() == text[:300]


def test_signing_out_ends_this_session_alone(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        one, other = (
            services.open_session(user_id=user.id, epoch=0, address="", user_agent="") for _ in range(2)
        )
        services.sign_out(one, actor=own_actor(user))
        services.sign_out("no such token", actor=own_actor(user))
        assert (is_alive(app, one), is_alive(app, other)) == (False, True)


def test_only_ones_own_devices_can_be_signed_out(app: Flask, make_user: MakeUser) -> None:
    ann, bob = make_user(role=Role.AUDITOR), make_user(role=Role.AUDITOR)
    with app.app_context():
        tokens = [services.open_session(user_id=ann.id, epoch=0, address="", user_agent="") for _ in range(3)]
        bobs = services.open_session(user_id=bob.id, epoch=0, address="", user_agent="")
        sessions = list_sessions(ann.id, settings_of(app))
        assert [session.user_id for session in sessions] == [ann.id] * 3
        with pytest.raises(NotFound):
            get_own_session(sessions[0].id, bob.id)
        with pytest.raises(NotFound):
            services.revoke_session(sessions[0], actor=own_actor(bob))
        kept = find_session(tokens[0], settings_of(app))
        assert kept is not None
        assert services.revoke_other_sessions(keep=kept.session_id, actor=own_actor(ann)) == 2
        assert [is_alive(app, token) for token in (*tokens, bobs)] == [True, False, False, True]
        services.revoke_session(get_own_session(kept.session_id, ann.id), actor=own_actor(ann))
        assert not is_alive(app, tokens[0])


def change_password(user: User, current: str = PASSWORD, new: str = NEW_PASSWORD) -> str:
    return services.change_password(
        get_user(user.id), current=current, new=new, address="192.0.2.1", user_agent="", actor=own_actor(user)
    )


def test_a_changed_password_ends_every_other_session(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        before = sign_in()
        after = change_password(user)
        assert (is_alive(app, before), is_alive(app, after)) == (False, True)
        with pytest.raises(Invalid):
            sign_in(password=PASSWORD)
        assert is_alive(app, sign_in(password=NEW_PASSWORD))


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("wrong", NEW_PASSWORD, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
    ],
)
def test_a_refused_change_leaves_the_password(
    app: Flask, make_user: MakeUser, current: str, new: str, field: str
) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        token = services.open_session(user_id=user.id, epoch=0, address="", user_agent="")
        with pytest.raises(Invalid) as refusal:
            change_password(user, current, new)
        assert refusal.value.field == field
        assert is_alive(app, token)
    same = read_user(app, user.id)
    assert same is not None
    assert same.hashed_password == user.hashed_password


def test_a_change_of_the_password_that_was_overtaken_is_refused(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    """The current password was right when it was compared, but another one was set before the change."""
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        users.store_password(get_user(user.id), hashed="$argon2id$new", actor=actor)
        for epoch, refusal in ((0, SignInEnded), (1, Invalid)):
            with pytest.raises(refusal):
                services._replace_password(
                    get_user(user.id),
                    verified=user.hashed_password,
                    hashed="$argon2id$late",
                    address="",
                    user_agent="",
                    counted=(),
                    actor=replace(own_actor(user), epoch=epoch),
                )
        assert get_user(user.id).hashed_password == "$argon2id$new"


def test_the_present_password_cannot_be_guessed_there_either(context: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    for _ in range(MOST_PER_PAIR):
        with pytest.raises(Invalid):
            change_password(user, current="")
    with pytest.raises(Throttled):
        change_password(user)


def make_link(user: User, actor: Actor) -> str:
    token, expires_at = services.create_password_link(get_user(user.id), actor=actor)
    assert abs(expires_at - utc_now() - LINK_LIFETIME) < timedelta(minutes=1)
    return token


def test_a_link_sets_a_password_once(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR, hashed_password=None)
    with app.app_context():
        token = make_link(user, actor)
        assert get_session().scalars(select(PasswordLink.token_hash)).all() == [hash_token(token)]
        assert (
            services.use_password_link(token, password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER).id
            == user.id
        )
        assert is_alive(app, sign_in(password=NEW_PASSWORD))
        with pytest.raises(NotFound):
            services.use_password_link(
                token, password="another candle meadow", address="192.0.2.1", actor=STRANGER
            )


def test_a_link_ends_the_sessions_and_the_throttle_of_before(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        before = sign_in()
        for _ in range(MOST_PER_PAIR):
            with pytest.raises(Invalid):
                sign_in(password="")
        services.use_password_link(
            make_link(user, actor), password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER
        )
        assert not is_alive(app, before)
        assert is_alive(app, sign_in(password=NEW_PASSWORD))


def test_a_weak_password_does_not_use_the_link_up(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    token = make_link(make_user(email="ann.lee@example.org"), actor)
    for weak in ("short", "ann.lee is my name"):
        with pytest.raises(Invalid) as refusal:
            services.use_password_link(token, password=weak, address="192.0.2.1", actor=STRANGER)
        assert refusal.value.field == "new_password"
    services.use_password_link(token, password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER)


def expire_link(_user: User, _actor: Actor) -> None:
    get_session().execute(update(PasswordLink).values(expires_at=utc_now() - timedelta(seconds=1)))
    get_session().commit()


ENDS: dict[str, Callable[[User, Actor], object]] = {
    "a new e-mail": lambda user, actor: users.update_user(
        user, version=user.version, email="other@example.org", actor=actor
    ),
    "a newer link": lambda user, actor: services.create_password_link(user, actor=actor),
    "its time": expire_link,
    "deactivation": lambda user, actor: users.deactivate_user(user, actor=actor),
    "a new password": lambda user, actor: users.set_password(user, password=PASSWORD, actor=actor),
    "deletion": lambda user, actor: trash.delete_user(user, version=user.version, actor=actor),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_link_dies_with(app: Flask, make_user: MakeUser, actor: Actor, end: str) -> None:
    user = make_user(email=ANN)
    with app.app_context():
        token = make_link(user, actor)
        assert get_link_owner(token).id == user.id
        ENDS[end](get_user(user.id), actor)
        with pytest.raises(NotFound):
            get_link_owner(token)
        with pytest.raises(NotFound):
            services.use_password_link(token, password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER)


def test_a_link_stays_dead_when_the_e_mail_is_what_it_was(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    user = make_user(email=ANN)
    with app.app_context():
        token = make_link(user, actor)
        for email in ("other@example.org", ANN):
            user = get_user(user.id)
            users.update_user(user, version=user.version, email=email, actor=actor)
        assert get_user(user.id).email == ANN
        with pytest.raises(NotFound):
            get_link_owner(token)


OWN_CHANGES: dict[str, Callable[[User], object]] = {
    "a new password": change_password,
    "sign out everywhere": lambda user: users.sign_out_everywhere(get_user(user.id), actor=own_actor(user)),
    "a new e-mail": lambda user: users.update_user(
        get_user(user.id), version=user.version, email="thief@example.org", actor=own_actor(user)
    ),
}


@pytest.mark.parametrize("change", OWN_CHANGES)
def test_a_link_outlives_what_its_persons_own_session_changes(
    app: Flask, make_user: MakeUser, actor: Actor, change: str
) -> None:
    """Else a stolen session could end each link that is to put it out."""
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(email=ANN, role=Role.ADMINISTRATOR)
    with app.app_context():
        token = make_link(user, actor)
        OWN_CHANGES[change](user)
        thief = services.open_session(
            user_id=user.id, epoch=get_user(user.id).session_epoch, address="", user_agent=""
        )
        services.use_password_link(token, password="walnut ribbon glacier", address="", actor=STRANGER)
        assert not is_alive(app, thief)
        with pytest.raises(NotFound):
            get_link_owner(token)


def test_a_link_that_was_dead_is_not_carried_over(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        token = make_link(user, actor)
        users.sign_out_everywhere(get_user(user.id), actor=actor)
        change_password(user)
        assert not has_open_link(get_user(user.id))
        with pytest.raises(NotFound):
            get_link_owner(token)


MAKER_ENDS: dict[str, Callable[[User, Actor], object]] = {
    "deactivation": lambda user, actor: users.deactivate_user(user, actor=actor),
    "sign out everywhere": lambda user, actor: users.sign_out_everywhere(user, actor=actor),
    "a new password": lambda user, actor: users.store_password(user, hashed="$argon2id$", actor=actor),
    "another role": lambda user, actor: users.update_user(
        user, version=user.version, role=Role.MEMBER, actor=actor
    ),
    "the trash": lambda user, actor: trash.delete_user(user, version=user.version, actor=actor),
}


@pytest.mark.parametrize("end", MAKER_ENDS)
def test_a_link_dies_with_the_sign_ins_of_its_maker(
    app: Flask, make_user: MakeUser, actor: Actor, end: str
) -> None:
    maker, user = make_user(role=Role.SUPPORT), make_user(email=ANN)
    with app.app_context():
        token = make_link(user, replace(own_actor(maker), epoch=0))
        assert has_open_link(get_user(user.id))
        MAKER_ENDS[end](get_user(maker.id), actor)
        assert not has_open_link(get_user(user.id))
        with pytest.raises(NotFound):
            services.use_password_link(token, password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER)


def test_a_maker_who_is_let_in_again_gives_no_link_back(
    context: Flask, make_user: MakeUser, actor: Actor
) -> None:
    maker, user = make_user(role=Role.SUPPORT), make_user(email=ANN)
    make_link(user, replace(own_actor(maker), epoch=0))
    users.deactivate_user(get_user(maker.id), actor=actor)
    users.activate_user(get_user(maker.id), actor=actor)
    assert not has_open_link(get_user(user.id))


def test_a_link_survives_another_spelling_of_the_address_and_an_edit_of_the_name(
    context: Flask, make_user: MakeUser, actor: Actor
) -> None:
    user = make_user(email=ANN)
    token = make_link(user, actor)
    users.update_user(get_user(user.id), version=1, email="ANN@example.org", full_name="New", actor=actor)
    assert get_link_owner(token).id == user.id


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "x" * 100_000], ids=lambda text: ascii(text[:4]))
def test_a_made_up_link_opens_nothing(context: Flask, make_user: MakeUser, actor: Actor, token: str) -> None:
    make_link(make_user(), actor)
    with pytest.raises(NotFound):
        services.use_password_link(token, password=NEW_PASSWORD, address="192.0.2.1", actor=STRANGER)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.parametrize("target", list(Role))
def test_who_may_not_make_links_makes_none(app: Flask, make_user: MakeUser, role: Role, target: Role) -> None:
    user = make_user(role=target)
    with app.app_context(), pytest.raises(Forbidden):
        make_link(user, Actor(user_id=1_000_000, name="", role=role))
    assert read_tables(app)["password_links"] == []


@pytest.mark.parametrize("target", [Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR])
def test_support_makes_links_for_members_only(app: Flask, make_user: MakeUser, target: Role) -> None:
    support = Actor(user_id=1_000_000, name="", role=Role.SUPPORT)
    member, staff = make_user(), make_user(role=target)
    with app.app_context():
        make_link(member, support)
        with pytest.raises(Forbidden):
            make_link(staff, support)


def test_a_person_deleted_meanwhile_gets_no_link(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = make_user()
    with app.app_context():
        read_before = get_user(user.id)
        get_session().execute(delete(User).where(User.id == user.id))
        get_session().commit()
        with pytest.raises(NotFound):
            services.create_password_link(read_before, actor=actor)


def test_an_inactive_person_gets_no_link(context: Flask, make_user: MakeUser, actor: Actor) -> None:
    with pytest.raises(Conflict):
        make_link(make_user(is_active=False), actor)


def test_a_link_used_by_many_at_once_works_for_one(file_app: Flask, hashed_password: str) -> None:
    user = user_maker(file_app, hashed_password)(email=ANN)
    with file_app.app_context():
        token = make_link(user, Actor.command_line())

    def use() -> object:
        return services._spend_link(token, hashed=hashed_password, address="192.0.2.1", actor=STRANGER)

    assert count_kinds(race(file_app, *[use] * 16)) == {User: 1, NotFound: 15}
    used = read_user(file_app, user.id)
    assert used is not None
    assert (used.session_epoch, used.version) == (1, 2)


def test_many_who_make_a_link_at_once_leave_one(file_app: Flask, hashed_password: str) -> None:
    user = user_maker(file_app, hashed_password)(email=ANN)
    outcomes = race(file_app, *[lambda: make_link(user, Actor.command_line())] * 8)
    assert count_kinds(outcomes) == {str: 8}
    assert len(read_tables(file_app)["password_links"]) == 1


# What the history tells of what was refused


def test_of_a_flood_of_sign_ins_the_first_that_is_refused_is_told(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    with app.app_context():
        for _ in range(MOST_PER_PAIR):
            with pytest.raises(Invalid):
                sign_in(password="a wrong password")
        for _ in range(12):
            with pytest.raises(Throttled):
                sign_in()
    stories = read_stories(app)[MOST_PER_PAIR:]
    assert [(it.kind, it.subject_id) for it in stories] == [(Kind.SIGN_IN_FAILED, user.id)]
    assert [it.facts for it in stories] == [{"reason": "throttled"}]
    assert_intact(app)


def test_a_stranger_who_is_throttled_is_told_without_what_was_typed(app: Flask) -> None:
    with app.app_context():
        for _ in range(MOST_PER_PAIR + 1):
            with pytest.raises((Invalid, Throttled)):
                sign_in("my-secret-word")
    story = read_stories(app)[-1]
    assert (story.subject_id, story.facts) == (None, {"reason": "throttled"})
    assert "my-secret-word" not in read_texts(app)


def test_a_wrong_current_password_is_told_with_who_gave_it(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    own = replace(own_actor(user), address=ADDRESS)
    with app.app_context():
        person = get_user(user.id)
        services.require_current_password(person, password=PASSWORD, address=ADDRESS, actor=own)
        for _ in range(MOST_PER_PAIR + 1):
            with pytest.raises((Invalid, Throttled)):
                services.change_password(
                    person, current="not it", new=NEW_PASSWORD, address=ADDRESS, user_agent="", actor=own
                )
    stories = read_stories(app)
    wrong = {"reason": "current_password"}
    assert [it.facts for it in stories] == [wrong] * (MOST_PER_PAIR - 1) + [{"reason": "throttled"}]
    assert {(it.kind, it.subject_id, it.actor_id, it.address) for it in stories} == {
        (Kind.SIGN_IN_FAILED, user.id, user.id, ADDRESS)
    }


@pytest.mark.parametrize("field", ["email", "password"])
def test_what_is_too_long_is_refused_like_any_other_and_counts(
    app: Flask, make_user: MakeUser, field: str
) -> None:
    """It is not looked at, and the attempt counts all the same."""
    make_user(email=ANN, role=Role.AUDITOR)
    heap = "a" + "\u0301\u0323" * 100_000
    with app.app_context():
        for _ in range(MOST_PER_PAIR):
            with pytest.raises(Invalid, match=re.escape(services.REFUSED)):
                sign_in(**{field: heap})
        with pytest.raises(Throttled):
            sign_in(**{field: heap})


@pytest.mark.parametrize("letter", ["x", "é", "한", "ệ"])
def test_the_longest_password_signs_in_however_it_is_typed(
    app: Flask, make_user: MakeUser, letter: str
) -> None:
    words = "quiet lantern orchard velvet harbour "
    password = words + letter * (LONGEST_PASSWORD - len(words))
    user = make_user(email=ANN, role=Role.AUDITOR, hashed_password=None)
    with app.app_context():
        users.set_password(get_user(user.id), password=password, actor=Actor.command_line())
        assert sign_in(password=password)
        assert sign_in(password=unicodedata.normalize("NFD", password))


def open_one(user: User) -> str:
    return services.open_session(user_id=user.id, epoch=0, address="192.0.2.1", user_agent="")


def test_of_more_sessions_than_one_may_have_the_one_used_least_lately_ends(
    app: Flask, make_user: MakeUser
) -> None:
    user, other = make_user(role=Role.SUPPORT), make_user(role=Role.SUPPORT)
    with app.app_context():
        theirs = open_one(other)
        tokens = [open_one(user) for _ in range(MAX_SESSIONS)]
        session = get_session()
        used = SignInSession.token_hash == hash_token(tokens[0])
        earlier = SignInSession.user_id == user.id, ~used
        moment = utc_now() - timedelta(minutes=1)
        session.execute(update(SignInSession).where(*earlier).values(last_seen_at=moment))
        session.commit()
        new = open_one(user)
    with app.app_context():
        dead = [number for number, token in enumerate(tokens) if not is_alive(app, token)]
        assert dead == [1]
        assert is_alive(app, new)
        assert is_alive(app, theirs)
    story = read_stories(app)[-1]
    assert (story.kind, story.subject_id, story.facts) == (Kind.DEVICE_SIGNED_OUT, user.id, {"count": 1})


def test_many_sign_ins_at_once_open_no_session_more(file_app: Flask, hashed_password: str) -> None:
    user = user_maker(file_app, hashed_password)(role=Role.SUPPORT)
    with file_app.app_context():
        for _ in range(MAX_SESSIONS - 2):
            open_one(user)
    race(file_app, *[lambda: open_one(user)] * 8)
    with file_app.app_context():
        assert get_session().scalar(select(func.count()).select_from(SignInSession)) == MAX_SESSIONS
