"""access tokens"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_search_table, search_table
from webapp.listing.stretches import TimeOrder

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FoldedText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SegmentText = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
UtcDateTime = sa.DateTime(timezone=True)
INDEXES = {
    "ix_tokens_by_created_at": ["created_at", "id"],
    "ix_tokens_by_segment": ["segment", "created_at", "id"],
    "ix_tokens_by_user": ["user_id", "created_at", "id"],
}
ORDER = TimeOrder("created_at")


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(4), nullable=False),
        sa.Column("scopes", sa.String(500), nullable=False),
        sa.Column("address_range", sa.String(64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("last_used_at", UtcDateTime, nullable=True),
        sa.Column("last_used_address", sa.String(45), nullable=False),
        sa.Column("segment", SegmentText, nullable=False),
        sa.Column("search_text", FoldedText, nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 60", name="name_length"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_tokens_token_hash"),
        sqlite_autoincrement=True,
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "tokens", columns)
    if op.get_bind().dialect.name == "sqlite":
        for statement in search_table("tokens", text="search_text", segment="segment", time="created_at"):
            op.execute(sa.text(statement.replace(":", "\\:")))
    else:
        marks = ["ARRAY[segment::text]", ORDER.postgres_marks()]
        op.create_index(
            "ix_tokens_search",
            "tokens",
            ["search_text", *(sa.text(f"({array})") for array in marks)],
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in drop_search_table("tokens"):
            op.execute(statement)
    op.drop_table("tokens")
