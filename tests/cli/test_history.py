"""flask history verify: exit 0 and the digest of the ends, or exit 1 and the first entry that is wrong."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import text

from tests.cli.test_database import run
from webapp.extensions import sqla


def digest_of(output: str) -> str:
    found = re.fullmatch(r"([\d,]+) entries are as they were written\. ([0-9a-f]{64})\n", output)
    assert found, output
    return found[2]


def test_what_is_as_it_was_written_is_said_with_the_digest_of_its_ends(app: Flask) -> None:
    assert run(app, "users", "create", "--email", "ann@example.org").exit_code == 0
    first = run(app, "history", "verify")
    assert (first.exit_code, first.output.startswith("1 entries")) == (0, True)
    assert digest_of(run(app, "history", "verify").output) == digest_of(first.output)
    run(app, "users", "deactivate", "ann@example.org")
    assert digest_of(run(app, "history", "verify").output) != digest_of(first.output)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entries SET kind = 'edited' WHERE number = 2", "entry 2 was changed"),
        ("UPDATE entries SET details = '{}' WHERE number = 1", "entry 1 was changed"),
        ("DELETE FROM entries WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM entries WHERE number = 3", "entry 3 is missing"),
    ],
)
def test_the_first_that_is_wrong_is_named(app: Flask, statement: str, said: str) -> None:
    run(app, "users", "create", "--email", "ann@example.org")
    for act in ("deactivate", "activate"):
        run(app, "users", act, "ann@example.org")
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(text(statement))
    result = run(app, "history", "verify")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "compare it with a backup" in result.stderr
