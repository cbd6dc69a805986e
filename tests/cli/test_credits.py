"""flask credits: what moves is told with its balances, and verify exits with 1 when anything differs."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

from tests.cli.test_database import run
from tests.conftest import MakeUser, read_tables
from tests.history.ways import read_stories
from webapp.access.actor import Door
from webapp.extensions import sqla
from webapp.history.rules import Kind


@pytest.fixture
def people(app: Flask, make_user: MakeUser) -> Flask:
    for name in ("ann", "bob"):
        make_user(email=f"{name}@example.org")
    return app


def test_credits_are_granted_transferred_and_withdrawn(people: Flask) -> None:
    result = run(people, "credits", "grant", "ann@example.org", "1,234.50", "--reason", "A present")
    assert (result.exit_code, result.output) == (0, "ann@example.org has 1,234.50.\n")
    result = run(people, "credits", "transfer", "ann@example.org", "bob@example.org", "34.50")
    assert result.output == "ann@example.org has 1,200.00.\nbob@example.org has 34.50.\n"
    result = run(people, "credits", "withdraw", "bob@example.org", "34,5", "--reason", "An error")
    assert result.output == "bob@example.org has 0.00.\n"
    stories = read_stories(people)
    assert [it.kind for it in stories] == [
        *(Kind.GRANTED, Kind.TRANSFERRED, Kind.TRANSFERRED, Kind.WITHDRAWN)
    ]
    assert {it.door for it in stories} == {Door.COMMAND}
    result = run(people, "credits", "verify")
    assert result.exit_code == 0
    assert result.output == (
        "3 transfers have 6 postings, which sum to 0.00."
        " 2 accounts hold what these lead to: 1,200.00 in all.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("transfer", "ann@example.org", "bob@example.org", "1"), "amount: That is more than there is"),
        (("transfer", "ann@example.org", "ann@example.org", "1"), "to_user_id: Choose somebody else"),
        (("grant", "ann@example.org", "0", "--reason", "x"), "amount: Enter an amount above zero."),
        (("grant", "ann@example.org", "1", "--reason", " "), "reason: Say why."),
        (
            ("grant", "cy@example.org", "1", "--reason", "x"),
            "There is no user with the e-mail cy@example.org",
        ),
        (("withdraw", "ann@example.org", "one", "--reason", "x"), "amount: Enter an amount such as 12.50"),
    ],
)
def test_what_is_refused_is_one_line_and_exit_1(people: Flask, arguments: tuple[str, ...], said: str) -> None:
    before = read_tables(people)
    result = run(people, "credits", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert read_tables(people) == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE accounts SET balance_cents = 501", "Account 1 does not hold what its postings lead to."),
        ("UPDATE transfers SET amount_cents = 501", "Transfer 1 is not what its postings say."),
        (
            "UPDATE postings SET balance_cents = 501 WHERE user_id = 1",
            "Posting 2 does not lead from the balance before it to its own.",
        ),
    ],
)
def test_what_differs_is_named(people: Flask, statement: str, said: str) -> None:
    run(people, "credits", "grant", "ann@example.org", "5", "--reason", "A present")
    with people.app_context(), sqla.engine.begin() as connection:
        connection.execute(text(statement))
    result = run(people, "credits", "verify")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "compare the credits with a backup" in result.stderr
