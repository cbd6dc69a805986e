"""Transfers between few accounts by many at once: each is sent twice, and again when its answer is lost."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from threading import Event, Lock
from time import monotonic, sleep
from typing import NamedTuple

from flask import Flask

from chaos.wire import ANSWER_SECONDS, Wire
from tests.serving import Server, serve
from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role
from webapp.config import Settings
from webapp.credits.rules import as_decimal, order_grant
from webapp.credits.services import move
from webapp.tokens.services import create_token
from webapp.users.services import create_user

ACCOUNTS, SENDERS, WORKERS = 20, 16, 2
FIRST_CENTS = 10**9  # of each, so that nobody ever runs short by what the others do …
MOST_CENTS = 500
OVERDRAFT_CENTS = 10**11  # … and whoever asks for this never has it
ONE_OVERDRAFT_IN = 50
SHUFFLED_AT_ONCE = 64
SECONDS_TO_A_KILL = 10
MADE, BUSY, REFUSED = 201, frozenset({429, 503}), 409
MOST_TIMES = 200
PAUSE_SECONDS = 0.1
SCOPES = (Permission.CREDITS_MOVE, Permission.CREDITS_READ)
PASSWORD = "orchard lantern velvet"


class Order(NamedTuple):
    """``mark`` is its key and its reason: no two have the same."""

    mark: str
    from_user_id: int
    to_user_id: int
    cents: int

    @property
    def is_overdraft(self) -> bool:
        return self.cents == OVERDRAFT_CENTS


class Sent(NamedTuple):
    """What an order was answered in the end; ``transfer_id`` where it was made."""

    order: Order
    status: int
    transfer_id: int | None
    text: str


@dataclass
class Run:
    """What was done to the database, and how long it took."""

    user_ids: list[int] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    lost: int = 0
    busy: int = 0
    kills: int = 0
    seconds: float = 0.0


def run(app: Flask, transfers: int) -> Run:
    """So many orders, each sent twice, in the database of ``app``, in which there must be no users yet."""
    settings: Settings = app.extensions["settings"]
    done = Run()
    done.user_ids, token = _make_people(app)
    done.orders = list(_make_orders(done.user_ids, transfers))
    environment = {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "WEB_WORKERS": str(WORKERS),
        "GRACEFUL_TIMEOUT_SECONDS": "1",
        "API_RATE_PER_MINUTE": "0",
    }
    with serve(environment) as server:
        _await_ready(server)
        queue, over = _Queue(_twice(done.orders)), Event()
        started = monotonic()
        with ThreadPoolExecutor(SENDERS + 1) as threads:
            killer = threads.submit(_kill_workers, server, over)
            senders = [_Sender(server, token) for _ in range(SENDERS)]
            try:
                for job in [threads.submit(sender.send_all, queue) for sender in senders]:
                    done.sent += job.result()
                done.seconds = monotonic() - started
            finally:
                over.set()
            done.kills = killer.result()
    done.lost = sum(sender.lost for sender in senders)
    done.busy = sum(sender.busy for sender in senders)
    return done


def _make_people(app: Flask) -> tuple[list[int], str]:
    """The ids of those with an account, and the token of who moves their credits."""
    actor = Actor.command_line()
    with app.app_context():
        ids = [
            create_user(email=f"user{number}@example.org", full_name=f"User {number}", actor=actor).id
            for number in range(ACCOUNTS)
        ]
        for user_id in ids:
            order = order_grant(to_user_id=user_id, amount_cents=FIRST_CENTS, reason="To begin with")
            move(order, actor=actor)
        sender = create_user(email="sender@example.org", role=Role.SUPPORT, password=PASSWORD, actor=actor)
        token, _ = create_token(sender, name="Chaos", scopes=SCOPES, days=1, actor=actor)
    return ids, token


def _make_orders(user_ids: list[int], number: int) -> Iterator[Order]:
    for place in range(number):
        from_id, to_id = random.sample(user_ids, 2)
        is_overdraft = place % ONE_OVERDRAFT_IN == ONE_OVERDRAFT_IN - 1
        cents = OVERDRAFT_CENTS if is_overdraft else random.randint(1, MOST_CENTS)
        yield Order(f"order {place}", from_id, to_id, cents)


def _twice(orders: list[Order]) -> Iterator[Order]:
    """Each of them, and again: at the same moment, or a little later."""
    for start in range(0, len(orders), SHUFFLED_AT_ONCE):
        some = orders[start : start + SHUFFLED_AT_ONCE] * 2
        random.shuffle(some)
        yield from some


class _Queue:
    """An iterator that threads share."""

    def __init__(self, orders: Iterator[Order]) -> None:
        self._orders = orders
        self._lock = Lock()

    def __iter__(self) -> Iterator[Order]:
        while True:
            with self._lock:
                order = next(self._orders, None)
            if order is None:
                return
            yield order


class _Sender:
    """One connection that is kept. Whoever gets no answer sends the same again: the key makes it harmless."""

    def __init__(self, server: Server, token: str) -> None:
        self.lost = self.busy = 0
        self._wire = Wire(server.port, "/api/v1/transfer", {"Authorization": f"Bearer {token}"})

    def send_all(self, queue: _Queue) -> list[Sent]:
        try:
            return [self._send(order) for order in queue]
        finally:
            self._wire.close()

    def _send(self, order: Order) -> Sent:
        body = json.dumps(
            {
                "from_user_id": order.from_user_id,
                "to_user_id": order.to_user_id,
                "amount": str(as_decimal(order.cents)),
                "reason": order.mark,
            }
        )
        for _ in range(MOST_TIMES):
            try:
                status, asks_to_retry, text = self._wire.post(body, key=order.mark)
            except OSError:
                self.lost += 1
                continue
            if status in BUSY or asks_to_retry:  # 409 with that: its other half is just being done
                self.busy += 1
                sleep(PAUSE_SECONDS)
                continue
            return Sent(order, status, json.loads(text)["id"] if status == MADE else None, text)
        raise RuntimeError(f"{order} had no answer {MOST_TIMES} times")


def _await_ready(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_SECONDS)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    connection.close()


def _kill_workers(server: Server, over: Event) -> int:
    """One after the other, in the middle of whatever it does; answers how many."""
    kills = 0
    while not over.wait(SECONDS_TO_A_KILL):
        workers = server.workers()
        if len(workers) == WORKERS:  # or the one that is left would do all
            try:
                os.kill(random.choice(workers), signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills += 1
    return kills
