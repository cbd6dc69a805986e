"""A table as a CSV file (RFC 4180) that is written while it is read: however long it is, little is held."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from io import StringIO
from tempfile import TemporaryFile
from threading import BoundedSemaphore, Lock
from typing import TypeAlias

from flask import Response, stream_with_context

from webapp.errors import N_, Conflict
from webapp.web.language import gettext

logger = logging.getLogger(__name__)
Row: TypeAlias = Sequence[object]

# A download lasts as long as its reader likes, and takes a thread of the worker for so long.
AT_ONCE = 2
PLACES = BoundedSemaphore(AT_ONCE)
# And a person has one at a time, over all workers: they are forked from this process, and lock the same file,
# a byte for each person. The system unlocks it when a worker ends, however it ends.
with TemporaryFile() as _file:
    _LOCKS = os.dup(_file.fileno())  # a number, which stays open as long as the process is there
_exporting: set[int] = set()  # of this process, to which its own locks are no hindrance
_turn = Lock()

# What a spreadsheet would take for a formula (OWASP, "CSV Injection"), the wide forms of its signs as well.
# Not at the beginning alone: where commas stand in decimals, Excel parts this file at each semicolon.
FORMULA_SIGNS = "=+-@＝＋－＠"
_SUSPECT = re.compile(rf'[;,|\t\r\n]|^[\s"{re.escape(FORMULA_SIGNS)}]')  # hardly any is: asked first
_BEGINS = re.compile(rf'(^|[;,|\t\r\n])(?=[\s"]*[{re.escape(FORMULA_SIGNS)}])|^(?=[\t\r\n])')
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as something else


def stream_csv(
    name: str, head: Row, parts: Iterator[Iterable[Row]], *, owner_id: int, begin: Callable[[], object]
) -> Response:
    """``begin`` is called when there is room and the first part could be read: it may write to the database.

    Raises Conflict while AT_ONCE other files are being written, or one for the same owner, and what hinders
    the first part. An error in a later one cuts the connection, so that half a file is not taken for a whole
    one; of that HTTP/1.0 knows nothing, so that the last line says it too.
    """
    with ExitStack() as stack:
        if not _take_own_place(owner_id):
            raise Conflict(N_("Your earlier export is still running. Wait for it to finish, or cancel it."))
        stack.callback(_leave_own_place, owner_id)
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


def _take_own_place(owner_id: int) -> bool:
    with _turn:
        if owner_id in _exporting:
            return False
        try:
            lockf(_LOCKS, LOCK_EX | LOCK_NB, 1, owner_id)
        except OSError:  # another worker has it
            return False
        _exporting.add(owner_id)
        return True


def _leave_own_place(owner_id: int) -> None:
    with _turn:
        _exporting.discard(owner_id)
        lockf(_LOCKS, LOCK_UN, 1, owner_id)


def _write(head: Row, first: Iterable[Row], parts: Iterator[Iterable[Row]]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + _lines([head, *first])
    try:
        for rows in parts:
            yield _lines(rows)
    except Exception:
        logger.exception("an export broke off")
        yield _lines([[gettext("This file is incomplete: the export broke off here.")]])
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
