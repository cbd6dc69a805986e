"""How a list finds its rows depends on numbers that were tuned for large tables; what it finds must not.

On a table of a few rows the tuned numbers always lead to the same way: so tests draw others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st

from webapp.listing import asking, choosing, counting, page, postgres, sqlite
from webapp.listing.counting import MOST_COUNTED

NO_CHOICE = {"BEFORE_ALL_IDS", "FURTHEST_ROW", "LARGEST_ID", "MOST_COUNTED", "SHORTEST_SUBSTRING"}
MODULES = (asking, choosing, page, postgres, sqlite)
# The numbers by which they choose; not those that say what a page shows.
TUNED = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, int) and name not in NO_CHOICE
}
# Each as it is, or far too small, or far too large.
ways = st.fixed_dictionaries({name: st.sampled_from([1, value, 10**6]) for name, value in TUNED.items()})


@contextmanager
def forced(way: Mapping[str, int], *, most_counted: int = MOST_COUNTED) -> Iterator[None]:
    """Inside the block rows are found that way, and counted up to ``most_counted``."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (*MODULES, counting):
            for name, value in {**way, "MOST_COUNTED": most_counted}.items():
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        yield
