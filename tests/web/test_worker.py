"""What gunicorn answers by itself, by real sockets: plain, once, and with the headers of every answer."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from email.parser import BytesParser
from http.client import HTTPConnection

import pytest

from tests.serving import Server, serve
from webapp.web.headers import HEADERS

HOST = b"Host: 127.0.0.1\r\n"
FORM = HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CANARY = b"<script>canary"

# Each is wrong in its head: no request, so no application.
HEADS: dict[str, tuple[int, bytes]] = {
    "a line that is none": (400, CANARY + b"\r\n\r\n"),
    "a method that is none": (400, b"g<t / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "another version": (400, b"GET / HTTP/9.9\r\n" + HOST + b"\r\n"),
    "HTTP/2 unasked": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a header without a colon": (400, b"GET / HTTP/1.1\r\n" + HOST + CANARY + b"\r\n\r\n"),
    "a name with a space": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X A: 1\r\n\r\n"),
    "a folded header": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n 2\r\n\r\n"),
    "a NUL": (400, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: \0\r\n\r\n"),
    "two lengths": (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "a length that is none": (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n"),
    "a length and chunks": (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" + CHUNKED),
    "a long line": (414, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "an expectation": (417, b"POST / HTTP/1.1\r\n" + HOST + b"Expect: the best\r\n\r\n"),
    "a long header": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * 9000 + b"\r\n\r\n"),
    "many headers": (431, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n" * 200 + b"\r\n"),
    "another coding": (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: made-up\r\n\r\n"),
}
# A head that can be read, and a body that cannot.
BODIES: dict[str, tuple[int, bytes]] = {
    "a chunk of no size": (
        400,
        b"POST /auth/login HTTP/1.1\r\n" + FORM + CHUNKED + b"ZZ\r\nabc\r\n0\r\n\r\n",
    ),
    "a chunk that goes on": (
        400,
        b"POST /auth/login HTTP/1.1\r\n" + FORM + CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    ),
    "one that is not read": (405, b"POST /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"ZZ\r\nabc\r\n0\r\n\r\n"),
    "one of the API": (401, b"POST /api/v1/users HTTP/1.1\r\n" + HOST + CHUNKED + b"ZZ\r\nabc\r\n0\r\n\r\n"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve({"DATABASE_URL": "sqlite://", "SECRET_KEY": secrets.token_urlsafe(48)}) as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        yield server


def send(server: Server, request: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def assert_safe(answer: bytes, status: int) -> bytes:
    """One answer, with all headers that each must have; its body."""
    assert answer.count(b"HTTP/1.1 ") == 1
    head, _, body = answer.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    assert line.split()[1] == str(status).encode()
    headers = BytesParser().parsebytes(lines)
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert len(headers["X-Request-ID"]) == 16
    assert int(headers["Content-Length"]) == len(body)
    assert b"canary" not in answer
    return body


@pytest.mark.parametrize("name", HEADS)
def test_what_never_reaches_the_application_is_answered_safely(server: Server, name: str) -> None:
    status, request = HEADS[name]
    body = assert_safe(send(server, request), status)
    assert body.startswith(f"{status} ".encode())
    assert b"<" not in body


@pytest.mark.parametrize("name", BODIES)
def test_a_broken_body_is_the_client_s_fault_and_answered_once(server: Server, name: str) -> None:
    status, request = BODIES[name]
    assert_safe(send(server, request), status)
    server.log.seek(0)
    assert b"Traceback" not in server.log.read()
