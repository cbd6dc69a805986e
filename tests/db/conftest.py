"""Applications whose database has no tables yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from tests.conftest import make_settings
from webapp import create_app
from webapp.extensions import sqla


@pytest.fixture(scope="session")
def second_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database beside the worker's own: making one takes too long to do it for each test."""
    url = make_url(postgres_url)
    name = f"{url.database}_empty"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of a database without tables."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("second_postgres_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture
def empty_app(empty_url: str) -> Iterator[Flask]:
    app = create_app(make_settings(empty_url))
    yield app
    with app.app_context():
        sqla.engine.dispose()
