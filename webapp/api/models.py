"""Answers that are kept for a call that is sent again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base, BigId, UtcDateTime, table_of

LONGEST_KEY = 255
SHA256_HEX = 64


class KeptAnswer(Base):
    """To the call that one person named by ``key``. Without a foreign key: on Postgres that would lock the
    person's row, and two calls of one administrator would wait for each other.

    Until ``status`` is there the call is not done: a request holds it until ``held_until``, and ``body`` is
    what is done of it. Others see that only of a call of several transactions.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (UniqueConstraint("owner_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigId)
    key: Mapped[str] = mapped_column(String(LONGEST_KEY))
    digest: Mapped[str] = mapped_column(String(SHA256_HEX))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    held_until: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[int | None]
    headers: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)


KEPT_ANSWERS = table_of(KeptAnswer)
Index("ix_kept_answers_made_at", KEPT_ANSWERS.c.made_at)
