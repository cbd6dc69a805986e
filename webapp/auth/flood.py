"""Sign-ins that would find no place to be hashed in are answered before the application sees them.

In a flood there are so many that other pages wait for what each of them costs: so this is one text and a few
replacements, without a session, a database or a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from flask import Flask, render_template
from flask_wtf.csrf import generate_csrf
from werkzeug.datastructures import MultiDict

from webapp.auth.forms import SignInForm
from webapp.errors import Busy
from webapp.users import passwords
from webapp.web.headers import HEADERS
from webapp.web.language import DEFAULT, languages

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/auth/login"
BUSY_SECONDS = 5
MAX_GIVEN_BACK = 64 * 1024  # bytes of a form
MAX_FIELDS = 20
# What the page holds of what was sent: all but the password.
_GIVEN_BACK = ("email", "next", "resend", "csrf_token")
_BLANK = re.compile("@@([a-z_]+)@@")

Answer = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def refuse_floods(app: Flask) -> None:
    """Stand before the application; what finds a place goes on to it."""
    answer: Answer = app.wsgi_app

    def answer_or_refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_sign_in = environ["REQUEST_METHOD"] == "POST" and environ.get("PATH_INFO") == PATH
        if not is_sign_in or not passwords.is_full():
            return answer(environ, start_response)
        page = _fill(_draw_busy_page(app, _language(environ)), environ).encode()
        headers = [
            *HEADERS.items(),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Retry-After", str(BUSY_SECONDS)),
        ]
        start_response("503 Service Unavailable", headers)
        return [page]

    app.wsgi_app = answer_or_refuse  # type: ignore[method-assign]


def _fill(page: str, environ: WSGIEnvironment) -> str:
    """Give back what was typed, as far as it is a form of the usual size."""
    length = environ.get("CONTENT_LENGTH") or ""
    typed: dict[str, str] = {}
    if length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= MAX_GIVEN_BACK:  # noqa: PLR2004
        body = environ["wsgi.input"].read(int(length)).decode("utf-8", "replace")
        try:
            typed = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            typed = {}
    return _BLANK.sub(lambda blank: escape(typed.get(blank[1], "")), page)


def _language(environ: WSGIEnvironment) -> str:
    """The first that the browser asks for, where there is it."""
    asked = environ.get("HTTP_ACCEPT_LANGUAGE", "")[:2].lower()
    return asked if asked in languages() else DEFAULT


@lru_cache
def _draw_busy_page(app: Flask, language: str) -> str:
    """The page to sign in as it is for everybody, drawn once, with blanks for what was typed."""
    blanks = {name: f"@@{name}@@" for name in _GIVEN_BACK}
    host = app.extensions["settings"].trusted_hosts[0].lstrip(".")
    headers = {"Accept-Language": language}
    with app.test_request_context(PATH, base_url=f"http://{host}", headers=headers):
        form = SignInForm(formdata=MultiDict({"email": blanks["email"]}))
        form.show(Busy(passwords.BUSY))
        page = render_template(
            "auth/sign_in.html",
            form=form,
            next_url=blanks["next"],
            resend=blanks["resend"],
            notice=None,
        )
        return page.replace(generate_csrf(), blanks["csrf_token"])
