"""The history: what was done, never changed; and the lanes that its entries are chained in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.errors import N_
from webapp.extensions import Base, BigId, FoldedText, UtcDateTime, table_of
from webapp.listing.definition import search_index
from webapp.listing.stretches import Order, TimeOrder

SHA256_HEX = 64


class Entry(Base):
    """Something that somebody did.

    ``details`` is about the subject (its name, what changed from what to what), ``origin`` about the actor
    (name, address). Both are JSON with a random salt in it, and None once the person is forgotten; their
    digests stay, so that the chain can be followed. There are no foreign keys: an entry outlives its people.
    """

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("lane", "number"),
        UniqueConstraint("undoes_id", info={"conflict": (None, N_("This change was undone already."))}),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    door: Mapped[str] = mapped_column(String(16))
    segment: Mapped[str] = mapped_column(String(3).with_variant(String(3, collation="C"), "postgresql"))
    subject_id: Mapped[int | None] = mapped_column(BigId)
    actor_id: Mapped[int | None] = mapped_column(BigId)
    actor_role: Mapped[str | None] = mapped_column(String(16))
    request_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int | None]
    undoes_id: Mapped[int | None] = mapped_column(BigId)
    details: Mapped[str | None] = mapped_column(Text)
    details_digest: Mapped[str] = mapped_column(String(SHA256_HEX))
    origin: Mapped[str | None] = mapped_column(Text)
    origin_digest: Mapped[str] = mapped_column(String(SHA256_HEX))
    search_text: Mapped[str] = mapped_column(FoldedText)
    lane: Mapped[int]
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(String(SHA256_HEX))


class Lane(Base):
    """The end of one chain. Whoever writes takes a lane that nobody else holds, so that none waits."""

    __tablename__ = "lanes"

    lane: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(String(SHA256_HEX))


ENTRIES = table_of(Entry)
LANES = table_of(Lane)
_c = ENTRIES.c
Index("ix_entries_by_at", _c.at, _c.id)
Index("ix_entries_by_segment", _c.segment, _c.at, _c.id)
Index("ix_entries_by_subject", _c.subject_id, _c.at, _c.id)
Index("ix_entries_by_actor", _c.actor_id, _c.at, _c.id)
ORDERS: dict[str, Order] = {"at": TimeOrder("at")}
search_index("ix_entries_search", _c.search_text, segment=_c.segment, orders=ORDERS.values())
