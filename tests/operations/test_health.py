"""/healthz asks nothing of the database; /readyz says what keeps the application from serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import make_settings
from tests.visitor import Visitor
from webapp import create_app
from webapp.db import get_session
from webapp.extensions import sqla


@pytest.fixture
def app_of(tmp_path: Path) -> Iterator[object]:
    """Applications on databases that do not serve."""
    apps: list[Flask] = []

    def build(url: str) -> Flask:
        apps.append(create_app(make_settings(url, log_level="CRITICAL")))
        return apps[-1]

    yield build
    for app in apps:
        with app.app_context():
            sqla.engine.dispose()


def test_a_database_that_serves_is_ready(visitor: Visitor) -> None:
    for path in ("/healthz", "/readyz"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "Set-Cookie" not in answer.headers


def test_being_alive_takes_no_query(visitor: Visitor, count_queries: object) -> None:
    with count_queries() as statements:  # type: ignore[operator]
        visitor.get("/healthz")
    assert statements == []


UNREADY = {
    "no tables": ("sqlite://", "flask --app wsgi init-db"),
    "no folder": ("sqlite:////nonexistent/folder/app.db", "cannot be reached"),
    "no server": ("postgresql+psycopg://nobody:secret@127.0.0.1:9/nothing", "cannot be reached"),
}


@pytest.mark.parametrize("name", UNREADY)
def test_a_database_that_does_not_serve_is_said_and_the_process_lives(app_of: object, name: str) -> None:
    url, reason = UNREADY[name]
    visitor = Visitor(app_of(url))  # type: ignore[operator]
    answer = visitor.get("/readyz")
    assert answer.status_code == 503
    assert reason in answer.text
    assert "secret" not in answer.text
    assert answer.text.count("\n") == 1
    assert visitor.get("/healthz").status_code == 200


def test_an_older_migration_is_not_ready(app: Flask, visitor: Visitor) -> None:
    def set_revision(revision: str) -> str:
        with app.app_context():
            session = get_session()
            present = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            session.execute(
                text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
            )
            session.commit()
            return str(present)

    newest = set_revision("0000")
    try:
        answer = visitor.get("/readyz")
        assert answer.status_code == 503
        assert f"0000, the code at {newest}" in answer.text
    finally:
        set_revision(newest)
    assert visitor.get("/readyz").status_code == 200
