"""A request id for every request, in each log line, each answer and each error page.

It is the trusted proxy's where there is one, else our own: by it an entry of the history is found again, and
no client may choose that. What a client calls its request stands in the log beside it.
"""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter

from flask import Flask, Response, g, request

from webapp.access.identity import known_identity
from webapp.config import Settings

logger = logging.getLogger("dossier.request")

# Anything that is no plain token could forge a log line.
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def follow_requests(app: Flask, settings: Settings) -> None:
    has_proxy = settings.proxy_count > 0

    @app.before_request
    def name_request() -> None:
        g.request_id = (has_proxy and _handed_down()) or secrets.token_hex(8)
        g.started = perf_counter()

    @app.after_request
    def log_request(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        if logger.isEnabledFor(logging.INFO):
            identity = known_identity()
            details = {
                "user_id": identity.id if identity else None,
                "address": request.remote_addr,
                "milliseconds": round((perf_counter() - g.get("started", perf_counter())) * 1000, 1),
            }
            if not has_proxy and (named := _handed_down()):
                details["client_request_id"] = named
            # The rule, not the path: a path may hold a one-time link's secret.
            logger.info(
                "%s %s %d",
                request.method,
                request.url_rule or "(no such page)",
                response.status_code,
                extra=details,
            )
        return response


def _handed_down() -> str:
    """Return the id that the request came with; empty where it has none that can be written down."""
    named = request.headers.get("X-Request-ID", "")
    return named if _TOKEN.fullmatch(named) else ""
