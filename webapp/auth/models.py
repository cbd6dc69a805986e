"""Sessions, one-time links, and counted attempts. Of every secret only its SHA-256 is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base, BigId, FoldedText, UtcDateTime, utc_now

LONGEST_AGENT = 300
LONGEST_ADDRESS = 45
SHA256_HEX = 64


class SignInSession(Base):
    """One browser that a person is signed in with; alive while ``epoch`` is the user's present one.

    ``confirmed_at`` is when they last gave their password in it after signing in. ``notices_since``: what
    happened to their account since then is still to be shown.
    """

    __tablename__ = "sessions"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(SHA256_HEX), unique=True)
    epoch: Mapped[int]
    address: Mapped[str] = mapped_column(String(LONGEST_ADDRESS))
    user_agent: Mapped[str] = mapped_column(String(LONGEST_AGENT))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notices_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasswordLink(Base):
    """A one-time link with which a person sets a password.

    It dies when used, when expired, when a newer one is made, when the e-mail or the sign-ins it was made
    under change (``email_key``, ``epoch``), unless the person's own session changed them, and with the
    sign-ins of the person who made it (``creator_epoch``; None is the command line).
    """

    __tablename__ = "password_links"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_hash: Mapped[str] = mapped_column(String(SHA256_HEX), unique=True)
    email_key: Mapped[str] = mapped_column(FoldedText)
    epoch: Mapped[int]
    creator_id: Mapped[int | None] = mapped_column(BigId)
    creator_epoch: Mapped[int | None]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Attempts(Base):
    """Sign-ins tried by ``key`` since ``started_at``: in the database, so exact over all workers."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(String(SHA256_HEX), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tried: Mapped[int]


Index("ix_attempts_started_at", Attempts.started_at)
