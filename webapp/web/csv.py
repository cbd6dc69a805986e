"""A table as a CSV file (RFC 4180) that is written while it is read: however long it is, little is held."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import StringIO
from threading import BoundedSemaphore
from typing import TypeAlias

from flask import Response, stream_with_context

from webapp.errors import N_, Conflict

Row: TypeAlias = Sequence[object]

# A download lasts as long as its reader likes, and takes a thread of the worker for so long.
AT_ONCE = 2
PLACES = BoundedSemaphore(AT_ONCE)

# What a spreadsheet would take for a formula (OWASP, "CSV Injection"), the wide forms of its signs as well.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as something else


def stream_csv(
    name: str, head: Row, parts: Iterable[Iterable[Row]], *, begin: Callable[[], object]
) -> Response:
    """``begin`` is called before anything is read, as soon as there is room: it may write to the database.

    Raises Conflict while AT_ONCE other files are being written. An error while ``parts`` are read cuts the
    connection, so that nobody takes half a file for a whole one.
    """
    with ExitStack() as stack:
        if not PLACES.acquire(blocking=False):
            raise Conflict(N_("Other exports are still running. Try again when one of them is through."))
        stack.callback(PLACES.release)
        begin()
        response = Response(stream_with_context(_write(head, parts)), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        response.call_on_close(stack.pop_all().close)
    return response


def _write(head: Row, parts: Iterable[Iterable[Row]]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + _lines([head])
    for rows in parts:
        yield _lines(rows)


def _lines(rows: Iterable[Row]) -> str:
    text = StringIO()
    csv.writer(text).writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue()


def _harmless(value: object) -> object:
    """A text that looks like a formula gets an apostrophe before it, which a spreadsheet does not show."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value
