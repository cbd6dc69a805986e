"""Batches: who is to be changed, frozen when they were chosen, and what became of each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.batches.rules import State
from webapp.errors import N_
from webapp.extensions import Base, BigId, UtcDateTime, table_of, utc_now


class Batch(Base):
    """``value`` is what the action needs: a role, the text of a note. Of ``total`` rows the first
    ``position`` are through, ``done`` of them changed and ``refused`` not. ``touched_at`` is when it went on
    last, so that one sees whether somebody still works at it. ``unresolved`` is JSON: what of a pasted list
    was not found, or stands for several people. ``creator_epoch`` and ``creator_role`` are the creator's when
    they began it, or let it go on; of a draft, ``touched_at`` is when they chose something last.
    """

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("undoes_id", info={"conflict": (None, N_("This was undone already."))}),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    creator_id: Mapped[int | None] = mapped_column(BigId)
    creator_epoch: Mapped[int | None]
    creator_role: Mapped[str | None] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(16))
    action: Mapped[str | None] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default=State.DRAFT.value)
    total: Mapped[int] = mapped_column(default=0)
    position: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    touched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undoes_id: Mapped[int | None] = mapped_column(BigId)
    unresolved: Mapped[str] = mapped_column(Text, default="")


class BatchRow(Base):
    """One user of a batch, at ``position`` from 1 on.

    ``outcome`` is None until it is his turn. ``entry_id`` is the change in the history, ``undoes_entry_id``
    the one that is to be undone; ``reason`` is a refusal as JSON: the message and its parameters.
    """

    __tablename__ = "batch_rows"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(BigId)
    undoes_entry_id: Mapped[int | None] = mapped_column(BigId)
    outcome: Mapped[str | None] = mapped_column(String(16))
    entry_id: Mapped[int | None] = mapped_column(BigId)
    reason: Mapped[str | None] = mapped_column(Text)


BATCHES = table_of(Batch)
ROWS = table_of(BatchRow)
Index("ix_batches_by_created_at", BATCHES.c.created_at, BATCHES.c.id)
