"""The served application as the browser tests know it: its address, and the database behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import update

from tests.conftest import MakeUser
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.browser import PageSessions
from webapp.auth.models import SignInSession
from webapp.auth.rules import MAX_CONFIRMATION_AGE
from webapp.auth.services import create_password_link, open_session
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.users.models import User
from webapp.users.presence import OPENED_LASTS, find_presence, note_open
from webapp.users.queries import get_user
from webapp.users.services import sign_out_everywhere, update_user

TERMINAL = Actor.command_line()


@dataclass(frozen=True, slots=True)
class Desk:
    url: str
    app: Flask
    make_user: MakeUser

    def add_administrator(self) -> User:
        return self.make_user(full_name="Ada Administrator", role=Role.ADMINISTRATOR)

    def session_cookie(self, user: User) -> dict[str, Any]:
        """What a browser holds in which ``user`` has signed in."""
        with self.app.app_context():
            token = open_session(
                user_id=user.id, epoch=user.session_epoch, address="127.0.0.1", user_agent="Test/1"
            )
        serializer = PageSessions().get_signing_serializer(self.app)
        assert serializer is not None
        value = serializer.dumps({"token": token})
        return {"name": self.app.config["SESSION_COOKIE_NAME"], "value": value, "url": self.url}

    def open_form(self, person: User, editor: User) -> None:
        """Somebody else opens the form of this user."""
        actor = replace(TERMINAL, user_id=editor.id, name=editor.display_name, role=editor.role)
        with self.app.app_context():
            presence = find_presence(person, version=person.version, actor=actor)
            note_open(person.id, presence, lasts=OPENED_LASTS, actor=actor)

    def end_sessions(self, user: User) -> None:
        with self.app.app_context():
            sign_out_everywhere(get_user(user.id), actor=TERMINAL)

    def age_sessions(self, user: User) -> None:
        """They signed in too long ago for what asks for a fresh password."""
        old = {"created_at": utc_now() - MAX_CONFIRMATION_AGE - timedelta(seconds=1), "confirmed_at": None}
        with self.app.app_context():
            get_session().execute(update(SignInSession).where(SignInSession.user_id == user.id).values(old))
            get_session().commit()

    def give_news(self, user: User) -> None:
        """Something happened to their account before they signed in, and is not acknowledged."""
        with self.app.app_context():
            since = utc_now()
            create_password_link(get_user(user.id), actor=replace(TERMINAL, address="2001:db8::1"))
            values = {"created_at": utc_now(), "notices_since": since}
            get_session().execute(
                update(SignInSession).where(SignInSession.user_id == user.id).values(values)
            )
            get_session().commit()

    def rename(self, user: User, full_name: str) -> None:
        """Somebody else saves this user."""
        with self.app.app_context():
            current = get_user(user.id)
            update_user(current, full_name=full_name, version=current.version, actor=TERMINAL)
