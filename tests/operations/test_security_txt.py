"""/.well-known/security.txt (RFC 9116), where a contact is set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from tests.conftest import make_settings
from tests.visitor import Visitor
from webapp import create_app
from webapp.extensions import sqla, utc_now

PATH = "/.well-known/security.txt"


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = create_app(make_settings("sqlite://", security_contact="mailto:security@example.org"))
    yield app.test_client()
    with app.app_context():
        sqla.engine.dispose()


def fields_of(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines())


def test_it_says_where_to_report_and_until_when_that_holds(client: FlaskClient) -> None:
    answer = client.get(PATH, base_url="https://localhost")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    fields = fields_of(answer.text)
    expires = datetime.fromisoformat(fields.pop("Expires"))
    assert timedelta(days=30) < expires - utc_now() < timedelta(days=365)
    assert fields == {
        "Contact": "mailto:security@example.org",
        "Preferred-Languages": "en, fr",
        "Canonical": f"https://localhost{PATH}",
    }


def test_over_http_it_names_no_address_of_its_own(client: FlaskClient) -> None:
    assert "Canonical" not in fields_of(client.get(PATH).text)
    assert client.get(PATH, headers={"Host": "elsewhere.example"}).status_code == 400


def test_without_a_contact_there_is_none(visitor: Visitor) -> None:
    assert visitor.get(PATH).status_code == 404
