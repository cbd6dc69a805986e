"""100,000 made-up users, as `flask seed` makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from tests.cli.test_database import run
from tests.conftest import make_settings
from webapp import create_app
from webapp.extensions import sqla

USERS = 100_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowded_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Flask]:
    """Nothing that is done with it may write."""
    name = f"dossier_crowd_{worker_id}"
    server = None
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('crowd') / 'crowd.db'}"
    else:
        base = make_url(request.getfixturevalue("postgres_url"))
        server = create_engine(base, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = base.set(database=name).render_as_string(hide_password=False)
    app = create_app(make_settings(url))
    assert run(app, "init-db").exit_code == 0
    assert run(app, "seed", "--count", str(USERS)).exit_code == 0
    yield app
    with app.app_context():
        sqla.engine.dispose()
    if server is not None:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
