"""months: how many users a period has, without counting them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_count_triggers, months_triggers
from webapp.listing.periods import month_number

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "users_months",
        sa.Column("id", BigId, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("segment", sa.String(3), nullable=False),
        sa.Column("amount", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users_months"),
    )
    op.create_index("ix_users_months", "users_months", ["month", "segment"])
    if not is_sqlite:  # who adds a user meanwhile waits: he would be neither counted here nor by a trigger
        op.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    columns = ["month", "segment", "amount"]
    months = sa.table("users_months", *map(sa.column, columns))
    month = sa.literal_column(month_number("created_at", is_sqlite=is_sqlite))
    segment = sa.column("segment")
    counted = (
        sa.select(month, segment, sa.func.count()).select_from(sa.table("users")).group_by(month, segment)
    )
    op.execute(months.insert().from_select(columns, counted))
    for statement in months_triggers("users", "segment", "created_at", is_sqlite=is_sqlite):
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    for statement in drop_count_triggers("users_months", is_sqlite=op.get_bind().dialect.name == "sqlite"):
        op.execute(statement)
    op.drop_table("users_months")
