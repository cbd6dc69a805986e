"""A gunicorn of one worker on a free port of 127.0.0.1, and one connection to it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

READY_SECONDS = 20
ANSWER_SECONDS = 60
# One worker from the first request to the last: its memory is what all of them together take.
OPTIONS = ("--workers", "1", "--max-requests", "0")


@contextmanager
def serve(application: str, environment: Mapping[str, str]) -> Iterator[Client]:
    """Serve ``application`` (module:name) until the block ends."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}", *OPTIONS]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    client = None
    try:
        client = Client(port, process)
        yield client
    finally:
        if client is not None:
            client.close()  # or the worker would wait for it
        process.terminate()
        process.wait(timeout=READY_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Client:
    """One kept-alive connection with its cookies."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._cookies: dict[str, str] = {}
        self._token = ""
        self._process = process
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self._connection.close()

    def renew(self) -> None:
        """Connect anew at the next request: a server hangs up on who has been silent for long."""
        self._connection.close()

    def request(self, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Answer status and text. The API gets the token, and pages the cookies."""
        body = urlencode(form) if form is not None else None
        headers = {"Accept-Language": "en"}
        if path.startswith("/api/"):
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        self._keep_cookies(response)
        return response.status, response.read().decode()

    def _keep_cookies(self, response: HTTPResponse) -> None:
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self._cookies[name] = value

    def sign_in(self, email: str, password: str) -> None:
        form = self.read_form("/auth/login")
        self.time_post("/auth/login", {**form, "email": email, "password": password})

    def use_token(self, token: str) -> None:
        self._token = token

    def read(self, path: str) -> str:
        """The text of a page that must be there."""
        return self._ask("GET", path, expected=200)

    def read_form(self, path: str) -> dict[str, str]:
        """The fields of the page as they stand there, its token among them."""
        reader = _FieldReader()
        reader.feed(self.read(path))
        return reader.fields

    def time_get(self, path: str) -> float:
        """Milliseconds of one GET that must succeed."""
        started = time.perf_counter()
        self.read(path)
        return (time.perf_counter() - started) * 1000

    def time_post(self, path: str, form: Mapping[str, str]) -> float:
        """Milliseconds of sending a form that must be accepted."""
        started = time.perf_counter()
        self._ask("POST", path, form, expected=303)
        return (time.perf_counter() - started) * 1000

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None = None, *, expected: int) -> str:
        status, text = self.request(method, path, form)
        if status != expected:
            raise RuntimeError(f"{method} {path} answered {status}")
        return text

    def peak_memory(self) -> float | None:
        """The most that the worker ever held, in MB; None where the system does not tell."""
        master = self._process.pid
        try:
            children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
            texts = [Path(f"/proc/{child}/status").read_text() for child in children]
        except FileNotFoundError:
            return None
        peaks = [
            int(peak) for text in texts for peak in re.findall(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
        ]
        return max(peaks) * 1024 / 1e6 if peaks else None


class _FieldReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name") or ""
        if tag == "input" and name and values.get("type") not in {"checkbox", "radio"}:
            self.fields[name] = values.get("value") or ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in values:
            self.fields[self._select] = values.get("value") or ""
