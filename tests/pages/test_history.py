"""GET /history/ and a person's timeline: all that was done, by whom, found by name, person, kind and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from tests.conftest import PASSWORD, MakeUser, SignedIn, newest_entry
from tests.corpus import CANARY, RAW, TEXTS, encode, received
from tests.history.ways import age, assert_intact, let_names_go, read_rows, read_stories
from tests.pages.asking import assert_get_asks_to_sign_in, assert_get_writes_nothing, text_of
from tests.visitor import Visitor, field_value
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.services import create_password_link
from webapp.db import get_session
from webapp.history.models import ENTRIES
from webapp.history.rules import Kind
from webapp.history.services import Subject, forget, record
from webapp.users.queries import get_user
from webapp.users.services import deactivate_user
from webapp.users.trash import erase_user
from webapp.web.forms import MAX_LINE

PATH = "/history/"
PARAMETERS = ("q", "user", "actor", "kind", "door", "since", "until", "after", "before", "unknown")
CountQueries = Callable[[], AbstractContextManager[list[str]]]


def lines_in(answer: TestResponse) -> list[int]:
    """The ids of the entries, as they stand on the page."""
    return [int(found) for found in re.findall(r'<li id="h(\d+)"', answer.text)]


def write(app: Flask, number: int, *, subject_id: int = 500, name: str = "Ann Lee") -> list[int]:
    desk = Actor(user_id=77, name="Desk Person", role=Role.SUPPORT, address="192.0.2.1", request_id="r-1")
    with app.app_context():
        return [
            record(
                Kind.EDITED,
                actor=desk,
                subject=Subject(subject_id, name, version),
                changes={"full_name": (f"Ann {version}", f"Ann {version + 1}")},
            )
            for version in range(1, number + 1)
        ]


def test_it_shows_who_did_what_to_whom_from_where(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user(full_name="Ann Lee")
    values = {"full_name": "Ann Other", "email": user.email, "role": "auditor", "version": "1"}
    sent = desk.post(f"/users/{user.id}/edit", values)
    answer = desk.get(PATH)
    page = text_of(answer)
    for text in ("Administrator Desk", "edited", "Ann Other", "Ann Lee", "Member", "Auditor", "127.0.0.1"):
        assert text in page
    assert sent.headers["X-Request-ID"] in page
    assert f'href="/users/{user.id}"' in page
    assert lines_in(answer) == [newest_entry(app)]


def test_what_a_page_does_is_written_with_its_request(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in("support"), make_user()
    answer = desk.post(f"/users/{user.id}/deactivate", headers={"X-Request-ID": "from-a-client"})
    (story,) = read_stories(app)
    assert (story.kind, story.door, story.address) == (Kind.DEACTIVATED, "page", "127.0.0.1")
    assert story.request_id == answer.headers["X-Request-ID"] != "from-a-client"
    assert desk.user is not None
    assert (story.actor_id, story.actor_role) == (desk.user.id, "support")


def test_signing_in_failing_and_signing_out_stand_in_it(app: Flask, make_user: MakeUser) -> None:
    user, visitor = make_user(role=Role.AUDITOR, full_name="Ann Lee"), Visitor(app)
    for password in ("a wrong password", PASSWORD):
        visitor.post("/auth/login", {"email": user.email, "password": password})
    page = text_of(visitor.get(PATH))
    assert "failed to sign in" in page
    assert "the password was wrong" in page
    visitor.post("/auth/logout")
    kinds = [story.kind for story in read_stories(app)]
    assert kinds == [Kind.SIGN_IN_FAILED, Kind.SIGNED_IN, Kind.SIGNED_OUT]
    assert_intact(app)


@pytest.mark.parametrize(
    ("role", "method", "path", "rule", "permission"),
    [
        ("auditor", "POST", "/users/{}/edit", "POST /users/<int:user_id>/edit", "users.edit"),
        ("support", "GET", "/users/{}/delete", "GET /users/<int:user_id>/delete", "users.delete"),
        ("auditor", "GET", "/trash/", "GET /trash/", "users.delete"),
    ],
)
def test_a_refusal_stands_in_it_once(
    app: Flask,
    signed_in: SignedIn,
    make_user: MakeUser,
    role: str,
    method: str,
    path: str,
    rule: str,
    permission: str,
) -> None:
    desk, user = signed_in(role), make_user()
    ask = desk.get if method == "GET" else desk.post
    assert ask(path.format(user.id)).status_code == 403
    (story,) = read_stories(app)
    assert desk.user is not None
    assert (story.kind, story.actor_id) == (Kind.REFUSED, desk.user.id)
    numbers = {"object": {"user_id": user.id}} if "{}" in path else {}
    assert story.facts == {"rule": rule, "reason": "permission", "permission": permission, **numbers}
    page = text_of(desk.get(PATH))
    assert "was refused" in page
    assert f"{method} {path.format(user.id)} · needs {permission}" in page


def test_a_service_s_refusal_stands_in_it_too(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user(role=Role.ADMINISTRATOR)
    assert desk.post(f"/users/{user.id}/deactivate").status_code == 403
    assert [story.kind for story in read_stories(app)] == [Kind.REFUSED]


def test_what_is_not_there_and_who_is_nobody_is_no_refusal(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    for visitor in (desk, Visitor(app)):
        for path in ("/users/999", "/nowhere", PATH):
            visitor.get(path)
            visitor.post(path)
    assert read_stories(app) == []


# Finding


def test_the_filters_find_what_they_say(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    (ann,), (bob,) = write(app, 1), write(app, 1, subject_id=501, name="Bob Adler")
    command = Actor.command_line()
    with app.app_context():
        made = record(Kind.LOADED, actor=command, facts={"count": 5})
        session = get_session()
        moved = update(ENTRIES).where(ENTRIES.c.id == bob)
        session.execute(moved.values(at=datetime(2026, 3, 12, 9, tzinfo=UTC)))
        session.commit()
    cases = {
        "": [made, ann, bob],
        "q=ann": [ann],
        "q=ADLER+desk": [bob],
        "user=500": [ann],
        "actor=77": [ann, bob],
        "user=501&actor=77": [bob],
        "kind=loaded": [made],
        "kind=edited": [ann, bob],
        "kind=purged": [],
        "door=command": [made],
        "door=page&kind=loaded": [],
        "since=2026-03-12&until=2026-03-12": [bob],
        "until=2026-03-11": [],
        "since=2026-03-13": [made, ann],
        "q=nobody": [],
    }
    for query, expected in cases.items():
        answer = desk.get(f"{PATH}?{query}")
        assert (query, answer.status_code, lines_in(answer)) == (query, 200, expected)
        if not expected:
            assert "Nothing like that was done" in answer.text


def test_the_pages_lead_through_all_of_it_and_keep_the_filters(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    ids = write(app, 120)[::-1]
    write(app, 3, subject_id=501)
    seen: list[int] = []
    path: str | None = f"{PATH}?user=500&kind=edited"
    while path:
        answer = desk.get(path)
        seen += lines_in(answer)
        path = link_of(answer, "Next page")
        assert path is None or "user=500&kind=edited" in path
    assert seen == ids
    last = link_of(desk.get(f"{PATH}?user=500"), "Last page")
    assert last is not None
    end = desk.get(last)
    assert lines_in(end)[-1] == ids[-1]
    first = link_of(end, "First page")
    assert first is not None
    assert lines_in(desk.get(first)) == ids[:50]


def link_of(answer: TestResponse, label: str) -> str | None:
    found = re.search(rf'href="([^"]+)"[^>]* aria-label="{label}"', text_of(answer))
    return found[1] if found else None


# A person's timeline


def test_a_person_s_page_tells_the_latest_and_leads_to_all(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    ids = write(app, 25, subject_id=user.id)[::-1]
    answer = desk.get(f"/users/{user.id}")
    assert lines_in(answer) == ids[:20]
    assert lines_in(desk.get(f"{PATH}?user={user.id}")) == ids
    assert f'href="/history/?user={user.id}"' in answer.text


@pytest.mark.parametrize(
    ("role", "of", "offered"),
    [
        ("auditor", "member", False),
        ("support", "member", True),
        ("support", "auditor", False),
        ("support", "administrator", False),
        ("administrator", "member", True),
        ("administrator", "administrator", True),
    ],
)
def test_undo_is_offered_to_whom_may(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str, of: str, offered: bool
) -> None:
    desk, user = signed_in(role), make_user(role=Role(of))
    (entry,) = write(app, 1, subject_id=user.id)
    for path in (PATH, f"/users/{user.id}"):
        assert (f'"/users/changes/{entry}/undo"' in desk.get(path).text) is offered


def test_a_forgotten_person_is_shown_as_one(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    write(app, 1)
    age(app, days=400)
    with app.app_context():
        forget(500)
        forget(77)
    page = text_of(desk.get(PATH))
    assert page.count("a forgotten person") == 2
    for text in ("Ann", "Desk Person", "192.0.2.1"):
        assert text not in page


def test_who_acted_as_staff_is_named_as_deleted(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, gone, user = signed_in(), make_user(full_name="Ada Adder", role=Role.SUPPORT), make_user()
    own = Actor(user_id=gone.id, name="Ada Adder", role=Role.SUPPORT)
    with app.app_context():
        deactivate_user(get_user(user.id), actor=own)
    for path in (PATH, f"/users/{user.id}"):
        assert "(deleted)" not in text_of(desk.get(path))
    with app.app_context():
        erase_user(get_user(gone.id), actor=own_of(desk))
    for path in (PATH, f"/users/{user.id}"):
        page = text_of(desk.get(path))
        assert page.count("Ada Adder (deleted)") == 1
        assert f'href="/history/?actor={gone.id}"' in page
    assert "Ada Adder (deleted)" in text_of(desk.get(f"{PATH}?q=adder"))
    let_names_go(app)
    assert "Adder" not in text_of(desk.get(PATH))
    assert "the names of deleted staff in entries before" in text_of(desk.get(PATH))


def own_of(desk: Visitor) -> Actor:
    assert desk.user is not None
    return Actor(user_id=desk.user.id, name=desk.user.display_name, role=desk.user.role)


# Refusals in floods


def refusals(app: Flask, reason: str) -> list[Mapping[str, Any]]:
    return [story.facts for story in read_stories(app) if story.facts.get("reason") == reason]


def test_a_form_without_its_token_is_told_of_whom_it_was_and_on_what(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    assert desk.post_raw(f"/users/{user.id}/deactivate").status_code == 400
    (story,) = read_stories(app)
    assert desk.user is not None
    assert (story.kind, story.actor_id, story.actor_name) == (
        Kind.REFUSED,
        desk.user.id,
        "Administrator Desk",
    )
    rule = "POST /users/<int:user_id>/deactivate"
    assert story.facts == {"rule": rule, "reason": "csrf", "object": {"user_id": user.id}}
    page = text_of(desk.get(PATH))
    assert f"security token was missing or out of date · POST /users/{user.id}/deactivate" in page


@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
def test_a_stranger_s_flood_of_forms_leaves_few_entries(app: Flask, visitor: Visitor, site: str) -> None:
    for _ in range(120):
        visitor.post_raw("/auth/login", headers={"Sec-Fetch-Site": site})
    told = refusals(app, "csrf")
    assert [facts.get("left_out", 0) for facts in told] == [0, 8, 89]
    assert_intact(app)


def test_a_link_s_secret_is_in_no_refusal(app: Flask, visitor: Visitor) -> None:
    visitor.post_raw("/auth/set-password/a-secret-of-a-link")
    (story,) = read_stories(app)
    assert story.facts == {"rule": "POST /auth/set-password/<token>", "reason": "csrf"}


def test_who_is_refused_again_and_again_fills_nothing(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, users = signed_in("auditor"), [make_user().id for _ in range(30)]
    for user_id in users:
        assert desk.post(f"/users/{user_id}/deactivate").status_code == 403
    told = refusals(app, "permission")
    assert [(it["object"], it.get("left_out")) for it in told] == [
        ({"user_id": users[0]}, None),
        ({"user_id": users[9]}, 8),
    ]
    desk.get("/trash/")
    assert len(refusals(app, "permission")) == 3, "another refusal is told by itself, with what was left out"


def test_a_dead_password_link_is_told_of_its_person_and_an_unknown_one_of_none(
    app: Flask, make_user: MakeUser, visitor: Visitor
) -> None:
    user = make_user(full_name="Ann Lee")
    with app.app_context():
        token, _ = create_password_link(get_user(user.id), actor=Actor.command_line())
        deactivate_user(get_user(user.id), actor=Actor.command_line())
    for secret in (token, "another"):
        for _ in range(5):
            assert visitor.get(f"/auth/set-password/{secret}").status_code == 404
    failed = [story for story in read_stories(app) if story.kind is Kind.SIGN_IN_FAILED]
    assert [(it.subject_id, it.facts, it.address) for it in failed] == [
        (user.id, {"reason": "link_ended"}, "127.0.0.1"),
        (None, {"reason": "link_unknown"}, "127.0.0.1"),
    ]


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, f"{PATH}?q=ann")


@pytest.mark.parametrize("role", ["auditor", "support", "administrator"])
def test_whoever_works_here_sees_it(app: Flask, signed_in: SignedIn, role: str) -> None:
    write(app, 1)
    answer = signed_in(role).get(PATH)
    assert (answer.status_code, len(lines_in(answer))) == (200, 1)
    assert '<a href="/history/"' in answer.text, "the menu leads there"


def test_looking_writes_nothing(app: Flask, signed_in: SignedIn) -> None:
    write(app, 3)
    desk = signed_in()
    entries = read_rows(app)
    assert_get_writes_nothing(desk, PATH)
    assert read_rows(app) == entries


def test_it_takes_five_queries_however_much_there_is(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, count_queries: CountQueries
) -> None:
    desk = signed_in()
    for number in (1, 30):
        for _ in range(number):
            write(app, 2, subject_id=make_user().id)
        with count_queries() as statements:
            desk.get(PATH)
        assert len(statements) == 5, "who is signed in, the page, the count, what was undone, the roles"


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_any_text_in_any_parameter(app: Flask, signed_in: SignedIn, parameter: str) -> None:
    write(app, 2, name=f"Ann {CANARY}")
    desk = signed_in()
    for name, text in TEXTS.items():
        answer = desk.get(PATH, query_string=encode({parameter: text}))
        assert answer.status_code in {200, 422}, name
        assert CANARY not in answer.text, name
        if answer.status_code == 422:
            assert 'role="alert"' in answer.text, name
        if parameter in {"q", "since", "until"}:
            assert field_value(answer.text, parameter) == received(text)[:MAX_LINE], (
                f"{name}: the text is lost"
            )


@pytest.mark.parametrize("name", RAW)
def test_any_bytes_as_a_query(app: Flask, signed_in: SignedIn, name: str) -> None:
    write(app, 1)
    answer = signed_in().client.get(PATH, query_string=RAW[name].decode("latin-1"))
    assert answer.status_code in {200, 422}


def test_a_damaged_link_leads_to_the_first_page_and_says_so(app: Flask, signed_in: SignedIn) -> None:
    ids = write(app, 3)[::-1]
    answer = signed_in().get(f"{PATH}?after=nonsense")
    assert "damaged" in answer.text
    assert lines_in(answer) == ids


def test_what_somebody_typed_is_text_and_never_markup(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    for text in (f"{CANARY}</script>", f"\"'>{CANARY}", "{{ 7 * 7 }}"):
        version = str(1 + len(read_rows(app)))
        values = {"full_name": text, "email": user.email, "role": "member", "version": version}
        assert desk.post(f"/users/{user.id}/edit", values).status_code == 303
    for path in (PATH, f"/users/{user.id}"):
        page = desk.get(path).text
        assert CANARY not in page
        assert "{{ 7 * 7 }}" in page
