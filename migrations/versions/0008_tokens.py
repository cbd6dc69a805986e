"""access tokens"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FoldedText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SegmentText = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
UtcDateTime = sa.DateTime(timezone=True)
INDEXES = {
    "ix_tokens_by_created_at": ["created_at", "id"],
    "ix_tokens_by_segment": ["segment", "created_at", "id"],
    "ix_tokens_by_user": ["user_id", "created_at", "id"],
}


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
    run("0008_search")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_search("tokens")
    op.drop_table("tokens")


def run(name: str) -> None:
    """Run the frozen statements of sql/<name>.<dialect>.sql; empty lines separate them."""
    text = (SQL / f"{name}.{op.get_bind().dialect.name}.sql").read_text()
    for statement in text.split("\n\n"):
        op.execute(sa.text(statement.replace(":", "\\:")))


def drop_search(table: str) -> None:
    """SQLite's full text of a table, with what keeps it."""
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_search_{event}")
    op.execute(f"DROP TABLE IF EXISTS {table}_search")
    op.execute(f"DROP VIEW IF EXISTS {table}_search_rows")
