"""What is asked of the list: searches of many kinds, filters that keep much and little, every sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import NamedTuple
from urllib.parse import urlencode

SORTS = (
    *("id", "-id", "name", "-name", "email", "-email"),
    *("created_at", "-created_at", "last_sign_in_at", "-last_sign_in_at"),
)
FILTERS: dict[str, dict[str, str]] = {
    "all": {},
    "active": {"status": "active"},
    "inactive": {"status": "inactive"},
    "auditors": {"role": "auditor"},
    "invited support": {"status": "invited", "role": "support"},
    "created 2024": {"created_from": "2024-01-01", "created_to": "2024-12-31"},
    "created in a week": {"created_from": "2025-03-03", "created_to": "2025-03-09"},
    "inactive of 2024": {"status": "inactive", "created_from": "2024-01-01", "created_to": "2024-12-31"},
}
SEARCHES: dict[str, str] = {
    "one person": "novakova2",
    "an e-mail": "jean-luc.prevost0@example.org",
    "a first name": "maria",
    "a frequent part": "mar",
    "a family name": "garcía",
    "two words": "garcia ana",
    "two frequent words": "maria example",
    "accents": "Nováková",
    "another script": "李",
    "digits": "123",
    "a domain": "example.org",
    "one letter": "m",
    "two letters": "jo",
    "a rare letter": "ŵ",
    "a sign": "%",
    "signs": "_._",
    "nobody": "xyzzy",
    "nobody of two words": "maria xyzzy",
}
ANY_SEARCH = {"no search": "", **SEARCHES}
STRIDE = 17  # odd, so that going on by it every filter meets every sort before one pair comes again


class Combination(NamedTuple):
    """One way to ask for the list, by the names of its search and its filter."""

    search: str
    filter: str
    sort: str

    @property
    def label(self) -> str:
        return " · ".join(self)

    @property
    def query(self) -> dict[str, str]:
        return {"q": ANY_SEARCH[self.search], **FILTERS[self.filter], "sort": self.sort}

    @property
    def path(self) -> str:
        return path_of(self.query)


def all_combinations() -> Iterator[Combination]:
    """Each search, and none, with each filter and each sort: more than a thousand."""
    return (Combination(*names) for names in product(ANY_SEARCH, FILTERS, SORTS))


def some_combinations() -> Iterator[Combination]:
    """The same few dozen each time, spread evenly over all."""
    return islice(all_combinations(), 0, None, STRIDE)


def path_of(query: Mapping[str, str], **where: str) -> str:
    """The address of the list."""
    return "/users/?" + urlencode({name: value for name, value in {**query, **where}.items() if value})


def call_of(*, page: int, page_size: int = 50) -> str:
    """The address of the same list for programs, in the order of arrival."""
    return f"/api/v1/users?page_size={page_size}&page={page}"
