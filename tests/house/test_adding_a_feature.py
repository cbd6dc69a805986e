"""docs/adding-a-feature.md is followed to the letter in a copy of the repository, and the feature works."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.files import copy_repository
from webapp.config import ROOT

DOCUMENT = ROOT / "docs" / "adding-a-feature.md"
BLOCK = re.compile(r"^(?P<lead>[^\n]*)\n\n```[a-z]+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CREATE = re.compile(r"Create `(.+)`:")
REPLACE = re.compile(r"In `(.+)`, replace:")
ADD = re.compile(r"At the end of `(.+)`, add:")

# What asks each route and each change asks those of the feature: the others this very run asks itself, and
# the databases on Postgres are its own.
EACH = (
    "test_a_route_lets_in_whom_its_permission_names",
    "test_a_row_s_role_decides_who_may_change_it",
    "test_other_methods_are_refused_and_change_nothing",
    "test_a_form_without_the_right_token_is_refused_and_changes_nothing",
    "test_a_change_is_made_wholly_or_not_at_all",
)
TESTED = f"not postgres and (products or not ({' or '.join(EACH)}))"


def read_blocks() -> Iterator[tuple[str, str]]:
    """Each fenced block with the line that says what to do with it."""
    for found in BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")):
        yield found["lead"], found["text"]


class Reader:
    """Somebody who does what each block says, and stops where it cannot be done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output: dict[str, str] = {}
        self._replaced: tuple[Path, str] | None = None

    def follow(self, lead: str, text: str) -> None:
        if found := CREATE.fullmatch(lead):
            self._create(self.folder / found[1], text)
        elif found := REPLACE.fullmatch(lead):
            self._replaced = self.folder / found[1], text
        elif lead == "by:" and self._replaced:
            self._replace(*self._replaced, text)
            self._replaced = None
        elif found := ADD.fullmatch(lead):
            with (self.folder / found[1]).open("a", encoding="utf-8") as file:
                file.write(text)
        elif lead == "Run:":
            for command in text.splitlines():
                self.output[command] = self._run(command)
        else:
            pytest.fail(f"nothing says what to do with the block after: {lead}")

    def _create(self, path: Path, text: str) -> None:
        assert not path.exists(), f"{path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _replace(self, path: Path, old: str, new: str) -> None:
        present = path.read_text(encoding="utf-8")
        old, new = old.removesuffix("\n"), new.removesuffix("\n")
        assert present.count(old) == 1, f"{path.name} holds {present.count(old)} times:\n{old}"
        path.write_text(present.replace(old, new), encoding="utf-8")

    def _run(self, command: str) -> str:
        ran = subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env={
                **os.environ,
                "DEBUG": "1",
                "SQL_ECHO": "0",
                "DATABASE_URL": f"sqlite:///{self.folder / 'app.db'}",
                "PYTEST_ADDOPTS": f"-rp -k '{TESTED}'",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


def test_every_block_says_what_to_do_with_it() -> None:
    fences = re.findall(r"^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(list(read_blocks()))


def test_who_follows_the_document_has_a_feature_that_works(tmp_path: Path) -> None:
    """One test: following it takes long. Each command must succeed, the tests of the house among them."""
    copy_repository(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    reader = Reader(tmp_path)
    for lead, text in read_blocks():
        reader.follow(lead, text)
    check_migration(tmp_path)
    routes = next(text for command, text in reader.output.items() if command.endswith(" routes"))
    assert re.search(r"^products\.list_products +GET +/products/ *$", routes, re.MULTILINE)
    tested = [text for command, text in reader.output.items() if "-m pytest" in command]
    assert len(tested) == 2
    assert all(re.search(r"^\d+ passed", text, re.MULTILINE) for text in tested)
    assert re.search(r"^PASSED \S+::test_a_change_is_made_\S+\[products\.", tested[1], re.MULTILINE)


def check_migration(folder: Path) -> None:
    """It makes the new table and nothing else."""
    (migration,) = (folder / "migrations" / "versions").glob("*_products.py")
    text = migration.read_text(encoding="utf-8")
    assert re.findall(r"^    op\.(\w+)\(", text, re.MULTILINE) == ["create_table", "drop_table"]
    with sqlite3.connect(folder / "app.db") as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(products)")]
    assert columns == ["id", "name", "name_key", "price_cents", "created_at"]
