"""places: a page by number in the order of the ids, and that order for the search's index"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"

BLOCK_BITS = (16, 11)
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    users = sa.table("users", sa.column("id"), sa.column("segment"))
    places = op.create_table(
        "users_places",
        sa.Column("id", BigId, nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("block", BigId, nullable=False),
        sa.Column("segment", sa.String(3), nullable=False),
        sa.Column("amount", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users_places"),
    )
    op.create_index("ix_users_places", "users_places", ["bits", "block", "segment"])
    make_search("0011_search")
    op.create_index("ix_users_by_id", "users", ["segment", "id"])
    for bits in BLOCK_BITS:
        size = sa.literal_column(str(bits))
        block = users.c.id.op(">>")(size)
        counted = sa.select(size, block, users.c.segment, sa.func.count()).group_by(block, users.c.segment)
        op.execute(places.insert().from_select(["bits", "block", "segment", "amount"], counted))
    if op.get_bind().dialect.name == "postgresql":
        run("0002_totals")  # older databases have triggers that fold otherwise
    run("0011_places")


def downgrade() -> None:
    drop_count_triggers("users_places")
    op.drop_index("ix_users_by_id", "users")
    op.drop_table("users_places")
    make_search("0006_users_search")


def make_search(name: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_search("users")
    else:
        op.execute("SET LOCAL maintenance_work_mem = '512MB'")  # the index of many users is made in memory
        op.drop_index("ix_users_search", "users")
    run(name)


def run(name: str) -> None:
    """Run the frozen statements of sql/<name>.<dialect>.sql; empty lines separate them."""
    text = (SQL / f"{name}.{op.get_bind().dialect.name}.sql").read_text()
    for statement in text.split("\n\n"):
        op.execute(sa.text(statement.replace(":", "\\:")))


def drop_count_triggers(counts: str) -> None:
    """What keeps the table ``counts``."""
    if op.get_bind().dialect.name == "sqlite":
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER IF EXISTS {counts}_{event}")
    else:
        op.execute(f"DROP FUNCTION IF EXISTS {counts}_keep() CASCADE")


def drop_search(table: str) -> None:
    """SQLite's full text of a table, with what keeps it."""
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_search_{event}")
    op.execute(f"DROP TABLE IF EXISTS {table}_search")
    op.execute(f"DROP VIEW IF EXISTS {table}_search_rows")
