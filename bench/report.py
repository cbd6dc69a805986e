"""What was measured, as tables that read well in a terminal and as Markdown."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

from bench.measure import COLD, Group, Row
from bench.prepare import Size

FOLDER = Path(__file__).parent / "results"
BUSY = 2.0  # so many times its median the slowest floors do not take on a machine left alone


def today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One database of one size. ``memory`` is in MB; ``sizes`` are in bytes; ``seconds`` is for seeding."""

    title: str
    version: str
    size: Size
    rounds: int
    floor: Row
    rows: list[Row]
    memory: float | None
    sizes: dict[str, int]
    seconds: float | None
    day: date = field(default_factory=today)

    @property
    def heading(self) -> str:
        return f"{self.title}, {self.size.users:,} users"

    @property
    def page(self) -> str:
        return f"{self.title.lower()}-{self.size.label}.md"

    def rows_of(self, *groups: Group) -> list[Row]:
        return [row for row in self.rows if row.group in groups]

    def slowest(self, *groups: Group) -> Row:
        return max(self.rows_of(*groups), key=lambda row: row.p50)

    def ratio(self, row: Row) -> float:
        """How many floors it costs."""
        return row.p50 / self.floor.p50

    def median_search(self) -> float:
        return median(self.ratio(row) for row in self.rows_of(Group.SEARCH))


def describe(result: Result) -> str:
    """All there is to say of one database, without a heading."""
    parts = [f"{name} {size / 1e6:,.1f} MB" for name, size in result.sizes.items() if name != "all"]
    facts = [
        f"{result.day}, {os.cpu_count()} CPUs, Python {platform.python_version()},"
        f" {result.title} {result.version}, {result.rounds} rounds.",
        f"The database takes {result.sizes['all'] / 1e6:,.1f} MB{': ' if parts else ''}{', '.join(parts)}.",
    ]
    if result.memory is not None:
        facts.append(f"The worker held at most {result.memory:,.0f} MB.")
    if result.seconds is not None:
        facts.append(f"Seeding took {result.seconds:,.0f} s.")
    facts.append(
        f"“Cold” is how often, the first time among them, it took over {COLD:g} times its median:"
        " it read what was not in memory, or waited for a processor."
    )
    if result.floor.p95 > BUSY * result.floor.p50:
        facts.append("The machine was busy with something else: a quiet one gives other numbers.")
    rows = [
        (
            row.label,
            *(f"{milliseconds:.2f}" for milliseconds in (row.p50, row.p95)),
            *(f"{number:.1f}" for number in (result.ratio(row), row.first)),
            str(row.cold),
            str(len(row.times) + 1),
        )
        for row in (result.floor, *result.rows)
    ]
    table = make_table(("what", "p50 ms", "p95 ms", "× floor", "first ms", "cold", "times"), rows)
    return "\n\n".join(("\n".join(facts), table))


def make_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column stands on the left, the others on the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]

    def write(cells: Sequence[str]) -> str:
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return f"| {' | '.join([cells[0].ljust(widths[0]), *rest])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(map(write, [heads, rule, *lines[1:]]))


# Files

HEADS = (
    *("database", "users", "pages", "sorts", "filters"),
    *("median search", "slowest search", "saving", "slowest combination", "memory", "on disk", "day"),
)
INTRODUCTION = """\
# What pages cost

Written by `make bench`, which replaces what it measures anew; the pages behind the links say more.

Numbers without a unit are medians of whole requests, as multiples of the floor: a bare Flask page of 50 rows
in the same run. They stand for the slowest of the first page, the last and one in the middle; for the slowest
sort and filter; for the median and the slowest search; and for saving an edit. A combination is a search with
a filter and a sort."""


def write(result: Result) -> None:
    """Its own page, and its line among those of other results whose pages are there."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / result.page).write_text(f"# {result.heading}\n\n{describe(result)}\n", encoding="utf-8")
    file = FOLDER / "README.md"
    lines = _read_lines(file) | {result.page: _summarize(result)}
    rows = sorted(lines.values(), key=lambda cells: (cells[0][:4], int(cells[1].replace(",", ""))))
    file.write_text(f"{INTRODUCTION}\n\n{make_table(HEADS, rows)}\n", encoding="utf-8")


def _read_lines(file: Path) -> dict[str, list[str]]:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = re.findall(r"^\| (\[.*\]\((.*)\).*) \|$", text, re.MULTILINE)
    lines = {page: [cell.strip() for cell in line.split("|")] for line, page in found}
    return {
        page: cells for page, cells in lines.items() if (FOLDER / page).exists() and len(cells) == len(HEADS)
    }


def _summarize(result: Result) -> list[str]:
    page, sort, filtered, search, save = (
        result.ratio(result.slowest(group))
        for group in (Group.PAGE, Group.SORT, Group.FILTER, Group.SEARCH, Group.SAVE)
    )
    ratios = (page, sort, filtered, result.median_search(), search, save)
    return [
        f"[{result.title}]({result.page})",
        f"{result.size.users:,}",
        *(f"{ratio:.1f}" for ratio in ratios),
        f"{result.slowest(Group.COMBINATION).p50:.0f} ms",
        "–" if result.memory is None else f"{result.memory:.0f} MB",
        f"{result.sizes['all'] / 1e6:,.0f} MB",
        str(result.day),
    ]
