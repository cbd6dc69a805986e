"""The tokens table. Of a token only its SHA-256 is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base, BigId, FoldedText, UtcDateTime, table_of, utc_now
from webapp.listing.definition import search_index
from webapp.listing.stretches import Order, TimeOrder
from webapp.tokens.rules import HINT_LENGTH, LONGEST_NAME, LONGEST_RANGE

LONGEST_ADDRESS = 45
LONGEST_SCOPES = 500
SHA256_HEX = 64

SegmentText = String(3).with_variant(String(3, collation="C"), "postgresql")
SEGMENTS = {True: "#tr", False: "#tw"}  # whether it only reads


class Token(Base):
    """Alive until ``expires_at``, and while ``epoch`` is its owner's present one: it ends with his sign-ins.

    ``hint`` is its last characters, by which he knows it again. ``search_text`` names him as he was called
    when it was made.
    """

    __tablename__ = "tokens"
    __table_args__ = (
        CheckConstraint(f"length(name) BETWEEN 1 AND {LONGEST_NAME}", name="name_length"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    token_hash: Mapped[str] = mapped_column(String(SHA256_HEX), unique=True)
    hint: Mapped[str] = mapped_column(String(HINT_LENGTH))
    scopes: Mapped[str] = mapped_column(String(LONGEST_SCOPES))
    address_range: Mapped[str] = mapped_column(String(LONGEST_RANGE))
    epoch: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_address: Mapped[str] = mapped_column(String(LONGEST_ADDRESS), default="")
    segment: Mapped[str] = mapped_column(SegmentText)
    search_text: Mapped[str] = mapped_column(FoldedText)


TOKENS = table_of(Token)
_c = TOKENS.c
Index("ix_tokens_by_created_at", _c.created_at, _c.id)
Index("ix_tokens_by_segment", _c.segment, _c.created_at, _c.id)
Index("ix_tokens_by_user", _c.user_id, _c.created_at, _c.id)
ORDERS: dict[str, Order] = {"created_at": TimeOrder("created_at")}
search_index("ix_tokens_search", _c.search_text, segment=_c.segment, orders=ORDERS.values())
