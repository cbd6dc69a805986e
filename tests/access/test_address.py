"""An address has one spelling, and what is no address is none."""

from __future__ import annotations

import pytest

from webapp.access.address import read_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7\t", "203.0.113.7"),
        ("203.0.113.7:51008", "203.0.113.7"),
        ('"203.0.113.7:51008"', "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::1:443", "2001:db8::1:443"),  # no port: without brackets nobody could tell
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::FFFF:203.0.113.7]:1", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
    ],
)
def test_all_spellings_of_an_address_are_one(text: str, address: str) -> None:
    assert read_address(text) == address
    assert read_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "garbage",
            "unknown",
            "_hidden",
            "localhost",
            "-",
            "203.0.113",
            "203.0.113.256",
            "0x7f000001",
        ),
        *(
            "203.0.113.007",
            "203.0.113.7:",
            "203.0.113.7:port",
            "203.0.113.7/32",
            "203.0.113.7, 10.0.0.1",
            "1",
        ),
        *(
            "[2001:db8::1",
            "2001:db8::1]",
            "[]",
            "[]:80",
            "[[2001:db8::1]]",
            "2001:db8::/32",
            "1::2::3",
            "%eth0",
        ),
        *(
            "٢٠٣.0.113.7",
            "203.0.113.7\n",
            "203.0.113.7\0",
            "2001:db8::1%" + "x" * 60,
            "1" * 100_000,
            "\ud800",
        ),
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert read_address(text) == ""
