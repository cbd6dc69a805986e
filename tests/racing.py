"""Several threads that start at the same moment, for what must hold when people act at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

from flask import Flask

from webapp.errors import DomainError
from webapp.users import passwords


def race(app: Flask, *jobs: Callable[[], object]) -> list[object]:
    """What each job answered, or the domain's refusal; any other exception is a failure of the test."""
    barrier = Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        with app.app_context():
            barrier.wait(timeout=30)
            try:
                return job()
            except DomainError as error:
                return error

    with ThreadPoolExecutor(len(jobs)) as threads:
        return [future.result(timeout=60) for future in [threads.submit(run, job) for job in jobs]]


def count_kinds(outcomes: list[object]) -> Counter[type]:
    """How many outcomes there are of each type."""
    return Counter(type(outcome) for outcome in outcomes)


@contextmanager
def places_taken() -> Iterator[None]:
    """All places to hash in are taken, by others."""
    places = [passwords._free.pop() for _ in range(passwords.MAX_PLACES)]
    try:
        yield
    finally:
        passwords._free.extend(places)
