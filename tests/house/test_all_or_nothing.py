"""Whatever fails on the way, at each statement and at the commit: a change is there wholly or not at all."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from flask import Flask
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from tests.conftest import empty_tables, fetch_all
from tests.house.changes import CHANGES, UNDONE, Change
from tests.house.failing import Failure, Watched, watch
from webapp.config import ROOT
from webapp.db import get_session
from webapp.errors import DomainError
from webapp.extensions import sqla
from webapp.history.timeline import UNDOABLE

State = dict[str, list[str]]
ReadState = Callable[[], State]


@pytest.fixture
def read_state(context: Flask) -> ReadState:
    """Every row of every table, by the session that the services use; but for SQLite's own of its search."""
    names = [name for name in inspect(sqla.engine).get_table_names() if "_search_" not in name]
    quote = sqla.engine.dialect.identifier_preparer.quote
    selects = {name: f"SELECT * FROM {quote(name)}" for name in names}

    def read() -> State:
        stored = fetch_all(get_session().connection(), selects)
        return {name: sorted(map(repr, rows)) for name, rows in stored.items()}

    return read


def begin(app: Flask, change: Change) -> Callable[[], object]:
    """The call, from zero."""
    sqla.session.remove()
    empty_tables(app)
    given = change.given()
    return lambda: change.call(given)


def attempt(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except (DBAPIError, DomainError) as error:
        return error
    return None


def failures(change: Change, *, cuts: bool) -> Iterator[Failure]:
    """At each commit, then at each statement: there are enough when nothing failed any more."""
    yield from (Failure(commit=number, cuts=cuts) for number in range(1, change.transactions + 1))
    yield from (Failure(statement=number, cuts=cuts) for number in count(1))


@pytest.mark.parametrize(
    ("database", "cuts"),
    [("sqlite", False), ("postgres", False), ("postgres", True)],
    ids=["sqlite", "postgres", "postgres cut"],
    indirect=["database"],
)
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_is_made_wholly_or_not_at_all(
    context: Flask, read_state: ReadState, change: Change, cuts: bool
) -> None:
    call, before = begin(context, change), read_state()
    for failure in failures(change, cuts=cuts):
        with watch(before, read_state, failure) as watched:
            error = attempt(call)
        if watched.was_reading:
            get_session().rollback()  # as the end of a request does; what a change began it has ended itself
        after = read_state()  # by the same session, which works on
        assert after == watched.state, "what was not committed is not there"
        if not watched.has_failed:
            assert_made(change, error, watched, before)
            return
        assert isinstance(error, DBAPIError), failure
        assert watched.committed < change.transactions
        if watched.committed:
            assert {name for name in after if after[name] != before[name]} <= change.kept
            call, before = begin(context, change), read_state()
        else:
            assert after == before
            assert watched.promises == 0


def assert_made(change: Change, error: object, watched: Watched[State], before: State) -> None:
    """The same call as those that failed, and in the history it is told once."""
    assert type(error) is (change.raises or type(None))
    assert watched.committed == change.transactions
    assert watched.promises > 0
    assert (watched.state != before) is change.has_effect
    assert len(watched.state["entries"]) - len(before["entries"]) == change.entries


# None is forgotten

FILES = {
    *("services", "trash", "export", "undoing", "throttle", "many", "keeping", "amending"),
    *("drafts", "preview", "running"),
}
# What acts for somebody and only reads.
READING = {
    *("webapp.batches.preview.examine", "webapp.users.many.judge"),
    "webapp.credits.services.foresee",
}


def changing_services() -> set[str]:
    """The public functions that are one transaction, or act for somebody in one that they call."""
    return {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{node.name}"
        for path in (ROOT / "webapp").rglob("*.py")
        if path.stem in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and is_changing(node)
    }


def is_changing(node: ast.FunctionDef) -> bool:
    is_atomic = any(isinstance(it, ast.Name) and it.id in {"atomic", "at_once"} for it in node.decorator_list)
    return is_atomic or any(argument.arg == "actor" for argument in node.args.kwonlyargs)


def test_every_changing_service_is_tried() -> None:
    assert {change.name for change in CHANGES} == changing_services() - READING


def test_the_undoing_of_every_kind_is_tried() -> None:
    assert set(UNDONE) == UNDOABLE
