"""Which of the history is news to its person: what others did to the account, what came from elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import PASSWORD, MakeUser
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth import notices, services
from webapp.auth.models import SignInSession
from webapp.auth.notices import MAX_AGE, MAX_SHOWN, Notices, find_last_here, find_notices
from webapp.auth.rules import WINDOW
from webapp.db import get_session
from webapp.errors import Invalid
from webapp.extensions import utc_now
from webapp.history.rules import Kind
from webapp.tokens.services import create_token, revoke_token
from webapp.users import services as users
from webapp.users import trash
from webapp.users.models import User
from webapp.users.queries import get_user

HOME, ELSEWHERE, FURTHER = "192.0.2.1", "203.0.113.9", "198.51.100.7"
TERMINAL = Actor.command_line()


def own(user: User, address: str = ELSEWHERE) -> Actor:
    return Actor(user_id=user.id, name=user.display_name, role=user.role, address=address)


def sign_in(user: User, address: str, password: str = PASSWORD) -> None:
    visitor = Actor(user_id=None, name="", role=Role.MEMBER, address=address)
    services.sign_in(email=user.email, password=password, address=address, user_agent="Test/1", actor=visitor)


def look(user: User) -> Notices:
    now = utc_now()
    return find_notices(user.id, since=now - timedelta(hours=1), until=now, address=HOME)


def kinds(user: User) -> list[Kind]:
    return [story.kind for story in look(user).stories]


def make(user: User, name: str = "Report", actor: Actor = TERMINAL) -> None:
    owner = get_user(user.id)
    create_token(owner, name=name, scopes=["users.read"], days=30, actor=actor)


def test_what_others_did_to_the_account_is_news(context: Flask, make_user: MakeUser) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(role=Role.AUDITOR)
    services.create_password_link(get_user(user.id), actor=TERMINAL)
    secret_and_token = create_token(
        get_user(user.id), name="Report", scopes=["users.read"], days=30, actor=TERMINAL
    )
    revoke_token(secret_and_token[1], actor=TERMINAL)
    users.update_user(get_user(user.id), version=1, role="support", email="new@example.org", actor=TERMINAL)
    users.update_user(get_user(user.id), version=2, full_name="Another", actor=TERMINAL)
    users.set_password(get_user(user.id), password="harbour candle meadow", actor=TERMINAL)
    users.sign_out_everywhere(get_user(user.id), actor=TERMINAL)
    users.deactivate_user(get_user(user.id), actor=TERMINAL)
    users.activate_user(get_user(user.id), actor=TERMINAL)
    person = get_user(user.id)
    trash.delete_user(person, version=person.version, actor=TERMINAL)
    trash.restore_user(user.id, actor=TERMINAL)
    assert kinds(user) == [
        *(Kind.RESTORED, Kind.DELETED, Kind.ACTIVATED, Kind.DEACTIVATED, Kind.SIGNED_OUT_EVERYWHERE),
        *(Kind.PASSWORD_SET, Kind.EDITED, Kind.EDITED),
        *(Kind.TOKEN_REVOKED, Kind.TOKEN_MADE, Kind.LINK_MADE),
    ]


def test_so_is_what_came_under_ones_own_name_from_another_session(
    context: Flask, make_user: MakeUser
) -> None:
    user = make_user(role=Role.ADMINISTRATOR)
    make(user, actor=own(user))
    services.open_session(user_id=user.id, epoch=0, address=HOME, user_agent="")
    services.revoke_other_sessions(keep=None, actor=own(user))
    users.update_own_profile(
        get_user(user.id), full_name="Renamed", language="", time_zone="", version=1, actor=own(user)
    )
    assert kinds(user) == [Kind.DEVICE_SIGNED_OUT, Kind.TOKEN_MADE], "one's own name is no news"
    users.update_user(get_user(user.id), version=2, email="thief@example.org", actor=own(user))
    assert kinds(user) == [Kind.EDITED, Kind.DEVICE_SIGNED_OUT, Kind.TOKEN_MADE]


def test_what_happened_to_others_is_not(context: Flask, make_user: MakeUser) -> None:
    user, other = make_user(role=Role.ADMINISTRATOR), make_user(role=Role.AUDITOR)
    services.create_password_link(get_user(other.id), actor=own(user))
    make(other)
    assert look(user).is_empty


def test_of_sign_ins_the_last_from_each_other_network(context: Flask, make_user: MakeUser) -> None:
    user = make_user(role=Role.AUDITOR)
    for address in (FURTHER, ELSEWHERE, HOME, ELSEWHERE):
        sign_in(user, address)
    found = look(user).stories
    assert [(story.kind, story.address) for story in found] == [
        (Kind.SIGNED_IN, ELSEWHERE),
        (Kind.SIGNED_IN, FURTHER),
    ]


def test_failures_are_counted_but_for_ones_own_slips(
    context: Flask, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(role=Role.AUDITOR)
    for address in (ELSEWHERE, ELSEWHERE, HOME):
        with pytest.raises(Invalid):
            sign_in(user, address, "wrong")
    assert (look(user).failures, look(user).stories) == (2, [])
    now = utc_now()
    late = find_notices(
        user.id, since=now - timedelta(hours=1), until=now + WINDOW + timedelta(seconds=1), address=HOME
    )
    assert late.failures == 3, "that one was long before"
    monkeypatch.setattr(notices, "MAX_FAILURES", 1)
    assert look(user).failures <= 1


def test_there_are_at_most_so_many_and_it_is_said_that_there_are_more(
    context: Flask, make_user: MakeUser
) -> None:
    user = make_user(role=Role.AUDITOR)
    for _ in range(MAX_SHOWN):
        services.create_password_link(get_user(user.id), actor=TERMINAL)
    assert (len(look(user).stories), look(user).is_more) == (MAX_SHOWN, False)
    make(user)
    found = look(user)
    assert (len(found.stories), found.is_more, found.stories[0].kind) == (MAX_SHOWN, True, Kind.TOKEN_MADE)


def test_only_what_lies_between(context: Flask, make_user: MakeUser) -> None:
    user, before = make_user(role=Role.AUDITOR), utc_now()
    make(user)
    now = utc_now()
    assert not find_notices(user.id, since=before, until=now, address=HOME).is_empty
    assert find_notices(user.id, since=now, until=utc_now(), address=HOME).is_empty
    assert find_notices(user.id, since=before - timedelta(1), until=before, address=HOME).is_empty


# Since when


def test_one_was_last_here_at_the_sign_in_before(context: Flask, make_user: MakeUser) -> None:
    user, now = make_user(role=Role.AUDITOR), utc_now
    assert find_last_here(user.id, until=now(), seen=None) is None, "the first of all"
    sign_in(user, HOME)
    first = now()
    sign_in(user, HOME)
    found = find_last_here(user.id, until=first, seen=None)
    assert found is not None
    assert timedelta(0) < first - found < timedelta(minutes=1)
    latest = find_last_here(user.id, until=now(), seen=None)
    assert latest is not None
    assert latest > first


def test_what_a_browser_has_seen_comes_before_what_others_did(context: Flask, make_user: MakeUser) -> None:
    """A sign-in elsewhere with a stolen password does not make anything seen."""
    user, seen = make_user(role=Role.AUDITOR), utc_now()
    sign_in(user, ELSEWHERE)
    assert find_last_here(user.id, until=utc_now(), seen=seen) == seen


def test_so_does_what_is_not_acknowledged_yet(context: Flask, make_user: MakeUser) -> None:
    user, since = make_user(role=Role.AUDITOR), utc_now() - timedelta(days=3)
    sign_in(user, HOME)
    [session_id] = get_session().scalars(select(SignInSession.id))
    services.mark_notices(session_id, since=since)
    assert find_last_here(user.id, until=utc_now(), seen=None) == since


def test_nothing_is_older_than_a_month(context: Flask, make_user: MakeUser) -> None:
    user, now = make_user(role=Role.AUDITOR), utc_now()
    assert find_last_here(user.id, until=now, seen=now - timedelta(days=90)) == now - MAX_AGE
