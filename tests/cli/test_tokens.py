"""flask tokens: made and printed once, listed, revoked."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.cli.test_database import run
from tests.cli.test_users import assert_one_line
from tests.conftest import MakeUser, read_tables
from webapp.access.permissions import Permission, Role
from webapp.history.queries import list_stories
from webapp.history.rules import Kind
from webapp.tokens import rules
from webapp.tokens.queries import find_token, get_token
from webapp.users.models import User

ANN = "ann@example.org"
CREATE = ("tokens", "create", ANN, "--name", "Nightly report", "--scope", "users.read")


@pytest.fixture
def ann(make_user: MakeUser) -> User:
    return make_user(email=ANN, role=Role.SUPPORT)


def test_a_token_is_printed_alone_so_that_a_script_can_keep_it(app: Flask, ann: User) -> None:
    result = run(app, *CREATE, "--scope", "users.edit", "--days", "7", "--from", "192.0.2.0/24")
    assert result.exit_code == 0
    secret = result.stdout.rstrip("\n")
    assert rules.is_token(secret)
    assert "Token 1 works until" in result.stderr
    with app.app_context():
        found = find_token(secret, address="192.0.2.7")
        assert found is not None
        assert found.user_id == ann.id
        assert found.scopes == {Permission.USERS_READ, Permission.USERS_EDIT}
        assert (get_token(1).expires_at - get_token(1).created_at).days == 7
        assert find_token(secret, address="198.51.100.1") is None
        (story,) = list_stories(ann.id, most=5)
        assert (story.kind, story.actor_name) == (Kind.TOKEN_MADE, "command line")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("tokens", "create", "no@example.org", "--name", "x", "--scope", "users.read"),
            "There is no user",
        ),
        ((*CREATE, "--scope", "users.delete"), "scopes: A token can do no more than its owner’s role"),
        (
            ("tokens", "create", ANN, "--name", "x", "--scope", "users.edit"),
            "Choose this, too: Read users and notes (users.read).",
        ),
        ((*CREATE, "--from", "anywhere"), "address_range: Enter an address or a range"),
        (("tokens", "create", ANN, "--name", " ", "--scope", "users.read"), "name: Enter a name"),
        (("tokens", "revoke", "7"), "This token was revoked already."),
        (("tokens", "revoke", "9" * 30), "This token was revoked already."),
        (("tokens", "list", "--user", "no@example.org"), "There is no user"),
    ],
)
def test_a_refusal_is_one_line(app: Flask, ann: User, arguments: tuple[str, ...], message: str) -> None:
    assert_one_line(run(app, *arguments), message)
    assert read_tables(app)["tokens"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scope", "own_account"),
        ("--scope", "tokens.manage"),
        ("--scope", "nothing"),
        ("--days", "0"),
        ("--days", "366"),
        ("--days", "x"),
    ],
)
def test_what_is_no_choice_is_a_usage_error(app: Flask, ann: User, arguments: tuple[str, ...]) -> None:
    assert run(app, *CREATE, *arguments).exit_code == 2
    assert read_tables(app)["tokens"] == []


def test_they_are_listed_with_their_states(app: Flask, ann: User, make_user: MakeUser) -> None:
    make_user(email="bela@example.org", full_name="Béla", role=Role.AUDITOR)
    run(app, *CREATE)
    run(app, "tokens", "create", "bela@example.org", "--name", "Watch", "--scope", "history.read")
    run(app, "users", "deactivate", "bela@example.org")
    lines = [line.split("\t") for line in run(app, "tokens", "list").stdout.splitlines()]
    assert [(line[0], line[1], line[2], line[5], line[6]) for line in lines] == [
        ("2", "bela@example.org", "ended", "history.read", "Watch"),
        ("1", ANN, "alive", "users.read", "Nightly report"),
    ]
    assert [line[4] for line in lines] == ["never", "never"]
    assert run(app, "tokens", "list", "--search", "bela").stdout.startswith("2\t")
    assert run(app, "tokens", "list", "--user", ANN).stdout.startswith("1\t")
    limited = run(app, "tokens", "list", "--limit", "1")
    assert len(limited.stdout.splitlines()) == 1
    assert "and more" in limited.stderr


def test_a_token_is_revoked_by_its_id(app: Flask, ann: User) -> None:
    secret = run(app, *CREATE).stdout.strip()
    result = run(app, "tokens", "revoke", "1")
    assert (result.exit_code, result.output) == (0, "Token 1 is revoked.\n")
    with app.app_context():
        assert find_token(secret, address="") is None
        assert list_stories(ann.id, most=1)[0].kind is Kind.TOKEN_REVOKED
    assert_one_line(run(app, "tokens", "revoke", "1"), "This token was revoked already.")
