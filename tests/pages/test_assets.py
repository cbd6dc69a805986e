"""Static files: kept for ever under their hash, small, and no way out of their folder."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.conftest import SignedIn
from tests.visitor import Visitor
from webapp.config import ROOT
from webapp.web.assets import asset_names

GZIP = {"Accept-Encoding": "gzip, br"}


def css_url(visitor: Visitor) -> str:
    found = re.search(r'href="(/static/[0-9a-f]{12}/css/app\.css)"', visitor.get("/auth/login").text)
    assert found
    return found[1]


def test_a_hashed_address_may_be_kept_for_a_year(visitor: Visitor) -> None:
    answer = visitor.get(css_url(visitor))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.data == (ROOT / "static/css/app.css").read_bytes()
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("digest", ["000000000000", "x", "%00"])
def test_an_old_hash_gets_the_new_file_for_a_minute(visitor: Visitor, digest: str) -> None:
    answer = visitor.get(f"/static/{digest}/css/app.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_it_is_sent_compressed_to_who_can_read_that(visitor: Visitor) -> None:
    url = css_url(visitor)
    plain, zipped = visitor.get(url), visitor.get(url, headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) < len(plain.data) / 2
    assert plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != zipped.headers["ETag"]


@pytest.mark.parametrize("headers", [{}, GZIP])
def test_who_has_it_already_is_told_so(visitor: Visitor, headers: dict[str, str]) -> None:
    url = css_url(visitor)
    first = visitor.get(url, headers=headers)
    again = visitor.get(url, headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert visitor.get(url, headers={**headers, "If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../wsgi.py",
        "..%2fwsgi.py",
        "%2e%2e/wsgi.py",
        "..%5cwsgi.py",
        "css/../../wsgi.py",
        "css/%2e%2e/%2e%2e/wsgi.py",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "....//wsgi.py",
        "css",
        "css/",
        "css/app.css/",
        "css/app.css%00.txt",
        "CSS/APP.CSS",
        "nothing.css",
        "%ff",
        "x" * 5000,
    ],
    ids=lambda text: text[:24],
)
def test_no_path_leads_out_of_the_folder(visitor: Visitor, name: str) -> None:
    answer = visitor.get(f"/static/x/{name}", follow_redirects=True)
    assert answer.status_code == 404
    assert b"create_app" not in answer.data
    assert b"root:" not in answer.data


def test_every_file_there_can_be_had_and_no_other(visitor: Visitor) -> None:
    for name in asset_names():
        answer = visitor.get(f"/static/x/{name}")
        assert answer.data == (ROOT / "static" / name).read_bytes(), name


def test_each_names_its_type_and_the_encoding_of_its_text(visitor: Visitor) -> None:
    types = {visitor.get(f"/static/x/{name}").headers["Content-Type"] for name in asset_names()}
    assert {
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
        "image/svg+xml; charset=utf-8",
    } <= types
    assert all("charset=utf-8" in it for it in types if it.startswith("text/") or "xml" in it), types


def test_the_icon_is_where_browsers_look_for_it(visitor: Visitor) -> None:
    answer = visitor.get("/favicon.ico")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("image/svg+xml")


def test_the_list_page_needs_few_and_small_files(signed_in: SignedIn) -> None:
    visitor = signed_in()
    page = visitor.get("/users/").text
    urls = {url.partition("#")[0] for url in re.findall(r'(?:src|href)="(/static/[^"]+)"', page)}
    assert len(urls) <= 6
    sizes = {url: len(visitor.get(url, headers=GZIP).data) for url in urls}
    assert sum(sizes.values()) <= 45 * 1024, sizes
    for url in urls:
        assert visitor.get(url).headers["Cache-Control"].endswith("immutable"), url
