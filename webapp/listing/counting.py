"""How many rows there are, and how that number is to be read."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.listing.types import AnySelect

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """``value`` rows; when not ``is_exact`` there are more than ``value``."""

    value: int
    is_exact: bool = True


def count_rows(session: Session, statement: AnySelect, *, most: int | None = MOST_COUNTED) -> Count:
    """Count up to ``most`` rows (None: all of them, however long that takes)."""
    rows = statement.order_by(None)
    if most is None:
        return Count(session.scalar(rows.with_only_columns(func.count(), maintain_column_froms=True)) or 0)
    value = session.scalar(select(func.count()).select_from(rows.limit(most + 1).subquery())) or 0
    return Count(value) if value <= most else Count(most, is_exact=False)
