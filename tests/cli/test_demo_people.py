"""Generated people: always the same, cut anywhere, all of them valid and nobody's address."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from webapp.access.permissions import Role
from webapp.cli.demo_people import Person, generate_people
from webapp.users.rules import clean_email, clean_full_name, email_key

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)


def people(count: int, *, seed: int = 1, start: int = 0, until: datetime = UNTIL) -> list[Person]:
    return list(generate_people(count, seed=seed, until=until, start=start))


def test_the_same_seed_gives_the_same_people_and_another_gives_others() -> None:
    assert people(500) == people(500)
    assert people(500) != people(500, seed=2)


@pytest.mark.parametrize("cut", [1, 499, 1000, 1024, 4999])
def test_a_large_run_may_be_cut_anywhere(cut: int) -> None:
    assert people(cut) + people(5000 - cut, start=cut) == people(5000)


def test_every_one_is_valid_as_it_is() -> None:
    for person in people(3000):
        assert clean_full_name(person.full_name) == person.full_name != ""
        assert clean_email(person.email) == person.email
        assert person.role in set(Role)


def test_no_two_have_one_address_over_seeds_and_runs() -> None:
    keys = [email_key(person.email) for person in people(20_000) + people(20_000, seed=2, start=20_000)]
    assert len(set(keys)) == len(keys)


def test_no_address_can_reach_anybody() -> None:
    domains = {person.email.partition("@")[2] for person in people(3000)}
    reserved = ("example", "example.com", "example.org", "example.net", "test", "invalid", "internal")
    for domain in domains:
        assert any(domain == name or domain.endswith(f".{name}") for name in reserved), domain


def test_their_times_are_possible() -> None:
    for person in people(3000):
        assert UNTIL - timedelta(days=3700) < person.created_at < UNTIL
        if person.last_sign_in_at is not None:
            assert person.created_at <= person.last_sign_in_at < UNTIL


def test_they_are_of_many_kinds() -> None:
    everyone = people(5000)
    roles = Counter(person.role for person in everyone)
    assert roles["member"] > 4000
    assert set(roles) == set(Role)
    for share in (
        sum(person.is_active for person in everyone),
        sum(person.has_password for person in everyone),
        sum(person.last_sign_in_at is not None for person in everyone),
    ):
        assert 1000 < share < 5000
    assert sum(not person.full_name.isascii() for person in everyone) > 1000


def test_nobody_is_asked_for_and_nobody_comes() -> None:
    assert people(0) == []
