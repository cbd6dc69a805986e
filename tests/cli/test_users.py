"""flask create-admin and flask users: the same rules as the pages, every failure one line and exit 1."""

from __future__ import annotations

import re

import pytest
from click.testing import Result
from flask import Flask

from tests.cli.test_database import run
from tests.conftest import PASSWORD, MakeUser, read_tables, read_user
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.cli.users import ON_COMMAND_LINE
from webapp.db import get_session
from webapp.users.models import User
from webapp.users.passwords import verify_password
from webapp.users.queries import find_user_by_email

ANN = "ann@example.org"


def stored(app: Flask, email: str = ANN) -> User:
    with app.app_context():
        user = find_user_by_email(email)
        assert user is not None
        get_session().expunge(user)
        return user


def assert_one_line(result: Result, text: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert text in lines.pop()
    assert lines in ([], [ON_COMMAND_LINE])


def can_sign_in(app: Flask, password: str, email: str = ANN) -> bool:
    return Visitor(app).post("/auth/login", {"email": email, "password": password}).status_code == 303


def shown_password(result: Result) -> str:
    found = re.search(r"^Password: (\S+) +\(shown only now\)$", result.output, re.MULTILINE)
    assert found
    return found[1]


def test_an_administrator_gets_a_password_that_works(app: Flask) -> None:
    result = run(app, "create-admin", "--email", "Ann@Example.ORG", "--name", " Ann  Lee ")
    assert result.exit_code == 0
    assert "Administrator Ann@example.org is created." in result.output
    user = stored(app)
    assert (user.full_name, user.role, user.is_active) == ("Ann Lee", Role.ADMINISTRATOR, True)
    assert can_sign_in(app, shown_password(result))


COMMANDS = {
    "create-admin": ("create-admin", "--email", ANN, "--password", PASSWORD),
    "create-admin, generated": ("create-admin", "--email", ANN),
    "create": ("users", "create", "--email", ANN, "--role", "support", "--password", PASSWORD),
    "set-password": ("users", "set-password", ANN, "--password", PASSWORD),
    "set-password, generated": ("users", "set-password", ANN),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_from_the_command_line_must_be_changed_at_the_first_sign_in(
    app: Flask, make_user: MakeUser, command: str
) -> None:
    if command.startswith("set"):
        make_user(email=ANN, role=Role.AUDITOR)
    result = run(app, *COMMANDS[command])
    assert result.exit_code == 0
    assert "It must be changed at the first sign-in." in result.output
    assert stored(app).must_change_password
    password = shown_password(result) if "generated" in command else PASSWORD
    visitor = Visitor(app)
    visitor.post("/auth/login", {"email": ANN, "password": password})
    assert visitor.get("/users/").headers["Location"].startswith("/auth/password")
    new = "harbour candle meadow"
    changed = {"current_password": password, "new_password": new, "confirm_password": new}
    assert visitor.post("/auth/password", changed).status_code == 303
    assert visitor.get("/users/").status_code == 200
    assert not stored(app).must_change_password


@pytest.mark.parametrize("line", [f"{PASSWORD}\n", f"{PASSWORD}\r\n", PASSWORD, f"{PASSWORD}\nmore\n"])
def test_a_password_is_read_from_standard_input_and_not_shown(app: Flask, line: str) -> None:
    result = run(app, "create-admin", "--email", ANN, "--password", "-", input=line)
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert can_sign_in(app, PASSWORD)


def test_a_password_may_be_given_as_it_is(app: Flask) -> None:
    result = run(app, "create-admin", "--email", ANN, "--password", PASSWORD)
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert can_sign_in(app, PASSWORD)


def test_on_the_command_line_it_is_warned_of(app: Flask, make_user: MakeUser) -> None:
    """Lists of processes and the shell's history show it."""
    make_user(email="bob@example.org")
    commands = (
        ("create-admin", "--email", ANN),
        ("users", "create", "--email", "new@example.org"),
        ("users", "set-password", "bob@example.org"),
    )
    for command in commands:
        result = run(app, *command, "--password", PASSWORD)
        assert (result.exit_code, result.stderr) == (0, f"{ON_COMMAND_LINE}\n")
    for options in ((), ("--password", "-")):
        result = run(app, *commands[2], *options, input=f"{PASSWORD}\n")
        assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (("--email", "no address"), {}, "email: This is not an e-mail address"),
        (("--email", ""), {}, "email: Enter an e-mail address."),
        (("--email", ANN, "--name", "a\u202eb"), {}, "full_name: It holds an invisible"),
        (("--email", ANN, "--password", "short"), {}, "password: Use at least 15"),
        (("--email", ANN, "--password", ""), {}, "password: Use at least 15"),
        (("--email", ANN, "--password", "-"), {"input": ""}, "password: No password came on standard input."),
        (
            ("--email", ANN, "--password", "-"),
            {"input": "\n"},
            "password: No password came on standard input.",
        ),
    ],
)
def test_what_breaks_a_rule_is_one_line_with_the_field(
    app: Flask, arguments: tuple[str, ...], options: dict[str, str], text: str
) -> None:
    assert_one_line(run(app, "create-admin", *arguments, **options), text)
    assert read_tables(app)["users"] == []


@pytest.mark.parametrize("command", [("create-admin",), ("users", "create")])
def test_a_taken_address_is_one_line(app: Flask, make_user: MakeUser, command: tuple[str, ...]) -> None:
    make_user(email=ANN)
    assert_one_line(
        run(app, *command, "--email", "ANN@example.org"), "email: Another user already has this e-mail."
    )


def test_a_created_user_is_an_invited_member(app: Flask) -> None:
    result = run(app, "users", "create", "--email", ANN)
    user = stored(app)
    assert result.output == f"User {ANN} is created with id {user.id}.\n"
    assert (user.role, user.is_invited, user.full_name) == (Role.MEMBER, True, "")


def test_a_created_user_may_have_a_role_and_a_password(app: Flask) -> None:
    arguments = ("--email", ANN, "--role", "auditor", "--name", "Ann", "--password", "-")
    assert run(app, "users", "create", *arguments, input=PASSWORD).exit_code == 0
    assert stored(app).role is Role.AUDITOR
    assert can_sign_in(app, PASSWORD)


def test_an_unknown_role_is_a_usage_error(app: Flask) -> None:
    assert run(app, "users", "create", "--email", ANN, "--role", "king").exit_code == 2


def test_the_list_is_sorted_and_separated_by_tabs(app: Flask, make_user: MakeUser) -> None:
    bob = make_user(email="bob@example.org", full_name="Bob", role=Role.SUPPORT, is_active=False)
    ann = make_user(email=ANN, full_name="Ann Lee")
    assert run(app, "users", "list").output.splitlines() == [
        f"{ann.id}\t{ANN}\tmember\tactive\tAnn Lee",
        f"{bob.id}\tbob@example.org\tsupport\tinactive\tBob",
    ]


@pytest.mark.parametrize(
    ("arguments", "emails"),
    [
        (("--search", "LEE ann"), [ANN]),
        (("--search", "%"), []),
        (("--role", "support"), ["bob@example.org"]),
        (("--active",), [ANN, "cy@example.org"]),
        (("--inactive",), ["bob@example.org"]),
        (("--active", "--role", "support"), []),
    ],
)
def test_the_list_can_be_narrowed(
    app: Flask, make_user: MakeUser, arguments: tuple[str, ...], emails: list[str]
) -> None:
    make_user(email="bob@example.org", full_name="Bob", role=Role.SUPPORT, is_active=False)
    make_user(email=ANN, full_name="Ann Lee")
    make_user(email="cy@example.org", full_name="Cy")
    lines = run(app, "users", "list", *arguments).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == emails


def test_a_list_that_was_cut_says_so(app: Flask, make_user: MakeUser) -> None:
    for _ in range(3):
        make_user()
    result = run(app, "users", "list", "--limit", "2")
    assert len(result.stdout.splitlines()) == 2
    assert "--limit" in result.stderr
    assert run(app, "users", "list", "--limit", "3").stderr == ""


def test_activating_and_deactivating_say_what_they_did(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN)
    for command, text, active in (
        ("deactivate", "is inactive.", False),
        ("deactivate", "was inactive already.", False),
        ("activate", "is active.", True),
        ("activate", "was active already.", True),
    ):
        result = run(app, "users", command, "Ann@example.org")
        assert result.exit_code == 0
        assert text in result.output
        now = read_user(app, user.id)
        assert now is not None
        assert now.is_active is active


def test_the_last_administrator_stays_active(app: Flask, make_user: MakeUser) -> None:
    make_user(email=ANN, role=Role.ADMINISTRATOR)
    assert_one_line(run(app, "users", "deactivate", ANN), "last administrator")


def test_a_new_password_works_and_ends_the_sessions(app: Flask, make_user: MakeUser) -> None:
    user = make_user(email=ANN, role=Role.AUDITOR)
    visitor = Visitor(app, user)
    result = run(app, "users", "set-password", "ANN@example.org")
    assert result.exit_code == 0
    password = shown_password(result)
    assert visitor.get("/users/").status_code == 303
    assert not can_sign_in(app, PASSWORD)
    assert can_sign_in(app, password)
    assert run(app, "users", "set-password", ANN, "--password", "-", input=PASSWORD).exit_code == 0
    assert verify_password(stored(app).hashed_password, PASSWORD)


@pytest.mark.parametrize("command", ["activate", "deactivate", "set-password"])
def test_nobody_with_that_address_is_one_line(app: Flask, command: str) -> None:
    assert_one_line(run(app, "users", command, "nobody@example.org"), "nobody@example.org")
