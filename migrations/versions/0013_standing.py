"""what ends with the sign-ins of the person who began it: links, bulk changes, confirmations"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UtcDateTime = sa.DateTime(timezone=True)

# Columns that are added at the end, without a default or with a constant one: neither database writes the
# rows again, so that it takes milliseconds however many users there are.
ADDED: dict[str, tuple[sa.Column[object], ...]] = {
    "users": (sa.Column("must_change_password", sa.Boolean(), server_default=sa.false(), nullable=False),),
    "sessions": (
        sa.Column("confirmed_at", UtcDateTime, nullable=True),
        sa.Column("notices_since", UtcDateTime, nullable=True),
    ),
    "password_links": (
        sa.Column("creator_id", BigId, nullable=True),
        sa.Column("creator_epoch", sa.Integer(), nullable=True),
    ),
    "batches": (
        sa.Column("creator_epoch", sa.Integer(), nullable=True),
        sa.Column("creator_role", sa.String(16), nullable=True),
    ),
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
