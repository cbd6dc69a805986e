"""What a movement asks of the database, made once: to put a statement together takes longer than to run it.

Their values come as parameters; those that differ between databases are kept by the dialect's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, case, insert, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

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
_account = ACCOUNTS.c
_whose, _cents = bindparam("whose", type_=BigId), bindparam("cents", type_=BigId)
_now = bindparam("now", type_=UtcDateTime)


def _later(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one > other, one), else_=other)


def _make_add(make: Callable[[Table], AnyInsert]) -> ReturningInsert[Any]:
    """To an account, which is made where there is none yet."""
    added = make(ACCOUNTS).from_select(
        ["user_id", "balance_cents", "changed_at"],
        select(USERS.c.id, _cents, _now).where(USERS.c.id == _whose),
    )
    balance = _account.balance_cents + added.excluded.balance_cents
    changed_at = _later(_account.changed_at, added.excluded.changed_at)
    return added.on_conflict_do_update(
        index_elements=[_account.user_id],
        set_={"balance_cents": balance, "changed_at": changed_at},
        where=balance <= FULLEST_CENTS,
    ).returning(_account.balance_cents, _account.changed_at)


NOTE = {
    name: make(TRANSFERS).on_conflict_do_nothing(index_elements=["key_digest"]).returning(TRANSFERS.c.id)
    for name, make in INSERTS.items()
}
ADD = {name: _make_add(make) for name, make in INSERTS.items()}
# ``cents`` are below zero here.
TAKE = (
    update(ACCOUNTS)
    .where(_account.user_id == _whose, _account.balance_cents + _cents >= 0)
    .values(balance_cents=_account.balance_cents + _cents, changed_at=_later(_account.changed_at, _now))
    .returning(_account.balance_cents, _account.changed_at)
)
PEOPLE = select(*PERSON).where(
    USERS.c.id.in_((bindparam("one", type_=BigId), bindparam("other", type_=BigId)))
)
# Both sides in one statement, as rows that are selected: the driver of Postgres would send two as a batch,
# and SQLAlchemy puts VALUES of several rows together anew each time.
SIDES = ("one", "other")
_columns = [column for column in POSTINGS.c if column is not POSTINGS.c.id]
POST = insert(POSTINGS).from_select(
    [column.name for column in _columns],
    union_all(
        *(select(*(bindparam(f"{side}_{it.name}", type_=it.type) for it in _columns)) for side in SIDES)
    ),
)
