"""A table as a CSV file (RFC 4180) that is written while it is read: however long it is, little is held."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import StringIO
from threading import BoundedSemaphore
from typing import TypeAlias

from flask import Response, stream_with_context

from webapp.errors import N_, Conflict

logger = logging.getLogger(__name__)
Row: TypeAlias = Sequence[object]

# A download lasts as long as its reader likes, and takes a thread of the worker for so long.
AT_ONCE = 2
PLACES = BoundedSemaphore(AT_ONCE)

# What a spreadsheet would take for a formula (OWASP, "CSV Injection"), the wide forms of its signs as well.
# Not at the beginning alone: where commas stand in decimals, Excel parts this file at each semicolon.
FORMULA_SIGNS = "=+-@＝＋－＠"
_SUSPECT = re.compile(rf'[;,|\t\r\n]|^[\s"{re.escape(FORMULA_SIGNS)}]')  # hardly any is: asked first
_BEGINS = re.compile(rf'(^|[;,|\t\r\n])(?=[\s"]*[{re.escape(FORMULA_SIGNS)}])|^(?=[\t\r\n])')
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as something else


def stream_csv(
    name: str, head: Row, parts: Iterator[Iterable[Row]], *, begin: Callable[[], object]
) -> Response:
    """``begin`` is called when there is room and the first part could be read: it may write to the database.

    Raises Conflict while AT_ONCE other files are being written, and whatever hinders the first part. An error
    in a later one cuts the connection, so that nobody takes half a file for a whole one; of that HTTP/1.0
    knows nothing.
    """
    with ExitStack() as stack:
        if not PLACES.acquire(blocking=False):
            raise Conflict(N_("Other exports are still running. Try again when one of them is through."))
        stack.callback(PLACES.release)
        first = next(parts, ())
        begin()
        lines = stream_with_context(_write(head, first, parts))
        response = Response(lines, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        response.call_on_close(stack.pop_all().close)
    return response


def _write(head: Row, first: Iterable[Row], parts: Iterator[Iterable[Row]]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + _lines([head, *first])
    try:
        for rows in parts:
            yield _lines(rows)
    except Exception:
        logger.exception("an export broke off")
        raise


def _lines(rows: Iterable[Row]) -> str:
    text = StringIO()
    csv.writer(text).writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue()


def _harmless(value: object) -> object:
    """With an apostrophe before whatever looks like a formula, which a spreadsheet takes for text then."""
    if isinstance(value, str) and _SUSPECT.search(value):
        return _BEGINS.sub(r"\1'", value)
    return value
