"""A reload of gunicorn (HUP) serves the code and the settings that stand on the disk then, and no mixture."""

from __future__ import annotations

import os
import signal
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.house.files import copy_repository
from tests.serving import Server, serve

SETTINGS = {"DATABASE_URL": "sqlite://", "SECRET_KEY": "a test's secret, long enough to be accepted"}
RELOAD_SECONDS = 30
# Appended to a module that gunicorn.conf.py imports: the very one that a reload is tempted to keep.
NEW_RELEASE = """

_create_app = create_app


def create_app(settings: Settings | None = None) -> Flask:
    app = _create_app(settings)
    app.jinja_env.globals["release"] = "new"

    @app.after_request
    def mark(response):
        response.headers["X-Release"] = "new"
        return response

    return app
"""
# Put into a template: only the new code gives it its value.
NEW_TEMPLATE = "<i>{{ release }}</i>"


def get(port: int, path: str, **headers: str) -> tuple[int, str | None, str]:
    """The status, the release that answered, and the text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=RELOAD_SECONDS)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers["X-Release"], text


def ask(port: int) -> tuple[int, str | None]:
    """The status and the release that answered; 400 where the forwarded host is believed."""
    return get(port, "/healthz", **{"X-Forwarded-Host": "elsewhere.example"})[:2]


def ask_for_page(port: int) -> tuple[int, bool]:
    """The status, and whether the new template was used."""
    status, _, text = get(port, "/auth/login")
    return status, "<i>new</i>" in text


def replace_worker(server: Server) -> None:
    """Kill the one there is; whoever asks from now on waits for the next."""
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + RELOAD_SECONDS
    while server.workers() in ([worker], []) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_reload_serves_the_new_code_and_the_new_settings(tmp_path: Path) -> None:
    copy_repository(tmp_path)
    with serve(SETTINGS, tmp_path) as server:
        assert ask(server.port) == (200, None)
        with (tmp_path / "webapp" / "__init__.py").open("a") as file:
            file.write(NEW_RELEASE)
        template = tmp_path / "templates" / "auth" / "sign_in.html"
        former = template.read_text()
        template.write_text(former.replace("{% block main %}", "{% block main %}" + NEW_TEMPLATE))
        (tmp_path / ".env").write_text("PROXY_COUNT=1\n")
        replace_worker(server)
        assert ask(server.port) == (200, None)  # the code that the others would have
        assert ask_for_page(server.port) == (200, False)  # and their templates
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_SECONDS
        while (answer := ask(server.port))[1] is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert answer == (400, "new")
        assert ask_for_page(server.port) == (200, True)
        assert server.process.poll() is None
