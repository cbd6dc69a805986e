"""Of X-Forwarded headers as much is believed as there are proxies, and an address is one or is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import delete, func, select
from werkzeug.datastructures import Headers

from tests.conftest import make_settings
from tests.visitor import Visitor
from webapp import create_app
from webapp.auth.models import Attempts
from webapp.db import get_session, init_db
from webapp.extensions import sqla
from webapp.history.models import ENTRIES
from webapp.operations.proxies import TrustedProxies

PEER = "10.0.0.1"


def environ_after(count: int, *forwarded: str, peer: str = PEER, **others: str) -> dict[str, str]:
    """What the application is given; each of ``forwarded`` is one header X-Forwarded-For."""
    seen: dict[str, str] = {}
    for_ = {"HTTP_X_FORWARDED_FOR": ",".join(forwarded)} if forwarded else {}  # as gunicorn joins them
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": "localhost", "wsgi.url_scheme": "http", **for_, **others}

    def note(environ: dict[str, str], _start: object) -> list[bytes]:
        seen.update(environ)
        return []

    TrustedProxies(note, count=count)(environ, lambda *_: lambda _: None)
    return seen


@pytest.mark.parametrize(
    ("count", "forwarded", "address"),
    [
        (0, ["203.0.113.7"], PEER),
        (1, ["203.0.113.7"], "203.0.113.7"),
        (1, ["198.51.100.9, 203.0.113.7"], "203.0.113.7"),
        (1, ["198.51.100.9", "203.0.113.7"], "203.0.113.7"),
        (1, ["198.51.100.9,203.0.113.7:51008"], "203.0.113.7"),
        (1, ["198.51.100.9, [2001:db8::1]:443"], "2001:db8::1"),
        (1, ["203.0.113.7, garbage"], ""),
        (1, ["unknown"], ""),
        (1, [], PEER),
        (2, ["198.51.100.9, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (2, ["198.51.100.9", "203.0.113.7:4, 10.0.0.2:5"], "203.0.113.7"),
        (2, ["203.0.113.7"], PEER),
        # A quotation mark of the client, before what the proxies added, makes none of that void.
        (2, ['198.51.100.9, "', "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (2, ['"', "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (1, ['"', "203.0.113.7"], "203.0.113.7"),
        (1, ['\\"', "203.0.113.7"], "203.0.113.7"),
    ],
)
def test_the_address_is_the_one_that_the_outermost_proxy_saw(
    count: int, forwarded: list[str], address: str
) -> None:
    assert environ_after(count, *forwarded)["REMOTE_ADDR"] == address


def test_the_peer_has_an_address_in_one_spelling_too() -> None:
    for peer, address in (("::ffff:10.0.0.1", PEER), ("fe80::1%eth0", "fe80::1"), ("", ""), ("/run/s", "")):
        assert environ_after(0, peer=peer)["REMOTE_ADDR"] == address


def test_scheme_and_host_are_believed_of_a_proxy_alone() -> None:
    sent = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "dossier.example.org"}
    without, behind = environ_after(0, **sent), environ_after(1, **sent)
    assert (without["wsgi.url_scheme"], without["HTTP_HOST"]) == ("http", "localhost")
    assert (behind["wsgi.url_scheme"], behind["HTTP_HOST"]) == ("https", "dossier.example.org")
    assert environ_after(1, HTTP_X_FORWARDED_PROTO="javascript")["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("header", ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Forwarded"])
def test_no_other_header_names_an_address(header: str) -> None:
    environ = environ_after(1, **{f"HTTP_{header.upper().replace('-', '_')}": "for=203.0.113.7"})
    assert environ["REMOTE_ADDR"] == PEER


@pytest.fixture
def behind_a_proxy(database: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    url = "sqlite://" if database == "sqlite" else request.getfixturevalue("postgres_url")
    app = create_app(make_settings(url, proxy_count=1))
    with app.app_context():
        init_db()
        get_session().execute(delete(Attempts))
        get_session().execute(delete(ENTRIES))
        get_session().commit()
    yield app
    with app.app_context():
        sqla.engine.dispose()


def fail_from(app: Flask, *addresses: str) -> tuple[int, set[str]]:
    """Sign-ins that fail, each of another account: the keys that they were counted on, and where from."""
    for number, address in enumerate(addresses):
        headers = Headers([("X-Forwarded-For", address)])
        form = {"email": f"nobody{number}@example.org", "password": "a wrong password"}
        assert Visitor(app).post("/auth/login", form, headers=headers).status_code == 422
    with app.app_context():
        session = get_session()
        keys = session.scalar(select(func.count()).select_from(Attempts)) or 0
        origins = session.scalars(select(ENTRIES.c.origin)).all()
    return keys - 2 * len(addresses), {
        origin.partition('"address":"')[2].partition('"')[0] for origin in origins
    }


def test_each_port_is_no_new_address_of_the_throttle(behind_a_proxy: Flask) -> None:
    ways = ("203.0.113.7", "203.0.113.7:51008", "203.0.113.7:51009", "[::ffff:203.0.113.7]:1")
    assert fail_from(behind_a_proxy, *ways) == (1, {"203.0.113.7"})


def test_what_is_no_address_is_not_stored_as_one_and_counted_as_one(behind_a_proxy: Flask) -> None:
    assert fail_from(behind_a_proxy, "garbage", "unknown", "_hidden", "<script>", "x" * 500) == (1, {""})
