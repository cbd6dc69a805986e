"""Runs the migrations on the application's own engine, in one transaction on both databases."""

import sqlalchemy as sa
from alembic import context
from flask import current_app
from sqlalchemy import text

from webapp.db.session import write_options
from webapp.extensions import Base, UtcDateTime

LOCK = 0x0D0551E4  # any fixed number: two that start at once migrate one after the other


def render_item(kind, item, _context):
    """Write plain types into a new migration: it must not change when our classes do."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


# No database gives an index's expression back as it was written, so Alembic would make it anew each time.
EXPRESSION_INDEXES = {
    index.name
    for table in Base.metadata.tables.values()
    for index in table.indexes
    if not all(isinstance(part, sa.Column) for part in index.expressions)
}


def include_object(_object, name, kind, _reflected, _compared):
    """Not what `webapp/listing/ddl.py` makes, and Alembic does not know: full text and trigrams."""
    if kind == "table":
        return "_search" not in name
    return not (kind == "index" and (name in EXPRESSION_INDEXES or name.endswith("_search")))


def run_migrations() -> None:
    engine = current_app.extensions["migrate"].db.engine
    # Begun before Alembic looks which revision there is: it would do that in a transaction of its own, on
    # SQLite each migration in another, and of two that start at once both would make the first table.
    with engine.connect().execution_options(**write_options(engine)) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            include_object=include_object,
            **current_app.extensions["migrate"].configure_args,
        )
        context.run_migrations()


run_migrations()
