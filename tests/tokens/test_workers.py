"""A token that is revoked, or whose owner is shut out, opens nothing on any worker from then on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import sleep

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


@contextmanager
def stopped(workers: Iterable[int]) -> Iterator[None]:
    """They take no connection in the block."""
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        while not all("State:\tT" in Path(f"/proc/{worker}/status").read_text() for worker in workers):
            sleep(0.001)
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


@contextmanager
def lines_to_workers(server: Server) -> Iterator[dict[int, HTTPConnection]]:
    """To each worker a connection that it keeps: while it is made, the other is stopped.

    What is asked for then needs no database, for which the other may hold a lock.
    """
    while len(workers := server.workers()) < WORKERS:
        assert server.process.poll() is None, "it does not start"
        sleep(0.01)
    lines = {worker: HTTPConnection("127.0.0.1", server.port, timeout=MOST_SECONDS) for worker in workers}
    try:
        for worker, line in lines.items():
            with stopped(lines.keys() - {worker}):
                line.request("GET", "/healthz")
                answer = line.getresponse()
                assert (answer.read(), answer.headers["Worker"]) == (b"ok\n", str(worker))
        yield lines
    finally:
        for line in lines.values():
            line.close()


def ask_all(lines: dict[int, HTTPConnection], secret: str) -> set[bool]:
    """Whether it is let in: each worker's answers, of several times."""
    return {ask(line, worker, secret) for _ in range(TIMES) for worker, line in lines.items()}


def ask(line: HTTPConnection, worker: int, secret: str) -> bool:
    line.request("GET", "/api/anything", headers={"Authorization": f"Bearer {secret}"})
    answer = line.getresponse()
    is_let_in = (answer.status, answer.read()) == (200, b"let in")
    assert is_let_in or answer.status in {303, 401}, answer.status
    assert answer.headers["Worker"] == str(worker)
    return is_let_in


def revoke(_user: User) -> None:
    revoke_token(get_token(1), actor=DESK)


def shut_out(user: User) -> None:
    deactivate_user(get_user(user.id), actor=DESK)


@pytest.mark.parametrize("end", [revoke, shut_out])
def test_what_ends_here_has_ended_on_every_worker(
    file_app: Flask, folder: Path, owner: User, end: Callable[[User], None]
) -> None:
    secret = make_secret(file_app, owner)
    settings = {**settings_of(file_app), "WEB_WORKERS": str(WORKERS)}
    with serve(settings, folder) as server, lines_to_workers(server) as lines:
        assert ask_all(lines, secret) == {True}
        with file_app.app_context():
            end(owner)
        assert ask_all(lines, secret) == {False}
