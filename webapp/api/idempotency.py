"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what is sent twice is done once."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import current_app, request

from webapp.access.identity import current_identity
from webapp.api.calls import Answered, Call, run
from webapp.api.keeping import (
    Erased,
    Progress,
    Reused,
    Running,
    Ticket,
    begin_steps,
    find_answer,
    keep_answer,
)
from webapp.api.models import LONGEST_KEY
from webapp.api.problems import FieldError, Refused
from webapp.config import Settings
from webapp.errors import N_, Conflict
from webapp.web.language import gettext

HEADER = "Idempotency-Key"
REPLAYED: Mapping[str, str] = {"Idempotency-Replayed": "true"}
RETRY_SECONDS = 2
REUSED = N_("This key was used for another call. Take a new one.")
ERASED = N_("This was done, and its answer told of somebody who is deleted for good by now.")
_KEY = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}")


def run_once(call: Call, arguments: Mapping[str, Any]) -> Answered:
    """Run the call; or answer as the first time, where it was done under the same key. Raises Refused."""
    if call.keeps_key:
        return _run_with_key(call, arguments)
    if HEADER not in request.headers:
        return _run(call, arguments)
    ticket = _read_ticket()
    try:
        known = find_answer(ticket)  # without waiting for anybody who writes
        answered, is_known = (known, True) if known else _run_kept(call, arguments, ticket)
    except Running:
        message = gettext(N_("The same call is being done at this moment. Wait, and send it again."))
        raise Refused(409, message, retry_after=RETRY_SECONDS) from None
    except Erased:
        raise Refused(409, gettext(ERASED)) from None
    except Reused:
        raise _refuse(REUSED) from None
    return answered._replace(headers={**answered.headers, **REPLAYED}) if is_known else answered


def _run_with_key(call: Call, arguments: Mapping[str, Any]) -> Answered:
    key = _read_key() if HEADER in request.headers else None
    try:
        return run(call, {**arguments, "key": key})
    except Conflict as error:
        if error.field == "key":
            raise _refuse(REUSED) from None
        raise


def _run(call: Call, arguments: Mapping[str, Any]) -> Answered:
    rest = {"progress": Progress()} if call.goes_in_steps else {}
    return run(call, {**arguments, **_prepare(call, arguments), **rest})


def _run_kept(call: Call, arguments: Mapping[str, Any], ticket: Ticket) -> tuple[Answered, bool]:
    if call.goes_in_steps:
        progress = begin_steps(ticket)
        if isinstance(progress, Answered):
            return progress, True
        try:
            answered = run(call, {**arguments, "progress": progress})
            progress.end(answered)
        except BaseException:
            progress.let_go()
            raise
        return answered, False
    prepared = {**arguments, **_prepare(call, arguments)}
    return keep_answer(ticket, lambda: run(call, prepared))


def _prepare(call: Call, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return call.prepare(arguments["body"]) if call.prepare else {}


def _read_ticket() -> Ticket:
    settings: Settings = current_app.extensions["settings"]
    *former, digest = _digests(settings.signing_keys)
    return Ticket(current_identity().id, _read_key(), digest, tuple(former))


def _read_key() -> str:
    key = request.headers[HEADER]
    if not _KEY.fullmatch(key):
        raise _refuse(N_("Send 1 to 255 printable characters of ASCII."))
    return key


def _digests(secrets: Iterable[str]) -> list[str]:
    """Of all that makes the call what it is. With a secret, so that nobody can try passwords against it."""
    parts = (
        request.method.encode(),
        request.path.encode(),
        request.query_string,
        request.headers.get("If-Match", "").encode(),
        request.get_data(),
    )
    message = b"\0".join(parts)
    return [hmac.new(secret.encode(), message, "sha256").hexdigest() for secret in secrets]


def _refuse(message: str) -> Refused:
    return Refused(422, errors=[FieldError(HEADER, gettext(message))])
