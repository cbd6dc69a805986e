"""Imports run downward only, so that any room can be read without the rooms above it.

The checker below is the written form of that rule; it is itself tried on small made-up breaches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from webapp.config import ROOT

# The floors of the house, top to bottom. A room uses itself and the floors below it, no neighbour.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(rooms.split())
    for rooms in (
        "factory",
        "api scim cli",
        "credits",
        "tokens",
        "auth batches",
        "notes",
        "users",
        "history",
        "web operations",
        "access listing",
        "db",
        "extensions config text",
        "errors",
    )
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
DOORS = FLOORS[1]
FEATURES = frozenset({"credits", "tokens", "auth", "batches", "notes", "users", "history"})

# Inside a feature: what each file may use of its own feature, and of the features below.
FILES: dict[str, frozenset[str]] = {
    name: frozenset(uses.split())
    for name, uses in {
        "guessing": "",
        "rules": "guessing",
        "passwords": "rules",
        "models": "rules",
        "queries": "models rules",
        "throttle": "models rules",
        "presence": "models queries",
        "standing": "models",
        "statements": "models rules queries",
        "services": "statements rules passwords models queries throttle trash many presence standing",
        "keys": "models passwords queries",
        "export": "rules queries services standing",
        "proof": "rules models queries",
        "many": "rules models queries services standing",
        "many_trash": "rules models queries services trash many",
        "changes": "rules queries services many many_trash undoing",
        "creators": "rules models queries standing",
        "locks": "rules models queries creators",
        "preview": "rules models queries many changes",
        "drafts": "rules models queries changes creators locks standing",
        "running": "rules models queries many creators locks preview services standing",
        "runner": "rules queries running",
        "wording": "rules",
        "trash": "rules models queries services standing",
        "undoing": "rules models queries services trash creators locks drafts standing",
        "amending": "models queries services",
        "forms": "rules queries",
        "urls": "models",
        "table": "forms urls",
        "comparison": "forms models queries services",
        "timeline": "rules queries",
        "obstacles": "models rules queries throttle",
        "notices": "models rules queries",
        "notice_views": "browser models notices queries rules services timeline",
        "browser": "services queries rules",
        "flood": "services rules forms passwords",
        "bearer": "services queries rules flood",
        "refusals": "browser forms rules flood",
        "confirmation": "browser forms queries rules services",
        "undo_views": "undoing queries urls",
        "views": "forms services queries models rules urls table comparison browser refusals undo_views"
        " trash undoing timeline obstacles creators locks preview drafts running runner wording presence"
        " export flood notice_views",
        "export_views": "export queries forms views",
        "presence_views": "presence queries",
        "trash_views": "forms queries urls trash",
        "__init__": "rules queries services flood drafts views export_views undo_views trash trash_views"
        " presence_views undoing browser bearer refusals confirmation notice_views",
    }.items()
}
# No page, no request: what every door shares. Flask's session reaches them through webapp.db alone.
PURE_FILES = frozenset(
    {
        *("guessing", "rules", "passwords", "models", "queries", "throttle", "presence", "services"),
        *("trash", "undoing", "many", "many_trash", "changes", "keys", "notices", "export", "amending"),
        *("proof", "statements", "creators", "locks", "preview", "drafts", "running"),
    }
)
PURE_ROOMS = frozenset({"listing", "config", "errors", "text"})
PURE_MODULES = frozenset({"webapp.access.permissions", "webapp.access.actor"})
PAGE_PACKAGES = frozenset({"flask", "flask_wtf", "flask_sqlalchemy", "flask_migrate", "wtforms", "jinja2"})


def find_breaches(sources: Mapping[str, str]) -> list[str]:
    """``sources`` maps module names to their text; each breach names the module, line and import."""
    return [
        f"{module}:{line} imports {target}: {reason}"
        for module, source in sources.items()
        for line, target in _imports(module, source, sources)
        if (reason := _refuse(module, target))
    ]


def _imports(module: str, source: str, known: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Each import as (line, module); those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner in known or (node.module == "webapp" and alias.name in FLOOR_OF)
                yield node.lineno, inner if is_module else node.module


def _refuse(module: str, target: str) -> str | None:
    if target.startswith("."):
        return "write the whole name"
    room, file = _place(module)
    if room not in FLOOR_OF:
        return f"the room {room} has no floor yet: add it to FLOORS"
    if room in FEATURES and file not in FILES:
        return f"a feature's {file}.py has no place yet: add it to FILES"
    is_pure = room in PURE_ROOMS or module in PURE_MODULES or (room in FEATURES and file in PURE_FILES)
    if target.partition(".")[0] != "webapp":
        return "it must not know Flask" if is_pure and target.partition(".")[0] in PAGE_PACKAGES else None
    target_room, target_file = _place(target)
    return (
        _refuse_room(room, target_room, is_pure=is_pure)
        or (_refuse_door(target_file) if room in DOORS and target_room in FEATURES else None)
        or (_refuse_file(file, target_file, room == target_room) if {room, target_room} <= FEATURES else None)
    )


def _refuse_room(room: str, target: str, *, is_pure: bool) -> str | None:
    if target not in FLOOR_OF:
        return f"the room {target} has no floor yet: add it to FLOORS"
    if room != target and FLOOR_OF[target] <= FLOOR_OF[room]:
        return f"{target} is not below {room}"
    if is_pure and target == "web":
        return "it must not know pages"
    return None


def _refuse_door(target_file: str) -> str | None:
    return f"a door must not use {target_file}" if target_file in {"forms", "views", "table"} else None


def _refuse_file(file: str, target_file: str, is_same_room: bool) -> str | None:
    """Across features a file may also use its own kind: services call services."""
    if target_file in FILES[file] or (file == target_file and not is_same_room):
        return None
    return f"{file} must not use {target_file}"


def _place(module: str) -> tuple[str, str]:
    """(room, file): of webapp.users.views ("users", "views"), of webapp.config ("config", "__init__")."""
    _, _, inside = module.partition(".")
    room, _, file = inside.partition(".")
    return room or "factory", file or "__init__"


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def read_house() -> dict[str, str]:
    paths = sorted((ROOT / "webapp").rglob("*.py"))
    return {_module_name(path): path.read_text(encoding="utf-8") for path in paths}


def test_every_import_of_the_house_runs_downward() -> None:
    assert find_breaches(read_house()) == []


def test_the_whole_house_is_read() -> None:
    modules = read_house()
    assert {"webapp", "webapp.config", "webapp.users.views", "webapp.cli.users"} <= set(modules)
    targets = {target for module, text in modules.items() for _, target in _imports(module, text, modules)}
    assert {"webapp.users.services", "webapp.users.queries", "webapp.cli", "flask"} <= targets


@pytest.mark.parametrize(
    ("module", "line", "reason"),
    [
        ("webapp.users.services", "from flask import request", "it must not know Flask"),
        ("webapp.users.rules", "import flask.globals", "it must not know Flask"),
        ("webapp.listing.page", "from flask import abort", "it must not know Flask"),
        ("webapp.access.actor", "from flask import g", "it must not know Flask"),
        ("webapp.users.services", "from webapp.web.language import gettext", "it must not know pages"),
        ("webapp.users.views", "from webapp.auth import services", "auth is not below users"),
        ("webapp.users.views", "def f():\n    import webapp.auth.models", "auth is not below users"),
        ("webapp.web.pages", "from webapp.users.models import User", "users is not below web"),
        (
            "webapp.web.pages",
            "from webapp.operations.health import find_problem",
            "operations is not below web",
        ),
        ("webapp.access.guards", "from webapp.web import pages", "web is not below access"),
        ("webapp.access.guards", "from webapp.users import queries", "users is not below access"),
        ("webapp.listing.search", "from webapp.users.models import User", "users is not below listing"),
        ("webapp.listing.search", "from webapp.access.actor import Actor", "access is not below listing"),
        ("webapp.db.session", "from webapp.access.actor import Actor", "access is not below db"),
        ("webapp.config", "from webapp.extensions import csrf", "extensions is not below config"),
        ("webapp.errors", "from webapp.config import Settings", "config is not below errors"),
        ("webapp.users.queries", "from webapp import create_app", "factory is not below users"),
        ("webapp.cli.users", "from webapp.api.views import show", "api is not below cli"),
        ("webapp.cli.users", "from webapp.users.forms import UserForm", "a door must not use forms"),
        ("webapp.api.users", "from webapp.users import views", "a door must not use views"),
        ("webapp.users.rules", "from webapp.users.models import User", "rules must not use models"),
        ("webapp.users.queries", "from webapp.users import services", "queries must not use services"),
        ("webapp.users.services", "from webapp.users.forms import UserForm", "services must not use forms"),
        ("webapp.users.forms", "from webapp.users.models import User", "forms must not use models"),
        (
            "webapp.auth.queries",
            "from webapp.users.services import update_user",
            "queries must not use services",
        ),
        ("webapp.users.chores", "import os", "a feature's chores.py has no place yet: add it to FILES"),
        ("webapp.attic.views", "import os", "the room attic has no floor yet: add it to FLOORS"),
        ("webapp.users.views", "from . import services", "write the whole name"),
    ],
)
def test_a_made_up_breach_is_named(module: str, line: str, reason: str) -> None:
    names = ("forms", "models", "queries", "rules", "services", "views")
    modules = {f"webapp.{room}.{name}": "" for room in ("users", "auth") for name in names}
    (breach,) = find_breaches({**modules, "webapp.web.pages": "", module: line})
    place = f"{module}:{line.count(chr(10)) + 1} imports "
    assert breach.startswith(place)
    assert breach.endswith(f": {reason}")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("webapp", "from webapp import auth, cli, users"),
        ("webapp.cli.users", "from webapp.users import services"),
        ("webapp.cli.doctor", "from webapp.operations.health import find_problem"),
        ("webapp.auth.services", "from webapp.users.services import set_password"),
        ("webapp.users.views", "from webapp.users import forms, services\nfrom flask import request"),
        ("webapp.users.services", "from webapp.db import atomic\nfrom webapp.access.actor import Actor"),
        (
            "webapp.operations.health",
            "from webapp.access.guards import requires\nfrom webapp.db import engine",
        ),
    ],
)
def test_an_import_that_runs_downward_is_let_through(module: str, line: str) -> None:
    modules = {f"webapp.users.{name}": "" for name in ("forms", "services")}
    assert find_breaches({**modules, module: line}) == []


VAGUE = frozenset("util utils helper helpers common base manager managers misc".split())


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("webapp", "tests", "bench", "chaos", "migrations")
        for path in (ROOT / folder).rglob("*")
        if (path.suffix == ".py" or path.is_dir()) and VAGUE & set(path.stem.lower().split("_"))
    ]
    assert found == []
