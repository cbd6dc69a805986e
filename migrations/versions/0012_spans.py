"""spans: how many users a period has, without counting them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_count_triggers, spans_triggers
from webapp.listing.periods import day_number

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LENGTHS = (31, 1)
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
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
    if not is_sqlite:  # who adds a user meanwhile waits: he would be neither counted here nor by a trigger
        op.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    day, segment = sa.literal_column(day_number("created_at", is_sqlite=is_sqlite)), sa.column("segment")
    for length in LENGTHS:
        days = sa.literal_column(str(length))
        number = day.op("/")(days)
        counted = sa.select(days, number, segment, sa.func.count()).select_from(sa.table("users"))
        counted = counted.group_by(number, segment)
        op.execute(spans.insert().from_select(["days", "number", "segment", "amount"], counted))
    for statement in spans_triggers("users", "segment", "created_at", LENGTHS, is_sqlite=is_sqlite):
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    for statement in drop_count_triggers("users_spans", is_sqlite=op.get_bind().dialect.name == "sqlite"):
        op.execute(statement)
    op.drop_table("users_spans")
