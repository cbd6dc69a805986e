"""GET /users/: the URL is the list's whole state, every link keeps it, and nothing is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import MakeUser, SignedIn, empty_tables, insert_users, make_settings, user_maker
from tests.listing.ways import forced
from tests.pages.asking import assert_get_asks_to_sign_in, assert_get_writes_nothing, text_of
from tests.pages.form_reader import read_form, read_forms
from tests.visitor import Visitor, field_value
from webapp import create_app
from webapp.access.permissions import Role
from webapp.db import init_db
from webapp.extensions import sqla
from webapp.users.models import User

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rows_of(page: str) -> list[int]:
    return [int(row) for row in re.findall(r'<tr id="u(\d+)"', page)]


def link_of(page: str, element_id: str) -> str | None:
    """Where the link with this id leads; None when it leads nowhere."""
    tag = re.search(rf'<a[^>]*\bid="{element_id}"[^>]*>', page)
    assert tag, f"there is no link {element_id}"
    target = re.search(r'\bhref="([^"]*)"', tag[0])
    return unescape(target[1]) if target else None


def row_link(page: str, user_id: int) -> str:
    row = re.search(rf'<tr id="u{user_id}">.*?<a [^>]*href="([^"]*)"', page, re.DOTALL)
    assert row
    return unescape(row[1])


def chosen(page: str, select: str) -> str:
    body = re.search(rf'<select[^>]*name="{select}".*?</select>', page, re.DOTALL)
    assert body
    option = re.search(r"<option[^>]*\bselected\b[^>]*>", body[0])
    value = re.search(r'value="([^"]*)"', option[0]) if option else None
    return value[1] if value else ""


@pytest.fixture
def people(make_user: MakeUser) -> list[User]:
    """45 people: more than two pages of 20."""
    return [
        make_user(
            full_name=f"Ann Number {number:02}",
            email=f"ann{number:02}@example.org",
            created_at=START + timedelta(hours=number),
            is_active=number % 2 == 0,
        )
        for number in range(45)
    ]


def test_it_shows_who_there_is(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor = signed_in("administrator")
    support = make_user(full_name="Zoë Adler", email="zoe@example.org", role=Role.SUPPORT)
    invited = make_user(full_name="", email="nameless@example.org", hashed_password=None)
    inactive = make_user(full_name="Last One", is_active=False, last_sign_in_at=START)
    page = text_of(visitor.get("/users/"))
    assert visitor.user is not None
    assert rows_of(page) == [visitor.user.id, inactive.id, invited.id, support.id]
    for shown in ("Zoë Adler", "zoe@example.org", "Support", "nameless@example.org", "Invited", "Inactive"):
        assert shown in page
    assert 'datetime="2026-03-01T12:00:00Z"' in page
    assert "2026-03-01 12:00:00 UTC" in page
    assert re.search(r'id="count"[^>]*>\s*4\s*<', page)


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, "/users/?q=ann&sort=-created_at")


def test_a_member_is_nobody_here(app: Flask, make_user: MakeUser) -> None:
    assert Visitor(app, make_user()).get("/users/").status_code == 303


@pytest.mark.parametrize(
    ("role", "may_create"), [("auditor", False), ("support", True), ("administrator", True)]
)
def test_who_may_read_sees_it_and_who_may_create_can(
    signed_in: SignedIn, role: str, may_create: bool
) -> None:
    answer = signed_in(role).get("/users/")
    assert answer.status_code == 200
    assert ('href="/users/new"' in answer.text) is may_create


def test_looking_writes_nothing(signed_in: SignedIn, people: list[User]) -> None:
    assert_get_writes_nothing(signed_in(), "/users/?q=ann&page_size=20&page=2")


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("", 3),
        ("?before=end", 3),
        ("?sort=-name&status=active&role=member", 3),
        ("?page=2&page_size=20", 4),
        ("?created_from=2026-01-01&sort=-created_at", 4),
        ("?created_from=2026-01-01", 5),
        ("?q=ann", 5),
        ("?q=ann&status=active&role=member&created_from=2026-01-01", 5),
    ],
)
def test_it_takes_few_queries_whatever_is_asked(
    signed_in: SignedIn,
    people: list[User],
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    query: str,
    most: int,
) -> None:
    """Who is signed in, the rows and their count; a jump counts rows off, a search or a period is probed."""
    visitor = signed_in()
    with count_queries() as statements:
        assert visitor.get(f"/users/{query}").status_code == 200
    assert 2 <= len(statements) <= most, statements


def test_the_answer_is_small(signed_in: SignedIn, make_user: MakeUser) -> None:
    for number in range(50):
        make_user(
            full_name=f"Maximiliane Wachtmeister-Lindqvist {number}",
            email=f"maximiliane.wachtmeister{number}@mail.example.org",
            role=Role.ADMINISTRATOR,
            last_sign_in_at=START,
        )
    page = signed_in().get("/users/?q=maximiliane+wachtmeister&sort=-created_at&role=administrator").text
    assert len(rows_of(page)) == 50
    assert len(page.encode()) <= 46 * 1024


STATE = "q=ann&status=active&role=member&created_from=2026-01-01&created_to=2026-12-31&page_size=20"


def test_the_form_shows_the_state_of_the_url(signed_in: SignedIn, people: list[User]) -> None:
    page = signed_in().get(f"/users/?{STATE}&sort=-created_at").text
    assert field_value(page, "q") == "ann"
    assert field_value(page, "created_from") == "2026-01-01"
    assert field_value(page, "created_to") == "2026-12-31"
    assert (chosen(page, "status"), chosen(page, "role"), chosen(page, "page_size")) == (
        "active",
        "member",
        "20",
    )
    assert field_value(page, "sort") == "-created_at"


def test_every_link_keeps_the_state(signed_in: SignedIn, people: list[User]) -> None:
    visitor = signed_in()
    page = visitor.get(f"/users/?{STATE}").text
    for element_id in (
        "sort-name",
        "sort-email",
        "sort-created_at",
        "sort-last_sign_in_at",
        "page-next",
        "page-last",
    ):
        link = link_of(page, element_id)
        assert link is not None
        assert link.startswith(f"/users/?{STATE}"), element_id
        assert visitor.get(link).status_code == 200


def test_the_form_for_jumping_keeps_the_state(signed_in: SignedIn, people: list[User]) -> None:
    page = signed_in().get(f"/users/?{STATE}&sort=-email").text
    fields = next(form.fields for form in read_forms(page) if "page" in form.fields)
    assert fields.pop("page") == "1"
    assert "&".join(f"{name}={value}" for name, value in fields.items()) == "&".join(
        sorted(f"{STATE}&sort=-email".split("&"), key=lambda pair: list(fields).index(pair.split("=")[0]))
    )


@pytest.mark.parametrize("sort", ["name", "-name", "email", "-created_at", "last_sign_in_at"])
@pytest.mark.parametrize("query", ["page_size=20", "page_size=20&q=ann"])
def test_the_pager_leads_through_every_row_once_and_back(
    signed_in: SignedIn, people: list[User], sort: str, query: str
) -> None:
    visitor = signed_in()
    pages: list[list[int]] = []
    url: str | None = f"/users/?{query}&sort={sort}"
    page = ""
    while url:
        page = visitor.get(url).text
        pages.append(rows_of(page))
        url = link_of(page, "page-next")
    shown = [row for rows in pages for row in rows]
    assert len(shown) == len(set(shown)) == 45 + (query == "page_size=20")
    backwards = [rows_of(page)]
    while url := link_of(page, "page-previous"):
        page = visitor.get(url).text
        backwards.append(rows_of(page))
    assert backwards[::-1] == pages
    last = link_of(visitor.get(f"/users/?{query}&sort={sort}").text, "page-last")
    assert last is not None
    assert shown[-20:] == rows_of(visitor.get(last).text)


@pytest.mark.parametrize(
    ("sort", "head", "direction", "turned"),
    [
        ("", "name", "ascending", "-name"),
        ("name", "name", "ascending", "-name"),
        ("-name", "name", "descending", None),
        ("email", "email", "ascending", "-email"),
        ("created_at", "created_at", "ascending", "-created_at"),
        ("-created_at", "created_at", "descending", "created_at"),
        ("-last_sign_in_at", "last_sign_in_at", "descending", "last_sign_in_at"),
    ],
)
def test_the_sorted_column_says_so_and_its_head_turns_the_sort(
    signed_in: SignedIn, people: list[User], sort: str, head: str, direction: str, turned: str | None
) -> None:
    page = signed_in().get(f"/users/?sort={sort}").text
    assert re.findall(r'aria-sort="(\w+)"', page) == [direction]
    link = link_of(page, f"sort-{head}")
    assert link == (f"/users/?sort={turned}" if turned else "/users/")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("page_size=20&q=ann", "1–20 of 45"),
        ("page_size=20&q=ann&page=2", "21–40 of 45"),
        ("page_size=20&q=ann&page=3", "41–45 of 45"),
        ("page_size=20&q=ann&before=end", "26–45 of 45"),
        ("q=number+07", "1–1 of 1"),
    ],
)
def test_the_range_is_told(signed_in: SignedIn, people: list[User], query: str, text: str) -> None:
    assert text in text_of(signed_in().get(f"/users/?{query}"))


def test_a_page_past_the_end_says_so_and_leads_back(signed_in: SignedIn, people: list[User]) -> None:
    visitor = signed_in()
    answer = visitor.get("/users/?q=ann&page_size=20&page=4")
    assert answer.status_code == 200
    assert "Page 4 is past the end" in answer.text
    assert 'href="/users/?q=ann&amp;page_size=20"' in answer.text


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("q=ann", False),
        ("created_from=2020-01-01", False),
        ("created_from=2020-01-01&sort=created_at", True),
        ("", True),
    ],
)
def test_a_page_that_is_too_far_says_so_and_offers_no_number(
    signed_in: SignedIn, people: list[User], query: str, is_there: bool
) -> None:
    visitor = signed_in()
    with forced({}, most_counted=30):
        answer = visitor.get(f"/users/?{query}&page_size=20&page=2")
        assert ("This page cannot be jumped to" in answer.text) is not is_there
        assert ("21–40 of" in text_of(answer)) is is_there
        first = visitor.get(f"/users/?{query}&page_size=20")
        assert bool(re.search(r'id="page"[^>]* max=', first.text)) is is_there
    assert "is past the end" not in answer.text


@pytest.mark.parametrize("cursor", ["after=zzz", "before=zzz", "after=WyJuYW1lIl0", "after=%00", "after=%FF"])
def test_a_damaged_cursor_is_said_and_shows_the_first_page(
    signed_in: SignedIn, people: list[User], cursor: str
) -> None:
    visitor = signed_in()
    answer = visitor.get(f"/users/?q=ann&page_size=20&{cursor}")
    assert answer.status_code == 200
    assert "damaged" in answer.text
    assert rows_of(answer.text) == rows_of(visitor.get("/users/?q=ann&page_size=20").text)


def test_a_cursor_of_another_sort_is_no_cursor_of_this(signed_in: SignedIn, people: list[User]) -> None:
    visitor = signed_in()
    link = link_of(visitor.get("/users/?page_size=20&sort=email").text, "page-next")
    assert link is not None
    assert "damaged" in visitor.get(link.replace("sort=email", "sort=-email")).text


@pytest.mark.parametrize(
    ("query", "field", "text"),
    [
        ("status=king", "status", "Choose one of: active, invited, inactive."),
        ("role=king", "role", "Choose one of: member,"),
        ("page_size=7", "page_size", "Choose one of: 20, 50, 100, 200."),
        ("page_size=1000000", "page_size", "Choose one of: 20,"),
        ("sort=hashed_password", "sort", "Sort by one of: name,"),
        ("sort=__class__", "sort", "Sort by one of: name,"),
        ("page=0", "page", "Pages are counted from 1."),
        ("page=-1", "page", "Pages are counted from 1."),
        ("page=abc", "page", "Not a valid integer"),
        ("page=1e3", "page", "Not a valid integer"),
        ("created_from=31.12.2026", "created_from", "Write the day as 2024-12-31."),
        ("created_from=2026-02-30", "created_from", "Write the day as 2024-12-31."),
        ("created_from=0001-01-01", "created_from", "Choose a day from 1970"),
        ("created_to=9999-12-31", "created_to", "Choose a day from 1970"),
        ("created_from=2026-02-02&created_to=2026-02-01", "created_to", "before the first one"),
        ("q=" + "x" * 201, "q", "at most 200"),
    ],
    ids=lambda text: text[:30],
)
def test_a_filter_that_means_nothing_is_named_and_the_others_are_kept(
    signed_in: SignedIn, query: str, field: str, text: str
) -> None:
    answer = signed_in().get(f"/users/?{query}" + ("" if field == "q" else "&q=kept+words"))
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert field_value(answer.text, "q") == ("x" * 201 if field == "q" else "kept words")
    if field in {"created_from", "created_to"}:
        assert field_value(answer.text, field) == re.findall(rf"{field}=([^&]*)", query)[0]


def test_what_matched_is_marked(signed_in: SignedIn, make_user: MakeUser) -> None:
    make_user(full_name="Zoë <Lefèbvre>", email="lef@example.org")
    page = signed_in().get("/users/?q=lefebvre+ZOE").text
    assert "<mark>Zoë</mark> &lt;<mark>Lefèbvre</mark>&gt;" in page


@pytest.mark.parametrize("query", ["q=zzzz", "q=%25", "q=_", "q='", "status=inactive&role=auditor"])
def test_when_nobody_matches_it_says_what_to_do(signed_in: SignedIn, people: list[User], query: str) -> None:
    answer = signed_in().get(f"/users/?{query}&sort=-email")
    assert answer.status_code == 200
    assert rows_of(answer.text) == []
    assert "Nobody matches" in answer.text
    assert 'href="/users/?sort=-email"' in answer.text


LATE = datetime(2026, 3, 11, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cookie", "profile", "day"),
    [
        (None, None, "11 Mar 2026"),
        ("Europe/Paris", None, "12 Mar 2026"),
        ("America/New_York", None, "11 Mar 2026"),
        ("Europe/Paris", "America/New_York", "11 Mar 2026"),
        ("America/New_York", "Asia/Tokyo", "12 Mar 2026"),
        ("Mars/Base", None, "11 Mar 2026"),
        ("../../etc/passwd", None, "11 Mar 2026"),
        ("x" * 3000, None, "11 Mar 2026"),
    ],
)
def test_a_day_is_the_persons_own(
    signed_in: SignedIn, make_user: MakeUser, cookie: str | None, profile: str | None, day: str
) -> None:
    user = make_user(full_name="Night Owl", created_at=LATE)
    visitor = signed_in(time_zone=profile)
    if cookie:
        visitor.client.set_cookie("dossier-tz", cookie)
    page = visitor.get("/users/?q=night").text
    assert rows_of(page) == [user.id]
    assert f'title="2026-03-11 23:30:00 UTC">{day}<' in page


PARIS_MIDNIGHT = datetime(2026, 3, 28, 23, tzinfo=UTC)  # the 29th has 23 hours: summer time begins


@pytest.mark.parametrize(
    ("moment", "query", "is_shown"),
    [
        (PARIS_MIDNIGHT, "created_from=2026-03-29", True),
        (PARIS_MIDNIGHT - timedelta(microseconds=1), "created_from=2026-03-29", False),
        (PARIS_MIDNIGHT - timedelta(microseconds=1), "created_to=2026-03-28", True),
        (PARIS_MIDNIGHT, "created_to=2026-03-28", False),
        (PARIS_MIDNIGHT + timedelta(hours=23, microseconds=-1), "created_to=2026-03-29", True),
        (PARIS_MIDNIGHT + timedelta(hours=23), "created_to=2026-03-29", False),
        (PARIS_MIDNIGHT, "created_from=2026-03-29&created_to=2026-03-29", True),
    ],
)
def test_the_bounds_are_the_first_and_last_moment_of_the_persons_day(
    signed_in: SignedIn, make_user: MakeUser, moment: datetime, query: str, is_shown: bool
) -> None:
    user = make_user(full_name="Night Owl", created_at=moment)
    visitor = signed_in()
    visitor.client.set_cookie("dossier-tz", "Europe/Paris")
    assert rows_of(visitor.get(f"/users/?q=night&{query}").text) == [user.id] * is_shown


@pytest.mark.parametrize(
    "query", ["", "q=ann&sort=-email&page_size=20", "page_size=20&page=2", "q=%C3%A9%26+%23&sort=email"]
)
def test_after_saving_one_is_back_at_the_same_list_and_row(
    signed_in: SignedIn, people: list[User], make_user: MakeUser, query: str
) -> None:
    make_user(full_name="é& # Sign")
    visitor = signed_in()
    page = visitor.get(f"/users/?{query}").text
    user_id = rows_of(page)[0]
    shown = visitor.get(row_link(page, user_id)).text
    edit = re.search(rf'href="(/users/{user_id}/edit[^"]*)"', shown)
    assert edit
    path = unescape(edit[1])
    form = read_form(visitor.get(path).text, holding="full_name")
    answer = visitor.post_raw(form.action or path, {**form.fields, "full_name": "é& # Ann Number changed"})
    assert answer.status_code == 303
    location = answer.headers["Location"]
    if not query:
        assert location == f"/users/{user_id}"
        return
    assert location.endswith(f"#u{user_id}")
    assert rows_of(visitor.get(location).text)[0] == user_id or "page=2" in query


def test_the_next_page_is_the_same_after_rows_before_it_were_deleted(
    signed_in: SignedIn, people: list[User]
) -> None:
    visitor = signed_in()
    first = visitor.get("/users/?q=ann&page_size=20").text
    link = link_of(first, "page-next")
    assert link is not None
    second = rows_of(visitor.get(link).text)
    for user_id in rows_of(first)[:3]:
        visitor.post(f"/users/{user_id}/delete", {"version": "1"})
    assert rows_of(visitor.get(link).text) == second


def test_a_very_long_state_still_lists(signed_in: SignedIn, people: list[User]) -> None:
    answer = signed_in().get("/users/?" + "&".join(f"unknown{number}=x" for number in range(500)))
    assert answer.status_code == 200
    assert len(rows_of(answer.text)) == 46


def test_a_word_too_many_is_said_and_not_left_out(signed_in: SignedIn, people: list[User]) -> None:
    words = [f"w{number}" for number in range(11)]
    visitor = signed_in()
    answer = visitor.get("/users/", query_string={"q": " ".join(words)})
    assert (answer.status_code, "Search for at most 10 words." in answer.text) == (422, True)
    assert visitor.get("/users/", query_string={"q": " ".join(words[:10] * 2)}).status_code == 200


def test_a_list_that_takes_too_long_says_how_to_narrow_it(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, hashed_password: str
) -> None:
    """On SQLite no time at all is allowed; on Postgres somebody holds the totals for longer than allowed."""
    is_sqlite = database == "sqlite"
    url = f"sqlite:///{tmp_path / 'slow.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    app = create_app(make_settings(url, read_timeout_seconds=0 if is_sqlite else 1))
    with app.app_context():
        init_db()
    empty_tables(app)
    make = user_maker(app, hashed_password)
    visitor = Visitor(app, make(email="desk@example.org", role=Role.AUDITOR))
    with app.app_context():
        insert_users([{"full_name": "Ann", "email": f"a{n}@x.example"} for n in range(3_000)])
    with app.app_context(), sqla.engine.connect() as connection:
        if not is_sqlite:
            connection.execution_options(isolation_level="READ COMMITTED")
            connection.execute(text("LOCK TABLE users_totals IN ACCESS EXCLUSIVE MODE"))
        answer = visitor.get("/users/?q=ann&status=active&sort=-email")
    assert answer.status_code == 503
    assert "This search took too long and was stopped" in answer.text
    assert 'value="ann"' in answer.text  # what was typed is kept
    assert "Clear the filters" in answer.text
    with app.app_context():
        sqla.engine.dispose()
