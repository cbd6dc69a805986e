"""Error pages: what happened, in plain words, and what to do next. None of them asks the database.

Another door shows the same failures in its own way below its own path: show_failures_below().
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from flask import Flask, Response, current_app, g, make_response, render_template, request, url_for
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError

from webapp.access.identity import find_identity, known_identity
from webapp.access.permissions import Permission
from webapp.db.diagnosis import diagnose
from webapp.errors import (
    N_,
    Busy,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    SignInEnded,
    Stale,
    Throttled,
)
from webapp.web.language import explain, gettext

logger = logging.getLogger(__name__)

_OTHER_DOORS = "failures_below"
PASSED_ON = frozenset({"Allow", "Retry-After", "Content-Range"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known of a request that failed; what is None is said in the general words of its status.

    ``title`` and ``remedy`` are messages still to be translated, ``text`` is in the person's language;
    ``about`` is the field it is about.
    """

    status: int
    title: str | None = None
    text: str | None = None
    remedy: str | None = None
    about: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Show = Callable[[Failure], Response]

STATUS: Mapping[type[DomainError], int] = {
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    Stale: 409,
    Invalid: 422,
    Malformed: 400,
    SignInEnded: 401,
    Throttled: 429,
    Busy: 503,
}

TITLES: Mapping[int, str] = {
    400: N_("This request was not understood"),
    403: N_("You may not do this"),
    404: N_("There is nothing here"),
    405: N_("This address cannot be used like that"),
    409: N_("This cannot be done now"),
    413: N_("This is too large"),
    414: N_("This address is too long"),
    422: N_("Something in it is not right"),
    429: N_("Too many attempts"),
    500: N_("Something broke on our side"),
    503: N_("The service is busy"),
}

REMEDIES: Mapping[int, str] = {
    400: N_("Go back and try again. If you followed a link, it may be damaged."),
    403: N_("If you need this, ask an administrator to do it or to change your role."),
    404: N_("It may have been deleted, or the link is mistyped. Search for it in the list."),
    405: N_("Go back and use the buttons of the page."),
    409: N_("Go back, look at the present state, and decide anew."),
    413: N_("Send less at once: shorten the text, or split it into parts."),
    414: N_("Go back and type a shorter search."),
    422: N_("Go back and correct what is named above."),
    429: N_("Wait a little, then try again."),
    500: N_("Nothing was changed by halves. Try again; if it happens again, tell whoever runs this service."),
    503: N_("Try again in a moment."),
}


FOREIGN_HOST = N_("This host name is not served here. If you run this service: name it in TRUSTED_HOSTS.")


def add_error_pages(app: Flask) -> None:
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(DomainError, _show_domain_error)
    app.register_error_handler(SQLAlchemyError, _show_database_error)
    app.register_error_handler(ParseException, _show_broken_body)
    app.register_error_handler(Exception, _show_defect)


def error_page(
    status: int,
    *,
    title: str | None = None,
    text: str | None = None,
    remedy: str | None = None,
    action: tuple[str, str] | None = None,
) -> Response:
    """The page for ``status``; what is not given is said in general words."""
    known = status if status in TITLES else 500 if status >= 500 else 400  # noqa: PLR2004
    identity = known_identity()
    if action is None:
        action = (gettext("Go to the start page"), "/")
        if identity is not None and identity.actor.may(Permission.USERS_READ):
            action = (gettext("Search the users"), url_for("users.list_users"))
    page = render_template(
        "errors/error.html",
        layout="layout/base.html" if identity else "layout/plain.html",
        code=status,
        title=gettext(title or TITLES[known]),
        text=text,
        remedy=gettext(remedy or REMEDIES[known]),
        actions=[action],
    )
    return make_response(page, status)


def show_failures_below(app: Flask, path: str, show: Show) -> None:
    """Whatever fails at ``path`` or below is shown by ``show`` and not as a page."""
    app.extensions.setdefault(_OTHER_DOORS, {})[path] = show


def answer_failure(failure: Failure) -> Response:
    response = (_other_door() or _show_page)(failure)
    response.headers.update(failure.headers)
    return response


def _other_door() -> Show | None:
    doors: Mapping[str, Show] = current_app.extensions.get(_OTHER_DOORS, {})
    found = (show for path, show in doors.items() if f"{request.path}/".startswith(f"{path}/"))
    return next(found, None)


def _show_page(failure: Failure) -> Response:
    if request.endpoint is None:  # no view, so nobody has asked yet who this is
        with suppress(SQLAlchemyError):
            find_identity()
    return error_page(failure.status, title=failure.title, text=failure.text, remedy=failure.remedy)


def _show_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400 and error.response is not None:  # noqa: PLR2004 - a redirect raised by the router
        return make_response(error.response)
    if status < 400:  # noqa: PLR2004
        return make_response(error.get_response())
    if isinstance(error, SecurityError) and _other_door() is None:
        # For a foreign host no address can be made, so no page either.
        return Response(f"{gettext(FOREIGN_HOST)}\n", status, content_type="text/plain; charset=utf-8")
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, SQLAlchemyError):
        return _show_database_error(error.original_exception)  # the handler of another error met it
    headers = {name: value for name, value in error.get_headers() if name in PASSED_ON}
    text = gettext(FOREIGN_HOST) if isinstance(error, SecurityError) else None
    return answer_failure(Failure(status=status, text=text, headers=headers))


def _show_domain_error(error: DomainError) -> Response:
    headers = {}
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Busy):
        headers["Retry-After"] = "5"
    status = STATUS.get(type(error), 400)
    return answer_failure(Failure(status=status, text=explain(error), about=error.field, headers=headers))


def _show_database_error(error: SQLAlchemyError) -> Response:
    diagnosis = diagnose(error)
    if diagnosis is None:
        return _show_defect(error)
    logger.error("%s: %s", diagnosis.title, str(error).partition("\n")[0])
    return answer_failure(
        Failure(
            status=diagnosis.status,
            title=diagnosis.title,
            remedy=diagnosis.remedy,
            headers={"Retry-After": "5"} if diagnosis.is_passing else {},
        )
    )


def _show_broken_body(_error: Exception) -> Response:
    """Its chunks are none: gunicorn finds that only while the body is read, in the middle of a view."""
    return answer_failure(Failure(status=400))


def _show_defect(error: Exception) -> Response:
    logger.error("unexpected error on %s %s", request.method, request.url_rule, exc_info=error)
    g.pop("language", None)
    return answer_failure(Failure(status=500))
