"""The calls as Flask's routes, with their document and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, render_template, request
from werkzeug.routing import BaseConverter

from webapp.access.guards import SignInRequired, requires
from webapp.access.identity import API_PATH
from webapp.access.permissions import Permission
from webapp.api import bulk, credits, history, notes, trash, users
from webapp.api.bodies import Query, read_body, read_query, refuse_body
from webapp.api.calls import Answered, Call, Calls, run
from webapp.api.conditions import read_match, spare_known
from webapp.api.idempotency import run_once
from webapp.api.openapi import INTRODUCTION, Part, make_document
from webapp.api.problems import (
    PROBLEMS,
    Refused,
    answer_forbidden,
    answer_refusal,
    answer_stale,
    answer_unknown,
)
from webapp.api.reference import list_entries
from webapp.errors import Forbidden, SignInEnded, Stale

PREFIX = f"{API_PATH}/v1"
# In the order of the page; a later room adds its own here.
ROOMS: tuple[Calls, ...] = (users.calls, bulk.calls, notes.calls, history.calls, trash.calls, credits.calls)


class IdConverter(BaseConverter):
    """``<id:user_id>``: 64 bits; anything longer leads nowhere."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        return int(value)


def all_calls() -> Iterator[Call]:
    return (call for room in ROOMS for call in room)


def make_view(call: Call) -> Callable[..., Response]:
    @requires(call.permission)
    def view(**path: int) -> Response:
        arguments: dict[str, Any] = dict(path)
        query = read_query(call.query)
        if call.query is not Query:
            arguments["query"] = query
        if call.needs_match:
            arguments["match"] = read_match()
        if call.body is not None:
            arguments["body"] = read_body(call.body)
        else:
            refuse_body()
        return make_response(call, run_once(call, arguments) if call.takes_key else run(call, arguments))

    return view


def make_response(call: Call, answered: Answered) -> Response:
    response = Response(answered.body, answered.status, content_type="application/json")
    response.headers.update(answered.headers)
    return spare_known(response) if call.method == "GET" else response


@lru_cache(maxsize=8)
def find_document(root: str) -> Part:
    """``root``: where the application is mounted."""
    return make_document(ROOMS, server=f"{root}{PREFIX}")


blueprint = Blueprint("api", __name__, url_prefix=API_PATH)


@blueprint.get("/openapi.json")
@requires(Permission.PUBLIC)
def show_document() -> Response:
    text = json.dumps(find_document(request.script_root), ensure_ascii=False, indent=1)
    return spare_known(Response(text, content_type="application/json"))


@blueprint.get("")
@blueprint.get("/")
@requires(Permission.PUBLIC)
def show_reference() -> str:
    return render_template(
        "api/reference.html",
        introduction=INTRODUCTION.replace("`", "").split("\n\n"),
        headings=list(list_entries(find_document(request.script_root))),
        problems=PROBLEMS.items(),
    )


for _call in all_calls():
    blueprint.add_url_rule(f"/v1{_call.path}", _call.name, make_view(_call), methods=[_call.method])
blueprint.register_error_handler(Refused, answer_refusal)
blueprint.register_error_handler(Stale, answer_stale)
blueprint.register_error_handler(SignInRequired, answer_unknown)
blueprint.register_error_handler(SignInEnded, answer_unknown)
blueprint.register_error_handler(Forbidden, answer_forbidden)
