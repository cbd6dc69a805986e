"""Pages of other origins that may call the API from a browser (Fetch, 3.2): none unless they are named.

A page sends its token itself: cookies play no part, so credentials are never allowed.
"""

from __future__ import annotations

from collections.abc import Set

from flask import Flask, Response, request

from webapp.access.actor import Door
from webapp.access.identity import door_of_request

METHODS = "GET, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID"
EXPOSED = (
    "ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate,"
    " X-Request-ID"
)
KEPT_SECONDS = 600


def allow_origins(app: Flask, origins: Set[str]) -> None:
    """Before the guards: a browser asks beforehand, and without the token."""
    if not origins:
        return

    @app.before_request
    def answer_preflight() -> Response | None:
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not (door_of_request() is Door.API and is_preflight and request.headers.get("Origin") in origins):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = str(KEPT_SECONDS)
        return response

    @app.after_request
    def name_origin(response: Response) -> Response:
        if door_of_request() is not Door.API:
            return response
        response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
