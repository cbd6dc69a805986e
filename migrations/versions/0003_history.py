"""the history: entries chained by hash, and the lanes they are chained in; the trash; notes"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FoldedText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SegmentText = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
UtcDateTime = sa.DateTime(timezone=True)
LANES, START = 64, "0" * 64
INDEXES = {
    "ix_entries_by_at": ["at", "id"],
    "ix_entries_by_segment": ["segment", "at", "id"],
    "ix_entries_by_subject": ["subject_id", "at", "id"],
    "ix_entries_by_actor": ["actor_id", "at", "id"],
}


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("segment", SegmentText, nullable=False),
        sa.Column("subject_id", BigId, nullable=True),
        sa.Column("actor_id", BigId, nullable=True),
        sa.Column("actor_role", sa.String(16), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("undoes_id", BigId, nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("details_digest", sa.String(64), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("origin_digest", sa.String(64), nullable=False),
        sa.Column("search_text", FoldedText, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.UniqueConstraint("lane", "number", name="uq_entries_lane_number"),
        sa.UniqueConstraint("undoes_id", name="uq_entries_undoes_id"),
        sqlite_autoincrement=True,
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "entries", columns)
    op.create_table(
        "trash",
        sa.Column("user_id", BigId, autoincrement=False, nullable=False),
        sa.Column("deleted_at", UtcDateTime, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("full_name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_trash"),
    )
    op.create_index("ix_trash_by_deleted_at", "trash", ["deleted_at", "user_id"])
    op.create_table(
        "notes",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("author_id", BigId, nullable=True),
        sa.Column("author_name", sa.String(254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 5000", name="text_length"),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notes_by_user", "notes", ["user_id", "id"])
    lanes = op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_lanes"),
    )
    op.bulk_insert(lanes, [{"lane": lane, "number": 0, "hash": START} for lane in range(1, LANES + 1)])
    run("0003_search")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_search("entries")
    op.drop_table("entries")
    op.drop_table("lanes")
    op.drop_table("trash")
    op.drop_table("notes")


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
