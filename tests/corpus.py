"""Bad inputs, each with its name: what forms, query strings and addresses are fed on both databases.

A text goes over the wire as ``encode()`` writes it: lone surrogates too, as a broken client sends them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

CANARY = "<script>canary"

TEXTS: dict[str, str] = {
    "nothing": "",
    "white space only": " \t\u00a0\u3000\u2028 ",
    "NUL": "a\0b",
    "NUL only": "\0",
    "escape": "\x1b[31mred",
    "lone surrogate": "a\ud800b",
    "replacement character": "a\ufffdb",
    "not a character": "a\uffffb",
    "a megabyte": "x" * 1_000_000,
    "201 letters": "y" * 201,
    "-1": "-1",
    "0": "0",
    "a billion": str(10**9),
    "a billion and one": str(10**9 + 1),
    "2**31": str(2**31),
    "2**63": str(2**63),
    "-2**63": str(-(2**63)),
    "5,000 digits": "9" * 5000,
    "Arabic-Indic digits": "\u0661\u0662",
    "full-width digits": "\uff11\uff12",
    "superscript digit": "\u00b2",
    "a fraction": "1.5",
    "an exponent": "1e309",
    "hexadecimal": "0x10",
    "with underscore": "1_0",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "dunder": "__class__",
    "a column": "hashed_password",
    "percent": "%",
    "underscore": "_",
    "backslash": "\\",
    "apostrophe": "'",
    "quotation mark": '"',
    "SQL": "' OR 1=1 --",
    "stacked SQL": "'; DROP TABLE users; --",
    "markup": f"{CANARY}</script>",
    "markup in an attribute": f"\"'>{CANARY}",
    "markup after a folded letter": f"é{CANARY}",
    "template": "{{ 7 * 7 }}${7*7}<%= 7*7 %>",
    "format string": "%(x)s %s %n {0.__class__} {}",
    "emoji": "👩\u200d👩\u200d👧",
    "joiner only": "\u200d",
    "filler and zero-width space only": "\u3164 \u200b",
    "right-to-left override": "a\u202eb",
    "right-to-left text": "شارلوت",
    "composed": "René",
    "decomposed": "Rene\u0301",
    "many marks": "e" + "\u0301" * 5000,
    "expanding ligature": "\ufdfa" * 150,
    "e-mail in capitals": "PERSON2@EXAMPLE.ORG",
    "e-mail in full width": "ｐｅｒｓｏｎ２@example.org",
    "e-mail twice": "a@example.org,b@example.org",
    "e-mail with a header": "a@example.org\r\nBcc: b@example.org",
    "line break": "x\r\nSet-Cookie: evil=1",
    "line feed": "x\nX-Evil: 1",
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1",
    "minus": "-1+1",
    "at": "@SUM(A1)",
    "tab": "\t=1",
    "other site": "//evil.example",
    "other site by backslash": "/\\evil.example",
    "script address": "javascript:alert(1)",
    "parent folder": "../../etc/passwd",
    "a day that is none": "2026-02-30",
    "the first year": "0001-01-01",
    "the last year": "9999-12-31",
    "an unknown role": "king",
    "deep JSON": "[" * 5000,
    "true": "true",
    "None": "None",
}

# Bytes that are no UTF-8, or no form at all, as a whole query string or body.
RAW: dict[str, bytes] = {
    "invalid UTF-8": b"full_name=\xff\xfe&email=\xc3\x28&q=\xff&page=\xff&role=\x80",
    "invalid UTF-8, escaped": b"full_name=%FF%FE&email=%C3%28&q=%FF&page=%FF&after=%FF&role=%80",
    "escaped surrogates": b"full_name=%ED%A0%80&email=%ED%A0%80@example.org&q=%ED%A0%80&sort=%ED%A0%80",
    "broken escapes": b"full_name=%&email=%zz&q=%u0041&page=%",
    "no names": b"=&=&&&=x",
    "separators only": b"&" * 5000,
    "2,000 fields": b"&".join(b"field%d=x" % number for number in range(2000)),
    "2,000 times the same": b"&".join([b"full_name=x&email=x&q=x&page=1"] * 500),
    "JSON": b'{"full_name": {"$ne": null}, "email": NaN}',
    "binary": bytes(range(256)),
}


def received(text: str) -> str:
    """``text`` as the server reads it: bytes that are no UTF-8 stay escaped."""
    return re.sub("[\ud800-\udfff]", lambda found: quote(found[0].encode("utf-8", "surrogatepass")), text)


def encode(fields: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """As a query string or urlencoded body."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)


def escape(text: str) -> str:
    return quote_plus(text.encode("utf-8", "surrogatepass"))
