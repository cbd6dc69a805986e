"""the names of those who were created in a month, in order"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MONTH = {
    "sqlite": "12 * CAST(substr(created_at, 1, 4) AS INTEGER) + CAST(substr(created_at, 6, 2) AS INTEGER)",
    "postgresql": "12 * date_part('year', created_at AT TIME ZONE 'UTC')::integer"
    " + date_part('month', created_at AT TIME ZONE 'UTC')::integer",
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute("SET LOCAL maintenance_work_mem = '512MB'")
    month = sa.text(f"({MONTH[dialect]})".replace("::", "\\:\\:"))
    op.create_index("ix_users_by_month", "users", [month, "name_key", "id", "created_at", "segment"])


def downgrade() -> None:
    op.drop_index("ix_users_by_month", "users")
