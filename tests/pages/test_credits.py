"""The credits' pages: what moves, what one sees before, and that a form sent twice moves it once."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO

import pytest
from flask import Flask

from tests.conftest import MakeUser, SignedIn, read_tables
from tests.corpus import CANARY, RAW, TEXTS, encode, received
from tests.credits.ways import TERMINAL, find_faults, grant, transfer
from tests.history.ways import assert_intact, read_stories
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_forms
from tests.visitor import Visitor, field_error, field_value
from webapp.access.permissions import Role
from webapp.credits.queries import get_balance
from webapp.db import get_session
from webapp.history.rules import Kind
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.trash import delete_user
from webapp.web.forms import MAX_LINE

ACTS = ("transfer", "grant", "withdraw")
FORM = "application/x-www-form-urlencoded"
CountQueries = Callable[[], AbstractContextManager[list[str]]]


def path_of(user: User | str, act: str = "") -> str:
    return f"/users/{user.id if isinstance(user, User) else user}/credits/{act}"


def own_form(page: str) -> dict[str, str]:
    """The fields of the page's own form, as a browser would send them."""
    [form] = [form for form in read_forms(page) if form.method == "post" and not form.action]
    return form.fields


def balance_of(app: Flask, user: User) -> int:
    with app.app_context():
        return get_balance(user.id)


@pytest.fixture
def ann(app: Flask, make_user: MakeUser) -> User:
    """She has 20.00."""
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        grant(user.id, 2000)
    return user


@pytest.fixture
def bob(make_user: MakeUser) -> User:
    return make_user(full_name="Bob", email="bob@example.org")


# It works


def test_a_transfer_is_asked_shown_and_done(app: Flask, signed_in: SignedIn, ann: User, bob: User) -> None:
    desk = signed_in("support")
    assert f'href="{path_of(ann, "transfer")}"' in desk.get(f"/users/{ann.id}").text
    fields = own_form(desk.get(path_of(ann, "transfer")).text)
    before = read_tables(app)
    typed = {"to_user_id": " BOB@example.org ", "amount": "7,5", "reason": "Lunch"}
    answer = desk.post_raw(path_of(ann, "transfer"), {**fields, **typed})
    assert answer.status_code == 200
    page = text_of(answer)
    for text in ("Transfer 7.50?", "Ann Lee", "20.00", "12.50", "Bob", "bob@example.org", "0.00", "Lunch"):
        assert text in page
    assert read_tables(app) == before, "it was only asked"
    answer = desk.post_raw(path_of(ann, "transfer"), own_form(answer.text))
    assert (answer.status_code, answer.headers["Location"]) == (303, path_of(ann))
    page = text_of(desk.get(path_of(ann)))
    for text in ("7.50 went from Ann Lee to Bob.", "-7.50", "12.50", "Lunch", "Support Desk"):
        assert text in page
    assert (balance_of(app, ann), balance_of(app, bob)) == (1250, 750)
    assert [it.kind for it in read_stories(app)[-2:]] == [Kind.TRANSFERRED] * 2
    assert_intact(app)
    with app.app_context():
        assert find_faults() == []


@pytest.mark.parametrize(
    ("act", "balance", "said"),
    [("grant", 2550, "granted to Ann Lee"), ("withdraw", 1450, "withdrawn from Ann Lee")],
)
def test_credits_are_granted_and_withdrawn(
    app: Flask, signed_in: SignedIn, ann: User, act: str, balance: int, said: str
) -> None:
    desk = signed_in()
    fields = own_form(desk.get(path_of(ann, act)).text)
    answer = desk.post_raw(path_of(ann, act), {**fields, "amount": "5.50", "reason": "Season's"})
    assert "Season&#39;s" in answer.text
    answer = desk.post_raw(path_of(ann, act), own_form(answer.text))
    assert answer.status_code == 303
    page = text_of(desk.get(answer.headers["Location"]))
    assert f"5.50 {said}" in page
    assert "Season's" in page
    assert balance_of(app, ann) == balance


@pytest.mark.parametrize("act", ACTS)
def test_a_form_that_is_sent_twice_moves_its_credits_once(
    app: Flask, signed_in: SignedIn, ann: User, bob: User, act: str
) -> None:
    desk = signed_in()
    fields = own_form(desk.get(path_of(ann, act)).text)
    typed = {"to_user_id": str(bob.id), "amount": "3", "reason": "Once"}
    confirmed = own_form(desk.post_raw(path_of(ann, act), {**fields, **typed}).text)
    assert len(confirmed["key"]) == 22
    assert desk.post_raw(path_of(ann, act), confirmed).status_code == 303
    once = read_tables(app)
    assert desk.post_raw(path_of(ann, act), confirmed).status_code == 303
    assert read_tables(app) == once
    again = own_form(desk.post_raw(path_of(ann, act), {**fields, **typed}).text)
    assert again["key"] != confirmed["key"], "asked anew it is another"
    assert desk.post_raw(path_of(ann, act), again).status_code == 303
    assert read_tables(app) != once
    answer = desk.post_raw(path_of(ann, act), {**again, "amount": "4"})
    assert answer.status_code == 409
    assert "This key was used for another transfer" in answer.text


def test_the_panel_shows_the_balance_and_the_latest(
    app: Flask, signed_in: SignedIn, ann: User, bob: User
) -> None:
    with app.app_context():
        for cents in range(1, 8):
            transfer(ann.id, bob.id, cents)
    page = text_of(signed_in("auditor").get(f"/users/{bob.id}"))
    assert "Balance <strong>0.28</strong>" in page
    assert "+0.07" in page
    assert "+0.03" in page
    assert "+0.02" not in page
    assert f'href="{path_of(bob)}"' in page
    assert "transfer" not in page.split('id="credits"')[1].split("</section>")[0].lower()


def test_the_ledger_has_pages(app: Flask, signed_in: SignedIn, ann: User, bob: User) -> None:
    with app.app_context():
        for cents in range(1, 61):
            transfer(ann.id, bob.id, cents)
    auditor = signed_in("auditor")
    first = auditor.get(path_of(bob)).text
    assert first.count('<tr id="p') == 50
    [following] = [part.split('"')[0] for part in first.split('href="') if "after=" in part.split('"')[0]]
    second = auditor.get(following.replace("&amp;", "&")).text
    assert second.count('<tr id="p') == 10
    assert "+0.01" in second
    [back] = [part.split('"')[0] for part in second.split('href="') if "before=" in part.split('"')[0]]
    assert auditor.get(back.replace("&amp;", "&")).text.count('<tr id="p') == 50
    damaged = auditor.get(path_of(bob) + "?after=x")
    assert damaged.status_code == 200
    assert "The link to that page was damaged" in damaged.text


def test_an_export_is_the_whole_ledger_as_numbers(
    app: Flask, signed_in: SignedIn, ann: User, bob: User
) -> None:
    with app.app_context():
        transfer(ann.id, bob.id, 125)
    desk = signed_in()
    answer = desk.post(path_of(ann, "export"))
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="credits-{ann.id}-')
    rows = list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(row["amount"], row["balance"], row["other_name"], row["reason"]) for row in rows] == [
        ("20.00", "20.00", "", "A present"),
        ("-1.25", "18.75", "Bob", ""),
    ]
    story = read_stories(app)[-1]
    assert (story.kind, story.subject_id, story.facts["count"]) == (Kind.EXPORTED, ann.id, 2)


def test_in_french_an_amount_has_its_comma(signed_in: SignedIn, ann: User, bob: User) -> None:
    desk = signed_in(language="fr")
    assert "20,00" in desk.get(path_of(ann)).text
    answer = desk.post(path_of(ann, "transfer"), {"to_user_id": str(bob.id), "amount": "20,01"})
    assert field_error(answer.text, "amount") == "C’est plus qu’il n’y a\u202f: le solde est de 20,00."


# It is refused


@pytest.mark.parametrize("confirmed", ["", "yes"])
@pytest.mark.parametrize(
    ("act", "typed", "field", "status", "message"),
    [
        ("transfer", {"amount": "20.01"}, "amount", 409, "That is more than there is: the balance is 20.00."),
        ("transfer", {"amount": "0"}, "amount", 422, "Enter an amount above zero."),
        (
            "transfer",
            {"amount": "-1"},
            "amount",
            422,
            "Enter an amount such as 12.50, with at most two decimals.",
        ),
        (
            "transfer",
            {"amount": "1.001"},
            "amount",
            422,
            "Enter an amount such as 12.50, with at most two decimals.",
        ),
        (
            "transfer",
            {"to_user_id": "ann@example.org"},
            "to_user_id",
            422,
            "Choose somebody else: this is the sender.",
        ),
        (
            "transfer",
            {"to_user_id": "nobody"},
            "to_user_id",
            422,
            "There is nobody with this number or e-mail.",
        ),
        ("transfer", {"to_user_id": ""}, "to_user_id", 422, "There is nobody with this number or e-mail."),
        ("transfer", {"reason": "x" * 201}, "reason", 422, "Use at most 200 characters."),
        ("grant", {"reason": " "}, "reason", 422, "Say why."),
        ("grant", {"amount": "1000000000.01"}, "amount", 422, "Move at most 1,000,000,000.00 at once."),
        ("withdraw", {"amount": "20.01"}, "amount", 409, "That is more than there is: the balance is 20.00."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    app: Flask,
    signed_in: SignedIn,
    ann: User,
    bob: User,
    act: str,
    typed: dict[str, str],
    field: str,
    status: int,
    message: str,
    confirmed: str,
) -> None:
    form = {"to_user_id": str(bob.id), "amount": "1", "reason": "Why", "confirmed": confirmed, **typed}
    answer = assert_refused(signed_in(), path_of(ann, act), form, status=status)
    assert 'role="alert"' in answer.text
    assert field_error(answer.text, field) == message
    for name in ("amount", "reason") + (("to_user_id",) if act == "transfer" else ()):
        assert field_value(answer.text, name) == form[name]


def test_who_is_inactive_sends_nothing(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, bob: User
) -> None:
    user = make_user(is_active=False)
    with app.app_context():
        grant(user.id, 500)
    form = {"to_user_id": str(bob.id), "amount": "1", "confirmed": "yes"}
    answer = assert_refused(signed_in(), path_of(user, "transfer"), form, status=409)
    assert "This person is inactive and cannot send credits. Activate the account first." in answer.text


def test_who_has_credits_is_not_deleted(app: Flask, signed_in: SignedIn, ann: User) -> None:
    answer = assert_refused(signed_in(), f"/users/{ann.id}/delete", {"version": "1"}, status=409)
    assert "This person still has credits. Transfer or withdraw them first." in answer.text


def test_the_ledger_of_somebody_in_the_trash_is_read_from_there(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, ann: User, bob: User
) -> None:
    desk, other = signed_in(), make_user(full_name="Never Rich")
    with app.app_context():
        transfer(ann.id, bob.id, 2000)
        for user in (ann, other):
            delete_user(get_user(user.id), version=user.version, actor=TERMINAL)
    trash = desk.get("/trash/").text
    for user in (ann, other):
        assert f'href="{path_of(user)}"' in trash
        assert desk.get(path_of(user)).status_code == 200
    page = desk.get(path_of(ann)).text
    assert "-20.00" in text_of(desk.get(path_of(ann)))
    assert 'href="/trash/"' in page
    assert f'href="/users/{ann.id}"' not in page
    assert not any(path_of(ann, act) in page for act in (*ACTS, "export"))
    assert [desk.get(path_of(ann, act)).status_code for act in ACTS] == [404] * 3
    assert signed_in("auditor").get(path_of(ann)).status_code == 404


def test_a_page_of_another_list_is_no_page_of_the_ledger(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch, ann: User
) -> None:
    """Both are sorted by the time."""
    monkeypatch.setattr("webapp.history.forms.PAGE_SIZE", 1)
    with app.app_context():
        grant(ann.id, 100)
    desk = signed_in()
    found = re.search(r'href="/history/\?(after=[^"&]+)"', desk.get("/history/").text)
    assert found
    answer = desk.get(f"{path_of(ann)}?{found[1]}")
    assert "damaged" in answer.text
    assert "20.00" in answer.text


@pytest.mark.parametrize("act", ["", *ACTS])
def test_who_is_signed_out_is_asked_to_sign_in(app: Flask, ann: User, act: str) -> None:
    assert_get_asks_to_sign_in(app, path_of(ann, act))
    if act:
        assert_post_asks_to_sign_in(app, path_of(ann, act), {"amount": "1", "confirmed": "yes"})


def test_support_neither_grants_nor_touches_who_works_here(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, ann: User
) -> None:
    colleague, support = make_user(role=Role.AUDITOR), signed_in("support")
    form = {"amount": "1", "reason": "Why", "confirmed": "yes"}
    for act in ("grant", "withdraw"):
        assert_refused(support, path_of(ann, act), form)
    assert_refused(support, path_of(colleague, "transfer"), {**form, "to_user_id": str(ann.id)})
    assert_refused(support, path_of(ann, "transfer"), {**form, "to_user_id": str(colleague.id)})
    assert_refused(support, path_of(ann, "export"))


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_of_nobody_there_is_no_page(signed_in: SignedIn, user_id: str) -> None:
    desk = signed_in()
    for act in ("", *ACTS):
        assert desk.get(path_of(user_id, act)).status_code == 404
        if act:
            assert_refused(desk, path_of(user_id, act), {"amount": "1", "confirmed": "yes"}, status=404)


@pytest.mark.parametrize("act", ["", *ACTS])
def test_looking_writes_nothing(signed_in: SignedIn, ann: User, act: str) -> None:
    assert_get_writes_nothing(signed_in(), path_of(ann, act))


def test_the_ledger_takes_as_many_queries_however_long_it_is(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, ann: User, count_queries: CountQueries
) -> None:
    auditor, counted = signed_in("auditor"), []
    for others in (1, 20):
        with app.app_context():
            for _ in range(others):
                transfer(ann.id, make_user().id, 1)
        with count_queries() as statements:
            auditor.get(path_of(ann))
        counted.append(len(statements))
    # Who is signed in; the user; the count and the page; the transfers, the names; the balance.
    assert counted == [7, 7]


# Bad input


@pytest.mark.parametrize("field", ["to_user_id", "amount", "reason", "key", "confirmed"])
def test_any_text_in_any_field(app: Flask, signed_in: SignedIn, ann: User, bob: User, field: str) -> None:
    """Refused with what was typed, or asked, or done; the same on both databases, and never by half."""
    desk = signed_in()
    fields = {"to_user_id": str(bob.id), "amount": "0.01", "reason": "Why", "key": "", "confirmed": "yes"}
    for name, text in TEXTS.items():
        before = read_tables(app)
        body = encode({**fields, field: text, "csrf_token": desk.csrf_token()})
        answer = desk.client.post(path_of(ann, "transfer"), data=body, content_type=FORM)
        assert answer.status_code in {200, 303, 409, 422}, name
        assert CANARY not in answer.text, name
        if answer.status_code != 303:
            assert read_tables(app) == before, name
        if answer.status_code in {409, 422}:
            assert field_error(answer.text, field), name
            assert field_value(answer.text, field) == received(text)[:MAX_LINE], name
    with app.app_context():
        assert find_faults() == []


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("act", ACTS)
def test_any_bytes_as_a_body(app: Flask, signed_in: SignedIn, ann: User, act: str, name: str) -> None:
    desk = signed_in()
    before = read_tables(app)
    token = encode({"csrf_token": desk.csrf_token()}).encode()
    answer = desk.client.post(path_of(ann, act), data=token + b"&" + RAW[name], content_type=FORM)
    assert answer.status_code in {400, 413, 422}
    assert read_tables(app) == before


def test_any_text_in_the_address_of_the_ledger(signed_in: SignedIn, ann: User) -> None:
    desk = signed_in()
    for parameter in ("after", "before"):
        for name, text in TEXTS.items():
            query = encode({parameter: text})
            assert desk.client.get(path_of(ann), query_string=query).status_code == 200, name


def test_markup_in_a_reason_or_a_name_is_shown_as_text(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, ann: User
) -> None:
    other = make_user(full_name=f"Bob {CANARY}")
    desk: Visitor = signed_in()
    form = {"to_user_id": str(other.id), "amount": "1", "reason": f"For {CANARY}"}
    pages = [
        desk.post(path_of(ann, "transfer"), form),
        desk.post(path_of(ann, "transfer"), {**form, "confirmed": "yes"}),
        *(desk.get(path) for path in (path_of(ann), path_of(other), f"/users/{ann.id}", "/history/")),
    ]
    for answer in pages:
        assert CANARY not in answer.text
    assert CANARY in text_of(pages[2])
    with app.app_context():
        assert get_session().in_transaction() is False
