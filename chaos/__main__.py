"""``make chaos``: edits, transfers, races and a flood of sign-ins on each database, with a report.

It ends with 1 when anything is wrong.
"""

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
from statistics import median
from time import monotonic

from flask import Flask

from bench.prepare import SERVER, STORES, PostgresStore, Store
from chaos import crowd, flood, races, transfers
from chaos.editors import Outcome
from chaos.ledger import find_violations
from chaos.proof import Told, compare, count_merged, count_outcomes
from webapp import create_app
from webapp.config import Settings
from webapp.db import engine, init_db

MOST_SHOWN = 20


def main() -> int:
    databases = os.environ.get("DBS", "sqlite,postgres").split(",")
    if not STORES.keys() >= set(databases):
        raise SystemExit(f"DBS is {','.join(databases)!r}: set it to some of {','.join(STORES)}.")
    numbers = {
        edit: read_number("EDITS", "10000"),
        transfer: read_number("TRANSFERS", "100000"),
        hold_races: read_number("RACES", "50"),
        withstand: read_number("LISTS", "100"),
    }
    violations = 0
    for database in databases:
        for what, number in numbers.items():
            if number:
                with open_app(database) as (title, app):
                    lines, wrong = what(app, number)
                print(f"\n{title}: " + "\n  ".join([*lines, *describe_violations(wrong)]), flush=True)
                violations += len(wrong)
    return 1 if violations else 0


def read_number(name: str, default: str) -> int:
    """From the environment; ends the program where it means nothing."""
    text = os.environ.get(name, default)
    if not re.fullmatch(r"0|[1-9]\d{0,6}", text):
        raise SystemExit(f"{name} is {text!r}: set it to a whole number such as {default}, or to 0 for none.")
    return int(text)


def edit(app: Flask, edits: int) -> tuple[list[str], list[str]]:
    done = crowd.run(app, edits)
    told = compare(app, done.edits)
    return describe_edits(done, told), told.violations


def transfer(app: Flask, orders: int) -> tuple[list[str], list[str]]:
    done = transfers.run(app, orders)
    return describe_transfers(done), find_violations(app, done)


def hold_races(app: Flask, times: int) -> tuple[list[str], list[str]]:
    started = monotonic()
    wrong = races.run(app, times)
    minutes = (monotonic() - started) / 60
    return [f"{len(races.RACES)} races, {times:,} times each, in {minutes:.0f} min"], wrong


def withstand(app: Flask, lists: int) -> tuple[list[str], list[str]]:
    done = flood.run(app, lists)
    slow = f"the list takes {done.times:.1f} times as long, and no more than {flood.MAX_TIMES:g} are allowed"
    return describe_flood(done), [slow] if done.times > flood.MAX_TIMES else []


@contextmanager
def open_app(database: str) -> Iterator[tuple[str, Flask]]:
    """The kind of the database, and the application on an empty one, which goes when the block ends."""
    with open_database(database) as (title, url):
        app = create_app(Settings.from_environment({**SERVER, "DATABASE_URL": url}))
        with app.app_context():
            init_db()
        yield title, app
        with app.app_context():
            engine.dispose()


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


def describe_edits(done: crowd.Run, told: Told) -> list[str]:
    edits, outcomes = done.edits, count_outcomes(done.edits)
    unknown = sum(edit.outcome is Outcome.LOST and edit.typed in told.saved for edit in edits)
    return [
        f"{len(edits):,} edits, {len(edits) / done.seconds:.0f} a second",
        f"{outcomes[Outcome.SAVED]:,} saved, {count_merged(edits, told):,} of them merged with another's",
        f"{outcomes[Outcome.REFUSED]:,} refused with the merge page",
        f"{outcomes[Outcome.LOST]:,} answers lost, {unknown} of them saved; workers killed: {done.kills}",
        f"{done.retries} answers said busy, and the form was sent again",
        f"{len(told.saved):,} entries in the history, as many as changes",
    ]


def describe_transfers(done: transfers.Run) -> list[str]:
    made = sum(not order.is_overdraft for order in done.orders)
    return [
        f"{made:,} transfers, {made / done.seconds:.0f} a second",
        f"each sent twice, {len(done.sent) / done.seconds:.0f} answers a second",
        f"{len(done.orders) - made:,} others refused: nobody has that much",
        f"{done.lost:,} answers lost and sent again; workers killed: {done.kills}",
        f"{done.busy:,} answers said busy, and it was sent again",
    ]


def describe_flood(done: flood.Run) -> list[str]:
    before, during = (1000 * median(it) for it in (done.before, done.during))
    answers = ", ".join(
        f"{number:,} by {status or 'nothing'}" for status, number in sorted(done.answers.items())
    )
    return [
        f"the list takes {before:.1f} ms, and in a flood of sign-ins {during:.1f} ms",
        f"sign-ins answered {answers}",
    ]


def describe_violations(violations: list[str]) -> list[str]:
    if not violations:
        return ["nothing is lost, and nothing half"]
    shown = [f"WRONG: {violation}" for violation in violations[:MOST_SHOWN]]
    return [*shown, f"{len(violations):,} things are wrong"]


sys.exit(main())
