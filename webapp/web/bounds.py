"""What a request may hold, asked before anything reads it: reading must cost no more than the network does.

gunicorn bounds the first line and each header; MAX_CONTENT_LENGTH bounds the body. Within these a form of a
million fields, or of bytes that are no UTF-8, takes Werkzeug most of a second, for anyone to send.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Iterable
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from webapp.web.headers import HEADERS

MAX_HEADER_BYTES = 32_768  # of all together; gunicorn lets 100 of 8 kB through, and joins those of one name
MAX_FIELDS = 1_000  # the largest page of ids to tick has a fifth of them
MAX_DAMAGED = 1_000  # escapes that are none, and bytes that are no UTF-8: no browser sends one

_HEX = bytes.maketrans(b"0123456789ABCDEFabcdefh", b"h" * 22 + b"-")
_DAMAGED_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class BoundedFormParser(FormDataParser):
    """Read urlencoded forms at the speed of C, and no others: no page sends files."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]:
        """Raises RequestEntityTooLarge, BadRequest, and UnsupportedMediaType for a multipart form."""
        if mimetype == "multipart/form-data":
            raise UnsupportedMediaType
        if mimetype != "application/x-www-form-urlencoded":
            return super().parse(stream, mimetype, content_length, options)
        return stream, self.cls(read_fields(stream.read())), self.cls()


class BoundedRequest(Request):
    """Flask's, with a bounded form."""

    form_data_parser_class = BoundedFormParser


def read_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of an urlencoded form (WHATWG URL, 5.1), in their order; as parse_qsl() reads them, faster.

    Bytes that are no UTF-8 stay escaped. Raises RequestEntityTooLarge and BadRequest.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise RequestEntityTooLarge
    if _count_damaged(body) > MAX_DAMAGED:
        raise BadRequest
    damaged, fields = 0, []
    for part in filter(None, body.split(b"&")):
        pair = []
        for data in map(_unescape, part.partition(b"=")[::2]):
            try:
                pair.append(data.decode())
            except UnicodeDecodeError:
                damaged += data.decode("utf-8", "replace").count("\ufffd")
                if damaged > MAX_DAMAGED:
                    raise BadRequest from None
                pair.append(data.decode("utf-8", "werkzeug.url_quote"))
        fields.append((pair[0], pair[1]))
    return fields


def _count_damaged(data: bytes) -> int:
    """Return how many of its escapes are none."""
    escapes = data.count(b"%")
    return escapes and escapes - data.translate(_HEX).count(b"%hh")


def _unescape(data: bytes) -> bytes:
    """Percent-decode: another spelling of Quoted-Printable, for which Python has a decoder in C."""
    data = data.replace(b"+", b" ")
    if b"%" not in data:
        return data
    if _count_damaged(data):
        data = _DAMAGED_ESCAPE.sub(b"%25", data)
    return a2b_qp(data.replace(b"=", b"%3D").replace(b"%", b"="))


def bound_requests(app: Flask) -> None:
    """Outermost, before a proxy's headers are read."""
    app.request_class = BoundedRequest
    app.wsgi_app = _refuse_long_headers(app.wsgi_app)  # type: ignore[method-assign,assignment]


def _refuse_long_headers(wsgi_app: WSGIApplication) -> WSGIApplication:
    """Answer 431 (RFC 6585, 5) for headers that are longer together than any browser's."""

    def bounded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        names = (name for name in environ if name.startswith("HTTP_") or name == "CONTENT_TYPE")
        if sum(len(environ[name]) for name in names) <= MAX_HEADER_BYTES:
            return wsgi_app(environ, start_response)
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close"), *HEADERS.items()]
        start_response("431 Request Header Fields Too Large", headers)
        return [b"The headers of this request are too long. Delete the cookies of this site.\n"]

    return bounded
