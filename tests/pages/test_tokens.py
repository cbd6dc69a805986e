"""/tokens/: one's own tokens, made, shown once, and revoked."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.conftest import MakeUser, SignedIn, newest_entry, read_tables
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import Visitor, field_error, field_value
from webapp.access.permissions import PERMISSIONS, Role
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.tokens import rules
from webapp.tokens.models import Token
from webapp.tokens.queries import find_token, list_own_tokens

PATH, NEW = "/tokens/", "/tokens/new"
FORM: dict[str, Any] = {"name": "Nightly report", "scopes": ["users.read", "history.read"], "days": "90"}
STAFF = ("auditor", "support", "administrator")


def shown_secret(page: str) -> str:
    secret = field_value(page, "secret") or re.search(r'id="secret" value="([^"]+)"', page)
    return secret if isinstance(secret, str) else secret[1] if secret else ""


def make(visitor: Visitor, **changes: Any) -> str:
    answer = visitor.post(NEW, {**FORM, **changes})
    assert answer.status_code == 200
    return shown_secret(answer.text)


def own_tokens(visitor: Visitor) -> list[Token]:
    assert visitor.user is not None
    with visitor.app.app_context():
        return list(list_own_tokens(visitor.user.id))


@pytest.mark.parametrize("role", STAFF)
def test_a_token_is_made_and_shown_once(app: Flask, signed_in: SignedIn, role: str) -> None:
    visitor = signed_in(role)
    form = read_form(visitor.get(NEW).text, holding="days")
    assert form.fields["days"] == "30"
    secret = make(visitor, address_range="192.0.2.0/24")
    assert rules.is_token(secret)
    with app.app_context():
        found = find_token(secret, address="192.0.2.7")
        assert found is not None
        assert {scope.value for scope in found.scopes} == set(FORM["scopes"])
    (token,) = own_tokens(visitor)
    assert timedelta(days=89) < token.expires_at - utc_now() <= timedelta(days=90)
    listed = text_of(visitor.get(PATH))
    for shown in ("Nightly report", f"…{secret[-4:]}", "Read users and notes", "192.0.2.0/24", "never used"):
        assert shown in listed
    assert secret not in listed
    entry = newest_entry(app)
    with app.app_context():
        story = get_story(entry)
    assert (story.kind, story.subject_id) == (Kind.TOKEN_MADE, token.user_id)
    assert "Nightly report" in visitor.get("/history/").text


def test_the_answer_with_the_secret_is_kept_nowhere(signed_in: SignedIn) -> None:
    visitor = signed_in("support")
    answer = visitor.post(NEW, FORM)
    secret = shown_secret(answer.text)
    assert "no-store" in answer.headers["Cache-Control"]
    assert secret not in str(answer.headers)
    assert answer.text.count(secret) == 1
    assert 'data-copy="secret"' in answer.text


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR])
def test_the_scopes_offered_are_those_of_the_role(signed_in: SignedIn, role: Role) -> None:
    page = signed_in(role).get(NEW).text
    offered = re.findall(r'name="scopes" value="([^"]+)"', page)
    assert offered == [scope.value for scope in rules.SCOPES if scope in PERMISSIONS[role]]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": " "}, "name", "Enter a name in printable characters, such as what the token is for."),
        ({"name": "x" * 61}, "name", "Use at most 60 characters."),
        ({"scopes": []}, "scopes", "Choose at least one scope."),
        ({"scopes": ["users.fly"]}, "scopes", "There is no such scope. Choose among those offered."),
        (
            {"scopes": ["users.delete"]},
            "scopes",
            "A token can do no more than its owner’s role. Choose fewer scopes.",
        ),
        (
            {"scopes": ["users.edit", "credits.move", "history.read"]},
            "scopes",
            "What is changed is shown in the answer. Choose this, too:"
            " Read balances and ledgers, Read users and notes (credits.read, users.read).",
        ),
        ({"days": "366"}, "days", "A token lives from one day to 365 days."),
        ({"days": "-1"}, "days", "A token lives from one day to 365 days."),
        (
            {"address_range": "somewhere"},
            "address_range",
            "Enter an address or a range such as 192.0.2.0/24 or 2001:db8::/32.",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    app: Flask, signed_in: SignedIn, changes: dict[str, Any], field: str, message: str
) -> None:
    visitor = signed_in("support")
    before = read_tables(app)
    sent = {**FORM, "address_range": "192.0.2.9", **changes}
    answer = visitor.post(NEW, sent)
    assert answer.status_code == 422
    assert field_error(answer.text, field) == message
    for name in ("name", "address_range"):
        assert field_value(answer.text, name) == sent[name]
    ticked = re.findall(r'name="scopes" value="([^"]+)"[^>]* checked', answer.text)
    assert set(ticked) == set(sent["scopes"]) - {"users.fly", "users.delete"}
    assert read_tables(app) == before


def test_a_field_that_was_not_sent_is_asked_for(app: Flask, signed_in: SignedIn) -> None:
    answer = assert_refused(signed_in("support"), NEW, {}, status=422)
    assert field_error(answer.text, "name")
    assert field_error(answer.text, "scopes")


def test_there_is_an_end_to_how_many_one_may_have(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_TOKENS", 1)
    visitor = signed_in("support")
    make(visitor)
    answer = assert_refused(visitor, NEW, FORM, status=409)
    assert "There are 1 tokens already" in answer.text
    assert field_value(answer.text, "name") == FORM["name"]


def test_one_s_own_is_revoked_by_its_button(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    secret = make(visitor)
    (token,) = own_tokens(visitor)
    button = read_form(visitor.get(PATH).text, action=f"/tokens/{token.id}/revoke")
    answer = visitor.post_raw(button.action, button.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    entry = newest_entry(app)
    with app.app_context():
        assert find_token(secret, address="") is None
        assert get_story(entry).kind is Kind.TOKEN_REVOKED
    assert "The token is revoked." in visitor.get(PATH).text
    assert visitor.post_raw(button.action, button.fields).status_code == 404, "gone already"


@pytest.mark.parametrize("role", STAFF)
def test_nobody_revokes_somebody_else_s_here(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str
) -> None:
    owner = Visitor(app, make_user(role=Role.SUPPORT))
    make(owner)
    (token,) = own_tokens(owner)
    visitor = signed_in(role)
    assert_refused(visitor, f"/tokens/{token.id}/revoke", status=404)
    assert "Nightly report" not in visitor.get(PATH).text


@pytest.mark.parametrize("token_id", [*UNKNOWN_IDS, "x", "-1"])
def test_an_unknown_token_is_said(signed_in: SignedIn, token_id: str) -> None:
    assert_refused(signed_in("auditor"), f"/tokens/{token_id}/revoke", status=404)


def test_what_has_ended_says_so(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("support")
    make(visitor, name="First")
    make(visitor, name="Second")
    second, _first = own_tokens(visitor)
    with app.app_context():
        session = get_session()
        session.execute(update(Token).where(Token.id == second.id).values(expires_at=utc_now()))
        session.commit()
    assert visitor.get(PATH).text.count("Expired") == 1
    with app.app_context():
        get_session().execute(update(Token).values(epoch=-1))
        get_session().commit()
    page = visitor.get(PATH).text
    assert [page.count(state) for state in (">Expired<", ">Ended<")] == [1, 1]


def test_a_name_that_is_markup_stays_text(signed_in: SignedIn) -> None:
    visitor = signed_in("support")
    made = visitor.post(NEW, {**FORM, "name": "<script>canary"})
    assert "<script>canary" not in made.text
    assert "<script>canary" not in visitor.get(PATH).text


def test_it_speaks_the_language_of_the_person(signed_in: SignedIn) -> None:
    visitor = signed_in("support", language="fr")
    make(visitor)
    assert "Lire les utilisateurs et les notes" in text_of(visitor.get(PATH))
    answer = visitor.post(NEW, {**FORM, "scopes": []})
    assert field_error(answer.text, "scopes") == "Choisissez au moins une portée."


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_get_asks_to_sign_in(app, NEW)
    assert_post_asks_to_sign_in(app, NEW, FORM)
    assert_post_asks_to_sign_in(app, "/tokens/1/revoke")


def test_looking_writes_nothing(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    make(visitor)
    for path in (PATH, NEW, f"{NEW}?name=x&scopes=users.read&days=30"):
        assert_get_writes_nothing(visitor, path)
    assert visitor.get("/tokens/1/revoke").status_code == 405


def test_the_list_costs_three_queries_however_many_there_are(
    signed_in: SignedIn, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    visitor = signed_in("support")
    for _ in range(5):
        make(visitor)
    with count_queries() as statements:
        assert visitor.get(PATH).status_code == 200
    assert len(statements) == 3, statements  # who it is, the tokens, their owner


def test_the_page_of_who_works_here_says_how_many_work(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor = signed_in("support")
    assert visitor.user is not None
    page = f"/users/{visitor.user.id}"
    assert "None that works." in visitor.get(page).text
    make(visitor)
    make(visitor)
    assert "2 tokens work." in visitor.get(page).text
    assert "/tokens/all" not in visitor.get(page).text
    assert "<h2>Access tokens</h2>" in visitor.get(page).text
    assert "<h2>Access tokens</h2>" not in visitor.get(f"/users/{make_user().id}").text


def test_who_deletes_somebody_is_told_of_his_tokens(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    owner = make_user(role=Role.SUPPORT)
    make(Visitor(app, owner))
    visitor = signed_in("administrator")
    assert "1 access token." in visitor.get(f"/users/{owner.id}/delete").text
    page = visitor.get(f"/users/{owner.id}").text
    assert f"/tokens/all?user={owner.id}" in page
