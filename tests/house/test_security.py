"""The numbers in docs/security.md are those of the code."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.house.test_documents import REQUIRED, read
from webapp.config import Settings

UNITS: dict[str, object] = {
    "": 1,
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "day": timedelta(days=1),
    "days": timedelta(days=1),
    "KiB": 1024,
    "MiB": 1024 * 1024,
}
# What the end of a name says of a plain number.
ENDINGS = {
    "_SECONDS": timedelta(seconds=1),
    "_MINUTES": timedelta(minutes=1),
    "_HOURS": timedelta(hours=1),
    "_DAYS": timedelta(days=1),
}


def read_limits() -> Iterator[tuple[str, str]]:
    """Each as (name of the constant or the setting, value)."""
    (section,) = re.findall(r"^## Limits\n(.*?)(?=^## )", read("docs/security.md"), re.MULTILINE | re.DOTALL)
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| limit "):
            _limit, value, name = (cell.strip() for cell in line.strip("|").split("|"))
            yield name.strip("`"), value


def parse(text: str) -> object:
    found = re.fullmatch(r"([\d,]+) ?([A-Za-z]*)", text)
    assert found, text
    return int(found[1].replace(",", "")) * UNITS[found[2]]  # type: ignore[operator]


def value_of(name: str) -> object:
    if "." in name:
        module, _, constant = name.rpartition(".")
        value = getattr(importlib.import_module(f"webapp.{module}"), constant)
    else:
        value = getattr(Settings.from_environment(REQUIRED), name.lower())
    unit = next((unit for ending, unit in ENDINGS.items() if name.endswith(ending)), None)
    return value * unit if unit and isinstance(value, int) else value


LIMITS = list(read_limits())


def test_each_limit_stands_there_once() -> None:
    names = [name for name, _ in LIMITS]
    assert len(names) > 30
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "value"), LIMITS)
def test_a_limit_has_the_value_that_the_code_has(name: str, value: str) -> None:
    assert parse(value) == value_of(name)
