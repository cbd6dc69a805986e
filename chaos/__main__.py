"""``make chaos``: the same on each database, with a report; ends with 1 when anything is wrong."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.prepare import SERVER, STORES, PostgresStore, Store
from chaos.crowd import Run, run
from chaos.editors import Outcome
from chaos.proof import Told, compare, count_merged, count_outcomes
from webapp import create_app
from webapp.config import Settings
from webapp.db import engine, init_db

MOST_SHOWN = 20


def main() -> int:
    databases, edits = read_options()
    violations = 0
    for database in databases:
        with open_database(database) as (title, url):
            app = create_app(Settings.from_environment({**SERVER, "DATABASE_URL": url}))
            with app.app_context():
                init_db()
            done = run(app, edits)
            told = compare(app, done.edits)
            with app.app_context():
                engine.dispose()
        print(f"\n{title}: {describe(done, told)}", flush=True)
        violations += len(told.violations)
    return 1 if violations else 0


def read_options() -> tuple[list[str], int]:
    """From the environment; ends the program where they mean nothing."""
    databases = os.environ.get("DBS", "sqlite,postgres").split(",")
    if not STORES.keys() >= set(databases):
        raise SystemExit(f"DBS is {','.join(databases)!r}: set it to some of {','.join(STORES)}.")
    edits = os.environ.get("EDITS", "10000")
    if not re.fullmatch(r"[1-9]\d{0,6}", edits):
        raise SystemExit(f"EDITS is {edits!r}: set it to a whole number such as 10000.")
    return databases, int(edits)


@contextmanager
def open_database(database: str) -> Iterator[tuple[str, str]]:
    """The kind and the address of an empty one, which goes when the block ends."""
    name = f"chaos_{os.getpid()}"
    folder = tempfile.mkdtemp(prefix="chaos")
    atexit.register(shutil.rmtree, folder)  # at the very end: the package of Postgres locks a file there then
    with _open_store(database, Path(folder)) as store:
        store.create(name)
        try:
            yield store.title, store.url(name)
        finally:
            store.drop(name)


@contextmanager
def _open_store(database: str, folder: Path) -> Iterator[Store]:
    """As for ``make bench``, or the server that the tests are given."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if database == "postgres" and given:
        yield PostgresStore(given)
        return
    with STORES[database](folder) as store:
        yield store


def describe(done: Run, told: Told) -> str:
    edits, outcomes = done.edits, count_outcomes(done.edits)
    unknown = sum(edit.outcome is Outcome.LOST and edit.typed in told.saved for edit in edits)
    lines = [
        f"{len(edits):,} edits, {len(edits) / done.seconds:.0f} a second",
        f"{outcomes[Outcome.SAVED]:,} saved, {count_merged(edits, told):,} of them merged with another's",
        f"{outcomes[Outcome.REFUSED]:,} refused with the merge page",
        f"{outcomes[Outcome.LOST]:,} answers lost, {unknown} of them saved; workers killed: {done.kills}",
        f"{done.retries} answers said busy, and the form was sent again",
        f"{len(told.saved):,} entries in the history, as many as changes",
        *(f"WRONG: {violation}" for violation in told.violations[:MOST_SHOWN]),
        f"{len(told.violations):,} things are wrong"
        if told.violations
        else "nothing is lost, and nothing half",
    ]
    return "\n  ".join(lines)


sys.exit(main())
