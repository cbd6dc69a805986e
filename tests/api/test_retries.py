"""A real gunicorn, several workers, answers that get lost: what is sent again under its key is done once."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.api.asking import USERS, make_token
from tests.conftest import MakeUser, user_maker
from tests.history.ways import assert_intact
from tests.serving import Server, serve
from webapp.access.permissions import Role
from webapp.config import Settings
from webapp.db import get_session
from webapp.history.models import ENTRIES
from webapp.users.models import User

THREADS, KEYS, KILLS = 8, 48, 4
LONGEST_SECONDS = 90
BUSY = {409, 503}


class Answer(NamedTuple):
    status: int
    is_replayed: bool
    body: Any


class Client:
    """A program that sends each call until it has an answer to it."""

    def __init__(self, server: Server, token: str) -> None:
        self._port = server.port
        self._token = token

    def send(self, path: str, body: object, key: str) -> Answer | None:
        """None where the answer was lost with its worker."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        return Answer(answer.status, answer.headers["Idempotency-Replayed"] == "true", json.loads(text))

    def insist(self, path: str, body: object, key: str) -> Answer:
        deadline = monotonic() + LONGEST_SECONDS
        while monotonic() < deadline:
            answer = self.send(path, body, key)
            if answer is not None and answer.status not in BUSY:
                return answer
            sleep(0.1)
        raise AssertionError(f"no answer to {key}")


@pytest.fixture
def settings(file_app: Flask) -> dict[str, str]:
    settings: Settings = file_app.extensions["settings"]
    return {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key,
        "API_RATE_PER_MINUTE": "0",
        "WEB_WORKERS": "2",
        "WEB_THREADS": "4",
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def token(file_app: Flask, hashed_password: str) -> str:
    make: MakeUser = user_maker(file_app, hashed_password)
    return make_token(file_app, make(role=Role.ADMINISTRATOR, email="desk@example.org"))


def count(app: Flask, like: str) -> tuple[int, int]:
    """Of users of such an address, and of entries that tell of a creation."""
    with app.app_context():
        session = get_session()
        users = session.scalar(select(func.count()).select_from(User).where(User.email.like(like))) or 0
        told = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == "created")
        return users, session.scalar(told) or 0


def test_of_many_at_once_on_two_workers_one_is_done(
    file_app: Flask, settings: dict[str, str], token: str
) -> None:
    with serve(settings) as server, ThreadPoolExecutor(THREADS) as threads:
        client = Client(server, token)
        for number in range(5):
            body = {"email": f"new{number}@example.org"}
            sent = [threads.submit(client.send, USERS, body, f"key {number}") for _ in range(THREADS)]
            answers = [future.result(timeout=60) for future in sent]
            assert all(answer is not None and answer.status == 201 for answer in answers), answers
            assert len({json.dumps(answer.body) for answer in answers if answer}) == 1
            assert sorted(answer.is_replayed for answer in answers if answer) == [False] + [True] * 7
    assert count(file_app, "new%") == (5, 5)


@contextmanager
def killing(server: Server) -> Iterator[list[int]]:
    """Workers are killed at any moment, one after another, KILLS in all."""
    killed: list[int] = []
    is_over = Event()

    def kill() -> None:
        while len(killed) < KILLS and not is_over.wait(random.uniform(0.3, 0.9)):
            with suppress(ProcessLookupError, IndexError):
                pid = random.choice(server.workers())
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join()


def test_workers_that_are_killed_lose_nothing_and_nothing_is_done_twice(
    file_app: Flask, settings: dict[str, str], token: str
) -> None:
    with serve(settings) as server, ThreadPoolExecutor(THREADS) as threads:
        client = Client(server, token)
        assert client.insist(USERS, {"email": "first@example.org"}, "first").status == 201

        def create_twice(number: int) -> tuple[Answer, Answer]:
            body = {"email": f"new{number}@example.org"}
            first = client.insist(USERS, body, f"key {number}")
            return first, client.insist(USERS, body, f"key {number}")

        rows = [{"email": f"newrow{number}@example.org"} for number in range(400)]
        with killing(server) as killed:
            many = threads.submit(client.insist, f"{USERS}/bulk", {"rows": rows}, "many")
            pairs: list[tuple[Answer, Answer]] = []
            while len(killed) < KILLS:
                numbers = range(len(pairs), len(pairs) + KEYS)
                pairs += threads.map(create_twice, numbers, timeout=2 * LONGEST_SECONDS)
            outcome = many.result(timeout=LONGEST_SECONDS)
    assert all((first.status, first.body) == (201, second.body) for first, second in pairs)
    assert all(second.is_replayed for _, second in pairs)
    assert outcome.body["succeeded"] == len(rows)
    assert len({row["user"]["id"] for row in outcome.body["rows"]}) == len(rows)
    expected = len(pairs) + len(rows)
    assert count(file_app, "new%") == (expected, expected + 1)
    assert_intact(file_app)
