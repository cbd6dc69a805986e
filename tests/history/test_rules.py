"""The hash of an entry: the same for the same facts, another as soon as one of them is another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from webapp.access.actor import Door
from webapp.history.rules import (
    DOOR_LABELS,
    DOOR_LETTERS,
    KIND_LABELS,
    KIND_LETTERS,
    START,
    Kind,
    canonical,
    digest,
    link,
    segment_of,
)
from webapp.listing.definition import SEGMENT_NAME

values = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
facts = st.dictionaries(st.text(max_size=5), values, max_size=5)

# What stands in databases: a kind's or a door's letter may be added, and never be given to another.
STORED_KINDS = {
    "created": "a",
    "edited": "b",
    "activated": "c",
    "deactivated": "d",
    "deleted": "e",
    "password_set": "f",
    "link_made": "g",
    "signed_out_everywhere": "h",
    "signed_in": "i",
    "sign_in_failed": "j",
    "signed_out": "k",
    "device_signed_out": "l",
    "refused": "m",
    "loaded": "n",
    "restored": "o",
    "purged": "p",
}
STORED_DOORS = {"page": "p", "command": "c", "api": "a", "import": "i"}


def test_a_letter_stays_what_it_is_in_every_database() -> None:
    assert STORED_KINDS.items() <= {kind.value: letter for kind, letter in KIND_LETTERS.items()}.items()
    assert {door.value: letter for door, letter in DOOR_LETTERS.items()} == STORED_DOORS


def test_every_kind_through_every_door_has_a_segment_of_its_own() -> None:
    segments = [segment_of(kind, door) for kind in Kind for door in Door]
    assert len(set(segments)) == len(segments)
    assert all(SEGMENT_NAME.fullmatch(segment) for segment in segments)


def test_every_kind_and_every_door_has_its_words() -> None:
    assert set(KIND_LABELS) == set(Kind)
    assert set(DOOR_LABELS) == set(Door)
    assert len(set(KIND_LABELS.values())) == len(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_fits_its_column(kind: Kind) -> None:
    assert len(kind.value) <= 32


@given(facts=facts)
def test_the_order_of_the_facts_does_not_matter(facts: dict[str, Any]) -> None:
    assert canonical(facts) == canonical(dict(reversed(facts.items())))
    assert link(START, facts) == link(START, dict(reversed(facts.items())))


@given(one=facts, other=facts)
def test_other_facts_have_another_hash(one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(canonical(one) != canonical(other))
    assert link(START, one) != link(START, other)


@given(name=st.text(), value=st.text(), other=st.text())
def test_what_is_changed_in_a_value_changes_the_hash(name: str, value: str, other: str) -> None:
    assume(value != other)
    assert link(START, {name: value}) != link(START, {name: other})


def test_a_number_is_no_text_and_nothing_is_no_empty_text() -> None:
    texts = [link(START, {"version": value}) for value in (1, "1", True, None, "", "None", 1.5)]
    assert len(set(texts)) == len(texts)


def test_the_hash_depends_on_all_that_came_before() -> None:
    def chain(*names: str) -> str:
        previous = START
        for name in names:
            previous = link(previous, {"name": name})
        return previous

    assert chain("a", "b", "c") == chain("a", "b", "c")
    chains = {chain("a", "b", "c"), chain("x", "b", "c"), chain("b", "a", "c"), chain("a", "c"), chain()}
    assert len(chains) == 5


def test_one_moment_has_one_hash_in_whatever_zone_it_is_told() -> None:
    """SQLite keeps no zone and Postgres answers in its own."""
    moment = datetime(2026, 3, 12, 9, 41, 0, 5, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert link(START, {"at": moment}) == link(START, {"at": elsewhere})
    assert link(START, {"at": moment}) != link(START, {"at": moment + timedelta(microseconds=1)})


@given(text=st.text(st.characters()))
def test_any_text_has_a_digest(text: str) -> None:
    """Lone surrogates too: a header of a broken client may hold one."""
    assert len(digest(text)) == len(START)
    assert digest(text) != digest(f"{text}.")
