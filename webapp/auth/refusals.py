"""Nobody is signed in, or the form's token is old: what was typed must not be lost."""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, current_app, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from webapp.access.guards import NewPasswordRequired, SignInRequired, is_unattended, permission_of
from webapp.access.identity import find_identity, page_actor
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.auth.browser import forget_token, had_token
from webapp.auth.forms import SignInForm
from webapp.auth.rules import safe_path
from webapp.errors import N_, SignInEnded
from webapp.history.flood import refuse
from webapp.web.language import gettext
from webapp.web.messages import tell
from webapp.web.pages import error_page
from webapp.web.resend import (
    Resend,
    capture_form,
    is_cross_site,
    is_same_site,
    is_too_large,
    open_form,
    page_before,
    sent_seal,
)

ENDED = N_("Your session has ended. What you typed is kept: sign in, and you can send it again.")
ENDED_EMPTY = N_("Your session has ended. Please sign in again.")
ENDED_TOO_LARGE = N_(
    "Your session has ended. What you sent is too long to be kept: sign in, and enter or paste it again."
)
TOO_OLD = N_("This page was open for too long, so nothing was done.")
TOO_OLD_AND_LARGE = N_(
    "This page was open for too long, so nothing was done. What you sent is too long to be kept:"
    " enter or paste it again."
)

# The forms with something typed in them. Any other act is begun anew from its page: nobody should
# confirm what he cannot read.
_KEPT = {
    "users.create_user": N_("New user"),
    "users.edit_user": N_("Changes to a user"),
    "auth.edit_profile": N_("Your profile"),
    "batches.paste_list": N_("A pasted list"),
    "notes.add_note": N_("A note"),
    "notes.edit_note": N_("A note"),
}
_LABELS = {
    "email": N_("E-mail"),
    "full_name": N_("Full name"),
    "role": N_("Role"),
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "text": N_("Text"),
}


def add_refusals(app: Flask) -> None:
    app.register_error_handler(SignInRequired, _ask_to_sign_in)
    app.register_error_handler(SignInEnded, _ask_to_sign_in)
    app.register_error_handler(NewPasswordRequired, _ask_for_new_password)
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
        "auth/resend.html",
        act=gettext(_KEPT[kept.endpoint]),
        fields=fields,
        action=kept.path,
        discard_url=kept.path,
    )
    return make_response(page, status)


def _label(name: str) -> str | None:
    """None for what a person does not see in the form either."""
    return gettext(_LABELS[name]) if name in _LABELS else None


def _shown(name: str, value: str) -> str:
    return gettext(ROLE_LABELS[Role(value)]) if name == "role" and value in ROLE_LABELS else value


def _ask_for_new_password(_error: NewPasswordRequired) -> Response:
    if is_unattended():
        return Response(status=401)
    is_page = request.method in {"GET", "HEAD"}
    wanted = request.full_path.rstrip("?") if is_page else safe_path(page_before(), "/")
    return redirect(url_for("auth.change_password", next=None if wanted == "/" else wanted), 303)


def _ask_to_sign_in(_error: SignInRequired | SignInEnded) -> Response:
    if is_unattended():
        return Response(status=401)
    if request.method not in {"GET", "HEAD"}:
        return _sign_in_and_resend()
    if had_token():
        forget_token()
        tell(gettext(ENDED_EMPTY), level="warn")
    wanted = request.full_path.rstrip("?")
    return redirect(url_for("auth.sign_in", next=None if wanted == "/" else wanted), 303)


def _sign_in_and_resend() -> Response:
    sealed = capture_form() if request.endpoint in _KEPT else ""
    next_url = safe_path(page_before(), url_for("web.show_home"))
    form = SignInForm(formdata=None)
    return show_sign_in(form, next_url=next_url, resend=sealed, notice=_tell_ended(sealed), status=401)


def _tell_ended(sealed: str) -> str | None:
    if sealed:
        return gettext(ENDED)
    if _is_lost():
        return gettext(ENDED_TOO_LARGE)
    return gettext(ENDED_EMPTY) if had_token() else None


def _is_lost() -> bool:
    """Whether there was something typed that would be kept, were it not so much."""
    return request.endpoint in _KEPT and not is_cross_site() and is_too_large()


def _answer_old_token(_error: CSRFError) -> Response:
    """The token dies with the cookie: another tab signed in or out, or the cookie was cleared."""
    with suppress(SQLAlchemyError):  # a forged form is refused all the same while the database is away
        identity = find_identity()
        refuse("csrf", identity.actor if identity else page_actor())
    if is_cross_site() or request.endpoint is None:
        return error_page(400)
    if request.endpoint == "auth.sign_in":
        return show_sign_in(
            SignInForm(),
            next_url=safe_path(request.form.get("next", ""), url_for("web.show_home")),
            resend=sent_seal(),
            notice=gettext("This page was open for too long. Please enter your password again."),
            status=400,
        )
    if request.endpoint == "auth.sign_out" and is_same_site():
        return make_response(current_app.view_functions["auth.sign_out"]())  # what was wanted is harmless
    is_public = permission_of(current_app.view_functions[request.endpoint]) is Permission.PUBLIC
    if find_identity() is None and not is_public:
        return _sign_in_and_resend()
    kept = open_form(capture_form()) if request.endpoint in _KEPT else None
    if kept is not None:
        return show_resend(kept, 400)
    again = safe_path(page_before(), url_for("web.show_home"))
    text = gettext(TOO_OLD_AND_LARGE if _is_lost() else TOO_OLD)
    return error_page(400, text=text, action=(gettext("Open the page again"), again))
