"""``make bench-query``: the slowest combinations of search, filter and sort, without HTTP around them.

Reads the database of DATABASE_URL and writes nothing. With ``--plans`` it shows what the database did.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from sqlalchemy import event
from werkzeug.datastructures import MultiDict

from bench.workload import Combination, all_combinations
from webapp import create_app
from webapp.db import get_session
from webapp.extensions import sqla
from webapp.listing.counting import Count
from webapp.listing.definition import Selection
from webapp.listing.page import PageRequest, paginate
from webapp.users.forms import UserFilterForm
from webapp.users.queries import LISTING

SLOWEST = int(os.environ.get("SLOWEST", "12"))
EXPLAINED = 3
TIMES = int(os.environ.get("TIMES", "3"))
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (ANALYZE, BUFFERS) "}


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one combination, in milliseconds."""

    combination: Combination
    selection: Selection
    count: Count
    first: float
    best: float


class Sent(NamedTuple):
    """One statement as the driver got it."""

    statement: str
    parameters: Any
    milliseconds: float


def main() -> int:
    with create_app().test_request_context():
        timings = sorted(map(time_combination, all_combinations()), key=lambda it: it.best, reverse=True)
        print(
            f"{len(timings)} combinations on {sqla.engine.dialect.name}, best of {TIMES}:"
            f" median {median(it.best for it in timings):.1f} ms, slowest {timings[0].best:.1f} ms"
        )
        for it in timings[:SLOWEST]:
            more = "" if it.count.is_exact else "more than "
            hits = f"{more}{it.count.value:,} hits"
            print(f"{it.best:8.1f} ms (first {it.first:7.1f})  {it.combination.label} · {hits}")
        if "--plans" in sys.argv:
            for it in timings[:EXPLAINED]:
                show_plans(it)
    return 0


def time_combination(combination: Combination) -> Timing:
    form = UserFilterForm(MultiDict(combination.query))
    if not form.validate():
        raise SystemExit(f"{combination.label}: {form.errors}")
    selection = form.selection()

    def time_once() -> tuple[float, Count]:
        get_session().rollback()
        started = perf_counter()
        page = paginate(get_session(), LISTING, selection, PageRequest(sort=combination.sort))
        return (perf_counter() - started) * 1000, page.count

    (first, count), *others = (time_once() for _ in range(TIMES))
    return Timing(combination, selection, count, first, min([first, *(taken for taken, _ in others)]))


def show_plans(timing: Timing) -> None:
    print(f"\n{timing.combination.label}")
    with recorded() as statements:
        paginate(get_session(), LISTING, timing.selection, PageRequest(sort=timing.combination.sort))
    for sent in statements:
        print(f"{sent.milliseconds:8.1f} ms  {' '.join(sent.statement.split())}")
        explain = EXPLAIN[sqla.engine.dialect.name] + sent.statement
        for row in get_session().connection().exec_driver_sql(explain, sent.parameters):
            print("            ", row[-1])


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """The statements that the block sends."""
    statements: list[Sent] = []

    def start(*arguments: Any) -> None:
        context = arguments[4]
        context.started = perf_counter()

    def note(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> None:
        statements.append(Sent(statement, parameters, (perf_counter() - context.started) * 1000))

    event.listen(sqla.engine, "before_cursor_execute", start)
    event.listen(sqla.engine, "after_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(sqla.engine, "before_cursor_execute", start)
        event.remove(sqla.engine, "after_cursor_execute", note)


if __name__ == "__main__":
    sys.exit(main())
