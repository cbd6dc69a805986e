"""An application for what asks no database: times, words and forms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.conftest import make_settings
from webapp import create_app
from webapp.extensions import sqla


@pytest.fixture(scope="package")
def anywhere() -> Iterator[Flask]:
    app = create_app(make_settings("sqlite://"))
    yield app
    with app.app_context():
        sqla.engine.dispose()
