"""Accounts, transfers and postings: a balance for each user, and why it is what it is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.credits.rules import BANK, FULLEST_CENTS, LONGEST_REASON, MOST_CENTS
from webapp.extensions import Base, BigId, UtcDateTime, table_of

SHA256_HEX = 64


class Account(Base):
    """What somebody has. A user without one has nothing. The bank has none: what it gave is what others have.

    ``changed_at`` never goes back, whatever the clocks of several machines say. There is no foreign key: to
    check one, a transfer would wait for whoever edits the user.
    """

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint(f"balance_cents BETWEEN 0 AND {FULLEST_CENTS}", name="balance"),)

    user_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    balance_cents: Mapped[int] = mapped_column(BigId)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Transfer(Base):
    """Credits that went from one to another. From the bank it is a grant, to the bank a withdrawal.

    It outlives its people. ``key_digest`` is that of the idempotency key, if there was one.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint(f"amount_cents BETWEEN 1 AND {MOST_CENTS}", name="amount"),
        CheckConstraint("from_user_id <> to_user_id", name="two_sides"),
        CheckConstraint(f"length(reason) <= {LONGEST_REASON}", name="reason_length"),
        UniqueConstraint("key_digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    from_user_id: Mapped[int] = mapped_column(BigId)
    to_user_id: Mapped[int] = mapped_column(BigId)
    amount_cents: Mapped[int] = mapped_column(BigId)
    reason: Mapped[str] = mapped_column(String(LONGEST_REASON))
    actor_id: Mapped[int | None] = mapped_column(BigId)
    key_digest: Mapped[str | None] = mapped_column(String(SHA256_HEX))


class Posting(Base):
    """One side of a transfer: what it did to one account, and what that held then. The two sum to zero.

    The bank's side has no balance: to know it, all who are granted something would wait for each other.
    """

    __tablename__ = "postings"
    __table_args__ = (
        UniqueConstraint("transfer_id", "user_id"),
        CheckConstraint("amount_cents <> 0", name="amount"),
        CheckConstraint(f"(user_id = {BANK}) = (balance_cents IS NULL)", name="balance"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    transfer_id: Mapped[int] = mapped_column(BigId, ForeignKey("transfers.id"))
    user_id: Mapped[int] = mapped_column(BigId)
    amount_cents: Mapped[int] = mapped_column(BigId)
    balance_cents: Mapped[int | None] = mapped_column(BigId)


ACCOUNTS = table_of(Account)
TRANSFERS = table_of(Transfer)
POSTINGS = table_of(Posting)
Index("ix_postings_by_user", POSTINGS.c.user_id, POSTINGS.c.at, POSTINGS.c.id)
