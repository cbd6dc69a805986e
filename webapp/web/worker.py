"""The worker class of gunicorn, and what it answers where no request reaches the application."""

from __future__ import annotations

import logging
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    ForbiddenProxyRequest,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock

from webapp.web.headers import HEADERS
from webapp.web.lanes import LanedWorker

logger = logging.getLogger("dossier.request")

STATUSES: dict[type[Exception], HTTPStatus] = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
    ConfigurationProblem: HTTPStatus.INTERNAL_SERVER_ERROR,
}
REMEDIES = {
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address is too long.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are too long, or too many.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed here. It is in the log.",
}


class Worker(LanedWorker):
    """Gunicorn's worker with threads, of which sign-ins have their own.

    The pages that gunicorn itself would answer repeat what was sent, and carry no security headers.
    """

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """``req`` is None where not even the head of the request could be read."""
        status = status_of(exc)
        if req is not None and status is not HTTPStatus.INTERNAL_SERVER_ERROR:
            # The application has answered; this is about the rest of a body that it did not read. A second
            # answer would be taken for that to the next request.
            return
        request_id = secrets.token_hex(8)
        failure = exc if status is HTTPStatus.INTERNAL_SERVER_ERROR else None
        logger.log(
            logging.ERROR if failure else logging.WARNING,
            "%d %s, answered as request %s",
            *(status, type(exc).__name__, request_id),
            exc_info=failure,
            extra={"address": addr[0] if addr else ""},
        )
        with suppress(OSError):  # who sent it may be gone
            write_nonblock(client, write_answer(status, request_id))


def status_of(error: Exception) -> HTTPStatus:
    found = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), None)
    return found or (
        HTTPStatus.BAD_REQUEST if isinstance(error, ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR
    )


def write_answer(status: HTTPStatus, request_id: str) -> bytes:
    """Return a whole answer of HTTP/1.1, with the security headers of every other one."""
    remedy = REMEDIES.get(status, "The request could not be understood.")
    body = f"{status} {status.phrase}\n{remedy}\n".encode()
    headers = {
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "X-Request-ID": request_id,
        **HEADERS,
    }
    lines = [f"HTTP/1.1 {status:d} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
