"""What the documents say of settings, commands, targets, roles and files is true, and says all there is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path

import click
import pytest
from dotenv import dotenv_values

from tests.conftest import make_settings
from tests.house.files import repository_files
from webapp import create_app
from webapp.access.permissions import MANAGED_ROLES, Permission, Role, may
from webapp.auth.rules import (
    LINK_LIFETIME,
    MAX_PER_DEVICE,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
    MOST_PER_PAIR,
    WINDOW,
)
from webapp.config import ROOT, Settings
from webapp.errors import ConfigurationError
from webapp.users.rules import MIN_PASSWORD_ALONE

REQUIRED = {
    "DATABASE_URL": "postgresql://dossier:password@127.0.0.1:5432/dossier",
    "SECRET_KEY": "long enough to be accepted as a secret",
    "TRUSTED_HOSTS": "dossier.example.org",
}
DEBUG = {"DEBUG": "1", "SECRET_KEY": REQUIRED["SECRET_KEY"]}
CODE = re.compile(r"`([^`]+)`")

# Written so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(r"(^|[^\w./-])/(root|home|work)/")
REGISTRY = re.compile(r"(pypi|pythonhosted|npmjs)\.(org|com)|(index|extra-index)-url|artifact(ory)\b", re.I)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read_table(section: str) -> dict[str, list[str]]:
    """The README's table under ``## section``: first cell without backticks → the other cells."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", read("README.md"), re.MULTILINE | re.DOTALL)
    assert text, section
    rows = [line.strip("|").split("|") for line in text[1].splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}


# Settings


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


@cache
def settings_read() -> frozenset[str]:
    """Every variable that the configuration looks at."""
    environment = Asked(REQUIRED)
    Settings.from_environment(environment)
    return frozenset(environment.names)


def read_example() -> dict[str, str]:
    """.env.example with every setting uncommented."""
    text = re.sub(r"^# (?=[A-Z_]+=)", "", read(".env.example"), flags=re.MULTILINE)
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def test_the_readme_and_the_example_name_exactly_the_settings_there_are() -> None:
    assert set(read_table("Settings")) == settings_read()
    assert set(read_example()) == settings_read()


@pytest.mark.parametrize("name", sorted(settings_read()))
def test_the_default_in_the_readme_is_the_one_in_the_code(name: str) -> None:
    """Setting a default by hand changes nothing; what is required cannot be left out."""
    default, with_debug, _meaning = read_table("Settings")[name]
    if default == "required":
        rest = {key: value for key, value in REQUIRED.items() if key != name}
        with pytest.raises(ConfigurationError, match=f"^{name} is not set"):
            Settings.from_environment(rest)
    else:
        assert with_default(REQUIRED, name, default) == Settings.from_environment(REQUIRED)
        assert read_example()[name] == default.strip("`")
    if CODE.fullmatch(with_debug):
        assert with_default(DEBUG, name, with_debug) == Settings.from_environment(DEBUG)
    elif with_debug == "same":
        assert with_default(DEBUG, name, default) == Settings.from_environment(DEBUG)
    else:
        assert name == "SECRET_KEY"


def with_default(environment: Mapping[str, str], name: str, cell: str) -> Settings:
    found = CODE.fullmatch(cell)
    assert found, f"{name}: {cell}"
    return Settings.from_environment({**environment, name: found[1]})


def bounds() -> Iterator[tuple[str, str]]:
    """Each whole number with its bounds, as the refusal of another value says them."""
    for name in sorted(settings_read() - {"BIND"}):
        try:
            Settings.from_environment({**REQUIRED, name: "no number"})
        except ConfigurationError as error:
            if found := re.search(r"whole number from (\d+ to \d+)", str(error)):
                yield name, found[1]


@pytest.mark.parametrize(("name", "between"), list(bounds()))
def test_the_readme_gives_the_bounds_of_each_number(name: str, between: str) -> None:
    assert between in read_table("Settings")[name][-1]


def test_the_example_works_once_a_secret_is_put_in() -> None:
    example = read_example()
    assert example["SECRET_KEY"] == "", "nobody must be able to copy a secret that everybody knows"
    settings = Settings.from_environment({**example, "SECRET_KEY": REQUIRED["SECRET_KEY"]})
    assert settings == Settings.from_environment({**REQUIRED, "TRUSTED_HOSTS": example["TRUSTED_HOSTS"]})


# Commands, targets, roles


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Dossier's own, subcommands too; those of Flask's extensions are theirs to describe."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        elif command.callback.__module__.startswith("webapp."):
            yield prefix + name, command


@cache
def own_commands() -> dict[str, click.Command]:
    return dict(commands(create_app(make_settings("sqlite://")).cli))


def command_of(row: str) -> str | None:
    """The command that a row such as "users create --email …" is about."""
    return next((name for name in own_commands() if f"{row} ".startswith(f"{name} ")), None)


def test_the_readme_names_exactly_the_commands_there_are() -> None:
    rows = {row: command_of(row) for row in read_table("Command line")}
    assert [row for row, command in rows.items() if command is None] == []
    assert set(own_commands()) == set(rows.values())


def test_the_options_that_the_readme_names_exist() -> None:
    for row, cells in read_table("Command line").items():
        parameters = own_commands()[command_of(row) or ""].params
        known = {option for it in parameters for option in (*it.opts, *it.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", f"{row} {cells[-1]}")) <= known, row


def test_the_readme_names_exactly_the_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    text = " ".join(read(name) for name in repository_files() if name.endswith(".md"))
    assert set(re.findall(r"`make ([a-z-]+)", text)) == targets


@pytest.mark.parametrize("permission", [p for p in Permission if p is not Permission.PUBLIC])
def test_the_readme_says_who_may_do_what(permission: Permission) -> None:
    def say(role: Role) -> str:
        if not may(role, permission):
            return "–"
        reads = {Permission.USERS_READ, Permission.CREDITS_READ}
        is_about_people = permission.startswith(("users.", "credits.")) and permission not in reads
        return "members" if is_about_people and MANAGED_ROLES[role] == {Role.MEMBER} else "yes"

    assert read_table("Roles")[permission][1:] == [say(role) for role in Role]


def test_the_readme_names_no_permission_that_does_not_exist() -> None:
    assert set(read_table("Roles")) == set(Permission) - {Permission.PUBLIC}


def test_the_limits_of_signing_in_are_those_of_the_code() -> None:
    text = " ".join(read("README.md").split())
    minutes, hours = WINDOW.total_seconds() / 60, LINK_LIFETIME.total_seconds() / 3600
    for sentence in (
        f"After {MOST_PER_PAIR} attempts on one account from one address,"
        f" {MOST_PER_ADDRESS} from one address, or {MOST_PER_ACCOUNT} on one account,"
        f" within {minutes:g} minutes, more are refused.",
        f"counted by itself, {MAX_PER_DEVICE} attempts",
        f"One-time links work once, for {hours:g} hours,",
        f"A password has at least {MIN_PASSWORD_ALONE} characters",
    ):
        assert sentence in text


# Files and links

DOCUMENTS = [name for name in repository_files() if name.endswith(".md")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    text = re.sub(r"^```.*?^```", "", read(document), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_decision_is_in_their_list() -> None:
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}
    listed = re.findall(r"\((\d{4}-[a-z-]+\.md)\)", read("docs/decisions/README.md"))
    assert sorted(pages) == listed


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    """In backticks and with a folder; what a document tells to create is not expected yet."""
    text = read(document)
    to_create = set(re.findall(r"^Create `(.+)`:", text, re.MULTILINE))
    named = set(
        re.findall(r"`((?:webapp|tests|templates|static|docs|migrations|bench|chaos)/[\w./-]+\.\w+)`", text)
    )
    assert [name for name in sorted(named - to_create) if not (ROOT / name).is_file()] == []


def test_no_file_holds_a_path_of_somebodys_machine_or_the_address_of_a_registry() -> None:
    found = [
        f"{name}: {match[0].strip()}"
        for name in repository_files()
        for line in (ROOT / name).read_bytes().decode("utf-8", "replace").splitlines()
        for match in (MACHINE_PATH.search(line), REGISTRY.search(line))
        if match
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "cd " + "/home" + "/ann/dossier"),
        (MACHINE_PATH, "/root" + "/x"),
        (REGISTRY, "https://" + "pypi" + ".org/simple"),
        (REGISTRY, "--index" + "-url x"),
    ],
)
def test_such_a_line_would_be_found(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)
