"""Nobody is signed in, or the form's token is old: what was typed must not be lost."""

from __future__ import annotations

from flask import Flask, current_app, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response

from webapp.access.guards import SignInRequired, permission_of
from webapp.access.identity import find_identity
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.auth.browser import had_token
from webapp.auth.forms import SignInForm
from webapp.errors import N_
from webapp.web.language import gettext
from webapp.web.pages import error_page
from webapp.web.resend import Resend, capture_form, is_cross_site, open_form

ENDED = N_("Your session has ended. What you typed is kept: sign in, and you can send it again.")
ENDED_EMPTY = N_("Your session has ended. Please sign in again.")


def add_refusals(app: Flask) -> None:
    app.register_error_handler(SignInRequired, _ask_to_sign_in)
    app.register_error_handler(CSRFError, _answer_old_token)


def show_sign_in(
    form: SignInForm, *, next_url: str = "/", resend: str = "", notice: str | None = None, status: int = 200
) -> Response:
    page = render_template("auth/sign_in.html", form=form, next_url=next_url, resend=resend, notice=notice)
    return make_response(page, status)


def show_resend(kept: Resend, status: int = 200) -> Response:
    """What would be sent, to be sent again by a click: never by itself."""
    fields = [
        {"name": name, "value": value, "shown": _shown(name, value), "label": _label(name)}
        for name, value in kept.fields
    ]
    page = render_template(
        "auth/resend.html", fields=fields, action=kept.path, discard_url=url_for("web.show_home")
    )
    return make_response(page, status)


_LABELS = {
    "email": N_("E-mail"),
    "full_name": N_("Full name"),
    "role": N_("Role"),
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
}


def _label(name: str) -> str | None:
    """None for what a person does not see in the form either."""
    return gettext(_LABELS[name]) if name in _LABELS else None


def _shown(name: str, value: str) -> str:
    return gettext(ROLE_LABELS[Role(value)]) if name == "role" and value in ROLE_LABELS else value


def _ask_to_sign_in(_error: SignInRequired) -> Response:
    if request.method in {"GET", "HEAD"}:
        wanted = request.full_path.rstrip("?")
        return redirect(url_for("auth.sign_in", next=None if wanted == "/" else wanted), 303)
    return _sign_in_and_resend()


def _sign_in_and_resend() -> Response:
    sealed = capture_form()
    notice = gettext(ENDED if sealed else ENDED_EMPTY) if had_token() or sealed else None
    return show_sign_in(SignInForm(formdata=None), resend=sealed, notice=notice, status=401)


def _answer_old_token(_error: CSRFError) -> Response:
    """The token dies with the cookie: another tab signed in or out, or the cookie was cleared."""
    if is_cross_site() or request.endpoint is None:
        return error_page(400)
    if request.endpoint == "auth.sign_in":
        return show_sign_in(
            SignInForm(),
            next_url=request.form.get("next", "/"),
            resend=request.form.get("resend", ""),
            notice=gettext("This page was open for too long. Please enter your password again."),
            status=400,
        )
    if find_identity() is None:
        is_public = permission_of(current_app.view_functions[request.endpoint]) is Permission.PUBLIC
        return error_page(400) if is_public else _sign_in_and_resend()
    kept = open_form(capture_form())
    return show_resend(kept, 400) if kept else error_page(400)
