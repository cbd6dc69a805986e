"""Sixty clients that only try to sign in, from ever new addresses, and what a page takes meanwhile."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Queue
from statistics import median
from threading import Thread
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlencode

from flask import Flask

from tests.serving import serve
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.config import ROOT, Settings
from webapp.db.bulk import stored_time
from webapp.extensions import utc_now
from webapp.users.models import derive_keys
from webapp.users.services import create_user, load_users

PROCESSES, CLIENTS_OF_EACH = 3, 20
CLIENTS_NICENESS = 10
WORKERS = 2
USERS = 200
PAUSE_SECONDS = 0.05
MAX_TIMES = 3.0
EMAIL, PASSWORD = "admin@example.org", "orchard lantern velvet"
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Run:
    """Seconds that the list took, and how many sign-ins were answered with which status."""

    before: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    @property
    def times(self) -> float:
        return median(self.during) / median(self.before)


class Browser:
    """One kept connection with its cookies; each request may come from another address."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        headers = {"X-Forwarded-For": ".".join(str(1 + secrets.randbelow(250)) for _ in range(4))}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, urlencode(form) if form else None, headers)
        answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.read().decode()

    def sign_in(self, email: str, password: str, token: str) -> int:
        return self.ask("POST", "/auth/login", {"email": email, "password": password, "csrf_token": token})[0]

    def read_token(self) -> str:
        found = _TOKEN.search(self.ask("GET", "/auth/login")[1])
        return found[1] if found else ""

    def close(self) -> None:
        self._connection.close()


def run(app: Flask, lists: int) -> Run:
    """Read the list so many times alone, and as often in the flood; there must be no users yet."""
    settings: Settings = app.extensions["settings"]
    _make_people(app)
    environment = {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "WEB_WORKERS": str(WORKERS),
        "PROXY_COUNT": "1",
    }
    done = Run()
    with serve(environment, Path(os.environ.get("CODE", ROOT))) as server:
        reader = Browser(server.port)
        if reader.sign_in(EMAIL, PASSWORD, reader.read_token()) != 303:  # noqa: PLR2004
            raise RuntimeError("the reader could not sign in")
        _read_list(reader, lists // 2)  # until all is warm
        done.before = _read_list(reader, lists)
        with _flooded(server.port, done.answers):
            sleep(1)
            done.during = _read_list(reader, lists)
        reader.close()
    return done


def _make_people(app: Flask) -> None:
    actor, now = Actor.command_line(), stored_time(utc_now())
    with app.app_context():
        rows: list[tuple[Any, ...]] = []
        for number in range(USERS):
            name, email = f"User {number}", f"user{number}@example.org"
            keys = derive_keys(full_name=name, email=email).values()
            rows.append((name, email, Role.MEMBER.value, True, None, now, now, None, 0, 1, *keys))
        load_users(rows, actor=actor)
        create_user(
            email=EMAIL,
            role=Role.ADMINISTRATOR,
            password=PASSWORD,
            must_change_password=False,
            actor=actor,
        )


def _read_list(reader: Browser, times: int) -> list[float]:
    """The seconds that each took."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        if reader.ask("GET", "/users/")[0] != 200:  # noqa: PLR2004
            raise RuntimeError("the list was not shown")
        taken.append(perf_counter() - started)
        sleep(PAUSE_SECONDS)
    return taken


@contextmanager
def _flooded(port: int, answers: Counter[int]) -> Iterator[None]:
    """The clients are processes of their own, so that they do not slow down the one that measures."""
    context = get_context("spawn")
    ends, told = context.Event(), context.Queue()
    # They stand for machines elsewhere, which take no processor from the service.
    processes = [context.Process(target=_flood, args=(port, ends, told)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            told.get(timeout=60)  # all its clients are at it
        yield
    finally:
        ends.set()
        for _ in processes:
            answers.update(told.get(timeout=60))
        for process in processes:
            process.join(timeout=60)


def _flood(port: int, ends: Event, told: Queue[Counter[int]]) -> None:
    os.nice(CLIENTS_NICENESS)
    answers: Counter[int] = Counter()
    clients = [Thread(target=_try, args=(port, ends, answers)) for _ in range(CLIENTS_OF_EACH)]
    for client in clients:
        client.start()
    told.put(Counter())
    for client in clients:
        client.join()
    told.put(answers)


def _try(port: int, ends: Event, answers: Counter[int]) -> None:
    browser = Browser(port)
    token = ""
    while not ends.is_set():
        try:
            token = token or browser.read_token()
            answers[browser.sign_in(f"{secrets.token_hex(4)}@example.org", secrets.token_hex(8), token)] += 1
        except (OSError, HTTPException):
            answers[0] += 1
            browser.close()
            browser, token = Browser(port), ""
    browser.close()
