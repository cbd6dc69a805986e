"""The SQL of a list: walk the index of the sort, or gather the hits of a search or of a range and sort them.

Each statement is built once for its shape and kept; its values come as parameters. A new value is
then neither compiled anew here nor, on Postgres, planned anew there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Select,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    tablesample,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.types import TypeEngine

from webapp.listing.definition import Listing, SearchIndex, Selection
from webapp.listing.keyset import Edge, beyond, order_by
from webapp.listing.periods import marks_inside, marks_touching
from webapp.listing.search import SHORTEST_SUBSTRING, pattern_of
from webapp.listing.types import AnySelect

Source = Literal["segments", "search", "range"]


class holds(FunctionElement[bool]):
    """``text`` contains ``pattern``: a check of the row, which no index answers."""

    type = Boolean()
    inherit_cache = True


@compiles(holds, "sqlite")
def _holds_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}) > 0"


@compiles(holds)
def _holds_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}) > 0"


class unindexed(FunctionElement[Any]):
    """The column itself, hidden from SQLite's planner, which would pick the wrong index for it."""

    inherit_cache = True


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + compiler.process(element.clauses, **options)


@compiles(unindexed)
def _unindexed(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """All of a query but its values."""

    is_sqlite: bool
    words: int = 0
    segments: tuple[str, ...] | None = None
    owners: tuple[str, ...] = ()
    range: str | None = None
    has_low: bool = False
    has_before: bool = False
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
    selection: Selection, *, edge: Edge | None = None, offset: int = 0, **more: Any
) -> dict[str, Any]:
    """The values for any statement of this module."""
    values: dict[str, Any] = {"offset": offset, **more}
    patterns = [pattern_of(word) for word in selection.words]
    if selection.words:
        word = selection.words[0]
        values |= {"word_low": word, "word_end": word[:-1] + _following(word[-1])}
    for number, pattern in enumerate(patterns):
        values |= {f"pattern_{number}": pattern, f"like_{number}": f"%{pattern}%"}
    values |= {f"owner_{name}": value for name, value in selection.owners}
    if selection.range is not None:
        values |= {"low": selection.range.low, "before": selection.range.before}
    if edge is not None:
        values |= {"edge_key": edge.key, "edge_id": edge.id}
    return values


def _following(character: str) -> str:
    """The next character that can be stored; the last one follows itself, so that nothing lies between."""
    code = min(ord(character) + 1, sys.maxunicode)
    return chr(0xE000 if 0xD800 <= code < 0xE000 else code)  # noqa: PLR2004 - surrogates are no characters


def match_text(listing: Listing, selection: Selection, *, is_inside: bool = False) -> str | None:
    """The FTS5 query of the words, in the segments, in the months that the range touches.

    ``is_inside``: in the months that lie wholly within the range; None when there is no such month.
    """
    terms = [f'"{trigram}"' for trigram in sorted(_trigrams(selection))] if selection.words else []
    if selection.segments is not None:
        terms.append(_any_of(sorted(selection.segments)))
    where = selection.range
    if where is not None and listing.sorts[where.sort].column is not _search(listing).time:
        if is_inside:
            return None  # the index knows the months of another time
    elif where is not None:
        marks = (marks_inside if is_inside else marks_touching)(where.low, where.before)
        if not marks:
            return None
        terms.append(_any_of(marks))
    return " AND ".join(terms)


def count_trigrams(selection: Selection) -> int:
    """How many the query of the words has."""
    return len(_trigrams(selection))


def _trigrams(selection: Selection) -> set[str]:
    """Of one word those side by side that hold every letter: a third of them all says almost as much.

    Of several words two of the first and one of each other: every one more is a list to go through.
    """
    first, *others = (_cover(pattern_of(word)) for word in selection.words)
    if not others:
        return set(first)
    return {first[0], first[-1], *(cover[0] for cover in others)}


def _cover(pattern: str) -> list[str]:
    """Trigrams side by side that hold every letter."""
    size = SHORTEST_SUBSTRING
    starts = [*range(0, len(pattern) - size, size), len(pattern) - size]
    return [pattern[start : start + size] for start in starts]


def _any_of(marks: Sequence[str]) -> str:
    """Spelled text holds no quote, and no sign of those that marks are made of."""
    return "(" + " OR ".join(f'"{mark}"' for mark in marks) + ")"


@lru_cache(maxsize=1_000)
def walk(listing: Listing, shape: Shape) -> AnySelect:
    """Read the index of the sort from the edge on and check each row: quick where many rows fit."""
    merged: AnySelect = _merge(listing, shape, [*listing.columns])
    return merged


@lru_cache(maxsize=1_000)
def walk_bounded(listing: Listing, shape: Shape, most: int) -> AnySelect:
    """The same, but look at no more than ``most`` rows: it may find fewer than there are."""
    seen, checks = _seen(listing, shape, most, [_search(listing).column.label("text")])
    return _page_of(listing, shape, _first_of(shape, seen, [*checks, *_holds_words(shape, seen.text)]))


@lru_cache(maxsize=1_000)
def walk_candidates(listing: Listing, shape: Shape, most: int) -> AnySelect:
    """SQLite: the same over ``most`` entries of the sort's index, of which only candidates are looked at."""
    seen, checks = _seen(listing, shape, most, [])
    row = listing.row_id.table.alias()
    text = select(row.c[_search(listing).column.name]).where(row.c[listing.row_id.name] == seen.id)
    candidates = select(_full_text(listing).c.rowid).where(_matches(listing))
    checks = [seen.id.in_(candidates), *checks, *_holds_words(shape, text.scalar_subquery())]
    return _page_of(listing, shape, _first_of(shape, seen, checks))


def _seen(
    listing: Listing, shape: Shape, most: int, columns: list[ColumnElement[Any]]
) -> tuple[Any, list[ColumnElement[bool]]]:
    """The next ``most`` rows in order, of the segments alone, and what of the range is to be checked."""
    every = replace(shape, words=0, limit=most)
    if shape.range is None or shape.range == shape.sort:  # the sort's own index keeps to the range
        return _merge(listing, every, [listing.row_id.label("id"), *columns]).subquery().c, []
    time = listing.sorts[shape.range].column
    columns = [listing.row_id.label("id"), time.label("time"), *columns]
    seen = _merge(listing, replace(every, range=None), columns).subquery().c
    return seen, _bounds(shape, seen.time, time.type)


def _first_of(shape: Shape, seen: Any, checks: list[ColumnElement[bool]]) -> AnySelect:
    found = select(seen.id).where(*checks).limit(shape.limit).offset(bindparam("offset"))
    if shape.is_sqlite:  # it would read all rows first to sort them, and keeps their order anyhow
        return found
    return found.order_by(*order_by(seen.sort_key, seen.id, descending=shape.descending))


@lru_cache(maxsize=1_000)
def skip(listing: Listing, shape: Shape) -> AnySelect:
    """The one row that ``offset`` rows come before, found by the index alone."""
    row = _merge(listing, replace(shape, limit=1), [listing.row_id], is_skipping=True).subquery().c
    return select(row.id, row.sort_key)


@lru_cache(maxsize=1_000)
def gather(listing: Listing, shape: Shape, source: Source) -> AnySelect:
    """Find all hits by ``source``, then sort them and cut the page; ``total`` is how many there are."""
    if source == "search" and shape.is_sqlite and begins_with_word(listing, shape):
        return _cut(listing, shape, _hits_split(listing, shape))
    return _cut(listing, shape, _hits(listing, shape, source, _key_columns(listing, shape)))


@lru_cache(maxsize=1_000)
def gather_few(listing: Listing, shape: Shape) -> AnySelect:
    """SQLite: the same by the search, if there are fewer than ``most`` candidates; else no row, and none was
    looked at.
    """
    candidate = _candidates(listing).cte("candidates").prefix_with("MATERIALIZED")
    users = listing.row_id.table
    hits = (
        select(*_key_columns(listing, shape))
        .join_from(candidate, users, listing.row_id == candidate.c.rowid)
        .where(
            select(func.count()).select_from(candidate).scalar_subquery() < bindparam("most"),
            *_word_checks(listing, shape),
            *_range_checks(listing, shape, is_indexed=False),
        )
    )
    return _cut(listing, shape, hits)


def begins_with_word(listing: Listing, shape: Shape) -> bool:
    """Whether hits may be told by the beginning of their sort key."""
    return shape.words == 1 and listing.sorts[shape.sort].type is str


def _key_columns(listing: Listing, shape: Shape) -> list[ColumnElement[Any]]:
    return [listing.row_id.label("id"), listing.sorts[shape.sort].column.label("sort_key")]


def _cut(listing: Listing, shape: Shape, hits: Any) -> AnySelect:
    hit = hits.cte("hits").prefix_with("MATERIALIZED")
    found = select(hit.c.id).order_by(*order_by(hit.c.sort_key, hit.c.id, descending=shape.descending))
    if shape.has_edge:
        found = found.where(beyond(hit.c.sort_key, hit.c.id, descending=shape.descending))
    found = found.limit(shape.limit).offset(bindparam("offset"))
    total = select(func.count()).select_from(hit).scalar_subquery().label("total")
    return _page_of(listing, shape, found).add_columns(total)


def _hits_split(listing: Listing, shape: Shape) -> Any:
    """All hits of one word: those whose sort key begins with it come from the sort's own index, where no
    row is looked at. Of the many who are found by their first name that is nearly all.
    """
    begins = _begins(listing, shape).cte("begins").prefix_with("MATERIALIZED")
    others = _hits(listing, shape, "search", _key_columns(listing, shape)).where(
        _full_text(listing).c.rowid.not_in(select(begins.c.id))
    )
    return union_all(select(begins.c.id, begins.c.sort_key), others)


def _begins(listing: Listing, shape: Shape) -> AnySelect:
    """The rows whose sort key begins with the word; it is the beginning of their text then, too."""
    key = listing.sorts[shape.sort].column
    statement = select(*_key_columns(listing, shape)).where(
        key >= bindparam("word_low"),
        key < bindparam("word_end"),
        *_range_checks(listing, shape, is_indexed=False),
    )
    names = _merged_segments(listing, shape)
    return statement if names is None else statement.where(_is_of(listing, names))


@lru_cache(maxsize=1_000)
def count_begins(listing: Listing, shape: Shape) -> AnySelect:
    """How many rows' sort key begins with the word, up to ``most``."""
    return select(func.count()).select_from(_begins(listing, shape).limit(bindparam("most")).subquery())


@lru_cache(maxsize=1_000)
def count_hits(listing: Listing, shape: Shape, source: Source | None) -> AnySelect:
    """How many there are, up to ``most``."""
    hits = _hits(listing, shape, source, [listing.row_id]).limit(bindparam("most"))
    return select(func.count()).select_from(hits.subquery())


@lru_cache(maxsize=1_000)
def row_ids(listing: Listing, shape: Shape, source: Source | None) -> AnySelect:
    """The ids of all of them, in no order, up to ``most``."""
    return _hits(listing, shape, source, [listing.row_id]).limit(bindparam("most"))


@lru_cache(maxsize=1_000)
def count_in_scan(listing: Listing, shape: Shape) -> AnySelect:
    """Postgres: of ``scanned`` rows as they lie in the table, how many fit, up to ``most``."""
    checked: set[ColumnElement[Any]] = {_search(listing).column}
    checked.update(listing.owners[name] for name in shape.owners)
    if shape.segments is not None:
        checked.add(_segment(listing))
    if shape.range is not None:
        checked.update(listing.sorts[shape.range].column.base_columns)
    lying = select(*checked).limit(bindparam("scanned")).subquery()
    here = ClauseAdapter(lying)
    checks = [*_word_checks(listing, shape), *_range_checks(listing, shape, is_indexed=True)]
    checks += _owner_checks(listing, shape)
    if shape.segments is not None:
        checks.append(_is_of(listing, shape.segments))
    fitting = select(lying.c[0]).where(*map(here.traverse, checks)).limit(bindparam("most"))
    return select(func.count()).select_from(fitting.subquery())


@lru_cache(maxsize=1_000)
def count_candidates(listing: Listing) -> AnySelect:
    """SQLite: how many rows have every trigram, up to ``most``; no row is looked at."""
    return select(func.count()).select_from(_candidates(listing).subquery())


def _candidates(listing: Listing) -> Select[int]:
    return select(_full_text(listing).c.rowid).where(_matches(listing)).limit(bindparam("most"))


@lru_cache(maxsize=1_000)
def sample(listing: Listing, shape: Shape) -> AnySelect:
    """Postgres: of ``percent`` of the table's blocks, how many rows there are, match the words, and fit."""
    blocks = tablesample(listing.row_id.table, func.system(bindparam("percent")), name="sampled")
    here = ClauseAdapter(blocks)
    words = [here.traverse(check) for check in _word_checks(listing, shape)]
    ranges = [here.traverse(check) for check in _range_checks(listing, shape, is_indexed=True)]
    parts = [here.traverse(check) for check in _owner_checks(listing, shape)]
    if shape.segments is not None:
        parts.append(here.traverse(_is_of(listing, shape.segments)))
    return select(
        func.count().label("rows"),
        func.count().filter(*words).label("searched"),
        func.count().filter(*ranges).label("ranged"),
        func.count().filter(*words, *ranges, *parts).label("fitting"),
    ).select_from(blocks)


def _merge(
    listing: Listing, shape: Shape, columns: Sequence[ColumnElement[Any]], *, is_skipping: bool = False
) -> Any:
    """The rows in the order of the sort, from one index scan for each segment, merged as they are read."""
    key = listing.sorts[shape.sort].column
    rows = select(*columns, key.label("sort_key")).where(
        *_word_checks(listing, shape), *_range_checks(listing, shape, is_indexed=shape.range == shape.sort)
    )
    if shape.has_edge:
        rows = rows.where(beyond(key, listing.row_id, descending=shape.descending))
    order = order_by(key, listing.row_id, descending=shape.descending)
    rows = rows.where(*_owner_checks(listing, shape))
    branches = [rows]
    if shape.owners and shape.segments is not None:
        branches = [rows.where(_is_of(listing, shape.segments, is_indexed=False))]
    elif names := _merged_segments(listing, shape):
        branches = [rows.where(_segment(listing) == _quoted(name)) for name in names]
    if len(branches) == 1:
        merged: Any = branches[0].order_by(*order)
    else:
        if not shape.is_sqlite:  # Postgres merges lazily only what each branch has in order by itself
            branches = [branch.order_by(*order) for branch in branches]
            branches = [
                b.offset(literal_column("0")) if is_skipping else b.limit(shape.limit) for b in branches
            ]
        merged = union_all(*branches)
        found = merged.selected_columns
        merged = merged.order_by(*order_by(found["sort_key"], found["id"], descending=shape.descending))
    merged = merged.limit(shape.limit)
    return merged.offset(bindparam("offset")) if is_skipping else merged


def _hits(
    listing: Listing, shape: Shape, source: Source | None, columns: list[ColumnElement[Any]]
) -> AnySelect:
    """All rows that fit, by whichever index ``source`` names."""
    statement = select(*columns)
    by_search = source == "search"
    if by_search and shape.is_sqlite:
        full_text = _full_text(listing)
        statement = statement.join_from(
            full_text, listing.row_id.table, listing.row_id == full_text.c.rowid
        ).where(_matches(listing), *_word_checks(listing, shape))
    elif by_search:
        column_ = _search(listing).column
        statement = statement.where(*(column_.like(bindparam(f"like_{n}")) for n in range(shape.words)))
    else:
        statement = statement.where(*_word_checks(listing, shape))
    statement = statement.where(*_owner_checks(listing, shape, is_indexed=source is None))
    names = _merged_segments(listing, shape) if source == "range" else shape.segments
    if names is not None and not (by_search and shape.is_sqlite):  # there the match has named them
        statement = statement.where(_is_of(listing, names, is_indexed=not shape.owners))
    return statement.where(*_range_checks(listing, shape, is_indexed=source == "range"))


def _page_of(listing: Listing, shape: Shape, found: AnySelect) -> AnySelect:
    key = listing.sorts[shape.sort].column
    page = select(*listing.columns, key.label("sort_key")).where(listing.row_id.in_(found))
    return page.order_by(*order_by(key, listing.row_id, descending=shape.descending))


def _word_checks(listing: Listing, shape: Shape) -> list[ColumnElement[bool]]:
    return _holds_words(shape, _search(listing).column) if shape.words else []


def _holds_words(shape: Shape, text: ColumnElement[str]) -> list[ColumnElement[bool]]:
    return [holds(text, bindparam(f"pattern_{number}")) for number in range(shape.words)]


def _range_checks(listing: Listing, shape: Shape, *, is_indexed: bool) -> list[ColumnElement[bool]]:
    if shape.range is None:
        return []
    key = listing.sorts[shape.range].column
    return _bounds(shape, key if is_indexed else unindexed(key), key.type)


def _bounds(shape: Shape, key: ColumnElement[Any], of_type: TypeEngine[Any]) -> list[ColumnElement[bool]]:
    bounds = []
    if shape.has_low:
        bounds.append(key >= bindparam("low", type_=of_type))
    if shape.has_before:
        bounds.append(key < bindparam("before", type_=of_type))
    return bounds


def _owner_checks(listing: Listing, shape: Shape, *, is_indexed: bool = True) -> list[ColumnElement[bool]]:
    checks = []
    for name in shape.owners:
        column_ = listing.owners[name]
        checks.append((column_ if is_indexed else unindexed(column_)) == bindparam(f"owner_{name}"))
    return checks


def _merged_segments(listing: Listing, shape: Shape) -> tuple[str, ...] | None:
    """Those whose parts of an index are read, one after the other or merged; None for an index without."""
    if shape.segments is not None or listing.segments is None or not listing.segments.leads:
        return shape.segments
    return listing.segments.names


def _segment(listing: Listing) -> Column[str]:
    if listing.segments is None:
        raise ValueError("this list has no segments")
    return listing.segments.column


def _is_of(listing: Listing, names: Sequence[str], *, is_indexed: bool = True) -> ColumnElement[bool]:
    segment = _segment(listing)
    return (segment if is_indexed else unindexed(segment)).in_([_quoted(name) for name in names])


def _quoted(segment: str) -> ColumnElement[str]:
    """Written out, so that Postgres knows how large the segment is; Segments checked the name."""
    return literal_column(f"'{segment}'")


def _search(listing: Listing) -> SearchIndex:
    if listing.search is None:
        raise ValueError("this list has no search index")
    return listing.search


@lru_cache(maxsize=100)
def _full_text(listing: Listing) -> Any:
    return table(_search(listing).name, column("rowid"))


def _matches(listing: Listing) -> ColumnElement[bool]:
    return literal_column(_search(listing).name).op("MATCH", is_comparison=True)(bindparam("match"))
