"""Generated people for ``flask seed``: names of many languages, reserved mail domains, plausible dates.

The names are in ``demo_names.toml``.

`generate_people` is pure: the same arguments always give the same people, and the person with a
given running number depends on the seed and `until` alone, so that a large run may be cut into
several (`start`) without changing it. Every e-mail address ends, before its ``@``, with a letter
followed by the running number: two different numbers can therefore never share an address.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")
_NAMES = Path(__file__).with_name("demo_names.toml")


@dataclass(frozen=True, slots=True)
class Person:
    """One generated person, ready to be stored."""

    full_name: str
    email: str
    role: str
    is_active: bool
    has_password: bool
    created_at: datetime
    last_sign_in_at: datetime | None


# A frozen dataclass fills itself through object.__setattr__; its slots' own setters take half the time.
_blank = object.__new__
(
    _set_full_name,
    _set_email,
    _set_role,
    _set_is_active,
    _set_has_password,
    _set_created_at,
    _set_last_sign_in_at,
) = (vars(Person)[field.name].__set__ for field in fields(Person))


# Letters that do not decompose into a base letter and an accent.
_SPECIAL_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "ß": "ss", "ı": "i", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d"}
    | {"þ": "th", "Þ": "th", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", " ": "", "'": "", "’": ""}
)

# Chances are whole numbers: `_table` lays them out, and a plain choice among equals is the fastest.
_ROLES = (("member", 990), ("support", 5), ("auditor", 3), ("administrator", 2))  # per thousand
_ACTIVE = ((True, 23), (False, 2))  # 92 %
_PASSWORD = ((True, 47), (False, 3))  # 94 %
_SIGNED_IN = ((True, 9), (False, 1))  # 90 % of those who have a password
_ADDRESS_STYLES = (("first.last", 45), ("flast", 20), ("first_last", 13), ("last.first", 12), ("f.last", 10))

_TEN_YEARS = 3652 * 24 * 60 * 60  # seconds
_YOUNGEST = 120  # seconds: nobody is created later than this before `until`

# People are drawn in blocks of this many, each block with a generator of its own.
_BLOCK = 2048


class _Name(NamedTuple):
    shown: str
    latin: str


class _Pool(NamedTuple):
    given: tuple[_Name, ...]
    given_count: int
    family: tuple[_Name, ...]
    family_count: int
    family_first: bool
    joiner: str


class _Tables(NamedTuple):
    """Everything a person is drawn from, each value as many times as it has chances."""

    pools: tuple[_Pool, ...]
    domains: tuple[str, ...]
    roles: tuple[str, ...]
    flags: tuple[tuple[bool, bool, bool], ...]  # is active, has a password, has signed in
    styles: tuple[str, ...]


def _latin(name: str) -> str:
    """Return the ASCII form of a Latin-script name: no accents, no spaces, lower case."""
    decomposed = unicodedata.normalize("NFD", name.translate(_SPECIAL_LETTERS))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower()


def _names(words: str) -> tuple[_Name, ...]:
    names = []
    for word in words.split():
        shown, _, latin = word.partition(":")
        shown = unicodedata.normalize("NFC", shown.replace("_", " "))
        names.append(_Name(shown, latin or _latin(shown)))
    return tuple(names)


def _pool(language: Mapping[str, Any]) -> _Pool:
    given, family = _names(language["given"]), _names(language["family"])
    if two_families := language.get("two_families"):
        family = tuple(
            _Name(f"{one.shown} {two.shown}", one.latin if two_families == "first" else two.latin)
            for one in family
            for two in family
            if one != two
        )
    family_first, joiner = language.get("family_first", False), language.get("joiner", " ")
    return _Pool(given, len(given), family, len(family), family_first, joiner)


def _table(chances: Iterable[tuple[_T, int]]) -> tuple[_T, ...]:
    return tuple(value for value, times in chances for _ in range(times))


@cache
def _tables() -> _Tables:
    """Return the tables, read on first use: importing this module stays cheap."""
    names = tomllib.loads(_NAMES.read_text(encoding="utf-8"))
    flags = (
        ((is_active, has_password, has_password and signed_in), active * password * signed)
        for is_active, active in _ACTIVE
        for has_password, password in _PASSWORD
        for signed_in, signed in _SIGNED_IN
    )
    return _Tables(
        pools=_table((_pool(language), language["weight"]) for language in names["languages"]),
        domains=_table((domain["name"], domain["weight"]) for domain in names["domains"]),
        roles=_table(_ROLES),
        flags=_table(flags),
        styles=_table(_ADDRESS_STYLES),
    )


def generate_people(count: int, *, seed: int, until: datetime, start: int = 0) -> Iterator[Person]:
    """Return `count` people numbered from `start`, created in the ten years before `until`.

    Addresses are unique for all the numbers together, whatever the seed, with and without regard to case.
    Raises `ValueError` at once when `count` or `start` is negative or `until` is naive.
    """
    if count < 0 or start < 0:
        raise ValueError("count and start must not be negative")
    if until.tzinfo is None or until.utcoffset() is None:
        raise ValueError("until must be an aware datetime")
    return _generate(start, start + count, seed, until.astimezone(UTC).replace(microsecond=0))


def _generate(start: int, stop: int, seed: int, until: datetime) -> Iterator[Person]:
    tables = _tables()
    now = int(until.timestamp())
    moment = datetime.fromtimestamp  # cheaper than subtracting a timedelta
    newest = _TEN_YEARS - _YOUNGEST

    for block in range(start // _BLOCK, -(-stop // _BLOCK)):
        first = block * _BLOCK
        rng = Random(f"{seed}/{block}")
        random = rng.random
        draws = zip(
            range(first, first + _BLOCK),
            rng.choices(tables.pools, k=_BLOCK),
            rng.choices(tables.domains, k=_BLOCK),
            rng.choices(tables.roles, k=_BLOCK),
            rng.choices(tables.flags, k=_BLOCK),
            rng.choices(tables.styles, k=_BLOCK),
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            strict=True,
        )
        wanted = islice(draws, max(start - first, 0), min(stop - first, _BLOCK))
        for number, pool, domain, role, flags, style, r_given, r_family, r_age, r_seen in wanted:
            givens, given_count, families, family_count, family_first, joiner = pool
            given, given_latin = givens[int(r_given * given_count)]
            family, family_latin = families[int(r_family * family_count)]
            is_active, has_password, has_signed_in = flags

            # Whatever the style, a letter comes right before the number: the number is unambiguous.
            if style == "first.last":
                email = f"{given_latin}.{family_latin}{number}@{domain}"
            elif style == "flast":
                email = f"{given_latin[0]}{family_latin}{number}@{domain}"
            elif style == "first_last":
                email = f"{given_latin}_{family_latin}{number}@{domain}"
            elif style == "last.first":
                email = f"{family_latin}.{given_latin}{number}@{domain}"
            else:
                email = f"{given_latin[0]}.{family_latin}{number}@{domain}"

            # Seconds before `until`: more than a fifth of the people came in the last tenth of the time.
            age = _YOUNGEST + int(newest * r_age * (0.3 + 0.7 * r_age))
            seen: datetime | None = None
            if has_signed_in:
                # Most active people were here lately; the others stopped at any time.
                recency = r_seen**6 if is_active else r_seen
                seen = moment(now - 1 - int((age - 2) * recency), UTC)

            person = _blank(Person)
            _set_full_name(person, f"{family}{joiner}{given}" if family_first else f"{given}{joiner}{family}")
            _set_email(person, email)
            _set_role(person, role)
            _set_is_active(person, is_active)
            _set_has_password(person, has_password)
            _set_created_at(person, moment(now - age, UTC))
            _set_last_sign_in_at(person, seen)
            yield person
