"""Addresses that no browser writes: refused before anybody reads what they ask for."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import BadRequest


def refuse_undecodable_addresses(app: Flask) -> None:
    """Bytes of a query that are no UTF-8 and not escaped either: Werkzeug would raise wherever it is read."""

    @app.before_request
    def refuse_undecodable_query() -> None:
        try:
            request.query_string.decode()
        except UnicodeDecodeError:
            raise BadRequest from None
