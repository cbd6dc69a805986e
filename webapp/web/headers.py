"""The security headers of every answer (OWASP ASVS 5.0 V3.4)."""

from __future__ import annotations

from flask import Flask, Response, request

from webapp.config import Settings

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Pico's select arrows are data: images
        "connect-src 'self'",
        "object-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Where the view says nothing else.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
A_YEAR_SECONDS = 31_536_000


def add_headers(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    stay_on_https = f"max-age={A_YEAR_SECONDS}"
    if settings.hsts_include_subdomains:
        stay_on_https += "; includeSubDomains"

    @app.after_request
    def set_headers(response: Response) -> Response:
        # Asked once for all: each look-up of Werkzeug's goes through every header there is.
        present = {name.lower() for name, _ in response.headers}
        for name, value in HEADERS.items():
            if name.lower() not in present:
                response.headers.add(name, value)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = stay_on_https
        return response
