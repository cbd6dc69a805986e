"""A browser stays signed in for as long as it should and not a moment longer, on every worker at once."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from flask import Flask
from sqlalchemy import update

from tests.conftest import PASSWORD, MakeUser, SignedIn, make_settings, user_maker
from tests.visitor import Visitor, field_value
from webapp import create_app
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.models import SignInSession
from webapp.auth.services import revoke_other_sessions
from webapp.config import Settings
from webapp.db import get_session
from webapp.extensions import sqla, utc_now
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.queries import get_user

SECOND = timedelta(seconds=1)


def is_signed_in(visitor: Visitor) -> bool:
    status = visitor.get("/auth/devices").status_code
    assert status in {200, 303}
    return status == 200


def age_sessions(app: Flask, **times: timedelta) -> None:
    """Move ``created_at`` or ``last_seen_at`` of all sessions into the past."""
    now = utc_now()
    with app.app_context():
        get_session().execute(update(SignInSession).values({name: now - age for name, age in times.items()}))
        get_session().commit()


@pytest.mark.parametrize(
    ("times", "alive"),
    [
        ({"created_at": timedelta(0)}, True),
        ({"last_seen_at": timedelta(minutes=120) - 20 * SECOND}, True),
        ({"last_seen_at": timedelta(minutes=120) + SECOND}, False),
        ({"created_at": timedelta(hours=12) - 20 * SECOND}, True),
        ({"created_at": timedelta(hours=12) + SECOND}, False),
    ],
    ids=["new", "nearly idle", "idle", "nearly old", "old"],
)
def test_a_session_ends_when_idle_for_two_hours_or_twelve_hours_old(
    app: Flask, signed_in: SignedIn, times: dict[str, timedelta], alive: bool
) -> None:
    visitor = signed_in("auditor")
    age_sessions(app, **times)
    assert is_signed_in(visitor) is alive


def test_using_it_keeps_a_session_from_being_idle(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    age_sessions(app, last_seen_at=timedelta(minutes=119))
    assert is_signed_in(visitor)
    with app.app_context():
        seen = get_session().query(SignInSession).one().last_seen_at
    assert utc_now() - seen < timedelta(minutes=1)


def test_when_it_was_seen_is_written_at_most_once_a_minute(
    app: Flask, signed_in: SignedIn, count_queries: Callable[[], object]
) -> None:
    visitor = signed_in("auditor")

    def writes() -> int:
        with count_queries() as statements:  # type: ignore[attr-defined]
            assert is_signed_in(visitor)
        return sum(statement.startswith("UPDATE sessions") for statement in statements)

    assert writes() == 0
    age_sessions(app, last_seen_at=timedelta(seconds=50))
    assert writes() == 0
    age_sessions(app, last_seen_at=timedelta(seconds=61))
    assert [writes(), writes()] == [1, 0]


def test_what_a_script_asks_for_by_itself_keeps_no_session_from_being_idle(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, path = signed_in("support"), f"/users/{make_user().id}/presence"
    age_sessions(app, last_seen_at=timedelta(minutes=119))
    assert visitor.get(path).status_code == 200
    age_sessions(app, last_seen_at=timedelta(minutes=120) + SECOND)
    answer = visitor.get(path)
    assert (answer.status_code, answer.data) == (401, b"")
    assert "Set-Cookie" not in answer.headers, "the page that is open still has its token"
    with app.app_context():
        seen = get_session().query(SignInSession).one().last_seen_at
    assert utc_now() - seen > timedelta(minutes=119)


@pytest.mark.parametrize("token", ["", "x", "\0", 7, None, ["a"], "x" * 3000], ids=ascii)
def test_a_cookie_with_a_token_that_is_none_is_nobody(app: Flask, token: object) -> None:
    visitor = Visitor(app)
    with visitor.client.session_transaction() as cookie:
        cookie["token"] = token
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("cookie", ["", "garbage", "a.b.c", "eyJ0b2tlbiI6IngifQ.aaaaaa.bbbb", "\u00e9"])
def test_a_cookie_that_we_did_not_sign_is_nobody(app: Flask, cookie: str) -> None:
    visitor = Visitor(app)
    visitor.client.set_cookie(app.config["SESSION_COOKIE_NAME"], cookie)
    assert not is_signed_in(visitor)


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask, make_user: MakeUser) -> None:
    make_user(email="ann@example.org", role=Role.AUDITOR)
    answer = Visitor(app).post("/auth/login", {"email": "ann@example.org", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_over_https_the_cookie_is_bound_to_this_host(database: str) -> None:
    app = create_app(make_settings("sqlite://", session_cookie_secure=True))
    assert app.config["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert app.config["SESSION_COOKIE_SECURE"]
    with app.app_context():
        sqla.engine.dispose()


NEW_KEY, OLD_KEY = "a new key, long enough to be accepted", "a test's secret, long enough to be accepted"


def signature_bytes(signed: str) -> int:
    return len(urlsafe_b64decode(signed.rpartition(".")[2] + "=="))


def test_what_is_signed_is_signed_by_sha256(app: Flask, make_user: MakeUser) -> None:
    make_user(email="ann@example.org", role=Role.AUDITOR)
    visitor = Visitor(app)
    old = visitor.post_raw("/users/1/edit", {"full_name": "typed", "csrf_token": "old"}).text
    token = visitor.csrf_token()
    visitor.post("/auth/login", {"email": "ann@example.org", "password": PASSWORD})
    cookie = visitor.client.get_cookie(app.config["SESSION_COOKIE_NAME"])
    assert cookie
    for signed in (cookie.value, token, field_value(old, "csrf_token"), field_value(old, "resend")):
        assert signature_bytes(signed or "") == sha256().digest_size


@pytest.mark.parametrize(("fallbacks", "is_kept"), [((OLD_KEY,), True), (("x" * 32,), False), ((), False)])
def test_a_former_key_is_believed_while_it_is_named(
    file_app: Flask, make_user: MakeUser, hashed_password: str, fallbacks: tuple[str, ...], is_kept: bool
) -> None:
    """With it a session goes on, a form that is open can be sent, and what it signed is signed anew."""
    settings: Settings = file_app.extensions["settings"]
    admin = user_maker(file_app, hashed_password)(role=Role.ADMINISTRATOR)
    before = Visitor(file_app, admin)
    name, token = file_app.config["SESSION_COOKIE_NAME"], before.csrf_token()
    cookie = before.client.get_cookie(name)
    assert cookie
    rotated = create_app(replace(settings, secret_key=NEW_KEY, secret_key_fallbacks=fallbacks))
    after = Visitor(rotated)
    after.client.set_cookie(name, cookie.value)
    answer = after.post_raw("/auth/devices/revoke-others", {"csrf_token": token})
    assert (answer.status_code == 303) is is_kept
    newest = Visitor(create_app(replace(settings, secret_key=NEW_KEY)))
    if is_kept:  # the message that it left is in a cookie of the new key
        signed_again = after.client.get_cookie(name)
        assert signed_again
        newest.client.set_cookie(name, signed_again.value)
    assert is_signed_in(newest) is is_kept
    for app in (rotated, newest.app):
        with app.app_context():
            sqla.engine.dispose()


def test_two_installations_on_one_host_leave_each_other_alone(
    file_app: Flask, make_user: MakeUser, hashed_password: str
) -> None:
    """Cookies know no ports. One jar for both, as a browser has it."""
    settings: Settings = file_app.extensions["settings"]
    user_maker(file_app, hashed_password)(email="ann@example.org", role=Role.AUDITOR)
    other = create_app(replace(settings, session_cookie_name="other", secret_key=NEW_KEY))
    here, there = Visitor(file_app), Visitor(other)
    there.client._cookies = here.client._cookies
    for visitor in (here, there, here):
        form = {"email": "ann@example.org", "password": PASSWORD}
        assert visitor.post("/auth/login", form).status_code == 303
    assert is_signed_in(here)
    assert is_signed_in(there)
    here.post("/auth/logout")
    assert not is_signed_in(here)
    assert is_signed_in(there)
    names = {cookie.key for cookie in (here.client._cookies or {}).values()}
    assert names >= {"dossier", "other"}
    assert all(name.partition("-")[0] in {"dossier", "other"} for name in names)
    with other.app_context():
        sqla.engine.dispose()


def test_nothing_of_before_survives_a_sign_in(app: Flask, make_user: MakeUser) -> None:
    make_user(email="ann@example.org", role=Role.AUDITOR)
    visitor = Visitor(app)
    before = visitor.csrf_token()
    with visitor.client.session_transaction() as cookie:
        cookie["planted"] = "by an attacker"
        cookie["token"] = "planted as well"
    visitor.post("/auth/login", {"email": "ann@example.org", "password": PASSWORD})
    with visitor.client.session_transaction() as cookie:
        assert "planted" not in cookie
        assert cookie["token"] != "planted as well"
    assert visitor.post_raw("/auth/devices/revoke-others", {"csrf_token": before}).status_code == 400


@pytest.fixture
def second_app(file_app: Flask) -> Iterator[Flask]:
    """Another worker on the same database."""
    app = create_app(make_settings(file_app.extensions["settings"].database_url))
    yield app
    with app.app_context():
        sqla.engine.dispose()


def by_service(change: Callable[[User, Actor], object]) -> Callable[[Flask, User], object]:
    def run(app: Flask, user: User) -> object:
        with app.app_context():
            return change(get_user(user.id), Actor.command_line())

    return run


ENDS: dict[str, Callable[[Flask, User], object]] = {
    "deactivation": by_service(lambda user, actor: services.deactivate_user(user, actor=actor)),
    "deletion": by_service(lambda user, actor: trash.delete_user(user, version=1, actor=actor)),
    "a new password": by_service(
        lambda user, actor: services.set_password(user, password=PASSWORD, actor=actor)
    ),
    "a member's role": by_service(
        lambda user, actor: services.update_user(user, version=1, role="member", actor=actor)
    ),
    "sign out everywhere": by_service(lambda user, actor: services.sign_out_everywhere(user, actor=actor)),
    "revocation": by_service(
        lambda user, _: revoke_other_sessions(keep=0, actor=Actor(user_id=user.id, name="", role=user.role))
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_session_dies_at_once_on_every_worker_by(
    file_app: Flask, second_app: Flask, hashed_password: str, end: str
) -> None:
    make = user_maker(file_app, hashed_password)
    user, bystander = make(role=Role.AUDITOR), Visitor(file_app, make(role=Role.AUDITOR))
    here, there = Visitor(file_app, user), Visitor(second_app, user)
    assert is_signed_in(here)
    assert is_signed_in(there)
    ENDS[end](file_app, user)
    assert not is_signed_in(there)
    assert not is_signed_in(here)
    assert is_signed_in(bystander)


def test_a_cookie_copied_before_signing_out_is_worthless_after(
    file_app: Flask, second_app: Flask, hashed_password: str
) -> None:
    owner = Visitor(file_app, user_maker(file_app, hashed_password)(role=Role.AUDITOR))
    thief = Visitor(second_app)
    with owner.client.session_transaction() as source, thief.client.session_transaction() as copy:
        copy.update(source)
    assert is_signed_in(thief)
    owner.post("/auth/logout")
    assert not is_signed_in(owner)
    assert not is_signed_in(thief)


def test_a_role_taken_away_holds_from_the_next_request_on(
    app: Flask, signed_in: SignedIn, actor: Actor
) -> None:
    visitor = signed_in("administrator", email="other@desk.example")
    signed_in("administrator")
    assert visitor.get("/users/new").status_code == 200
    assert visitor.user is not None
    with app.app_context():
        services.update_user(get_user(visitor.user.id), version=1, role="auditor", actor=actor)
    assert visitor.get("/users/new").status_code == 303  # links and sign-ins of the old role are dead
