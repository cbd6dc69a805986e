"""A person's browser, as far as Flask's test client is one: cookies, and the form's CSRF token."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from webapp.auth.services import open_session
from webapp.users.models import User


class Visitor:
    """``user`` is signed in, or nobody."""

    def __init__(self, app: Flask, user: User | None = None) -> None:
        self.app = app
        self.user = user
        self.client: FlaskClient = app.test_client()
        if user is not None:
            with app.app_context():
                token = open_session(
                    user_id=user.id, epoch=user.session_epoch, address="192.0.2.7", user_agent="Test/1"
                )
            with self.client.session_transaction() as cookie:
                cookie["token"] = token

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, data: Any = None, **options: Any) -> TestResponse:
        """Send a form with a right CSRF token."""
        return self.post_raw(path, {**(data or {}), "csrf_token": self.csrf_token()}, **options)

    def post_raw(self, path: str, data: Any = None, **options: Any) -> TestResponse:
        """Send exactly this, and read the whole answer."""
        return self.client.post(path, data=data, **{"buffered": True, **options})

    def csrf_token(self) -> str:
        """What a form of this browser would carry."""
        with self.client.session_transaction() as cookie:
            raw = cookie.setdefault("csrf_token", "0123456789abcdef")
        serializer = URLSafeTimedSerializer(self.app.secret_key or "", salt="wtf-csrf-token")
        return str(serializer.dumps(raw))


def field_value(page: str, name: str) -> str | None:
    """The value of the input ``name`` in an HTML page."""
    for tag in re.findall(r"<input[^>]*>", page):
        if re.search(rf'\bname="{re.escape(name)}"', tag):
            value = re.search(r'\bvalue="([^"]*)"', tag)
            return unescape(value.group(1)) if value else ""
    return None


def field_error(page: str, name: str) -> str | None:
    """The message that stands at the field ``name``."""
    found = re.search(rf'id="{re.escape(name)}-error"[^>]*>(.*?)</', page, re.DOTALL)
    return unescape(found.group(1)).strip() if found else None
