"""Which version a change is about (If-Match), and what need not be sent again (If-None-Match; RFC 9110, 13).

A tag begins with the version, and ends with whatever else an answer shows that is no edit: ``"7-5f3e"``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Response, request

from webapp.api.problems import Refused
from webapp.errors import N_, Stale

_STRONG_TAG = re.compile(r'(?<![/\w])"([0-9]{1,18})(?:-[0-9a-f]*)?"')
LONGEST_HEADER = 1_000
TAGGED = {"ETag": "The version, for If-Match and If-None-Match."}


def make_tag(version: int, *, rest: str = "") -> str:
    """``rest``: hexadecimal digits that differ where the answer does, though the version does not."""
    return f'"{version}-{rest}"' if rest else f'"{version}"'


@dataclass(frozen=True, slots=True)
class Match:
    """``versions`` None: any."""

    versions: frozenset[int] | None

    def require(self, version: int) -> int:
        """``version``, the present one. Raises Stale unless it is one of those that were named."""
        if self.versions is not None and version not in self.versions:
            raise Stale(N_("Somebody else changed this meanwhile. Nothing was saved."))
        return version


def read_match() -> Match:
    """If-Match. Raises Refused (428) where there is none; a tag that no answer ever had matches nothing."""
    text = request.headers.get("If-Match", "").strip()
    if not text:
        raise Refused(428)
    if text == "*":
        return Match(None)
    return Match(frozenset(int(digits) for digits in _STRONG_TAG.findall(text[:LONGEST_HEADER])))


def spare_known(response: Response) -> Response:
    """304 without a body where the client has that very answer already."""
    if "ETag" not in response.headers:
        response.add_etag()
    known = request.headers.get("If-None-Match", "")[:LONGEST_HEADER]
    asked = {"REQUEST_METHOD": request.method, "HTTP_IF_NONE_MATCH": known}
    response.make_conditional(asked)
    return response
