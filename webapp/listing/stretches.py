"""The order of a sort, cut into stretches that the search's index knows.

A search's index gives its hits in an order of its own. Beside the words it holds, for each row, the *marks*
of the stretches in which the row lies: whose name begins with "mar", who signed in last in May 2024. Words
and a mark are then one intersection, and whole stretches without a hit are left out unread. Stretches lie in
one another, coarse to fine, and follow one another in the order of the sort.

On SQLite a mark is three characters, like all that its index holds, and none that can stand in a text; each
level is a column. On Postgres it is an element of an array.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.listing.keyset import LARGEST_ID
from webapp.listing.periods import (
    CREATION,
    FIRST_YEAR,
    Signs,
    day_mark,
    marks_around,
    marks_inside,
    marks_touching,
    month_mark,
    postgres_marks,
    year_mark,
)

LENGTHS = (1, 2, 3, 5)  # of the beginnings of texts
# The first characters that begin a group: four of Latin, the other alphabets, and Han, Kana and Hangul.
GROUPS = (0, ord("g"), ord("m"), ord("s"), 0x300, 0x3000)
ALPHABETS, IDEOGRAPHS = GROUPS[-2:]
BLOCKS = (21, 16, 11)  # how many of the last bits the numbers of a block may differ in


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows whose sort key lies in [low, end), None being no bound, and the mark that all of them have; a
    few others may have it too.
    """

    low: Any
    end: Any
    mark: str

    def is_begun(self, finished: Any, *, descending: bool) -> bool:
        """Whether a part of it lies before the key up to which all is ``finished``; None when nothing is."""
        if finished is None:
            return False
        if descending:
            return bool(self.end is None or self.end > finished)
        return bool(self.low is None or self.low < finished)

    def holds(self, low: Any, end: Any) -> bool:
        """Whether all of [low, end) lies in it."""
        begins = self.low is None or (low is not None and self.low <= low)
        return bool(begins and (self.end is None or (end is not None and end <= self.end)))

    def lies_in(self, low: Any, end: Any) -> bool:
        begins = low is None or (self.low is not None and low <= self.low)
        return bool(begins and (end is None or (self.end is not None and self.end <= end)))


class Order(ABC):
    """How the order by ``column`` is cut."""

    column: str

    @abstractmethod
    def stretches(self, key: Any, *, is_sqlite: bool) -> Iterator[Stretch]:
        """Those that hold ``key``, from coarse to fine."""

    @abstractmethod
    def sqlite_marks(self, row: str) -> dict[str, str]:
        """The index's columns, and the mark in each as an expression over ``row`` of the table."""

    @abstractmethod
    def sqlite_changed(self, old: str, new: str) -> str:
        """Whether the marks of two rows may differ, as an expression."""

    @abstractmethod
    def postgres_marks(self) -> str:
        """An array of all marks, as an expression."""


@dataclass(frozen=True, slots=True)
class TimeOrder(Order):
    """Cut into years and months, and those into days if it is said. NULL is the first of all."""

    column: str
    signs: Signs = CREATION
    has_days: bool = False

    def stretches(self, key: datetime, *, is_sqlite: bool) -> Iterator[Stretch]:
        for mark, low, end in marks_around(key, self.signs, has_days=self.has_days):
            yield Stretch(low, end, mark)

    def marks_touching(self, low: datetime | None, before: datetime | None) -> list[str]:
        return marks_touching(low, before, self.signs, has_days=self.has_days)

    def marks_inside(self, low: datetime | None, before: datetime | None) -> list[str]:
        return marks_inside(low, before, self.signs, has_days=self.has_days)

    def sqlite_marks(self, row: str) -> dict[str, str]:
        moment = f"coalesce({row}.{self.column}, '{FIRST_YEAR}-01-01')"
        marks = {
            f"{self.column}_year": year_mark(moment, self.signs),
            f"{self.column}_month": month_mark(moment, self.signs),
        }
        return {**marks, f"{self.column}_day": day_mark(moment, self.signs)} if self.has_days else marks

    def sqlite_changed(self, old: str, new: str) -> str:
        *_, finest = zip(self.sqlite_marks(old).values(), self.sqlite_marks(new).values(), strict=True)
        return " <> ".join(finest)

    def postgres_marks(self) -> str:
        return postgres_marks(self.column, self.signs, has_days=self.has_days)


@dataclass(frozen=True, slots=True)
class TextOrder(Order):
    """Cut by the first characters: into a few groups, and then by beginnings, longer and longer. Of what does
    not begin in Latin there are thousands of first characters, so it is cut into blocks of Unicode before.

    ``number`` tells this order's marks from those of others.
    """

    column: str
    number: int

    def stretches(self, key: str, *, is_sqlite: bool) -> Iterator[Stretch]:
        first = _code(key[0]) if key else 0
        group = bisect_right(GROUPS, first) - 1
        end = chr(GROUPS[group + 1]) if group + 1 < len(GROUPS) else None
        low = chr(GROUPS[group]) if group else ""
        yield Stretch(low, end, self._mark(is_sqlite, 0, f"<{group}", group))
        if first >= ALPHABETS:
            bits, number = (12, 64 + (first >> 12)) if first >= IDEOGRAPHS else (8, first >> 8)
            start = first >> bits << bits
            after = start + (1 << bits)
            end = chr(after) if after <= sys.maxunicode else None
            yield Stretch(chr(start), end, self._mark(is_sqlite, 1, f"#{number}", number))
        for level, length in enumerate(LENGTHS, 2):
            start_ = key[:length]
            is_whole = len(key) < length
            end = start_ + "\1" if is_whole else _after(start_)
            yield Stretch(start_, end, self._mark(is_sqlite, level, f"{length}{start_}", *map(_code, start_)))
            if is_whole:
                return

    def _mark(self, is_sqlite: bool, level: int, name: str, *codes: int) -> str:
        if not is_sqlite:
            return name
        one, two, three, four, five = (*codes, 0, 0, 0, 0, 0)[:5]
        return chr(_plane(self.number, level) + one % _LETTERS) + _pack(two, three) + _pack(four, five)

    def sqlite_marks(self, row: str) -> dict[str, str]:
        key = f"{row}.{self.column}"
        codes = [f"coalesce(unicode(substr({key}, {n}, 1)), 0)" for n in range(1, 6)]
        first = codes[0]

        def mark(level: int, *parts: str) -> str:
            one, two, three, four, five = (*parts, "0", "0", "0", "0", "0")[:5]
            return (
                f"char({_plane(self.number, level)} + {one} % {_LETTERS})"
                f" || {_pack_expression(two, three)} || {_pack_expression(four, five)}"
            )

        alphabets, ideographs = mark(1, f"({first} >> 8)"), mark(1, f"(64 + ({first} >> 12))")
        marks = {
            f"{self.column}_group": mark(0, f"({_group_expression(first)})"),
            f"{self.column}_block": f"CASE WHEN {first} < {ALPHABETS} THEN ''"
            f" WHEN {first} < {IDEOGRAPHS} THEN {alphabets} ELSE {ideographs} END",
        }
        for level, length in enumerate(LENGTHS, 2):
            marks[f"{self.column}_{length}"] = mark(level, *codes[:length])
        return marks

    def sqlite_changed(self, old: str, new: str) -> str:
        return f"{old}.{self.column} <> {new}.{self.column}"

    def postgres_marks(self) -> str:
        key, first = self.column, f"ascii({self.column})"
        marks = [f"'<' || ({_group_expression(first)})::text"]
        marks += [f"'{length}' || left({key}, {length})" for length in LENGTHS]
        blocks = f"CASE WHEN {first} < {IDEOGRAPHS} THEN {first} >> 8 ELSE 64 + ({first} >> 12) END"
        all_marks = [*marks, f"'#' || ({blocks})::text"]
        return (
            f"CASE WHEN {first} < {ALPHABETS} THEN ARRAY[{', '.join(marks)}]"
            f" ELSE ARRAY[{', '.join(all_marks)}] END"
        )


@dataclass(frozen=True, slots=True)
class NumberOrder(Order):
    """Cut into blocks of numbers that share all but their last bits. ``number`` is as that of a TextOrder."""

    column: str
    number: int

    def stretches(self, key: int, *, is_sqlite: bool) -> Iterator[Stretch]:
        for level, bits in enumerate(BLOCKS):
            block = key >> bits
            end = (block + 1) << bits
            mark = self._mark(level, block) if is_sqlite else f"@{bits}:{block}"
            yield Stretch(block << bits, end if end <= LARGEST_ID else None, mark)

    def _mark(self, level: int, block: int) -> str:
        more = block >> _LETTER_BITS & _SHARE**2 - 1
        return chr(_plane(self.number, level) + (block & _LETTERS - 1)) + chr(0x10000 + more) + "#"

    def sqlite_marks(self, row: str) -> dict[str, str]:
        def mark(level: int, bits: int) -> str:
            first = f"{_plane(self.number, level)} + ({row}.{self.column} >> {bits} & {_LETTERS - 1})"
            more = f"{0x10000} + ({row}.{self.column} >> {bits + _LETTER_BITS} & {_SHARE**2 - 1})"
            return f"char({first}, {more}) || '#'"

        return {f"{self.column}_{bits}": mark(level, bits) for level, bits in enumerate(BLOCKS)}

    def sqlite_changed(self, old: str, new: str) -> str:
        return f"{old}.{self.column} <> {new}.{self.column}"

    def postgres_marks(self) -> str:
        marks = [f"'@{bits}:' || ({self.column} >> {bits})::text" for bits in BLOCKS]
        return f"ARRAY[{', '.join(marks)}]"


def _group_expression(first: str) -> str:
    cases = " ".join(f"WHEN {first} < {end} THEN {number}" for number, end in enumerate(GROUPS[1:]))
    return f"CASE {cases} ELSE {len(GROUPS) - 1} END"


# What a character of a mark can tell apart: of a first character so many, of each of two others the root of
# _PAIRS. Two beginnings that share a mark only cost a look at each other's rows.
_LETTER_BITS = 13
_LETTERS, _SHARE = 1 << _LETTER_BITS, 0x200


def _plane(number: int, level: int) -> int:
    """The first of the characters that marks of a level begin with, in planes of Unicode without any."""
    return 0x40000 + (number << 16) + level * _LETTERS


def _pack(one: int, other: int) -> str:
    return chr(0x10000 + one % _SHARE * _SHARE + other % _SHARE)


def _pack_expression(one: str, other: str) -> str:
    return f"char({0x10000} + {one} % {_SHARE} * {_SHARE} + {other} % {_SHARE})"


def _code(character: str) -> int:
    """As SQLite's unicode() reads it."""
    return 0xFFFD if character in "\ufffe\uffff" else ord(character)


def _after(start: str) -> str | None:
    """The first text after all that begin with ``start``; None when there is none."""
    start = start.rstrip(chr(sys.maxunicode))
    if not start:
        return None
    code = ord(start[-1]) + 1
    return start[:-1] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)  # noqa: PLR2004 - surrogates are no characters
