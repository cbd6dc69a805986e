"""Pages by link and by number: nothing is skipped or shown twice, and what nobody counted is null."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask import Flask

from tests.api.asking import USERS, Program, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, insert_users
from webapp.access.permissions import Role
from webapp.listing.counting import MOST_COUNTED
from webapp.users.queries import SORTS

NAMES = ["Zoé", "Ann", "ann", "Émile", "李", "Ann", "Bob", "", "x" * 200]


def walk(program: Program, address: str, relation: str) -> Iterator[list[int]]:
    """The pages by their links, from ``address`` on."""
    pages = 0
    while address:
        answer = program.get(address)
        assert answer.status_code == 200
        yield [user["id"] for user in answer.json["users"]]
        address = links_of(answer.headers.get("Link", "")).get(relation, "")
        pages += 1
        assert pages < 50


def links_of(header: str) -> dict[str, str]:
    links = (link.split(">; rel=") for link in header.split(", ") if link)
    return {relation.strip('"'): address.removeprefix("<") for address, relation in links}


@pytest.mark.parametrize("sort", [sign + name for name in SORTS for sign in ("", "-")])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_links_lead_through_the_whole_list_and_back(
    with_token: WithToken, make_user: MakeUser, sort: str, size: int
) -> None:
    program = with_token()
    for name in NAMES:
        make_user(full_name=name)
    (expected,) = walk(program, f"{USERS}?sort={sort}", "next")
    assert len(expected) == len(NAMES) + 1
    there = list(walk(program, f"{USERS}?sort={sort}&page_size={size}", "next"))
    assert sum(there, []) == expected  # noqa: RUF017 - ten ids
    back = list(walk(program, f"{USERS}?sort={sort}&page_size={size}&before=end", "previous"))
    assert back[0] == expected[-size:]
    assert back[-1] == expected[:size]  # filled up, so that it may overlap the one after it
    assert set(sum(back, [])) == set(expected)  # noqa: RUF017


def test_a_link_keeps_the_filters_and_leads_on_from_a_number(
    with_token: WithToken, make_user: MakeUser
) -> None:
    program = with_token()
    ids = [make_user(full_name=f"Ann & {number}", role=Role.SUPPORT).id for number in range(5)]
    make_user(full_name="Ann & 2")
    answer = program.get(f"{USERS}/search?query=ann%20%26&role=support&page=2&page_size=2")
    links = links_of(answer.headers["Link"])
    assert [user["id"] for user in answer.json["users"]] == ids[2:4]
    assert [user["id"] for user in program.get(links["next"]).json["users"]] == ids[4:]
    before = program.get(links["previous"]).json
    assert ([user["id"] for user in before["users"]], before["page"]) == (ids[:2], 1)


def test_a_page_by_link_has_its_number_too(with_token: WithToken, make_user: MakeUser) -> None:
    program = with_token()
    for number in range(5):
        make_user(full_name=f"Person {number}")
    first = program.get(f"{USERS}?page_size=2")
    second = program.get(links_of(first.headers["Link"])["next"])
    last = program.get(f"{USERS}?page_size=2&before=end")
    assert [answer.json["page"] for answer in (first, second, last)] == [1, 2, 3]
    assert {answer.json["pages"] for answer in (first, second, last)} == {3}


def test_a_link_of_another_sort_is_refused(with_token: WithToken, make_user: MakeUser) -> None:
    program = with_token()
    make_user()
    link = links_of(program.get(f"{USERS}?page_size=1").headers["Link"])["next"]
    answer = program.get(f"{link}&sort=-created_at")
    assert (answer.status_code, list(errors_of(answer))) == (422, ["after"])


@pytest.mark.parametrize("lists", [("history", "ledger"), ("ledger", "history")])
@pytest.mark.parametrize("place", ["after", "before"])
def test_a_cursor_of_another_list_is_refused(
    with_token: WithToken, make_user: MakeUser, lists: tuple[str, str], place: str
) -> None:
    """Both are sorted by the time."""
    program, user = with_token(), make_user()
    grants = f"{USERS}/{user.id}/credits/grants"
    for _ in range(2):
        assert program.post(grants, {"amount": 1, "reason": "A present"}).status_code == 201
    paths = {"history": "/api/v1/history", "ledger": f"{USERS}/{user.id}/credits/ledger"}
    one, other = (paths[name] for name in lists)
    link = links_of(program.get(f"{one}?page_size=1").headers["Link"])["next"]
    assert program.get(link).status_code == 200
    answer = program.get(link.replace(one, other).replace("after=", f"{place}="))
    assert (answer.status_code, list(errors_of(answer))) == (422, [place])


def test_an_empty_cursor_is_refused_in_words_that_are_right_for_one(with_token: WithToken) -> None:
    answer = with_token().get(f"{USERS}?after=")
    assert errors_of(answer) == {"after": "This text is too short: its least length is 1."}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("2024-12-31", 200),
        ("2024-12-31T23:59:59Z", 200),
        ("2024-12-31t23:59:59.123456789z", 200),
        ("2024-12-31 23:59:59+01:00", 200),
        ("2024-W52-2", 422),
        ("20241231", 422),
        ("2024-12-31T23Z", 422),
        ("2024-12-31T23:59Z", 422),
        ("2024-12-31T235959Z", 422),
        ("2024-12-31T23:59:59+01", 422),
        ("2024-12-31T23:59:59", 422),
        ("2024-12-31x23:59:59Z", 422),
        ("2024-02-30", 422),
    ],
)
def test_moments_are_those_of_rfc_3339(with_token: WithToken, text: str, status: int) -> None:
    answer = with_token().get(f"{USERS}?created_from={quote(text)}")
    assert answer.status_code == status
    assert list(errors_of(answer)) == ([] if status == 200 else ["created_from"])


def test_what_nobody_counts_to_the_end_is_null(app: Flask, with_token: WithToken) -> None:
    program = with_token()
    with app.app_context():
        numbers = range(MOST_COUNTED + 5)
        insert_users({"full_name": "Person", "email": f"person{number}@example.org"} for number in numbers)
    everybody = program.get(USERS).json
    assert (everybody["total"], everybody["pages"]) == (MOST_COUNTED + 6, 501)
    search = f"{USERS}/search?query=person&page_size=200"
    first = program.get(search).json
    assert (first["page"], first["total"], first["pages"]) == (1, None, None)
    assert len(program.get(f"{search}&page=50").json["users"]) == 200
    beyond = program.get(f"{search}&page=51")
    assert beyond.status_code == 422
    assert "row 10,000" in errors_of(beyond)["page"]
    last = program.get(f"{search}&before=end")
    assert (last.json["page"], len(last.json["users"])) == (None, 200)


def test_the_address_of_a_link_is_below_where_it_is_mounted(
    with_token: WithToken, make_user: MakeUser
) -> None:
    program = with_token()
    make_user()
    answer = program.get(f"{USERS}?page_size=1", environ_overrides={"SCRIPT_NAME": "/desk"})
    assert links_of(answer.headers["Link"])["next"].startswith("/desk/api/v1/users?")


def test_the_links_fit_into_what_a_proxy_keeps_for_headers(
    with_token: WithToken, make_user: MakeUser
) -> None:
    """docs/deployment.md gives nginx 16 kB. Tried with the longest names and query, of long letters."""
    program = with_token()
    for letter in "\U0001f469\U0001f468\U0001f467":
        make_user(full_name=letter * 200)
    for sort in SORTS:
        answer = program.get(f"{USERS}?page_size=1&page=2&sort={sort}")
        assert len(answer.headers["Link"]) < 5_000
    make_user(full_name="\U0001f469" * 190)
    query = quote("\U0001f469" * 190)
    answer = program.get(f"{USERS}?page_size=1&query={query}&sort=name")
    assert 3_000 < len(answer.headers["Link"]) < 5_000
