"""GET /users/<id>: what is known of a person, and the buttons for what one may do."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from flask import Flask

from tests.conftest import PASSWORD, MakeUser, SignedIn
from tests.pages.asking import UNKNOWN_IDS, assert_get_asks_to_sign_in, assert_get_writes_nothing, text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.auth.rules import MOST_PER_PAIR

ACTS = ("edit", "delete", "deactivate", "password-link", "sign-out")


def acts_in(page: str, user_id: int) -> set[str]:
    return {act for act in ACTS if f'"/users/{user_id}/{act}' in page}


def test_it_shows_what_is_known(signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user(
        full_name="Zoë Adler",
        email="zoe@example.org",
        role=Role.SUPPORT,
        created_at=datetime(2026, 3, 12, 9, 41, tzinfo=UTC),
    )
    page = text_of(signed_in().get(f"/users/{user.id}"))
    for text in (
        "Zoë Adler",
        "zoe@example.org",
        "Support",
        "12 March 2026, 09:41",
        "never",
        "Not signed in on any",
    ):
        assert text in page


def test_it_shows_where_the_person_is_signed_in(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user(role=Role.AUDITOR)
    Visitor(app, user)
    page = signed_in().get(f"/users/{user.id}").text
    assert "192.0.2.7" in page
    assert acts_in(page, user.id) == set(ACTS)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"is_active": False}, "The account is inactive."),
        ({"hashed_password": None}, "No password is set, and there is no valid link"),
        ({"role": Role.MEMBER}, "A member does not sign in here."),
    ],
)
def test_it_says_why_the_person_cannot_sign_in(
    signed_in: SignedIn, make_user: MakeUser, columns: dict[str, object], text: str
) -> None:
    user = make_user(**{"role": Role.AUDITOR, **columns})
    assert text in text_of(signed_in().get(f"/users/{user.id}"))


def test_every_reason_that_applies_is_said(signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user(is_active=False, hashed_password=None, role=Role.MEMBER)
    page = text_of(signed_in().get(f"/users/{user.id}"))
    for text in ("The account is inactive.", "No password is set", "A member does not sign in here."):
        assert text in page


def test_where_nothing_stands_in_the_way_nothing_is_said(signed_in: SignedIn, make_user: MakeUser) -> None:
    page = text_of(signed_in().get(f"/users/{make_user(role=Role.AUDITOR).id}"))
    assert "Why can" not in page


def test_too_many_attempts_are_said_and_lifted_by_a_click(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    user, stranger = make_user(role=Role.AUDITOR), Visitor(app)
    attempt = {"email": user.email, "password": "a wrong password"}
    statuses = [stranger.post("/auth/login", attempt).status_code for _ in range(MOST_PER_PAIR + 1)]
    assert statuses[-1] == 429
    desk = signed_in("administrator")
    page = text_of(desk.get(f"/users/{user.id}"))
    assert "Too many attempts" in page
    assert "the password was wrong" in page
    form = read_form(page, action=f"/users/{user.id}/lift-throttle")
    assert desk.post_raw(form.action, form.fields).status_code == 303
    page = text_of(desk.get(f"/users/{user.id}"))
    assert "may try again" in page
    assert "Too many attempts" not in page
    assert stranger.post("/auth/login", {**attempt, "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize(
    ("role", "target", "acts"),
    [
        ("auditor", Role.MEMBER, set()),
        ("auditor", Role.ADMINISTRATOR, set()),
        ("support", Role.MEMBER, {"edit", "deactivate", "password-link", "sign-out"}),
        ("support", Role.AUDITOR, set()),
        ("support", Role.SUPPORT, set()),
        ("support", Role.ADMINISTRATOR, set()),
        ("administrator", Role.MEMBER, set(ACTS)),
        ("administrator", Role.ADMINISTRATOR, set(ACTS)),
    ],
)
def test_each_role_sees_what_it_may_do(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str, target: Role, acts: set[str]
) -> None:
    user = make_user(role=target)
    if target is not Role.MEMBER:
        Visitor(app, user)
    page = signed_in(role).get(f"/users/{user.id}").text
    expected = acts - {"sign-out"} if target is Role.MEMBER else acts
    assert acts_in(page, user.id) == expected, "a member has no session that could be ended"


def test_nobody_is_offered_to_shut_himself_out(signed_in: SignedIn) -> None:
    visitor = signed_in()
    assert visitor.user is not None
    page = visitor.get(f"/users/{visitor.user.id}").text
    assert acts_in(page, visitor.user.id) == {"edit", "sign-out"}


def test_an_inactive_person_can_be_activated_but_gets_no_link(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    user = make_user(is_active=False)
    page = signed_in().get(f"/users/{user.id}").text
    assert f'"/users/{user.id}/activate"' in page
    assert acts_in(page, user.id) == {"edit", "delete"}


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser) -> None:
    assert_get_asks_to_sign_in(app, f"/users/{make_user().id}?back=q%3Dann")


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, user_id: str) -> None:
    answer = signed_in().get(f"/users/{user_id}")
    assert answer.status_code == 404
    assert "There is no such user" in answer.text


@pytest.mark.parametrize("user_id", ["x", "-1", "1.0", "1e3", "%00", "٣", "1%20", "0x1"])
def test_what_is_no_id_is_no_address(signed_in: SignedIn, user_id: str) -> None:
    assert signed_in().get(f"/users/{user_id}").status_code == 404


def test_looking_writes_nothing(signed_in: SignedIn, make_user: MakeUser) -> None:
    assert_get_writes_nothing(signed_in(), f"/users/{make_user().id}")


def test_it_takes_ten_queries(
    signed_in: SignedIn, make_user: MakeUser, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    visitor, user = signed_in(), make_user()
    with count_queries() as statements:
        visitor.get(f"/users/{user.id}")
    tables = [re.findall(r"FROM (\w+)", statement)[0] for statement in statements]
    # Who is signed in; the user, and his history, for the page and again for the panel of why he cannot sign
    # in, which looks at attempts too; his devices; the notes on him; his credits, and what moved them last.
    assert sorted(tables) == sorted(
        [
            *("sessions", "users", "users", "entries", "entries", "attempts", "sessions", "notes"),
            *("accounts", "postings"),
        ]
    )


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "\r\nX-Evil: 1",
        "x" * 5000,
        '"><script>',
    ],
)
def test_the_way_back_leads_to_the_list_whatever_the_link_says(
    signed_in: SignedIn, make_user: MakeUser, back: str
) -> None:
    user = make_user()
    answer = signed_in().get(f"/users/{user.id}", query_string={"back": back})
    assert answer.status_code == 200
    assert 'class="back" href="/users/' in answer.text
    assert "evil.example" not in answer.text.replace("%2F%2Fevil.example", "")
    assert '"><script>' not in answer.text


def test_a_name_is_text_and_never_markup(signed_in: SignedIn, make_user: MakeUser) -> None:
    user = make_user(full_name="<script>canary</script>{{ 7 * 7 }}", email="o'neil@example.org")
    page = signed_in().get(f"/users/{user.id}").text
    assert "<script>canary" not in page
    assert "&lt;script&gt;canary&lt;/script&gt;{{ 7 * 7 }}" in page
