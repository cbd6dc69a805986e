"""credits: accounts, and the transfers and postings that explain them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UtcDateTime = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("user_id", BigId, autoincrement=False, nullable=False),
        sa.Column("balance_cents", BigId, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("balance_cents BETWEEN 0 AND 1000000000000000", name="balance"),
        sa.PrimaryKeyConstraint("user_id", name="pk_accounts"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", BigId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("from_user_id", BigId, nullable=False),
        sa.Column("to_user_id", BigId, nullable=False),
        sa.Column("amount_cents", BigId, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor_id", BigId, nullable=True),
        sa.Column("key_digest", sa.String(64), nullable=True),
        sa.CheckConstraint("amount_cents BETWEEN 1 AND 100000000000", name="amount"),
        sa.CheckConstraint("from_user_id <> to_user_id", name="two_sides"),
        sa.CheckConstraint("length(reason) <= 200", name="reason_length"),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint("key_digest", name="uq_transfers_key_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "postings",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("transfer_id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("amount_cents", BigId, nullable=False),
        sa.Column("balance_cents", BigId, nullable=True),
        sa.CheckConstraint("amount_cents <> 0", name="amount"),
        sa.CheckConstraint("(user_id = 0) = (balance_cents IS NULL)", name="balance"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name="fk_postings_transfer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_postings"),
        sa.UniqueConstraint("transfer_id", "user_id", name="uq_postings_transfer_id_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_postings_by_user", "postings", ["user_id", "at", "id"])


def downgrade() -> None:
    op.drop_table("postings")
    op.drop_table("transfers")
    op.drop_table("accounts")
