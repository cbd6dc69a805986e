"""What the product does without: each is the beginning of a kind of attack, and nothing here needs it.

The finders are themselves tried on made-up lines. htmx and Pico are vendored unchanged and not read here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.files import repository_files
from webapp.config import ROOT

# What a function is called by, or a module imported as; whatever lies below such a name is meant, too.
CODE = ("eval", "exec", "compile", "__import__", "flask.render_template_string", "render_template_string")
PROGRAMS = (
    *("subprocess", "pty", "ctypes", "os.system", "os.popen", "os.fork", "os.exec", "os.spawn"),
    *("os.posix_spawn", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
)
OBJECTS = ("pickle", "marshal", "shelve", "dill", "yaml", "xml", "lxml", "defusedxml", "jsonpickle")
OTHERS = (
    *("urllib.request", "urllib3", "http.client", "requests", "httpx", "aiohttp", "socket", "ftplib"),
    *("smtplib", "imaplib", "poplib", "ldap", "ldap3", "memcache", "pymemcache", "redis"),
)
WEAK_HASHES = ("hashlib.md5", "hashlib.sha1", "hashlib.new", "crypt")
CHANCE = ("random",)
# People that are made up for a demonstration, and which of the stored keys are looked at.
MAY_GUESS = {"webapp/cli/names.py", "webapp/cli/demo_people.py", "webapp/users/keys.py"}
MAY_LISTEN = {"webapp/web/worker.py", "webapp/web/lanes.py"}  # gunicorn's own worker, which answers
MAY_MAKE_PATTERNS = {"webapp/text.py"}  # of ranges of Unicode
# Names of tables, columns, segments and marks, and numbers of ours: no text from outside comes there.
MAY_NAME_TABLES = {
    *("webapp/db/bulk.py", "webapp/db/session.py", "webapp/listing/clauses.py", "webapp/listing/ddl.py"),
    *("webapp/listing/definition.py", "webapp/listing/hits.py", "webapp/listing/maintenance.py"),
    "webapp/listing/places.py",
}
# Templates that were filled in, and so escaped, already.
MAY_TRUST_MARKUP = {"webapp/users/views.py", "webapp/users/trash_views.py", "webapp/web/jinja.py"}
MAY_COME_ESCAPED = {
    "templates/users/rows.html"
}  # by webapp/users/table.py, which tests/users/test_table.py tries

SOURCES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in repository_files()
    if name.endswith(".py") and (name.startswith("webapp/") or "/" not in name)
}
TEMPLATES = {name: (ROOT / name).read_text("utf-8") for name in repository_files() if name.endswith(".html")}
SCRIPT = (ROOT / "static/js/app.js").read_text(encoding="utf-8")


def find_names(source: str) -> Iterator[str]:
    """Whatever is imported or called, by its dotted name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def find_uses(names: tuple[str, ...], *, allowed: frozenset[str] | set[str] = frozenset()) -> list[str]:
    return [
        f"{file}: {used}"
        for file, source in SOURCES.items()
        if file not in allowed
        for used in find_names(source)
        if is_one_of(used, names)
    ]


def is_one_of(used: str, names: tuple[str, ...]) -> bool:
    return any(used == name or used.startswith(f"{name}.") for name in names)


def find_built_statements(source: str) -> Iterator[str]:
    """SQL that is put together from texts instead of being given its values."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            is_sql = ast.unparse(node.func).rpartition(".")[2] in {"text", "literal_column", "DDL", "execute"}
            if is_sql and isinstance(node.args[0], ast.JoinedStr | ast.BinOp):
                yield ast.unparse(node)


def find_trusted_markup(source: str) -> Iterator[str]:
    """Markup(…) of what is no literal: it is not escaped any more."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "Markup":
            continue
        if any(not isinstance(argument, ast.Constant) for argument in node.args):
            yield ast.unparse(node)


def find_made_patterns(source: str) -> Iterator[str]:
    """Regular expressions that hold more than what is written in the code."""
    functions = {
        f"re.{name}" for name in ("compile", "search", "match", "fullmatch", "sub", "split", "findall")
    }
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in functions
            and not is_written(node.args[0])
        ):
            yield ast.unparse(node)


def is_written(pattern: ast.expr) -> bool:
    """A literal, a constant of ours, or what is escaped."""
    if isinstance(pattern, ast.JoinedStr):
        return all(is_written(it.value) for it in pattern.values if isinstance(it, ast.FormattedValue))
    if isinstance(pattern, ast.BinOp):
        return is_written(pattern.left) and is_written(pattern.right)
    text = ast.unparse(pattern)
    is_ours = text.removesuffix(".pattern").isupper()
    return is_ours or isinstance(pattern, ast.Constant) or text.startswith("re.escape(")


UNSAFE_TEMPLATE = re.compile(
    r"\|\s*safe\b|<script(?![^>]*\bsrc=)|<style\b|<[a-z][^<>{}]*\s(?:style|on[a-z]+)=|javascript:"
    r"|<(?:iframe|object|embed|applet|base)\b|type=\"file\"|contenteditable"
)
UNSAFE_SCRIPT = re.compile(
    r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
    r"|__proto__|postMessage|[\"']message[\"']|WebSocket|EventSource|sessionStorage|indexedDB|[\"']paste[\"']"
)


def test_no_code_is_made_of_text() -> None:
    assert find_uses(CODE) == []


def test_no_other_program_is_started() -> None:
    assert find_uses(PROGRAMS) == []


def test_nothing_is_read_that_could_make_objects() -> None:
    """JSON, forms and signed JSON are all that is read; XML is not at all."""
    assert find_uses(OBJECTS) == []


def test_no_other_service_is_called() -> None:
    """The database alone, by its driver."""
    assert find_uses(OTHERS, allowed=MAY_LISTEN) == []


def test_no_weak_hash_is_used() -> None:
    assert find_uses(WEAK_HASHES) == []


def test_nothing_is_left_to_a_chance_that_can_be_foreseen() -> None:
    assert find_uses(CHANCE, allowed=MAY_GUESS) == []


def test_no_statement_is_put_together_from_texts() -> None:
    found = {name: list(find_built_statements(text)) for name, text in SOURCES.items()}
    assert {name for name, statements in found.items() if statements} <= MAY_NAME_TABLES


def test_no_pattern_is_made_of_what_was_typed() -> None:
    found = {name: list(find_made_patterns(text)) for name, text in SOURCES.items()}
    assert {name for name, patterns in found.items() if patterns} <= MAY_MAKE_PATTERNS


def test_nothing_that_was_typed_is_called_markup() -> None:
    found = {name: list(find_trusted_markup(text)) for name, text in SOURCES.items()}
    assert {name for name, calls in found.items() if calls} == MAY_TRUST_MARKUP


def test_templates_escape_all_and_hold_no_script() -> None:
    found = {name: [it[0] for it in UNSAFE_TEMPLATE.finditer(text)] for name, text in TEMPLATES.items()}
    assert {name: unsafe for name, unsafe in found.items() if unsafe} == {}
    assert {name for name, text in TEMPLATES.items() if "autoescape" in text} == MAY_COME_ESCAPED


def test_the_script_writes_text_and_takes_no_messages() -> None:
    assert UNSAFE_SCRIPT.findall(SCRIPT) == []


def test_the_browser_keeps_a_zone_and_a_wish_and_no_data() -> None:
    """The time zone, and whether single keys are shortcuts."""
    kept = set(re.findall(r"(?:localStorage\.setItem|remember)\((\w+|\"\w+\"),", SCRIPT))
    assert kept <= {"OFF", "name", '"tz"', '"shortcuts"'}
    assert len(re.findall(r"document\.cookie = ", SCRIPT)) == 1


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (CODE, "eval('1')"),
        (PROGRAMS, "from subprocess import run"),
        (PROGRAMS, "os.system('ls')"),
        (PROGRAMS, "from os import system"),
        (OBJECTS, "import pickle"),
        (OBJECTS, "from xml.etree import ElementTree"),
        (OTHERS, "import urllib.request"),
        (OTHERS, "from urllib.request import urlopen"),
        (WEAK_HASHES, "hashlib.md5(b'')"),
        (CHANCE, "from random import choice"),
    ],
)
def test_a_made_up_one_is_found(names: tuple[str, ...], line: str) -> None:
    assert any(is_one_of(used, names) for used in find_names(line))


@pytest.mark.parametrize(
    "line",
    ["session.execute(text(f'SELECT {name}'))", "text('SELECT ' + name)", "connection.execute('%s' % name)"],
)
def test_a_made_up_statement_is_found(line: str) -> None:
    assert list(find_built_statements(line))


@pytest.mark.parametrize(
    "line", ["re.compile(text)", "re.search(f'^{text}', name)", "re.sub('a' + b, '', c)"]
)
def test_a_made_up_pattern_is_found(line: str) -> None:
    assert list(find_made_patterns(line))


@pytest.mark.parametrize(
    "line",
    [
        "{{ name|safe }}",
        "<script>go()</script>",
        '<a onclick="go()">',
        '<p style="x">',
        '<a href="javascript:go()">',
        '<input type="file">',
    ],
)
def test_a_made_up_template_is_found(line: str) -> None:
    assert UNSAFE_TEMPLATE.search(line)
    assert not UNSAFE_TEMPLATE.search('<script src="/x.js" defer></script><p class="on">{{ name }}</p>')
