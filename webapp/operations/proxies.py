"""What proxies say of the client, believed from as many as were named: anybody can send these headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from webapp.access.address import read_address

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class TrustedProxies:
    """WSGI middleware that sets the client's address, scheme and host from the headers of ``count`` proxies.

    REMOTE_ADDR is an address in one spelling afterwards, or empty, and so is what is counted, stored and
    logged by it. Werkzeug's ProxyFix reads the headers as lists of quoted strings: where a client sends one
    quotation mark, it takes the proxy for the client. Here a comma is a comma.
    """

    def __init__(self, app: WSGIApplication, *, count: int) -> None:
        self._app = app
        self._count = count

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        address = self._forwarded(environ, "FOR") or environ.get("REMOTE_ADDR") or ""
        environ["REMOTE_ADDR"] = read_address(address)
        if (scheme := self._forwarded(environ, "PROTO").lower()) in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme
        if host := self._forwarded(environ, "HOST"):
            environ["HTTP_HOST"] = host
        return self._app(environ, start_response)

    def _forwarded(self, environ: WSGIEnvironment, name: str) -> str:
        """Return what the outermost trusted proxy wrote; empty where fewer have written."""
        values = environ.get(f"HTTP_X_FORWARDED_{name}", "").split(",")
        return values[-self._count].strip() if 0 < self._count <= len(values) else ""
