"""The SQL of a list: walk the index of the sort, or gather the hits of a search or of a range and sort them.

Each statement is built once for its shape and kept; its values come as parameters. A new value is
then neither compiled anew here nor, on Postgres, planned anew there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    tablesample,
    true,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import iterate

from webapp.listing.definition import Listing, SearchIndex, Selection, month_number
from webapp.listing.keyset import Edge, beyond, order_by
from webapp.listing.search import pattern_of
from webapp.listing.stretches import Stretch
from webapp.listing.types import AnySelect


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
    """The column itself, hidden from the planner, which would pick the wrong index for it."""

    inherit_cache = True

    def __init__(self, hidden: ColumnElement[Any]) -> None:
        super().__init__(hidden)
        self.type = hidden.type


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + compiler.process(element.clauses, **options)


@compiles(unindexed)
def _unindexed_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    hidden = compiler.process(element.clauses, **options)
    return f"coalesce({hidden}, {hidden})"


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
    """The values for any statement of this module."""
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


@lru_cache(maxsize=1_000)
def walk(listing: Listing, shape: Shape) -> AnySelect:
    """Read the index of the sort from the edge on and check each row: quick where many rows fit."""
    merged: AnySelect = _merge(listing, shape, [*listing.columns])
    return merged


@lru_cache(maxsize=1_000)
def walk_bounded(listing: Listing, shape: Shape, most: int) -> AnySelect:
    """The same, but look at no more than ``most`` rows: it may find fewer than there are."""
    texts: list[ColumnElement[Any]] = [_search(listing).column.label("text")] if shape.words else []
    seen, checks = _seen(listing, shape, most, texts)
    if shape.words:
        checks += _holds_words(shape, seen.text)
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
    return seen, _bounds(seen.time, "low" if shape.has_low else None, "before" if shape.has_before else None)


def _first_of(shape: Shape, seen: Any, checks: list[ColumnElement[bool]]) -> AnySelect:
    found = select(seen.id).where(*checks).limit(shape.limit).offset(bindparam("offset"))
    if shape.is_sqlite:  # it would read all rows first to sort them, and keeps their order anyhow
        return found
    return found.order_by(*order_by(seen.sort_key, seen.id, descending=shape.descending))


@lru_cache(maxsize=1_000)
def skip(listing: Listing, shape: Shape) -> AnySelect:
    """The one row that ``offset`` rows come before, found by the index alone."""
    columns = [listing.row_id.label("id")]
    row = _merge(listing, replace(shape, limit=1), columns, is_skipping=True).subquery().c
    return select(row.id, row.sort_key)


@lru_cache(maxsize=1_000)
def first(listing: Listing, shape: Shape) -> AnySelect:
    """The first row from the edge on, by the index of the sort alone."""
    row: AnySelect = _merge(listing, replace(shape, limit=1), [listing.row_id.label("id")])
    return row


@lru_cache(maxsize=1_000)
def gather(listing: Listing, shape: Shape) -> AnySelect:
    """Find all rows of the range in its index, of which only the page's are kept and sorted."""
    hit = _hits(listing, shape, _key_columns(listing, shape), is_ranged=True).subquery()
    return _page_of(listing, shape, _cut(shape, hit))


@lru_cache(maxsize=1_000)
def walk_months(listing: Listing, shape: Shape) -> AnySelect:
    """Read, for each month that the range touches, the index that begins with it, and check each row."""
    time, key = listing.sorts[shape.range or ""].column, listing.sorts[shape.sort].column
    rows = select(*_key_columns(listing, shape)).where(*_range_checks(listing, shape, is_indexed=False))
    if shape.segments is not None:
        rows = rows.where(_is_of(listing, shape.segments, is_indexed=False))
    if shape.has_edge:
        rows = rows.where(beyond(key, listing.row_id, descending=shape.descending))
    names = [f"month_{number}" for number in range(shape.merged_months)]
    branches = [rows.where(month_number(time) == bindparam(name, type_=Integer())) for name in names]
    found = _in_order(listing, shape, branches, is_skipping=True).subquery().c
    return _page_of(listing, shape, select(found.id))


@lru_cache(maxsize=1_000)
def look(listing: Listing, shape: Shape) -> AnySelect:
    """Ask the search's index for its candidates; if they are fewer than ``most``, sort their hits and cut the
    page.

    Each row says how many ``candidates`` there are, up to ``most``, and how many hits in ``total``: of too
    many candidates none, or with ``is_counted`` up to ``counted`` of the first. Without a hit there is a row
    of these numbers alone.
    """
    candidate = (
        _candidates(listing, shape)
        .limit(bindparam("most", type_=BigInteger))
        .cte("candidates")
        .prefix_with("MATERIALIZED")
    )
    number = select(func.count()).select_from(candidate).scalar_subquery()
    hits = _checked(listing, shape, candidate, _key_columns(listing, shape)).where(
        number < bindparam("most", type_=BigInteger)
    )
    hit = hits.cte("hits").prefix_with("MATERIALIZED")
    total: ColumnElement[int] = select(func.count()).select_from(hit).scalar_subquery()
    if shape.is_counted:
        some = _checked(listing, shape, candidate, [listing.row_id]).limit(bindparam("counted"))
        of_some = select(func.count()).select_from(some.subquery()).scalar_subquery()
        total = case((number < bindparam("most", type_=BigInteger), total), else_=of_some)
    sizes = select(number.label("candidates"), total.label("total")).subquery()
    found = _cut(shape, hit).subquery()
    key, row = listing.sorts[shape.sort].column, listing.row_id
    page = select(*listing.columns, key.label("sort_key"), sizes.c.candidates, sizes.c.total)
    page = page.select_from(sizes.outerjoin(found, true()).outerjoin(row.table, row == found.c.id))
    return page.order_by(*order_by(key, row, descending=shape.descending))


def _key_columns(listing: Listing, shape: Shape) -> list[ColumnElement[Any]]:
    return [listing.row_id.label("id"), listing.sorts[shape.sort].column.label("sort_key")]


def _cut(shape: Shape, hit: Any) -> AnySelect:
    found = select(hit.c.id).order_by(*order_by(hit.c.sort_key, hit.c.id, descending=shape.descending))
    if shape.has_edge:
        found = found.where(beyond(hit.c.sort_key, hit.c.id, descending=shape.descending))
    return found.limit(shape.limit).offset(bindparam("offset"))


@lru_cache(maxsize=1_000)
def count_search(listing: Listing, shape: Shape) -> AnySelect:
    """How many hits the search has, up to ``most``."""
    hits = _checked(listing, shape, _candidates(listing, shape).subquery(), [listing.row_id])
    return select(func.count()).select_from(hits.limit(bindparam("most", type_=BigInteger)).subquery())


@lru_cache(maxsize=1_000)
def count_candidates(listing: Listing, shape: Shape) -> AnySelect:
    """How many rows the search's index gives, up to ``most``."""
    return select(func.count()).select_from(
        _candidates(listing, shape).limit(bindparam("most", type_=BigInteger)).subquery()
    )


@lru_cache
def trigram_sizes(listing: Listing) -> AnySelect:
    """SQLite: how many pages the full text's list of each of the ``trigrams`` (as JSON) fills. FTS5 keeps the
    first term of each page, for each part that its index is written in.
    """
    page = table(f"{_search(listing).name}_idx", *map(column, ("segid", "term", "pgno"))).c
    asked = func.json_each(bindparam("trigrams")).table_valued("value", name="asked")
    term = cast("0" + cast(asked.c.value, Text), LargeBinary)
    part = select(func.min(page.segid).label("id")).cte("part", recursive=True)
    following = select(func.min(page.segid)).where(page.segid > part.c.id).scalar_subquery()
    part = part.union_all(select(following).where(part.c.id.is_not(None)))
    numbers = select(page.pgno.op(">>")(1)).where(page.segid == part.c.id).limit(1).correlate(part, asked)
    first = numbers.where(page.term <= term).order_by(page.term.desc()).scalar_subquery()
    next_ = numbers.where(page.term > term).order_by(page.term).scalar_subquery()
    pages = select(func.coalesce(func.sum(next_ - first), 0)).select_from(part).correlate(asked)
    return select(asked.c.value.label("trigram"), pages.scalar_subquery().label("pages"))


def _candidates(listing: Listing, shape: Shape) -> AnySelect:
    """What the search's index gives: on SQLite ids, on Postgres all that is needed of the rows."""
    if shape.is_sqlite:
        return select(_full_text(listing).c.rowid.label("id")).where(_matches(listing))
    search = _search(listing)
    asked: list[ColumnElement[bool]] = [
        search.column.like(bindparam(f"like_{number}")) for number in range(shape.trigrams)
    ]
    if shape.is_marked:
        asked.append(_overlaps(f"ARRAY[{_segment(listing).name}::text]", "marks_segments"))
    if shape.has_months:
        asked.append(_overlaps(search.time_order.postgres_marks(), "marks_months"))
    if shape.has_stretch:
        asked.append(_overlaps(search.orders[shape.sort].postgres_marks(), "marks_stretch"))
    # Without the OFFSET other conditions would be moved in here, and other indexes be chosen for them.
    return select(*_read_columns(listing, shape)).where(*asked).offset(literal_column("0"))


def _overlaps(marks: str, name: str) -> ColumnElement[bool]:
    return literal_column(f"({marks})").op("&&", is_comparison=True)(bindparam(name, type_=ARRAY(Text)))


def _read_columns(listing: Listing, shape: Shape) -> list[Column[Any]]:
    """What the checks and the sort read."""
    read: list[ColumnElement[Any]] = [listing.row_id, *(listing.owners[name] for name in shape.owners)]
    read += [listing.sorts[name].column for name in (shape.sort, shape.range) if name]
    if shape.words:
        read.append(_search(listing).column)
    if shape.segments is not None:
        read.append(_segment(listing))
    found = (part for expression in read for part in iterate(expression) if isinstance(part, Column))
    return list(dict.fromkeys(found))


def _checked(listing: Listing, shape: Shape, candidate: Any, columns: list[ColumnElement[Any]]) -> AnySelect:
    """The hits among the candidates."""
    checks = [*_word_checks(listing, shape), *_owner_checks(listing, shape, is_indexed=False)]
    checks += _range_checks(listing, shape, is_indexed=False)
    if shape.segments is not None and not shape.is_marked:
        checks.append(_is_of(listing, shape.segments, is_indexed=False))
    if shape.has_stretch:
        key = unindexed(listing.sorts[shape.sort].column)
        checks += _bounds(
            key,
            "stretch_low" if shape.has_stretch_low else None,
            "stretch_end" if shape.has_stretch_end else None,
        )
    if shape.is_sqlite:
        return (
            select(*columns)
            .join_from(candidate, listing.row_id.table, listing.row_id == candidate.c.id)
            .where(*checks)
        )
    here = ClauseAdapter(candidate)
    return select(*map(here.traverse, columns)).where(*map(here.traverse, checks))


@lru_cache(maxsize=1_000)
def count_hits(listing: Listing, shape: Shape, *, is_ranged: bool = False) -> AnySelect:
    """How many rows fit, up to ``most``; see _hits()."""
    hits = _hits(listing, shape, [listing.row_id], is_ranged=is_ranged).limit(
        bindparam("most", type_=BigInteger)
    )
    return select(func.count()).select_from(hits.subquery())


@lru_cache(maxsize=1_000)
def row_ids(listing: Listing, shape: Shape) -> AnySelect:
    """The ids of all that fit, in no order, up to ``most``."""
    if shape.words:
        hits = _checked(listing, shape, _candidates(listing, shape).subquery(), [listing.row_id])
    else:
        hits = _hits(listing, shape, [listing.row_id], is_ranged=shape.range is not None)
    return hits.limit(bindparam("most", type_=BigInteger))


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
    fitting = select(lying.c[0]).where(*map(here.traverse, checks)).limit(bindparam("most", type_=BigInteger))
    return select(func.count()).select_from(fitting.subquery())


@lru_cache(maxsize=1_000)
def sample(listing: Listing, shape: Shape) -> AnySelect:
    """Postgres: of ``percent`` of the table's blocks, how many rows there are, how many fit, and how many
    have each of the trigrams.
    """
    blocks = tablesample(listing.row_id.table, func.system(bindparam("percent")), name="sampled")
    here = ClauseAdapter(blocks)
    checks = [*_word_checks(listing, shape), *_range_checks(listing, shape, is_indexed=True)]
    checks += _owner_checks(listing, shape)
    if shape.segments is not None:
        checks.append(_is_of(listing, shape.segments))
    fitting = func.count().filter(*map(here.traverse, checks))
    trigrams = (holds(_search(listing).column, bindparam(f"trigram_{n}")) for n in range(shape.trigrams))
    counts = [func.count().filter(here.traverse(check)) for check in trigrams]
    return select(func.count(), fitting, *counts).select_from(blocks)


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
    rows = rows.where(*_owner_checks(listing, shape))
    branches = [rows]
    if shape.owners and shape.segments is not None:
        branches = [rows.where(_is_of(listing, shape.segments, is_indexed=False))]
    elif key is listing.row_id and shape.segments is None:
        pass  # the primary key has all of them in order
    elif names := _merged_segments(listing, shape):
        branches = [rows.where(_segment(listing) == _quoted(name)) for name in names]
    return _in_order(listing, shape, branches, is_skipping=is_skipping)


def _in_order(listing: Listing, shape: Shape, branches: list[AnySelect], *, is_skipping: bool) -> Any:
    """Those rows of the branches that the shape asks for, each branch having them in its index's order."""
    order = order_by(listing.sorts[shape.sort].column, listing.row_id, descending=shape.descending)
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
    listing: Listing, shape: Shape, columns: list[ColumnElement[Any]], *, is_ranged: bool = False
) -> AnySelect:
    """All rows that fit, by the index of an owner or segment, or of the range."""
    names = _merged_segments(listing, shape) if is_ranged else shape.segments
    statement = select(*columns).where(
        *_word_checks(listing, shape),
        *_owner_checks(listing, shape, is_indexed=not is_ranged),
        *_range_checks(listing, shape, is_indexed=is_ranged),
    )
    return (
        statement if names is None else statement.where(_is_of(listing, names, is_indexed=not shape.owners))
    )


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
    low, before = "low" if shape.has_low else None, "before" if shape.has_before else None
    return _bounds(key if is_indexed else unindexed(key), low, before)


def _bounds(key: ColumnElement[Any], low: str | None, before: str | None) -> list[ColumnElement[bool]]:
    """That the key lies in [low, before): each the name of a parameter, or None."""
    bounds = []
    if low is not None:
        bounds.append(key >= bindparam(low, type_=key.type))
    if before is not None:
        bounds.append(key < bindparam(before, type_=key.type))
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
