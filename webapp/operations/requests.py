"""A request id for every request, in each log line, each answer and each error page."""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter

from flask import Flask, Response, g, request

from webapp.access.identity import known_identity

logger = logging.getLogger("dossier.request")

# A proxy or a program may hand one down; anything that is no plain token could forge a log line.
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def follow_requests(app: Flask) -> None:
    @app.before_request
    def name_request() -> None:
        handed_down = request.headers.get("X-Request-ID", "")
        g.request_id = handed_down if _TOKEN.fullmatch(handed_down) else secrets.token_hex(8)
        g.started = perf_counter()

    @app.after_request
    def log_request(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        if logger.isEnabledFor(logging.INFO):
            identity = known_identity()
            # The rule, not the path: a path may hold a one-time link's secret.
            logger.info(
                "%s %s %d",
                request.method,
                request.url_rule or "(no such page)",
                response.status_code,
                extra={
                    "user_id": identity.id if identity else None,
                    "address": request.remote_addr,
                    "milliseconds": round((perf_counter() - g.get("started", perf_counter())) * 1000, 1),
                },
            )
        return response
