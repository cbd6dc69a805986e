"""One connection that is kept for a while, for many small calls: sending them leaves the processor to the
server.
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

ANSWER_SECONDS = 60
MOST_READ_AT_ONCE = 1 << 16
CALLS_OF_A_CONNECTION = 50  # or all would stay with the worker that outlived the others
END_OF_HEAD = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: close", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after:", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    asks_to_retry: bool
    text: str


class Wire:
    """Posts JSON to ``path`` of 127.0.0.1; ``headers`` are those that do not change."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._port = port
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        self._head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())])
        self._socket: socket.socket | None = None
        self._calls = 0

    def post(self, body: str, *, key: str) -> Answer:
        """Raises OSError when the answer is lost; the next call connects anew."""
        self._calls += 1
        if self._calls % CALLS_OF_A_CONNECTION == 0:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            content = body.encode()
            head = f"{self._head}\r\nIdempotency-Key: {key}\r\nContent-Length: {len(content)}\r\n\r\n"
            self._socket.sendall(head.encode() + content)
            return self._read(self._socket)
        except OSError:
            self.close()
            raise

    def _read(self, connection: socket.socket) -> Answer:
        received = b""
        while END_OF_HEAD not in received:
            received += _receive(connection)
        head, _, content = received.partition(END_OF_HEAD)
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or length is None:
            raise ConnectionError(f"this is no answer: {head!r}")
        while len(content) < int(length[1]):
            content += _receive(connection)
        if _CLOSES.search(head):
            self.close()
        return Answer(int(status[1]), _RETRY_AFTER.search(head) is not None, content.decode())

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(MOST_READ_AT_ONCE)
    if not received:
        raise ConnectionError("the connection ended before the answer did")
    return received
