"""Demo users as rows of the users table, generated on one processor or on two."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from multiprocessing import get_context

from webapp.cli.demo_people import Person, generate_people
from webapp.db.bulk import Value, stored_time
from webapp.extensions import utc_now
from webapp.users.models import derive_keys
from webapp.users.passwords import hash_password

ROWS_PER_TRANSACTION = 2_000  # about 50 ms: SQLite lets others write in between
ROWS_AT_ONCE = 20_000  # what one process hands to another
BATCHES_IN_BULK = 5  # in one transaction: each rewrites much of the index of the e-mails
MOST_WAITING = 8  # so that the memory stays small when the database is the slower one

Row = tuple[Value, ...]


def _this_hour() -> datetime:
    return utc_now().replace(minute=0, second=0, microsecond=0)


def _one_hash() -> str:
    """Return one of a secret that is not kept: these accounts have a password that opens none of them."""
    return hash_password(secrets.token_urlsafe())


@dataclass(frozen=True, slots=True)
class DemoData:
    """``count`` people numbered from ``start``; the same for the same arguments."""

    count: int
    seed: int
    start: int = 0
    until: datetime = field(default_factory=_this_hour)
    hashed_password: str = field(default_factory=_one_hash)

    def rows(self) -> Iterator[list[Row]]:
        """In batches, each for one load_users()."""
        people = generate_people(self.count, seed=self.seed, until=self.until, start=self.start)
        rows = (self._row(person) for person in people)
        while batch := list(islice(rows, ROWS_PER_TRANSACTION)):
            yield batch

    def _row(self, person: Person) -> Row:
        created = stored_time(person.created_at)
        seen = person.last_sign_in_at
        return (
            *(person.full_name, person.email, person.role, person.is_active),
            self.hashed_password if person.has_password else None,
            *(created, created, stored_time(seen) if seen else None, 0, 1),
            *derive_keys(full_name=person.full_name, email=person.email).values(),
        )

    def rows_in_parallel(self) -> Iterator[list[Row]]:
        """The same people in larger batches, made by other processes while this one stores."""
        context = get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=context, initializer=_leave_interrupts) as pool:
            starts = iter(range(0, self.count, ROWS_AT_ONCE))

            def ask(parts: int) -> list[Future[list[Row]]]:
                return [pool.submit(_make_rows, self, start, ROWS_AT_ONCE) for start in islice(starts, parts)]

            waiting = ask(MOST_WAITING)
            while made := [row for future in waiting[:BATCHES_IN_BULK] for row in future.result()]:
                del waiting[:BATCHES_IN_BULK]
                waiting += ask(BATCHES_IN_BULK)
                yield made


def _leave_interrupts() -> None:
    """To the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make_rows(data: DemoData, start: int, size: int) -> list[Row]:
    part = replace(data, count=min(size, data.count - start), start=data.start + start)
    return [row for rows in part.rows() for row in rows]
