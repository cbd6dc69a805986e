"""docs/asvs.md answers each requirement of OWASP ASVS 5.0, L1 and L2, with tests and sections that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from tests.house.test_documents import anchors, read
from webapp.config import ROOT

LEVEL_1 = """
    1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1
    3.4.2 3.5.1 3.5.2 3.5.3 4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5
    6.2.6 6.2.7 6.2.8 6.3.1 6.3.2 6.4.1 6.4.2 7.2.1 7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2
    8.3.1 9.1.1 9.1.2 9.1.3 9.2.1 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 11.3.1 11.3.2 11.4.1 12.1.1 12.2.1
    12.2.2 13.4.1 14.2.1 14.3.1 15.1.1 15.2.1 15.3.1
""".split()
LEVEL_2 = """
    1.1.1 1.1.2 1.2.6 1.2.7 1.2.8 1.2.9 1.3.3 1.3.4 1.3.5 1.3.6 1.3.7 1.3.8 1.3.9 1.3.10 1.3.11 1.4.1
    1.4.2 1.4.3 1.5.2 2.1.2 2.1.3 2.2.3 2.3.2 2.3.3 2.3.4 2.4.1 3.3.2 3.3.3 3.3.4 3.4.3 3.4.4 3.4.5
    3.4.6 3.5.4 3.5.5 3.7.1 3.7.2 4.1.2 4.1.3 4.2.1 4.3.1 4.3.2 4.4.2 4.4.3 4.4.4 5.1.1 5.2.3 5.4.1
    5.4.2 5.4.3 6.1.2 6.1.3 6.2.9 6.2.10 6.2.11 6.2.12 6.3.3 6.3.4 6.4.3 6.4.4 6.5.1 6.5.2 6.5.3 6.5.4
    6.5.5 6.6.1 6.6.2 6.6.3 6.8.1 6.8.2 6.8.3 6.8.4 7.1.1 7.1.2 7.1.3 7.3.1 7.3.2 7.4.3 7.4.4 7.4.5
    7.5.1 7.5.2 7.6.1 7.6.2 8.1.2 8.2.3 8.4.1 9.2.2 9.2.3 9.2.4 10.1.1 10.1.2 10.2.1 10.2.2 10.3.1
    10.3.2 10.3.3 10.3.4 10.4.6 10.4.7 10.4.8 10.4.9 10.4.10 10.4.11 10.5.1 10.5.2 10.5.3 10.5.4 10.5.5
    10.6.1 10.6.2 10.7.1 10.7.2 10.7.3 11.1.1 11.1.2 11.2.1 11.2.2 11.2.3 11.3.3 11.4.2 11.4.3 11.4.4
    11.5.1 11.6.1 12.1.2 12.1.3 12.3.1 12.3.2 12.3.3 12.3.4 13.1.1 13.2.1 13.2.2 13.2.3 13.2.4 13.2.5
    13.3.1 13.3.2 13.4.2 13.4.3 13.4.4 13.4.5 14.1.1 14.1.2 14.2.2 14.2.3 14.2.4 14.3.2 14.3.3 15.1.2
    15.1.3 15.2.2 15.2.3 15.3.2 15.3.3 15.3.4 15.3.5 15.3.6 15.3.7 16.1.1 16.2.1 16.2.2 16.2.3 16.2.4
    16.2.5 16.3.1 16.3.2 16.3.3 16.3.4 16.4.1 16.4.2 16.4.3 16.5.1 16.5.2 16.5.3 17.1.1 17.2.1 17.2.2
    17.2.3 17.2.4 17.3.1 17.3.2
""".split()
MET, NOT_APPLICABLE, WAITS, NOT_MET = "met", "not applicable", "waits for the second factor", "not met"
STATES = (MET, NOT_APPLICABLE, WAITS, NOT_MET)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FEWEST_WORDS = 3


class Row(NamedTuple):
    id: str
    level: str
    asks: str
    state: str
    evidence: str

    @property
    def reason(self) -> str:
        """What the evidence says in words of its own."""
        return LINK.sub("", TEST.sub("", self.evidence)).strip(" ,;.")


def read_rows() -> Iterator[Row]:
    for line in read("docs/asvs.md").splitlines():
        if re.match(r"\| \d", line):
            yield Row(*(cell.strip() for cell in line.strip().strip("|").split(" | ")))


ROWS = list(read_rows())


@cache
def find_tests(file: str) -> frozenset[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_each_requirement_of_both_levels_has_one_row_in_order() -> None:
    levels = {**dict.fromkeys(LEVEL_1, "1"), **dict.fromkeys(LEVEL_2, "2")}
    assert (len(LEVEL_1), len(LEVEL_2), len(levels)) == (70, 183, 253)
    in_order = sorted(levels, key=lambda number: [int(part) for part in number.split(".")])
    assert [(row.id, row.level) for row in ROWS] == [(number, levels[number]) for number in in_order]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_answered(row: Row) -> None:
    assert row.state in STATES
    assert len(row.asks.split()) >= FEWEST_WORDS
    if row.state == MET:
        assert TEST.search(row.evidence) or LINK.search(row.evidence), "by what?"
    else:
        assert row.reason, "why?"
    assert "TODO" not in row.evidence


def test_every_test_that_is_named_exists() -> None:
    named = sorted({found for row in ROWS for found in TEST.findall(row.evidence)})
    assert len(named) > 100
    assert [f"{file}::{name}" for file, name in named if name not in find_tests(file)] == []


def test_nothing_else_is_named_as_a_test() -> None:
    """A slip in a name would be read as words."""
    for row in ROWS:
        assert "::" not in TEST.sub("", row.evidence), row.id


def test_every_section_that_is_linked_exists() -> None:
    for row in ROWS:
        for target in LINK.findall(row.evidence):
            path, _, anchor = target.partition("#")
            file = ROOT / "docs" / path
            assert file.is_file(), f"{row.id}: {target}"
            assert anchor in anchors(file), f"{row.id}: {target}"


def test_of_level_1_all_is_met_that_needs_no_second_factor() -> None:
    assert [row.id for row in ROWS if row.level == "1" and row.state == NOT_MET] == []


def test_the_summary_counts_right() -> None:
    table = {
        state: tuple(sum(row.state == state and row.level == level for row in ROWS) for level in "12")
        for state in STATES
    }
    said = {
        state: (int(one), int(two))
        for state, one, two in re.findall(
            r"^\| ([a-z ]+) \| (\d+) \| (\d+) \|$", read("docs/asvs.md"), re.MULTILINE
        )
    }
    assert said == table
