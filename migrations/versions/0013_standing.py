"""what ends with the sign-ins of the person who began it: links, bulk changes, confirmations"""

import re
from collections.abc import Iterable, Sequence

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


# All of a hash before its salt: what the work of verifying it depends on.
METHOD = re.compile(
    r"(\$argon2id?\$v=\d{1,3}\$m=\d{1,7},t=\d{1,4},p=\d{1,3}|scrypt:\d{1,7}:\d{1,3}:\d{1,3}"
    r"|pbkdf2:[a-z0-9_]{1,20}(?::\d{1,8})?)\$"
)
CURRENT = "$argon2id$v=19$m=19456,t=2,p=1"


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column)
    methods = op.create_table(
        "password_methods",
        sa.Column("method", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("method", name=op.f("pk_password_methods")),
    )
    found = {match[1] for hashed in find_old_hashes() if (match := METHOD.match(hashed))}
    op.bulk_insert(methods, [{"method": method} for method in sorted(found)])


def find_old_hashes() -> Iterable[str]:
    """One look through the table, a few rows in memory at once."""
    users = sa.table("users", sa.column("hashed_password", sa.String))
    old = sa.select(users.c.hashed_password).where(users.c.hashed_password.not_like(f"{CURRENT}$%"))
    return op.get_bind().scalars(old, execution_options={"yield_per": 1000})


def downgrade() -> None:
    op.drop_table("password_methods")
    for table, columns in ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
