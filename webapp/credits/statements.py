"""What a movement asks of the database, made once: to put a statement together takes longer than to run it.

Their values come as parameters. Postgres does all that a movement writes in one statement: each is a travel
there and back, for which whoever wants the same accounts waits. SQLite has no such statement, and is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Insert,
    Select,
    Table,
    bindparam,
    case,
    exists,
    insert,
    null,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.rules import FULLEST_CENTS
from webapp.extensions import BigId, UtcDateTime
from webapp.users.models import USERS
from webapp.users.queries import PERSON

AnyInsert = postgresql.Insert | sqlite.Insert
INSERTS: Mapping[str, Callable[[Table], AnyInsert]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}
SIDES = ("from", "to")
Bind = BindParameter[Any]
AnyColumn = ColumnElement[Any]
_account = ACCOUNTS.c
_now = bindparam("created_at", type_=UtcDateTime)
_cents = bindparam("amount_cents", type_=BigId)  # above zero
_user_ids = {side: bindparam(f"{side}_user_id", type_=BigId) for side in SIDES}


def _later(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one > other, one), else_=other)


def _make_note(make: Callable[[Table], AnyInsert]) -> ReturningInsert[Any]:
    columns = [it for it in TRANSFERS.c if it is not TRANSFERS.c.id]
    values = select(*(bindparam(it.name, type_=it.type) for it in columns))
    noted = make(TRANSFERS).from_select([it.name for it in columns], values.where(true()))
    return noted.on_conflict_do_nothing(index_elements=["key_digest"]).returning(TRANSFERS.c.id)


def _make_add(
    make: Callable[[Table], AnyInsert], whose: Bind, *conditions: ColumnElement[bool]
) -> ReturningInsert[Any]:
    """To an account, which is made where there is none yet."""
    added = make(ACCOUNTS).from_select(
        ["user_id", "balance_cents", "changed_at"],
        select(USERS.c.id, _cents, _now).where(USERS.c.id == whose, *conditions),
    )
    balance = _account.balance_cents + added.excluded.balance_cents
    changed_at = _later(_account.changed_at, added.excluded.changed_at)
    return added.on_conflict_do_update(
        index_elements=[_account.user_id],
        set_={"balance_cents": balance, "changed_at": changed_at},
        where=balance <= FULLEST_CENTS,
    ).returning(_account.balance_cents, _account.changed_at)


def _make_take(whose: Bind, *conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(ACCOUNTS)
        .where(_account.user_id == whose, _account.balance_cents >= _cents, *conditions)
        .values(balance_cents=_account.balance_cents - _cents, changed_at=_later(_account.changed_at, _now))
        .returning(_account.balance_cents, _account.changed_at)
    )


def _make_post(
    transfer_id: AnyColumn,
    balances: Mapping[str, AnyColumn],
    at: Mapping[str, AnyColumn],
    *sources: FromClause,
) -> Insert:
    """Both sides, as rows that are selected: of VALUES SQLAlchemy would make the statement anew each time."""
    rows = (
        select(at[side], transfer_id, _user_ids[side], cents, balances[side]).select_from(*sources)
        for side, cents in (("from", -_cents), ("to", _cents))
    )
    columns = ["at", "transfer_id", "user_id", "amount_cents", "balance_cents"]
    return insert(POSTINGS).from_select(columns, union_all(*rows))


# One after the other.
_whose = bindparam("whose", type_=BigId)
NOTE = _make_note(sqlite.insert)
CHANGE: Mapping[str, Mapping[str, ReturningInsert[Any] | ReturningUpdate[Any]]] = {
    dialect: {"from": _make_take(_whose), "to": _make_add(make, _whose)} for dialect, make in INSERTS.items()
}
POST = _make_post(
    bindparam("transfer_id", type_=BigId),
    {side: bindparam(f"{side}_balance_cents", type_=BigId) for side in SIDES},
    {side: bindparam(f"{side}_at", type_=UtcDateTime) for side in SIDES},
)


def _make_book(*sides: str) -> Select[Any]:
    """The transfer, what it changes of ``sides``, whose accounts are locked in this order, and the postings.
    The answer is what POST is given of it, None from the side on that could not be changed; no row where
    there is a transfer of that key.

    Postgres runs the parts in no order of its own (7.8.2), but none before what it reads: so each asks for
    the one before it, and nothing is locked after one that failed.
    """
    noted = _make_note(postgresql.insert).cte("noted")
    is_done = exists(select(noted.c.id))
    balances: dict[str, AnyColumn] = dict.fromkeys(SIDES, null())
    at: dict[str, AnyColumn] = dict.fromkeys(SIDES, _now)
    answer = [noted.c.id.label("transfer_id")]
    found: FromClause = noted
    complete: FromClause = noted
    for side in sides:
        change = (
            _make_take(_user_ids[side], is_done)
            if side == "from"
            else _make_add(postgresql.insert, _user_ids[side], is_done)
        ).cte(f"held_{side}")
        is_done = exists(select(change.c.balance_cents))
        balances[side], at[side] = change.c.balance_cents, change.c.changed_at
        answer += [balances[side].label(f"{side}_balance_cents"), at[side].label(f"{side}_at")]
        found, complete = found.outerjoin(change, true()), complete.join(change, true())
    posted = _make_post(noted.c.id, balances, at, complete).cte("posted")
    return select(*answer).select_from(found).add_cte(posted)


BOOK: Mapping[tuple[str, ...], Select[Any]] = {
    sides: _make_book(*sides) for sides in (SIDES, SIDES[::-1], ("from",), ("to",))
}
PEOPLE = select(*PERSON).where(
    USERS.c.id.in_((bindparam("one", type_=BigId), bindparam("other", type_=BigId)))
)
