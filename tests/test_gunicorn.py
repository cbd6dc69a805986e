"""gunicorn.conf.py as it is deployed: started, reloaded, stopped, several workers, behind a proxy or not."""

from __future__ import annotations

import re
import secrets
import signal
import socket
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from flask import Flask

from tests.conftest import PASSWORD, user_maker
from tests.serving import COMMAND, LONGEST_STOP_SECONDS, Server, environment_of, serve
from webapp.access.permissions import Role
from webapp.config import ROOT, Settings

SECRET = secrets.token_urlsafe(48)
EMAIL = "desk@example.org"
MOST_REQUESTS, MOST_SECONDS = 600, 20


class Browser:
    """Cookies, redirects followed, and a new connection for each request."""

    def __init__(self, server: Server, **headers: str) -> None:
        self._url = server.url
        self.cookies = HTTPCookieProcessor()
        self._opener = build_opener(self.cookies)
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Answer status, final path and text."""
        data = urlencode(form).encode() if form is not None else None
        request = Request(self._url + path, data, self._headers)
        try:
            with self._opener.open(request, timeout=30) as response:
                return response.status, response.url.removeprefix(self._url), response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, path, error.read().decode()

    def post(self, path: str, form: dict[str, str], *, page: str) -> tuple[int, str, str]:
        """Send ``form`` with the token of ``page``."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        return self.open(path, {**form, "csrf_token": token[1]})

    def sign_in(self) -> str:
        """The page one lands on."""
        _, _, page = self.open("/auth/login")
        status, path, landing = self.post("/auth/login", {"email": EMAIL, "password": PASSWORD}, page=page)
        assert (status, path) == (200, "/users/")
        return landing


def settings_of(app: Flask) -> dict[str, str]:
    settings: Settings = app.extensions["settings"]
    return {"DATABASE_URL": settings.database_url, "SECRET_KEY": SECRET}


@pytest.fixture
def settings(file_app: Flask, hashed_password: str) -> dict[str, str]:
    """Of a database with one administrator; SQLite in a file, and Postgres."""
    user_maker(file_app, hashed_password)(email=EMAIL, full_name="Dana Desk", role=Role.ADMINISTRATOR)
    return settings_of(file_app)


on_sqlite = pytest.mark.parametrize("database", ["sqlite"])


def test_people_sign_in_and_see_the_list(settings: dict[str, str]) -> None:
    with serve(settings) as server:
        assert Browser(server).open("/readyz")[::2] == (200, "ok\n")
        assert "Dana Desk" in Browser(server).sign_in()


def test_signing_out_on_one_worker_holds_on_the_other(settings: dict[str, str]) -> None:
    with serve({**settings, "WEB_WORKERS": "2"}) as server:
        browser = Browser(server)
        page = browser.sign_in()
        kept = list(browser.cookies.cookiejar)
        assert {browser.open("/users/")[1] for _ in range(30)} == {"/users/"}
        browser.post("/auth/logout", {}, page=page)
        for _ in range(30):
            for cookie in kept:  # somebody copied it
                browser.cookies.cookiejar.set_cookie(cookie)
            assert browser.open("/users/")[1].startswith("/auth/login")


@on_sqlite
@pytest.mark.parametrize(("proxies", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.9")])
def test_a_forwarded_address_is_believed_only_from_a_named_proxy(
    proxies: str, address: str, settings: dict[str, str]
) -> None:
    with serve({**settings, "PROXY_COUNT": proxies}) as server:
        browser = Browser(server, X_Forwarded_For="198.51.100.66, 203.0.113.9")
        browser.sign_in()
        _, _, page = browser.open("/auth/devices")
        shown = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", page)
        assert shown == [address]


class UnixConnection(HTTPConnection):
    """HTTP to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1", timeout=60)
        self._path = path

    def connect(self) -> None:
        """As soon as gunicorn has made the socket, and listens."""
        deadline = monotonic() + MOST_SECONDS
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(60)
            try:
                return self.sock.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                self.sock.close()
                assert monotonic() < deadline, "nobody listens"
                sleep(0.05)


@on_sqlite
@pytest.mark.parametrize(
    ("proxies", "mode", "scheme"), [("0", "", "http"), ("1", "0600", "https")], ids=["no proxy", "one proxy"]
)
def test_by_a_unix_socket_no_more_is_believed_than_by_a_port(
    settings: dict[str, str], proxies: str, mode: str, scheme: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="d") as folder:  # a short path: it must fit into 107 bytes
        path = Path(folder) / "s"
        with serve({**settings, "BIND": f"unix:{path}", "PROXY_COUNT": proxies, "SOCKET_MODE": mode}):
            connection = UnixConnection(path)
            connection.connect()
            assert stat.S_IMODE(path.stat().st_mode) == int(mode or "0660", 8)
            sent = {
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Ssl": "on",
                "X-Forwarded-Protocol": "ssl",
                "SCRIPT_NAME": "/forged",
                "PATH_INFO": "/healthz",
                "REMOTE_ADDR": "203.0.113.9",
            }
            connection.request("GET", "/auth/login", headers=sent)
            answer = connection.getresponse()
            page = answer.read().decode()
            assert answer.status == 200
            assert ("Strict-Transport-Security" in answer.headers) is (scheme == "https")
            assert 'name="password"' in page
            assert "/forged" not in page
            connection.request("GET", "/forged/healthz", headers={"SCRIPT_NAME": "/forged"})
            assert connection.getresponse().status == 404
            connection.close()


@on_sqlite
def test_a_reload_under_load_loses_no_request(settings: dict[str, str]) -> None:
    with serve({**settings, "WEB_WORKERS": "2"}) as server:
        assert Browser(server).open("/healthz")[0] == 200
        before = set(server.workers())
        stop = Event()
        deadline = monotonic() + MOST_SECONDS
        answers: list[int] = []

        def visit() -> None:
            """A visitor who asks some 15 times a second."""
            browser = Browser(server)
            while not stop.is_set() and monotonic() < deadline:
                answers.append(browser.open("/auth/login")[0])
                stop.wait(0.066)

        with ThreadPoolExecutor(3) as threads:
            visitors = [threads.submit(visit) for _ in range(2)]
            server.process.send_signal(signal.SIGHUP)
            while len(after := set(server.workers())) != 2 or after & before:
                assert monotonic() < deadline, "the workers were not replaced"
                stop.wait(0.1)
            served_before = len(answers)
            while len(answers) < served_before + 4 and monotonic() < deadline:
                stop.wait(0.1)  # some requests for the new workers
            stop.set()
            for visitor in visitors:
                visitor.result()
        assert set(answers) == {200}
        assert served_before + 4 <= len(answers) <= MOST_REQUESTS


@on_sqlite
def test_stopping_lets_a_request_finish_and_takes_no_longer(settings: dict[str, str]) -> None:
    with serve(settings) as server:
        idle = HTTPConnection("127.0.0.1", server.port, timeout=30)
        idle.request("GET", "/healthz")
        idle.getresponse().read()  # and stays connected
        body = b"email=x"
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(
                b"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")  # a worker is reading it now
            server.process.terminate()
            connection.sendall(body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")  # it has no token
        assert server.process.wait(timeout=LONGEST_STOP_SECONDS) == 0
        idle.close()


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
DISPUTED = {
    "both lengths": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    % (5 + len(SMUGGLED)),
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
    "no length": b"Content-Length: -1\r\n\r\n",
    "signed length": b"Content-Length: +0\r\n\r\n",
    "hidden coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": b"Content-Length : 0\r\n\r\n",
    "chunk without a size": b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "chunk without an end": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
    "signed chunk": b"Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
}


@on_sqlite
def test_where_a_request_ends_is_never_in_dispute(settings: dict[str, str]) -> None:
    """What two servers could read apart is refused, and its connection closed: nothing follows in it."""
    with serve(settings) as server:
        for name, rest in DISPUTED.items():
            answer = send_raw(server, rest + SMUGGLED)
            assert (name, answer.count(b"HTTP/1.1 ")) == (name, 1)
            assert re.match(rb"HTTP/1\.1 (400|501) ", answer), f"{name}: {answer[:40]!r}"
        for rest in (b"Content-Length: 9\r\n\r\nemail", b"Transfer-Encoding: chunked\r\n\r\n9\r\nemail"):
            assert send_raw(server, rest).startswith(b"HTTP/1.1 400 "), "it broke off"
        server.log.seek(0)
        assert b"Traceback" not in server.log.read(), "anybody may send that: it is no defect"


def send_raw(server: Server, rest: bytes) -> bytes:
    """A form with these last headers and this body, and nothing after it; the whole answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        connection.sendall(head + b"Content-Type: application/x-www-form-urlencoded\r\n" + rest)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "TRUSTED_HOSTS"])
def test_a_missing_setting_stops_the_start_with_one_line_that_names_it(name: str) -> None:
    complete = {"SECRET_KEY": SECRET, "DATABASE_URL": "sqlite://", "BIND": "127.0.0.1:0"}
    result = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment_of({**complete, name: ""}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    [line] = result.stderr.splitlines()
    assert name in line
