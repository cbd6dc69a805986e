"""Cursor ↔ key, and the predicate "after this key".

A cursor names an edge row by its sort key and id. It is opaque to people and never trusted: it is
decoded into exactly the types of the sort it is for, or refused as BadCursor.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, UnaryExpression, bindparam, tuple_

LONGEST_CURSOR = 4_000
BEFORE_ALL_IDS, LARGEST_ID = -1, 2**63 - 1
LARGEST_POSITION = 10**12


Key: TypeAlias = str | datetime | int


class BadCursor(Exception):
    """The text is no cursor of this list and sort."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """A sort that an index serves: never NULL (coalesce it), ties broken by the id."""

    column: ColumnElement[Any]
    type: type[Key]


@dataclass(frozen=True, slots=True)
class Edge:
    """The row at the edge of a page; ``position`` is how many rows came before it, where known."""

    key: Key
    id: int
    position: int | None


def encode_cursor(order: str, edge: Edge, *, of: str = "") -> str:
    """``order`` names the list and its sort: in any other it is no cursor. ``of`` names the rows it is about:
    for others it still leads to its key, but to no position.
    """
    key = edge.key.isoformat() if isinstance(edge.key, datetime) else edge.key
    text = json.dumps([order, key, edge.id, edge.position, of], ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, *, order: str, key_type: type[Key], of: str = "") -> Edge:
    """Raises BadCursor for anything that ``encode_cursor`` did not make for this list and sort."""
    if len(text) > LONGEST_CURSOR:
        raise BadCursor
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        match json.loads(urlsafe_b64decode(padded)):
            case [str(for_order), str() | int() as key, int(row_id), int() | None as position, str(about)]:
                if for_order != order:
                    raise BadCursor
                if any(isinstance(value, bool) for value in (key, row_id, position)):  # an int to Python
                    raise BadCursor
                value = _read_key(key, key_type)
            case _:
                raise BadCursor
    except (ValueError, OverflowError, RecursionError, binascii.Error):
        raise BadCursor from None
    if not 0 <= row_id <= LARGEST_ID or not (position is None or 0 <= position <= LARGEST_POSITION):
        raise BadCursor
    return Edge(value, row_id, position if about == of else None)


def _read_key(key: str | int, key_type: type[Key]) -> Key:
    """Raises ValueError for what is none."""
    if key_type is int and isinstance(key, int) and 0 <= key <= LARGEST_ID:
        return key
    if key_type is datetime and isinstance(key, str):
        return datetime.fromisoformat(key).astimezone(UTC)
    if key_type is str and isinstance(key, str) and "\0" not in key:
        key.encode()
        return key
    raise ValueError


def order_by(
    key: ColumnElement[Any], row_id: ColumnElement[int], *, descending: bool
) -> tuple[UnaryExpression[Any], UnaryExpression[Any]]:
    """Both columns the same way, so that one index on (key, id) serves both directions."""
    if descending:
        return key.desc(), row_id.desc()
    return key.asc(), row_id.asc()


def beyond(key: ColumnElement[Any], row_id: ColumnElement[int], *, descending: bool) -> ColumnElement[bool]:
    """Rows that come after the edge in the order of ``order_by`` (the edge row need not exist any more).

    The edge comes as the parameters ``edge_key`` and ``edge_id``.
    """
    here = tuple_(key, row_id)
    there = tuple_(bindparam("edge_key", type_=key.type), bindparam("edge_id", type_=row_id.type))
    return here < there if descending else here > there
