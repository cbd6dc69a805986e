"""The service works with a role of Postgres that may not change tables, set up as docs/deployment.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from tests.cli.test_database import run
from tests.conftest import make_settings, user_maker
from tests.visitor import Visitor
from webapp import create_app
from webapp.access.permissions import Role
from webapp.config import ROOT
from webapp.db import get_session
from webapp.extensions import sqla

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def read_sql(name: str) -> Iterator[list[str]]:
    """What the document tells to run in the first database, and then in the new one, which is called so."""
    blocks = [
        block for block in re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL) if "CREATE ROLE" in block
    ]
    written = re.sub(r"\bdossier(_tables)?\b", rf"{name}\1", "".join(blocks))
    for part in written.split(f"\\connect {name}\n"):
        yield [statement for statement in part.split(";\n") if statement.strip()]


@pytest.fixture(scope="module")
def service(postgres_url: str) -> Iterator[Flask]:
    """The application with the service's role; its tables were made with the other one."""
    server = make_url(postgres_url)
    name = f"{server.database}_roles"
    url = server.set(database=name)
    for place, statements in zip((server, url), read_sql(name), strict=True):
        engine = create_engine(place, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()
    apps = [
        create_app(make_settings(url.set(username=role).render_as_string(hide_password=False)))
        for role in (f"{name}_tables", name)
    ]
    assert run(apps[0], "init-db").exit_code == 0
    yield apps[1]
    for app in apps:
        with app.app_context():
            sqla.engine.dispose()
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        connection.execute(text(f"DROP ROLE {name}"))
        connection.execute(text(f"DROP ROLE {name}_tables"))
    engine.dispose()


def test_the_service_needs_no_right_to_change_tables(service: Flask, hashed_password: str) -> None:
    make = user_maker(service, hashed_password)
    admin, user = make(role=Role.ADMINISTRATOR, email="desk@example.org"), make(full_name="Ann Lee")
    desk = Visitor(service, admin)
    for path in ("/readyz", "/users/?q=ann", "/history/", "/trash/", "/tokens/"):
        assert desk.get(path).status_code == 200, path
    form = {"full_name": "Ann Other", "email": user.email, "role": "member", "version": "1"}
    assert desk.post(f"/users/{user.id}/edit", form).status_code == 303
    assert desk.post(f"/users/{user.id}/delete", {"version": "2"}).status_code == 303
    assert desk.post(f"/trash/{user.id}/purge").status_code == 303
    assert run(service, "history", "verify").exit_code == 0
    assert "superuser" not in run(service, "doctor").output


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE entries",
        "ALTER TABLE users ADD COLUMN way_in text",
        "ALTER TABLE users DISABLE TRIGGER ALL",
        "CREATE TABLE loot (everything text)",
        "CREATE ROLE friend SUPERUSER",
        "COPY users TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_it_may_do_nothing_else(service: Flask, statement: str) -> None:
    with service.app_context(), pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        get_session().execute(text(statement))
