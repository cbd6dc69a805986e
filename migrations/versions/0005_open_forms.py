"""who has whose form open"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UtcDateTime = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "open_forms",
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("editor_id", BigId, nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_open_forms_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["editor_id"], ["users.id"], name="fk_open_forms_editor_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "editor_id", name="pk_open_forms"),
    )
    op.create_index("ix_open_forms_editor_id", "open_forms", ["editor_id"])


def downgrade() -> None:
    op.drop_table("open_forms")
