"""the search's index knows segments and months on Postgres too, and the stretches of each sort"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_search_table, search_table
from webapp.listing.periods import Signs
from webapp.listing.stretches import Order, TextOrder, TimeOrder

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ORDERS: dict[str, list[Order]] = {
    "users": [
        TextOrder("name_key", 0),
        TextOrder("email_key", 1),
        TimeOrder("created_at", has_days=True),
        TimeOrder("last_sign_in_at", Signs("[", "]", "^")),
    ],
    "entries": [TimeOrder("at")],
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        make_users_search(ORDERS["users"])
    else:
        op.execute("SET LOCAL maintenance_work_mem = '512MB'")  # the index of many users is made in memory
        for table, orders in ORDERS.items():
            marks = ["ARRAY[segment::text]", *(order.postgres_marks() for order in orders)]
            make_index(table, [sa.text(f"({array})") for array in marks])


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        make_users_search([])
    else:
        for table in ORDERS:
            make_index(table, [])


def make_users_search(orders: list[Order]) -> None:
    statements = drop_search_table("users")
    statements += search_table(
        "users", text="search_text", segment="segment", time="created_at", orders=orders
    )
    statements.append("INSERT INTO users_search (users_search) VALUES ('rebuild')")
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))


def make_index(table: str, marks: list[sa.TextClause]) -> None:
    name = f"ix_{table}_search"
    op.drop_index(name, table)
    op.create_index(
        name,
        table,
        ["search_text", *marks],
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
