"""Reading history; filters find just the entries they describe."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from tests.history.ways import DESK, read_rows, write
from tests.listing.ways import forced
from webapp.access.actor import Actor, Door
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.errors import NotFound
from webapp.history.models import ENTRIES
from webapp.history.queries import (
    LISTING,
    find_own,
    find_undone,
    get_story,
    list_stories,
    list_stories_since,
    select_entries,
)
from webapp.history.rules import Kind, segment_of
from webapp.history.services import Subject, record
from webapp.listing.counting import Count
from webapp.listing.page import LAST, PageRequest, count_rows, paginate
from webapp.listing.search import pattern_of, searchable, split_words

# Reading


def test_stories_are_told_newest_first_and_not_more_than_asked(context: Flask) -> None:
    ids = [record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", n)) for n in range(1, 6)]
    record(Kind.EDITED, actor=DESK, subject=Subject(6, "Bob", 1))
    assert [story.id for story in list_stories(5, most=3)] == ids[:1:-1]
    assert [story.id for story in list_stories_since(5, 2)] == ids[:1:-1]
    assert find_own(5, DESK) == ids[-1]
    assert find_own(5, replace(DESK, request_id="r-2")) is None
    assert find_own(99, DESK) is None
    assert list_stories(99, most=3) == list_stories_since(99, 0) == []


@pytest.mark.parametrize("entry_id", [0, 999, 2**31, 2**63 - 1, 2**63, 10**40])
def test_an_entry_that_is_not_there_is_not_found(context: Flask, entry_id: int) -> None:
    with pytest.raises(NotFound):
        get_story(entry_id)


def test_which_were_undone_is_told(context: Flask) -> None:
    ids = [record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", 1)) for _ in range(3)]
    record(Kind.EDITED, actor=DESK, subject=Subject(5, "Ann", 1), undoes_id=ids[1])
    assert find_undone(ids) == {ids[1]}
    assert find_undone([]) == frozenset()


# Filters, against an oracle

KINDS = (Kind.EDITED, Kind.DELETED, Kind.SIGNED_IN)
DOORS = (Door.PAGE, Door.COMMAND)
NAMES = ("Ann Lee", "Zoë Adler", "Bob Lee-Adler", "")
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def stock(app: Flask) -> None:
    """Entries of all kinds, doors, persons and hours, some at the very same moment."""
    combinations = list(product(KINDS, DOORS, (1, 2, None), (1, 3, None)))

    @atomic
    def write_all() -> None:
        for number, (kind, door, subject_id, actor_id) in enumerate(combinations):
            actor_name = NAMES[number % 4]
            actor = Actor(user_id=actor_id, name=actor_name, role=Role.SUPPORT, door=door)
            subject = Subject(subject_id, NAMES[number % 3]) if subject_id else None
            record(kind, actor=actor, subject=subject)
        for row in get_session().execute(select(ENTRIES.c.id)).all():
            at = MIDNIGHT + timedelta(hours=row.id // 2)
            get_session().execute(update(ENTRIES).where(ENTRIES.c.id == row.id).values(at=at))

    with app.app_context():
        write_all()


asked = st.fixed_dictionaries(
    {},
    optional={
        "words": st.sampled_from(["lee", "adler", "ad", "zoe lee", "l", "nobody"]).map(split_words),
        "subject_id": st.sampled_from([1, 2, 9]),
        "actor_id": st.sampled_from([1, 3, 9]),
        "kind": st.sampled_from([*KINDS, Kind.PURGED]),
        "door": st.sampled_from([*DOORS, Door.API]),
        "since": st.integers(-1, 30).map(lambda hours: MIDNIGHT + timedelta(hours=hours)),
        "before": st.integers(-1, 30).map(lambda hours: MIDNIGHT + timedelta(hours=hours)),
    },
)


def expected(rows: list[Any], asked: dict[str, Any]) -> list[int]:
    """The ids, newest first, by looking at each row."""

    def fits(row: Any) -> bool:
        return (
            all(pattern_of(word) in row.search_text for word in asked.get("words", ()))
            and asked.get("subject_id") in {None, row.subject_id}
            and asked.get("actor_id") in {None, row.actor_id}
            and asked.get("kind") in {None, row.kind}
            and asked.get("door") in {None, row.door}
            and ("since" not in asked or asked["since"] <= row.at)
            and ("before" not in asked or row.at < asked["before"])
        )

    found = sorted((row for row in rows if fits(row)), key=lambda row: (row.at, row.id), reverse=True)
    return [row.id for row in found]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=asked, size=st.sampled_from([1, 3, 7, 50]))
def test_filters_and_paging_find_what_looking_at_each_row_finds(
    app: Flask, asked: dict[str, Any], size: int
) -> None:
    if not read_rows(app):
        stock(app)
    wanted = expected(read_rows(app), asked)
    assert page_forward(app, asked, size) == (wanted, {len(wanted)})
    assert page_backward(app, asked, size) == wanted


def page_forward(app: Flask, asked: dict[str, Any], size: int) -> tuple[list[int], set[int]]:
    """The ids of all pages from the first to the last; and the counts that they told."""
    ids: list[int] = []
    counts = set()
    after = None
    with app.app_context():
        while True:
            where = PageRequest(sort="-at", size=size, after=after)
            page = paginate(get_session(), LISTING, select_entries(**asked), where)
            ids += [row.id for row in page.rows]
            counts.add(page.count.value)
            after = page.next
            if after is None:
                return ids, counts


def page_backward(app: Flask, asked: dict[str, Any], size: int) -> list[int]:
    """The same from the last page to the first."""
    ids: list[int] = []
    before: str | None = LAST
    with app.app_context():
        while before is not None:
            where = PageRequest(sort="-at", size=size, before=before)
            page = paginate(get_session(), LISTING, select_entries(**asked), where)
            ids[:0] = [row.id for row in page.rows if row.id not in ids]  # the first page is always full
            before = page.previous
    return ids


def test_an_entry_is_in_the_segment_of_its_kind_and_door(app: Flask) -> None:
    stock(app)
    for row in read_rows(app):
        assert row.segment == segment_of(Kind(row.kind), Door(row.door))


def test_a_search_is_about_the_names_of_both(app: Flask) -> None:
    write(app, 1)
    (row,) = read_rows(app)
    assert row.search_text == searchable("Person 0", "Desk Person")


def test_a_short_word_is_counted_in_the_entries_of_one_alone(context: Flask) -> None:
    """The search's index says of no entry who made it, so it is not believed that there are many."""
    other = replace(DESK, user_id=78)
    for number in range(12):
        for actor, name in ((DESK, "Joe" if number < 3 else "Bob"), (other, "Joe")):
            record(Kind.EDITED, actor=actor, subject=Subject(number, name, 1), changes={})
    selection = select_entries(words=split_words("joe"), actor_id=DESK.user_id)
    few = {"MOST_GATHERED": 5, "MOST_LOOKED_AT": 1}
    with forced(few, most_counted=4):
        page = paginate(get_session(), LISTING, selection, PageRequest(sort="-at"))
        assert (page.count, len(page.rows)) == (Count(3), 3)
        assert count_rows(get_session(), LISTING, selection) == Count(3)
