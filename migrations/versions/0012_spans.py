"""spans: how many users a period has, without counting them; and larger blocks of ids, to sum up fewer"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"

LENGTHS = (31, 1)
# Counted from the year 0 as if each month had 31 days.
DAY = {
    "sqlite": "(31 * (12 * CAST(substr(created_at, 1, 4) AS INTEGER)"
    " + CAST(substr(created_at, 6, 2) AS INTEGER) - 1) + CAST(substr(created_at, 9, 2) AS INTEGER) - 1)",
    "postgresql": "(31 * (12 * date_part('year', created_at AT TIME ZONE 'UTC')::integer"
    " + date_part('month', created_at AT TIME ZONE 'UTC')::integer - 1)"
    " + date_part('day', created_at AT TIME ZONE 'UTC')::integer - 1)",
}
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    spans = op.create_table(
        "users_spans",
        sa.Column("id", BigId, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("segment", sa.String(3), nullable=False),
        sa.Column("amount", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users_spans"),
    )
    op.create_index("ix_users_spans", "users_spans", ["days", "number", "segment"])
    if dialect == "postgresql":  # a user added meanwhile would be counted neither here nor by a trigger
        op.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    day, segment = sa.literal_column(DAY[dialect]), sa.column("segment")
    for length in LENGTHS:
        days = sa.literal_column(str(length))
        number = day.op("/")(days)
        counted = sa.select(days, number, segment, sa.func.count()).select_from(sa.table("users"))
        counted = counted.group_by(number, segment)
        op.execute(spans.insert().from_select(["days", "number", "segment", "amount"], counted))
    run("0012_spans")
    op.execute(
        "INSERT INTO users_places (bits, block, segment, amount)"
        " SELECT 21, block >> 5, segment, sum(amount) FROM users_places WHERE bits = 16 GROUP BY 2, 3"
    )
    keep_places("0012_places")


def downgrade() -> None:
    drop_count_triggers("users_spans")
    op.drop_table("users_spans")
    keep_places("0011_places")
    op.execute("DELETE FROM users_places WHERE bits = 21")


def keep_places(name: str) -> None:
    if op.get_bind().dialect.name == "sqlite":  # on Postgres they are replaced
        drop_count_triggers("users_places")
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
