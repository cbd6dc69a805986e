"""A real gunicorn with the repository's own configuration, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from webapp.config import ROOT

GRACEFUL_SECONDS = 5
LONGEST_STOP_SECONDS = GRACEFUL_SECONDS + 10
COMMAND = (sys.executable, "-m", "gunicorn")
ENVIRONMENT = {
    "DEBUG": "",  # not set, whatever a .env says
    "TRUSTED_HOSTS": "127.0.0.1",
    "SESSION_COOKIE_SECURE": "0",
    "LOG_LEVEL": "WARNING",
    "WEB_WORKERS": "1",
    "GRACEFUL_TIMEOUT_SECONDS": str(GRACEFUL_SECONDS),
}


class Server(NamedTuple):
    """``log`` is what it says on standard error."""

    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The process ids of those that answer; they come and go."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment_of(settings: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT, **settings}


@contextmanager
def serve(settings: Mapping[str, str], folder: Path = ROOT) -> Iterator[Server]:
    """Serve the code in ``folder`` until the block ends.

    The listening socket is opened here and handed over: nobody can take its port in between, and
    what is sent before the workers are up waits for them.
    """
    with tempfile.TemporaryFile() as log, socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        process = subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=environment_of({"BIND": f"fd://{descriptor}", **settings}),
            pass_fds=[descriptor],
            stderr=log,
        )
        listener.close()
        try:
            yield Server(process, port, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=LONGEST_STOP_SECONDS)
            finally:
                process.kill()
                process.wait()
