"""spans: how many users a period has, without counting them; and larger blocks of ids, to sum up fewer"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_count_triggers, places_triggers, spans_triggers
from webapp.listing.periods import day_number

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LENGTHS = (31, 1)
OLD_BITS, NEW_BITS = (16, 11), (21, 16, 11)
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
    run(spans_triggers("users", "segment", "created_at", LENGTHS, is_sqlite=is_sqlite))
    op.execute(
        "INSERT INTO users_places (bits, block, segment, amount)"
        " SELECT 21, block >> 5, segment, sum(amount) FROM users_places WHERE bits = 16 GROUP BY 2, 3"
    )
    keep_places(NEW_BITS)


def downgrade() -> None:
    run(drop_count_triggers("users_spans", is_sqlite=op.get_bind().dialect.name == "sqlite"))
    op.drop_table("users_spans")
    keep_places(OLD_BITS)
    op.execute("DELETE FROM users_places WHERE bits = 21")


def keep_places(sizes: Sequence[int]) -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        run(drop_count_triggers("users_places", is_sqlite=True))
    run(places_triggers("users", "segment", sizes, is_sqlite=is_sqlite))


def run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))
