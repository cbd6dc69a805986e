"""Is the process alive (/healthz), and can it serve (/readyz)? For load balancers and monitors."""

from __future__ import annotations

from functools import cache

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.guards import requires
from webapp.access.permissions import Permission
from webapp.config import ROOT
from webapp.db import get_session
from webapp.db.diagnosis import NO_TABLES, diagnose

blueprint = Blueprint("operations", __name__)

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
Answer = tuple[str, int, dict[str, str]]


@blueprint.get("/healthz")
@requires(Permission.PUBLIC)
def show_health() -> Answer:
    """Asks nothing of the database: a restart would not mend that."""
    return "ok\n", 200, PLAIN


@blueprint.get("/readyz")
@requires(Permission.PUBLIC)
def show_readiness() -> Answer:
    try:
        problem = find_problem()
    except SQLAlchemyError as error:
        diagnosis = diagnose(error)
        problem = diagnosis.title if diagnosis else "The database failed"
    return (f"{problem}\n", 503, PLAIN) if problem else ("ok\n", 200, PLAIN)


def find_problem() -> str | None:
    """What keeps the application from serving. Raises SQLAlchemyError when the database does not answer."""
    session = get_session()
    session.execute(select(1))
    present, newest = migration_heads()
    if present is None:
        return f"{NO_TABLES.title}. {NO_TABLES.remedy}"
    if present != newest:
        return (
            f"The database is at migration {present}, the code at {newest}: run “flask --app wsgi init-db”."
        )
    return None


def migration_heads() -> tuple[str | None, str | None]:
    """The database's migration and the newest one that this code knows."""
    context = MigrationContext.configure(get_session().connection())
    return context.get_current_revision(), newest_migration()


@cache
def newest_migration() -> str | None:
    """Looked for once: what comes later into the folder is of other code."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head()
