"""A token that is revoked, or whose owner is shut out, opens nothing on any worker from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import pytest
from flask import Flask

from tests.conftest import user_maker
from tests.serving import Server, serve
from tests.test_gunicorn import settings_of
from tests.tokens.test_bearer import make_secret
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.config import ROOT
from webapp.tokens.queries import get_token
from webapp.tokens.services import revoke_token
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import deactivate_user

DESK = Actor.command_line()
WORKERS = 2
TIMES = 5
MOST_SECONDS = 30
# The application as it is served, and one call more; each answer tells which worker gave it.
WSGI = """
import os
from webapp import create_app
from webapp.access.guards import requires
from webapp.access.permissions import Permission

app = create_app()

@app.get("/api/anything")
@requires(Permission.USERS_READ)
def answer():
    return "let in"

@app.after_request
def tell_worker(response):
    response.headers["Worker"] = str(os.getpid())
    return response
"""
SERVED = ("webapp", "templates", "static", "migrations", "gunicorn.conf.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is served, with another wsgi.py."""
    served = tmp_path / "served"
    served.mkdir()
    for name in SERVED:
        (served / name).symlink_to(ROOT / name)
    (served / "wsgi.py").write_text(WSGI, encoding="utf-8")
    return served


@pytest.fixture
def owner(file_app: Flask, hashed_password: str) -> User:
    return user_maker(file_app, hashed_password)(role=Role.SUPPORT)


def ask(server: Server, secret: str) -> tuple[str | None, bool]:
    """Which worker answered, and whether it let in."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {secret}"}
        connection.request("GET", "/api/anything", headers=headers)
        answer = connection.getresponse()
        is_let_in = (answer.status, answer.read()) == (200, b"let in")
        assert is_let_in or answer.status in {303, 401}, answer.status
        return answer.headers["Worker"], is_let_in
    finally:
        connection.close()


def ask_all(server: Server, secret: str) -> set[bool]:
    """Ask until each worker has answered several times; the answers."""
    answers: set[bool] = set()
    asked: Counter[str | None] = Counter()
    end = monotonic() + MOST_SECONDS
    while len(asked) < WORKERS or min(asked.values()) < TIMES:
        assert monotonic() < end, f"only {asked} answered"
        worker, is_let_in = ask(server, secret)
        asked[worker] += 1
        answers.add(is_let_in)
    return answers


def revoke(_user: User) -> None:
    revoke_token(get_token(1), actor=DESK)


def shut_out(user: User) -> None:
    deactivate_user(get_user(user.id), actor=DESK)


@pytest.mark.parametrize("end", [revoke, shut_out])
def test_what_ends_here_has_ended_on_every_worker(
    file_app: Flask, folder: Path, owner: User, end: Callable[[User], None]
) -> None:
    secret = make_secret(file_app, owner)
    with serve({**settings_of(file_app), "WEB_WORKERS": str(WORKERS)}, folder) as server:
        assert ask_all(server, secret) == {True}
        with file_app.app_context():
            end(owner)
        assert ask_all(server, secret) == {False}
