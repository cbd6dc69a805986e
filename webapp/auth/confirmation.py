"""Confirming who acts: the password is asked for again before an act that gives or takes access.

The page that asks carries the form that was sent and goes to the same address, so that the form with the
password is simply the form again: the view runs as before, and nothing is sent by itself or stored. Whether
a person is confirmed is written on their session in the database, and services ask their actor for it
(``Actor.require_confirmation``), so that no page can forget to.
"""

from __future__ import annotations

from dataclasses import replace

from flask import Flask, g, make_response, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.actor import Door
from webapp.access.identity import Identity, current_identity, door_of_request, find_identity
from webapp.auth import services
from webapp.auth.browser import remote_address
from webapp.auth.forms import ConfirmationForm
from webapp.auth.rules import safe_path
from webapp.errors import N_, Busy, ConfirmationRequired, DomainError, Invalid, Throttled
from webapp.users.queries import get_user
from webapp.web.language import explain
from webapp.web.pages import STATUS, error_page
from webapp.web.resend import CAME_FROM, is_too_large, page_before

PREFIX = "confirmation"
_PASSWORD = f"{PREFIX}-password"
_ERROR = "confirmation_error"


def add_confirmation(app: Flask) -> None:
    app.before_request(_take_proof)
    app.register_error_handler(ConfirmationRequired, _ask_for_proof)


def _take_proof() -> None:
    """Look at the password that came with a form. What is wrong with it is told where the act needs it."""
    if request.method != "POST" or door_of_request() is not Door.PAGE or _PASSWORD not in request.form:
        return
    identity = find_identity()
    if identity is None or identity.is_confirmed:
        return
    try:
        _confirm(identity, request.form[_PASSWORD])
    except (Invalid, Throttled, Busy) as error:
        setattr(g, _ERROR, error)
    else:
        g.identity = replace(identity, is_confirmed=True)


def _confirm(identity: Identity, password: str) -> None:
    """A second factor will be one more proof, taken here."""
    if not password:
        raise Invalid(N_("Enter your password."), field="password")
    services.confirm_identity(
        get_user(identity.id),
        password=password,
        session_id=identity.session_id,
        address=remote_address(),
        actor=identity.actor,
    )


def _ask_for_proof(required: ConfirmationRequired) -> Response:
    if is_too_large():
        return error_page(413)
    error: DomainError | None = g.get(_ERROR)
    form = ConfirmationForm(formdata=None, prefix=PREFIX)
    if error is not None:
        form.show(error)
    page = render_template(
        "auth/confirm.html",
        form=form,
        act=explain(required),
        action=request.full_path.rstrip("?"),
        fields=_typed(),
        email=current_identity().email,
        came_from=CAME_FROM,
        back_url=safe_path(page_before(), url_for("web.show_home")),
    )
    response = make_response(page, STATUS[type(error or required)])
    if isinstance(error, (Throttled, Busy)):
        response.headers["Retry-After"] = str(getattr(error, "retry_after", 5))
    return response


def _typed() -> list[tuple[str, str]]:
    """All that was sent, each value of a name that has several; but no password."""
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name != "csrf_token" and not name.startswith(f"{PREFIX}-") and "password" not in name
    ]
