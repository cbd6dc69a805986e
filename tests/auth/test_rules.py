"""Secrets, where one may land after signing in, and what a device is called."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest

from webapp.auth.rules import device_label, hash_token, new_token, printable, safe_path

HERE = "https://dossier.example"
OTHER_SITES = [
    "",
    "users",
    "?q=ann",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/users\\..\\..\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\r\n/evil.example",
    "/\0/evil.example",
    "/\x7f/evil.example",
    "/users\r\nSet-Cookie: a=b",
    "http://evil.example/users",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "evil.example",
    "@evil.example",
    "/" + "a" * 6000,
]


@pytest.mark.parametrize("target", OTHER_SITES, ids=lambda text: ascii(text[:24]))
def test_what_could_lead_away_is_replaced(target: str) -> None:
    assert safe_path(target, "/home") == "/home"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/users/",
        "/users/?q=ann%20lee&sort=-created_at#u7",
        "/users/7/edit?back=q%3Dann",
        "/users/?q=//evil.example",
        "/users/?next=https://evil.example",
        "/users/:@evil.example",
        "/é",
        "/a" * 1000,
    ],
)
def test_a_path_of_ours_is_kept_and_stays_here(target: str) -> None:
    assert safe_path(target, "/home") == target
    assert urlsplit(urljoin(HERE, target)).netloc == urlsplit(HERE).netloc


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


@pytest.mark.parametrize("token", ["", "abc", "\ud800", "x" * 1_000_000], ids=lambda text: ascii(text[:6]))
def test_any_text_has_a_hash_of_the_columns_length(token: str) -> None:
    assert len(hash_token(token)) == 64


@pytest.mark.parametrize(
    ("header", "label"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            ("Chrome", "Linux"),
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            ("Edge", "Windows"),
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/18.0 Safari/605.1.15", ("Safari", "macOS")),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            ("Safari", "iPhone"),
        ),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", ("Firefox", "Android")),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 OPR/120.0", ("Opera", "Linux")),
        ("curl/8.0", ("", "")),
        ("", ("", "")),
        ("<script>alert(1)</script> Firefox/1", ("Firefox", "")),
    ],
)
def test_a_device_is_named_as_far_as_it_says(header: str, label: tuple[str, str]) -> None:
    assert device_label(header) == label


def test_of_a_header_only_what_can_be_printed_is_kept() -> None:
    assert printable("Fire\0fox\r\n/1\x1b[31m \u202e\ud800é") == "Firefox/1[31m é"
