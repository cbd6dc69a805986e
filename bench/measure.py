"""Pages of Dossier and the floor, in turns over real HTTP, so that a noisy machine hits all alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from html import unescape
from math import ceil
from statistics import median

from bench.server import Client
from bench.workload import FILTERS, SEARCHES, SORTS, call_of, path_of, some_combinations

PAGE_SIZE = 50
# Of timed requests to one database of one size; what is slow is asked less often, but evenly over that time.
SECONDS = 60.0
FEWEST_TIMES = 7
PAGES_TO_A_FLOOR = 4
COLD = 2.0  # so many times the median


class Group(StrEnum):
    FLOOR = "floor"
    PAGE = "page"
    SORT = "sort"
    FILTER = "filter"
    SEARCH = "search"
    COMBINATION = "combination"
    API = "api"
    OTHER = "other"
    SAVE = "save"


@dataclass
class Row:
    """One thing that is asked for again and again. ``ask`` does it once and answers the milliseconds."""

    group: Group
    label: str
    ask: Callable[[], float] = field(repr=False)
    first: float = 0.0
    times: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return median(self.times)

    @property
    def p95(self) -> float:
        return sorted(self.times)[ceil(0.95 * len(self.times)) - 1]

    @property
    def cold(self) -> int:
        """How often it took so long that it must have waited, for the disk or for a processor."""
        return sum(taken > COLD * self.p50 for taken in (self.first, *self.times))


def make_rows(dossier: Client, users: int) -> list[Row]:
    """Everything that is measured of one database with so many users."""
    pages = users // PAGE_SIZE
    middle = path_of({}, page=str(pages // 2))
    person = f"/users/{users // 2}"

    @cache
    def find_deep_page() -> str:
        """The page after one in the middle, by its cursor; reached from the other end than ``middle``."""
        found = re.search(
            r'id="page-next" href="([^"]+)"', dossier.read(path_of({}, page=str(pages * 3 // 5)))
        )
        if found is None:
            raise RuntimeError("a page in the middle has no next one")
        return unescape(found[1])

    def get(group: Group, label: str, path: str) -> Row:
        return Row(group, label, lambda: dossier.time_get(path))

    def save() -> float:
        """Each time the other of two names, so that every save changes something."""
        form = dossier.read_form(f"{person}/edit")
        name = form["full_name"]
        changed = name.removesuffix(" II") if name.endswith(" II") else f"{name} II"
        return dossier.time_post(f"{person}/edit", {**form, "full_name": changed})

    return [
        get(Group.PAGE, "first page", path_of({})),
        Row(Group.PAGE, "deep page, by its cursor", lambda: dossier.time_get(find_deep_page())),
        get(Group.PAGE, "last page", path_of({}, before="end")),
        *(get(Group.SORT, f"sort: {sort}", path_of({"sort": sort})) for sort in SORTS),
        *(get(Group.FILTER, f"filter: {name}", path_of(query)) for name, query in FILTERS.items()),
        *(get(Group.SEARCH, f"search: {name}", path_of({"q": text})) for name, text in SEARCHES.items()),
        *(get(Group.COMBINATION, one.label, one.path) for one in some_combinations()),
        get(Group.API, "API: first page", call_of(page=1)),
        get(Group.API, "API: page in the middle, by its number", call_of(page=pages // 2)),
        get(Group.API, "API: last page, by its number", call_of(page=pages)),
        get(Group.OTHER, "page in the middle by name, by its number", middle),
        get(Group.OTHER, "one user", person),
        get(Group.OTHER, "edit form", f"{person}/edit"),
        Row(Group.SAVE, "saving an edit", save),
    ]


def measure(rows: list[Row], floor: Client, rounds: int) -> Row:
    """Fill the rows' times, and answer the floor's. The first request of each is kept apart."""
    floor_row = Row(Group.FLOOR, "floor", lambda: floor.time_get("/"))
    share = SECONDS * 1000 / len(rows)
    for done in range(rounds + 1):
        for number, row in enumerate(rows):
            if number % PAGES_TO_A_FLOOR == 0:
                _take(floor_row)
            if _is_due(row, done / rounds, share):
                _take(row)
    return floor_row


def _is_due(row: Row, progress: float, share: float) -> bool:
    return (
        not row.first or sum(row.times) < share * progress or len(row.times) < ceil(FEWEST_TIMES * progress)
    )


def _take(row: Row) -> None:
    taken = row.ask()
    if row.first:
        row.times.append(taken)
    else:
        row.first = taken
