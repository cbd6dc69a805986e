"""The columns that are computed from name and e-mail: whether they still are what the present rules make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import sample

from sqlalchemy import bindparam, delete, select, update

from webapp.db import atomic, get_session
from webapp.listing.types import AnyRow, AnySelect
from webapp.users.models import USERS, PasswordMethod, derive_keys
from webapp.users.passwords import CURRENT_METHOD, method_of
from webapp.users.queries import find_highest_id

SAMPLED = 2_000
ROWS_AT_ONCE = 2_000

_c = USERS.c
_read: AnySelect = select(_c.id, _c.full_name, _c.email, _c.email_key, _c.name_key, _c.search_text).order_by(
    _c.id
)


def count_wrong_keys() -> int:
    """Of some users drawn at random."""
    highest = find_highest_id()
    ids = sample(range(1, highest + 1), min(SAMPLED, highest))
    return sum(1 for _ in _find_wrong(get_session().execute(_read.where(_c.id.in_(ids)))))


def mend_keys() -> int:
    """Write anew what is wrong, a few rows at once; says of how many. Nobody waits for long meanwhile."""
    mended, last = 0, 0
    while last < find_highest_id():
        mended += _mend(last, last := last + ROWS_AT_ONCE)
    return mended


@atomic
def note_password_methods() -> None:
    """Look through all hashes for methods that sign-ins do not know of: after rows were brought in by SQL."""
    old = _c.hashed_password.not_like(f"{CURRENT_METHOD}$%")
    hashes = get_session().scalars(
        select(_c.hashed_password).where(old), execution_options={"yield_per": 1000}
    )
    methods = {method for hashed in hashes if hashed and (method := method_of(hashed))}
    get_session().execute(delete(PasswordMethod))
    get_session().add_all(PasswordMethod(method=method) for method in sorted(methods))


@atomic
def _mend(after: int, last: int) -> int:
    rows = get_session().execute(_read.where(_c.id > after, _c.id <= last).with_for_update())
    wrong = [{"row": row_id, **keys} for row_id, keys in _find_wrong(rows)]
    if wrong:
        get_session().execute(update(USERS).where(_c.id == bindparam("row")), wrong)
    return len(wrong)


def _find_wrong(rows: Iterable[AnyRow]) -> Iterator[tuple[int, dict[str, str]]]:
    """The ids of those that differ, and what their keys must be."""
    for row in rows:
        keys = derive_keys(full_name=row.full_name, email=row.email)
        if any(getattr(row, name) != key for name, key in keys.items()):
            yield row.id, keys
