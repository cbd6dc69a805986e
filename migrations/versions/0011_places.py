"""places: a page by number in the order of the ids, and that order for the search's index"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import (
    drop_count_triggers,
    drop_search_table,
    places_triggers,
    search_table,
    totals_triggers,
)
from webapp.listing.periods import Signs
from webapp.listing.stretches import NumberOrder, Order, TextOrder, TimeOrder

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BLOCK_BITS = (16, 11)
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OLD_ORDERS: list[Order] = [
    TextOrder("name_key", 0),
    TextOrder("email_key", 1),
    TimeOrder("created_at", has_days=True),
    TimeOrder("last_sign_in_at", Signs("[", "]", "^")),
]


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
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
    make_search([NumberOrder("id", 2), *OLD_ORDERS])
    op.create_index("ix_users_by_id", "users", ["segment", "id"])
    for bits in BLOCK_BITS:
        size = sa.literal_column(str(bits))
        block = users.c.id.op(">>")(size)
        counted = sa.select(size, block, users.c.segment, sa.func.count()).group_by(block, users.c.segment)
        op.execute(places.insert().from_select(["bits", "block", "segment", "amount"], counted))
    if not is_sqlite:
        run(totals_triggers("users", "segment", is_sqlite=False))  # how they fold has changed
    run(places_triggers("users", "segment", BLOCK_BITS, is_sqlite=is_sqlite))


def downgrade() -> None:
    run(drop_count_triggers("users_places", is_sqlite=op.get_bind().dialect.name == "sqlite"))
    op.drop_index("ix_users_by_id", "users")
    op.drop_table("users_places")
    make_search(OLD_ORDERS)


def make_search(orders: list[Order]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        run(drop_search_table("users"))
        run(search_table("users", text="search_text", segment="segment", time="created_at", orders=orders))
        op.execute("INSERT INTO users_search (users_search) VALUES ('rebuild')")
        return
    op.execute("SET LOCAL maintenance_work_mem = '512MB'")  # the index of many users is made in memory
    marks = ["ARRAY[segment::text]", *(order.postgres_marks() for order in orders)]
    op.drop_index("ix_users_search", "users")
    op.create_index(
        "ix_users_search",
        "users",
        ["search_text", *(sa.text(f"({array})") for array in marks)],
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )


def run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))
