"""What the numbers must keep: a cost near that of a bare page, however many users there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.measure import Group
from bench.report import Result

LISTS = (Group.PAGE, Group.SORT, Group.FILTER)
# In floors, at a million users.
MOST_OF_A_LIST = 5.0
MOST_OF_THE_MEDIAN_SEARCH = {"SQLite": 12.0, "Postgres": 20.0}
MOST_OF_A_SEARCH = {"SQLite": 30.0, "Postgres": 60.0}
MOST_OF_A_SAVE = 15.0
MOST_OF_A_CALL = 4.0  # the first page of the API
# Ten million users beside a thousand.
MOST_GROWTH = 1.5
MOST_MS_OF_A_COMBINATION = {"SQLite": 150.0, "Postgres": 500.0}
MOST_MB = 150.0


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    value: float
    most: float
    unit: str

    @property
    def is_kept(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        word = "within" if self.is_kept else "ABOVE "
        return f"{word}  {self.what}: {self.value:.1f}, at most {self.most:g} {self.unit}"


def check(results: list[Result]) -> Iterator[Verdict]:
    """Each limit that these results say something about."""
    found = {(result.title, result.size.label): result for result in results}
    for result in results:
        if result.memory is not None:
            yield Verdict(f"{result.heading}: memory", result.memory, MOST_MB, "MB")
        if result.size.label == "1m":
            yield from _check_million(result)
        if result.size.label == "10m":
            slowest = result.slowest(Group.COMBINATION)
            what = f"{result.heading}: slowest combination ({slowest.label})"
            yield Verdict(what, slowest.p50, MOST_MS_OF_A_COMBINATION[result.title], "ms")
            if small := found.get((result.title, "1k")):
                yield _check_growth(small, result)


def _check_million(result: Result) -> Iterator[Verdict]:
    def verdict(of: str, value: float, most: float) -> Verdict:
        return Verdict(f"{result.heading}: {of}", value, most, "× floor")

    for groups, most in (
        (LISTS, MOST_OF_A_LIST),
        ((Group.SEARCH,), MOST_OF_A_SEARCH[result.title]),
        ((Group.SAVE,), MOST_OF_A_SAVE),
    ):
        slowest = result.slowest(*groups)
        yield verdict(slowest.label, result.ratio(slowest), most)
    first_call = result.rows_of(Group.API)[0]
    yield verdict(first_call.label, result.ratio(first_call), MOST_OF_A_CALL)
    yield verdict("the median search", result.median_search(), MOST_OF_THE_MEDIAN_SEARCH[result.title])


def _check_growth(small: Result, large: Result) -> Verdict:
    """The list that grew most. One that finds less than a page among few users costs less there than a
    page does, so that a small first page is the least that any is compared with.
    """
    before = {row.label: small.ratio(row) for row in small.rows_of(*LISTS)}
    least = small.ratio(small.rows[0])
    growth = {row.label: large.ratio(row) / max(before[row.label], least) for row in large.rows_of(*LISTS)}
    label = max(growth, key=lambda label: growth[label])
    return Verdict(f"{large.heading}: {label}", growth[label], MOST_GROWTH, "× the same of 1,000 users")
