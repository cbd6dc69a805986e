"""Pages do not stand in line behind sign-ins, as gunicorn serves them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from time import sleep

import pytest

from tests.conftest import make_settings
from tests.serving import Server, serve
from webapp import create_app
from webapp.db import engine, init_db

THREADS = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('lanes') / 'lanes.db'}"
    app = create_app(make_settings(url))
    with app.app_context():
        init_db()
        engine.dispose()
    secret = "a secret long enough to be accepted"
    with serve({"DATABASE_URL": url, "SECRET_KEY": secret, "WEB_THREADS": str(THREADS)}) as it:
        assert ask(it) == 200, "it is up"
        yield it


def ask(server: Server, method: str = "GET", path: str = "/healthz") -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, "", {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("target", ["/auth/login", "http://127.0.0.1/auth/login", "/auth/login?next=/"])
def test_pages_are_answered_while_sign_ins_hold_all_of_their_threads(server: Server, target: str) -> None:
    """These say that a form follows, and do not send it."""
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    with ExitStack() as open_ones:
        for _ in range(THREADS + 4):
            it = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            it.sendall(head.encode())
        sleep(0.5)  # until they are where they wait
        for _ in range(5):
            assert ask(server) == 200


def test_connections_that_say_nothing_hold_no_thread(server: Server) -> None:
    with ExitStack() as open_ones:
        silent = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            for _ in range(THREADS + 4)
        ]
        assert ask(server) == 200
        silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert silent[0].recv(1000).startswith(b"HTTP/1.1 200")


def test_a_sign_in_is_answered_in_its_lane(server: Server) -> None:
    assert ask(server, "POST", "/auth/login") == 400, "it has no token"
