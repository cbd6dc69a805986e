"""the fast list: segments, their totals, and a trigram index for the search"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from webapp.listing.ddl import drop_count_triggers, drop_search_table, search_table, totals_triggers
from webapp.listing.search import searchable

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SegmentText = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
SEGMENT = (
    "'#' || CASE role WHEN 'member' THEN 'm' WHEN 'auditor' THEN 'u' WHEN 'support' THEN 's' ELSE 'a' END"
    " || CASE WHEN NOT is_active THEN 'x' WHEN hashed_password IS NULL THEN 'i' ELSE 'a' END"
)
LAST_SIGN_IN = sa.text("coalesce(last_sign_in_at, '1970-01-01 00:00:00.000000')")
OLD_INDEXES = {
    "ix_users_name_key_id": ["name_key", "id"],
    "ix_users_created_at_id": ["created_at", "id"],
    "ix_users_last_sign_in_at_id": [LAST_SIGN_IN, "id"],
}
NEW_INDEXES = {
    "ix_users_by_name": ["segment", "name_key", "id", "created_at"],
    "ix_users_by_email": ["segment", "email_key", "id", "created_at"],
    "ix_users_by_created": ["segment", "created_at", "id", "name_key", "email_key", "last_sign_in_at"],
    "ix_users_by_last_sign_in": ["segment", LAST_SIGN_IN, "id", "created_at"],
}
ROWS_AT_ONCE = 5_000


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in OLD_INDEXES:
        op.drop_index(name, "users")
    write_search_text()
    segment = sa.Column("segment", SegmentText, sa.Computed(SEGMENT, persisted=not is_sqlite), nullable=False)
    op.add_column("users", segment)
    for name, columns in NEW_INDEXES.items():
        op.create_index(name, "users", columns)
    op.create_table(
        "users_totals",
        sa.Column("id", BigId, nullable=False),
        sa.Column("segment", sa.String(3), nullable=False),
        sa.Column("amount", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users_totals"),
    )
    op.execute(
        "INSERT INTO users_totals (segment, amount) SELECT segment, count(*) FROM users GROUP BY segment"
    )
    if is_sqlite:
        run(search_table("users", text="search_text", segment="segment", time="created_at"))
        op.execute("INSERT INTO users_search (users_search) VALUES ('rebuild')")
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.create_index(
            "ix_users_search",
            "users",
            ["search_text"],
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        )
    run(totals_triggers("users", "segment", is_sqlite=is_sqlite))


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    run(drop_count_triggers("users_totals", is_sqlite=is_sqlite))
    if is_sqlite:
        run(drop_search_table("users"))
    else:
        op.drop_index("ix_users_search", "users")  # the extension stays: others may use it
    op.drop_table("users_totals")
    for name in NEW_INDEXES:
        op.drop_index(name, "users")
    op.drop_column("users", "segment")
    # As before: one space before each word. The letters that stand for marks stay.
    op.execute("UPDATE users SET search_text = replace(search_text, '  ', ' ')")
    for name, columns in OLD_INDEXES.items():
        op.create_index(name, "users", columns)


def run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))


def write_search_text() -> None:
    """In pieces by id, so that the memory stays small however many there are."""
    connection = op.get_bind()
    users = sa.table(
        "users", sa.column("id"), sa.column("full_name"), sa.column("email"), sa.column("search_text")
    )
    rows = sa.select(users.c.id, users.c.full_name, users.c.email).order_by(users.c.id).limit(ROWS_AT_ONCE)
    change = sa.update(users).where(users.c.id == sa.bindparam("row"))
    last = 0
    while found := connection.execute(rows.where(users.c.id > last)).all():
        values = [{"row": row.id, "search_text": searchable(row.full_name, row.email)} for row in found]
        connection.execute(change, values)
        last = found[-1].id
