"""How a list finds its rows depends on numbers that were tuned for large tables; what it finds must not.

On a table of a few rows the tuned numbers always lead to the same way: so tests draw others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from webapp.db import atomic, get_session
from webapp.listing import counting, page, spans
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.plan import (
    candidates,
    descent,
    index_query,
    planner,
    postgres,
    query,
    scans,
    sizes,
    sqlite,
)
from webapp.users.models import User

NO_CHOICE = {"BEFORE_ALL_IDS", "FURTHEST_ROW", "LARGEST_ID", "MOST_COUNTED", "SHORTEST_SUBSTRING"}
MODULES = (index_query, query, sizes, candidates, scans, descent, planner, page, postgres, sqlite)
# The numbers by which they choose; not those that say what a page shows.
TUNED = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, int) and name not in NO_CHOICE
}
# Each as it is, or far too small, or small as the tables of tests are, or far too large.
ways = st.fixed_dictionaries({name: st.sampled_from([1, 5, value, 10**6]) for name, value in TUNED.items()})


@contextmanager
def forced(way: Mapping[str, int], *, most_counted: int = MOST_COUNTED) -> Iterator[None]:
    """Inside the block rows are found that way, and counted up to ``most_counted``."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (*MODULES, counting, spans):
            for name, value in {**way, "MOST_COUNTED": most_counted}.items():
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        yield


def write_much(number: int, *, apart: int = 0) -> Callable[[], None]:
    """What one of several writers does, each with a number of its own: transactions of several statements.

    Whom they insert lie in four places, ``apart`` ids from one to the next; they meet at those they change.
    """

    def write() -> None:
        for turn in range(8):
            _change_some(number * 50 + turn, apart)

    return write


@atomic
def _change_some(seed: int, apart: int) -> None:
    draw = random.Random(seed)
    session = get_session()
    session.execute(
        insert(User),
        [
            {"id": draw.randint(0, 3) * apart + seed * 5 + row + 1, "email": f"{seed}-{row}@x"}
            | {"email_key": f"{seed}-{row}", "name_key": "", "search_text": ""}
            for row in range(draw.randint(1, 5))
        ],
    )
    rows = select(User.id).where(User.id % 7 == draw.randint(0, 6)).order_by(User.id).with_for_update()
    ids = session.scalars(rows).all()
    session.execute(update(User).where(User.id.in_(ids)).values(is_active=draw.random() < 0.5))
    if draw.random() < 0.3 and ids:
        session.execute(delete(User).where(User.id == ids[-1]))
