"""What a statement is built for: the Shape is all of a query but its values, which come as parameters.

Each statement is built once for its shape and kept. A new value is then neither compiled anew here nor, on
Postgres, planned anew there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.listing.definition import Selection
from webapp.listing.keyset import Edge
from webapp.listing.search import pattern_of
from webapp.listing.stretches import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """All of a query but its values. ``trigrams``, ``is_marked``, ``has_months`` and ``has_stretch`` say what
    the search's index is asked for: parts of the words, the segments, the months of the range, a stretch.
    ``merged_months`` is how many parts of an index by month are read.
    """

    is_sqlite: bool
    words: int = 0
    segments: tuple[str, ...] | None = None
    owners: tuple[str, ...] = ()
    range: str | None = None
    has_low: bool = False
    has_before: bool = False
    trigrams: int = 0
    is_marked: bool = False
    has_months: bool = False
    is_counted: bool = False
    merged_months: int = 0
    has_stretch: bool = False
    has_stretch_low: bool = False
    has_stretch_end: bool = False
    sort: str = ""
    descending: bool = False
    has_edge: bool = False
    limit: int = 0

    @classmethod
    def of(cls, selection: Selection, *, is_sqlite: bool) -> Shape:
        where = selection.range
        return cls(
            is_sqlite=is_sqlite,
            words=len(selection.words),
            segments=None if selection.segments is None else tuple(sorted(selection.segments)),
            owners=tuple(name for name, _value in selection.owners),
            range=where.sort if where else None,
            has_low=bool(where and where.low),
            has_before=bool(where and where.before),
        )


def parameters(
    selection: Selection,
    *,
    edge: Edge | None = None,
    stretch: Stretch | None = None,
    offset: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """The values for any statement."""
    values: dict[str, Any] = {"offset": offset, **more}
    for number, pattern in enumerate(pattern_of(word) for word in selection.words):
        values[f"pattern_{number}"] = pattern
    values |= {f"owner_{name}": value for name, value in selection.owners}
    if selection.range is not None:
        values |= {"low": selection.range.low, "before": selection.range.before}
    if edge is not None:
        values |= {"edge_key": edge.key, "edge_id": edge.id}
    if stretch is not None:
        values |= {"stretch_low": stretch.low, "stretch_end": stretch.end}
    return values
