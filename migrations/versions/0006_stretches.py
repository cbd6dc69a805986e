"""the search's index knows segments and months on Postgres too, and the stretches of each sort"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_search("users")
        run("0006_users_search")
        return
    op.execute("SET LOCAL maintenance_work_mem = '512MB'")  # the index of many users is made in memory
    for table in ("users", "entries"):
        op.drop_index(f"ix_{table}_search", table)
        run(f"0006_{table}_search")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_search("users")
        run("0002_search")
        return
    for table, former in {"users": "0002_search", "entries": "0003_search"}.items():
        op.drop_index(f"ix_{table}_search", table)
        run(former)


def run(name: str) -> None:
    """Run the frozen statements of sql/<name>.<dialect>.sql; empty lines separate them."""
    text = (SQL / f"{name}.{op.get_bind().dialect.name}.sql").read_text()
    for statement in text.split("\n\n"):
        op.execute(sa.text(statement.replace(":", "\\:")))


def drop_search(table: str) -> None:
    """SQLite's full text of a table, with what keeps it."""
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_search_{event}")
    op.execute(f"DROP TABLE IF EXISTS {table}_search")
    op.execute(f"DROP VIEW IF EXISTS {table}_search_rows")
