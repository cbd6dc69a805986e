"""@atomic: the only commit and rollback in the house.

The outermost call opens a transaction of its own and commits it; inner calls join; an exception
that leaves it undoes everything. What the caller read before is expired, so that a service decides
on values it reads *inside* its transaction: on SQLite under the write lock, which BEGIN IMMEDIATE
takes first (a plain BEGIN that later writes fails as "locked" under load), on Postgres after
locking the row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Constraint, Index, UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from webapp.db.session import begin_writing, get_session
from webapp.errors import N_, Conflict, DomainError, Stale
from webapp.extensions import Base

P = ParamSpec("P")
R = TypeVar("R")

_CALLBACKS = "on_commit"
AT_ONCE_MS = 200


def atomic(function: Callable[P, R]) -> Callable[P, R]:
    """Make ``function`` one transaction.

    A broken constraint becomes the Conflict that its ``info["conflict"]`` declares;
    a row changed under an optimistic version becomes Stale.
    """
    return _make_atomic(function)


def at_once(function: Callable[P, R]) -> Callable[P, R]:
    """The same for what is not worth waiting for: raises OperationalError where another change stands in
    its way for longer than a person notices.
    """
    return _make_atomic(function, patience_ms=AT_ONCE_MS)


def _make_atomic(function: Callable[P, R], *, patience_ms: int | None = None) -> Callable[P, R]:
    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        session = get_session()
        if _CALLBACKS in session.info:
            return function(*args, **kwargs)
        session.info[_CALLBACKS] = []
        try:
            _begin(session, patience_ms)
            result = function(*args, **kwargs)
            session.commit()
        except BaseException as error:
            session.rollback()
            refusal = _explain(error)
            if refusal is None:
                raise
            raise refusal from error
        finally:
            callbacks: list[Callable[[], object]] = session.info.pop(_CALLBACKS)
        for callback in callbacks:
            callback()
        return result

    return wrapper


def attempt(change: Callable[[], R]) -> R:
    """Inside @atomic: make ``change`` so that, where it fails, it alone is undone and the rest goes on.

    Raises what @atomic would raise.
    """
    session = get_session()
    promised = list(session.info[_CALLBACKS])
    try:
        with session.begin_nested():
            return change()
    except BaseException as error:
        session.info[_CALLBACKS][:] = promised
        refusal = _explain(error)
        if refusal is None:
            raise
        raise refusal from error


def on_commit(callback: Callable[[], object]) -> None:
    """Run ``callback`` once the present transaction is committed; never if it is undone."""
    get_session().info[_CALLBACKS].append(callback)


def _begin(session: Session, patience_ms: int | None) -> None:
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("rows were changed outside @atomic: move the change into a service")
    if session.in_transaction():
        session.rollback()
    begin_writing(session, patience_ms=patience_ms)


def _explain(error: BaseException) -> DomainError | None:
    """What the database refused, where that means something to a person."""
    if isinstance(error, StaleDataError):
        return Stale(N_("Somebody else changed this meanwhile. Nothing was saved."))
    return _conflict(error) if isinstance(error, IntegrityError) else None


def _conflict(error: IntegrityError) -> Conflict | None:
    constraint = _broken_constraint(error)
    if constraint is None or "conflict" not in constraint.info:
        return None
    field, message = constraint.info["conflict"]
    return Conflict(message, field=field)


def _broken_constraint(error: IntegrityError) -> Constraint | Index | None:
    """The declared constraint: Postgres reports its name, SQLite its columns (or the name of a CHECK)."""
    diagnostics: Any = getattr(error.orig, "diag", None)
    _, _, detail = str(error.orig).partition(" constraint failed: ")
    name = getattr(diagnostics, "constraint_name", None) or detail
    for table in Base.metadata.tables.values():
        rules: tuple[Constraint | Index, ...] = (*table.constraints, *table.indexes)
        for rule in rules:
            if rule.name == name or _unique_columns(rule) == frozenset(detail.split(", ")):
                return rule
    return None


def _unique_columns(rule: Constraint | Index) -> frozenset[str]:
    """The columns that must be unique together, as SQLite names them; empty for any other rule."""
    if isinstance(rule, UniqueConstraint) or (isinstance(rule, Index) and rule.unique):
        return frozenset(f"{column.table.name}.{column.name}" for column in rule.columns)
    return frozenset()
