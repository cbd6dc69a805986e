"""/batches/: what was done to many at once, the latest first."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn
from tests.corpus import CANARY, TEXTS, encode
from tests.history.ways import let_names_go
from tests.pages.asking import assert_get_asks_to_sign_in, assert_get_writes_nothing, text_of
from tests.pages.batching import PASTE, PATH, begin, change, press
from webapp.access.actor import Actor
from webapp.batches import drafts
from webapp.users.trash import purge_user

CountQueries = Callable[[], AbstractContextManager[list[str]]]


def batches_of(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'<li id="b(\d+)"', page)]


def texts_of(page: str) -> list[str]:
    rows = re.findall(r'<li id="b\d+">(.*?)</li>', page, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows]


def test_it_tells_the_latest_first_what_to_how_many_by_whom_and_how_it_stands(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, support = signed_in(), signed_in("support")
    members = [make_user().id for _ in range(3)]
    assert desk.user is not None
    begin(desk, *members, action="set_role")
    change(desk, "deactivate", *members)
    path = change(support, "add_note", members[0], desk.user.id, note="A note")
    press(desk, path, "undo")
    page = desk.get(PATH).text
    assert batches_of(page) == [4, 3, 2, 1]
    undo, note, deactivation, draft = texts_of(page)
    assert undo.startswith("Undo 1 change what was done before · Administrator Desk ·")
    assert note.startswith("Note on 2 users selected in the list · Support Desk ·")
    assert note.endswith("1 left out done")
    assert deactivation.startswith("Deactivate 3 users selected in the list · Administrator Desk ·")
    assert draft.endswith("being prepared")
    for number in (1, 2, 3, 4):
        assert f'href="/batches/{number}"' in page


def test_somebody_else_s_draft_leads_nowhere(signed_in: SignedIn, make_user: MakeUser) -> None:
    path = begin(signed_in(), make_user().id)
    page = signed_in("support").get(PATH).text
    assert batches_of(page) == [1]
    assert f'href="{path}"' not in page


def test_who_made_one_and_is_gone_stays_named_for_a_time(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, other = signed_in(), signed_in(email="other@desk.example", full_name="Ann Gone")
    changed = make_user().id
    change(other, "deactivate", changed)
    assert other.user is not None
    change(desk, "trash", other.user.id)
    assert "Ann Gone (deleted)" in text_of(desk.get(PATH))
    with app.app_context():
        purge_user(other.user.id, actor=Actor.command_line())
    assert "Ann Gone (deleted)" in text_of(desk.get(PATH))
    batch_path = re.findall(r'href="(/batches/\d+)"', desk.get(PATH).text)[-1]
    assert "Ann Gone (deleted)" in text_of(desk.get(batch_path))
    let_names_go(app)
    for path in (PATH, batch_path):
        page = text_of(desk.get(path))
        assert "Ann Gone" not in page
    assert "somebody" in text_of(desk.get(PATH))


def test_when_there_is_none_it_says_how_to_make_one(signed_in: SignedIn) -> None:
    page = signed_in().get(PATH).text
    assert "Nothing was done to many at once yet" in page
    assert f'href="{PASTE}"' in page
    assert 'href="/users/"' in page


def test_its_pages_lead_through_all(
    signed_in: SignedIn, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 100)
    desk, user = signed_in(), make_user()
    for _ in range(52):
        begin(desk, user.id)
    seen: list[int] = []
    path: str | None = PATH
    while path:
        answer = desk.get(path)
        seen += batches_of(answer.text)
        link = re.search(r'href="([^"]*after=[^"]*)"', text_of(answer))
        path = link[1] if link else None
    assert seen == list(range(52, 0, -1))


def test_a_name_that_is_markup_is_only_shown(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in(full_name=f"Ann {CANARY}")
    begin(desk, make_user().id)
    page = desk.get(PATH).text
    assert CANARY not in page
    assert "&lt;script&gt;canary" in page


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)


@pytest.mark.parametrize(("role", "may_paste"), [("auditor", False), ("support", True)])
def test_everybody_here_sees_it_and_who_may_pastes(
    signed_in: SignedIn, make_user: MakeUser, role: str, may_paste: bool
) -> None:
    path = change(signed_in(), "deactivate", make_user().id)
    page = signed_in(role).get(PATH).text
    assert f'href="{path}"' in page
    assert (f'href="{PASTE}"' in page) is may_paste


def test_looking_writes_nothing(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    begin(desk, make_user().id)
    assert_get_writes_nothing(desk, PATH)


def test_it_takes_as_many_queries_however_many_there_are(
    signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    """Who is signed in, the page, its count, the names."""
    desk, other, user = signed_in(), signed_in("support"), make_user()
    numbers = []
    for number in (1, 19):
        for _ in range(number):
            begin(desk, user.id)
            begin(other, user.id)
        with count_queries() as statements:
            desk.get(PATH)
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 4, numbers


@pytest.mark.parametrize("parameter", ["after", "before"])
def test_any_text_in_any_parameter(signed_in: SignedIn, make_user: MakeUser, parameter: str) -> None:
    desk = signed_in()
    begin(desk, make_user().id)
    for name, text in TEXTS.items():
        answer = desk.get(PATH, query_string=encode({parameter: text}))
        assert answer.status_code == 200, name
        assert CANARY not in answer.text, name


def test_a_damaged_link_leads_to_the_first_page_and_says_so(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    begin(desk, make_user().id)
    page = desk.get(f"{PATH}?after=nonsense").text
    assert batches_of(page) == [1]
    assert "damaged" in page
