"""Errors as programs read them: application/problem+json (RFC 9457), for whatever fails below /api.

None of them repeats what was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response, g, request

from webapp.access.identity import API_PATH
from webapp.errors import N_, DomainError, Forbidden, SignInEnded, Stale
from webapp.web.language import explain, gettext
from webapp.web.pages import STATUS, Failure

CONTENT_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="Dossier"'
MOST_FIELDS = 50
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class Problem(NamedTuple):
    """What a status means here. ``name`` ends the address of its explanation, on the API's page."""

    name: str
    title: str
    remedy: str


PROBLEMS: Mapping[int, Problem] = {
    400: Problem(
        "malformed",
        N_("This request was not understood"),
        N_("Send one JSON object in UTF-8: no key twice, no NaN, nothing nested deeply."),
    ),
    401: Problem(
        "token",
        N_("A token is needed"),
        N_("Send the header “Authorization: Bearer …” with a token that is neither revoked nor expired."),
    ),
    403: Problem(
        "forbidden",
        N_("You may not do this"),
        N_("Use a token with the scope that this call names, of somebody whose role has it."),
    ),
    404: Problem("missing", N_("There is nothing here"), N_("Check the path and the id.")),
    405: Problem(
        "method", N_("This address cannot be used like that"), N_("Use a method that the header Allow names.")
    ),
    409: Problem("conflict", N_("This cannot be done now"), N_("Read the present state, and decide anew.")),
    412: Problem(
        "stale",
        N_("Somebody else changed this meanwhile"),
        N_("Read it again, and send the change with its new ETag in If-Match."),
    ),
    413: Problem("size", N_("This is too large"), N_("Send less at once.")),
    414: Problem("length", N_("This address is too long"), N_("Send a shorter query.")),
    415: Problem(
        "type", N_("This content type is not read here"), N_("Send “Content-Type: application/json”.")
    ),
    422: Problem("invalid", N_("Something in it is not right"), N_("Correct the fields under “errors”.")),
    428: Problem(
        "condition",
        N_("The version to change must be named"),
        N_("Read it first, and send its ETag in the header If-Match."),
    ),
    429: Problem(
        "rate", N_("Too many requests"), N_("Wait for as many seconds as the header Retry-After says.")
    ),
    500: Problem(
        "defect",
        N_("Something broke on our side"),
        N_("Nothing was changed by halves. If it happens again, tell whoever runs this service."),
    ),
    503: Problem("busy", N_("The service is busy"), N_("Try again in a moment.")),
}


class FieldError(NamedTuple):
    """``field`` is a path into the body (``rows.3.email``), or the name of a parameter or header."""

    field: str
    message: str


class Refused(Exception):
    """A request that the door itself refuses, before any service is called; texts are translated."""

    def __init__(
        self,
        status: int,
        text: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.text = text
        self.errors = errors
        self.retry_after = retry_after  # seconds


def answer_refusal(error: Refused) -> Response:
    response = _answer(error.status, text=error.text, errors=error.errors)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def answer_stale(error: Stale) -> Response:
    """In the pages a conflict; here the version comes as a precondition (RFC 9110, 13.1.1)."""
    return _answer(412, text=explain(error))


def answer_unknown(error: Exception) -> Response:
    """Nobody is known by the token that was sent, or none was (RFC 6750, 3)."""
    response = _answer(401, text=explain(error) if isinstance(error, SignInEnded) else None)
    is_sent = re.match(r"bearer\b", request.headers.get("Authorization", ""), re.IGNORECASE)
    response.headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if is_sent else "")
    return response


def answer_forbidden(error: Forbidden) -> Response:
    """Where it is the token that lacks a scope, a program can read which one (RFC 6750, 3.1)."""
    response = _answer(403, text=explain(error))
    if scope := error.params.get("scope"):
        response.headers["WWW-Authenticate"] = f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    return response


def answer_problem(failure: Failure) -> Response:
    """What failed anywhere in the house."""
    errors = [FieldError(failure.about, failure.text)] if failure.about and failure.text else []
    text = failure.text or (gettext(failure.remedy) if failure.remedy else None)
    return _answer(failure.status, title=failure.title, text=text, errors=errors)


def _answer(
    status: int,
    *,
    title: str | None = None,
    text: str | None = None,
    errors: Sequence[FieldError] = (),
) -> Response:
    body = _describe(status, title=title, text=text, errors=errors)
    return Response(json.dumps(body, ensure_ascii=False), status, content_type=CONTENT_TYPE)


def describe_refusal(error: Refused | DomainError) -> dict[str, Any]:
    """The problem that this one of many things is, none of which is the answer by itself."""
    if isinstance(error, Refused):
        return _describe(error.status, text=error.text, errors=error.errors)
    status = 412 if isinstance(error, Stale) else STATUS.get(type(error), 400)
    text = explain(error)
    return _describe(status, text=text, errors=[FieldError(error.field, text)] if error.field else [])


def _describe(
    status: int,
    *,
    title: str | None = None,
    text: str | None = None,
    errors: Sequence[FieldError] = (),
) -> dict[str, Any]:
    known = PROBLEMS.get(status) or PROBLEMS[500 if status >= 500 else 400]  # noqa: PLR2004
    body: dict[str, Any] = {
        "type": f"{request.script_root}{API_PATH}/#{known.name}",
        "title": gettext(title or known.title),
        "status": status,
        "detail": text or gettext(known.remedy),
        "request_id": g.get("request_id", ""),
    }
    if errors:
        body["errors"] = [
            {"field": plain_name(field), "message": message} for field, message in errors[:MOST_FIELDS]
        ]
    return body


def plain_name(name: str) -> str:
    """The name of a field, where it is one: what nobody would call a field is not repeated."""
    return name if _PLAIN.fullmatch(name) else "?"
