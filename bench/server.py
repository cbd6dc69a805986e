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
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

READY_SECONDS = 20


@contextmanager
def serve(application: str, environment: Mapping[str, str]) -> Iterator[Client]:
    """Serve ``application`` (module:name) until the block ends."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"]
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
        self._connection = HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
        self._cookies: dict[str, str] = {}
        self._await_ready(process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Answer status and text."""
        body = urlencode(form) if form is not None else None
        headers = {"Accept-Language": "en"}
        if self._cookies:
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
        """Raises RuntimeError when that fails."""
        _, page = self.request("GET", "/auth/login")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        form = {"email": email, "password": password, "csrf_token": token.group(1) if token else ""}
        status, _ = self.request("POST", "/auth/login", form)
        if status != 303:
            raise RuntimeError(f"signing in answered {status}")

    def time_get(self, path: str) -> float:
        """Milliseconds of one GET that must succeed."""
        started = time.perf_counter()
        status, _ = self.request("GET", path)
        taken = (time.perf_counter() - started) * 1000
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")
        return taken
