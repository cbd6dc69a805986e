"""The document of the API (OpenAPI 3.1), made from the calls as they are declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webapp.access.permissions import Permission
from webapp.api.bodies import Query, requires_body
from webapp.api.calls import Call, Calls, ProblemShown
from webapp.api.models import LONGEST_KEY
from webapp.api.problems import CONTENT_TYPE, PROBLEMS
from webapp.listing.keyset import LARGEST_ID

Part = dict[str, Any]
VERSION = "1"
INTRODUCTION = """\
The front desk for an application's users, for programs.

Every call needs a token in the header `Authorization: Bearer …`, with the scope that the call names.
People make tokens on the page Access tokens of their account, or by `flask tokens create`.
Times are ISO 8601 in UTC. Whatever fails is answered as `application/problem+json` (RFC 9457).
How many requests a token has left is in the header `RateLimit`."""
SCHEMAS = "#/components/schemas/{model}"
KEPT_FOR_A_DAY = (
    "A name of your own for this call. Sent again under it within 24 hours, it is done once, and answered as"
    " the first time; anything else under the same key is refused."
)
KEPT_FOR_GOOD = (
    "A name of your own for this movement of credits, apart from the keys of other calls, and kept for good."
    " However late it is sent again under it, the credits move once; anything else under the same key is"
    " refused."
)
PATH_ID = re.compile(r"<id:(\w+)>")
ALWAYS = (400, 422, 429, 500, 503)
HAS_BODY = (413, 415)
HAS_MATCH = (412, 428)
WAITING = (409, 429, 503)
CHALLENGING = (401, 403)


def make_document(rooms: Iterable[Calls], *, server: str) -> Part:
    """``server``: the address that the paths are below."""
    rooms = tuple(rooms)
    calls = [call for room in rooms for call in room]
    schemas = _make_schemas(calls)
    paths: dict[str, Part] = {}
    for room in rooms:
        for call in room:
            operation = {"tags": [room.title], **_make_operation(call, schemas)}
            paths.setdefault(PATH_ID.sub(r"{\1}", call.path), {})[call.method.lower()] = operation
    queries = {call.query.__name__ for call in calls}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dossier", "version": VERSION, "description": INTRODUCTION},
        "servers": [{"url": server}],
        "tags": [{"name": room.title} for room in rooms],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries},
            "responses": {
                problem.name: _make_problem(status, problem.title) for status, problem in PROBLEMS.items()
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _make_schemas(calls: Iterable[Call]) -> dict[str, Part]:
    """Of all models, and of what they are made of, by name."""
    models: set[tuple[type[BaseModel], Any]] = {(ProblemShown, "validation")}
    for call in calls:
        models |= {(call.query, "validation"), (call.answer, "serialization")}
        if call.body is not None:
            models.add((call.body, "validation"))
    ordered = sorted(models, key=lambda it: it[0].__name__)
    _, definitions = models_json_schema(ordered, ref_template=SCHEMAS)
    schemas: dict[str, Part] = definitions["$defs"]
    return dict(sorted(schemas.items()))


def _make_operation(call: Call, schemas: Mapping[str, Part]) -> Part:
    operation: Part = {"operationId": call.name, "summary": call.summary}
    if call.description:
        operation["description"] = call.description
    if parameters := list(_make_parameters(call, schemas)):
        operation["parameters"] = parameters
    if call.body is not None:
        content = {"application/json": _refer(call.body)}
        operation["requestBody"] = {"required": requires_body(call.body), "content": content}
    operation["responses"] = {
        str(status): response for status, response in sorted(_make_responses(call).items())
    }
    operation["security"] = (
        [] if call.permission is Permission.PUBLIC else [{"token": [call.permission.value]}]
    )
    return operation


def _make_parameters(call: Call, schemas: Mapping[str, Part]) -> Iterator[Part]:
    for name in PATH_ID.findall(call.path):
        schema = {"type": "integer", "format": "int64", "minimum": 0, "maximum": LARGEST_ID}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if call.query is not Query:
        yield from _make_query(schemas[call.query.__name__])
    text = {"type": "string"}
    if call.needs_match:
        what = "The ETag of what is to be changed, or its version in quotation marks."
        yield {"name": "If-Match", "in": "header", "required": True, "description": what, "schema": text}
    if call.takes_key:
        what = KEPT_FOR_GOOD if call.keeps_key else KEPT_FOR_A_DAY
        key = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"}
        yield {"name": "Idempotency-Key", "in": "header", "description": what, "schema": key}
    if call.method == "GET":
        what = "The ETag of what one has already: it is not sent again then."
        yield {"name": "If-None-Match", "in": "header", "description": what, "schema": text}


def _make_query(model: Part) -> Iterator[Part]:
    for name, described in model.get("properties", {}).items():
        schema = {key: value for key, value in described.items() if key not in {"title", "description"}}
        parameter: Part = {"name": name, "in": "query", "schema": _without_null(schema)}
        if name in model.get("required", ()):
            parameter["required"] = True
        if "description" in described:
            parameter["description"] = described["description"]
        yield parameter


def _without_null(schema: Part) -> Part:
    """A parameter that is not sent is no null."""
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    others = [other for other in schema["anyOf"] if other != {"type": "null"}]
    return {**rest, **others[0]} if len(others) == 1 else {**rest, "anyOf": others}


def _make_responses(call: Call) -> dict[int, Part]:
    statuses = {*ALWAYS, *call.refusals}
    statuses |= set() if call.permission is Permission.PUBLIC else {401, 403}
    statuses |= {404} if PATH_ID.search(call.path) else set()
    statuses |= set(HAS_BODY) if call.body is not None else set()
    statuses |= set(HAS_MATCH) if call.needs_match else set()
    statuses |= {409} if call.takes_key else set()
    responses: dict[int, Part] = {
        status: {"$ref": f"#/components/responses/{PROBLEMS[status].name}"} for status in statuses
    }
    responses[call.status] = {
        "description": "Done" if call.method != "GET" else "Found",
        "headers": {name: _make_header(text) for name, text in _headers_of(call).items()},
        "content": {"application/json": _refer(call.answer)},
    }
    if call.method == "GET":
        responses[304] = {"description": "Not changed since it was answered with the ETag in If-None-Match"}
    return responses


def _headers_of(call: Call) -> Mapping[str, str]:
    if not call.takes_key:
        return call.headers
    return {**call.headers, "Idempotency-Replayed": "“true” where it was done before under the same key."}


def _make_problem(status: int, title: str) -> Part:
    headers = {}
    if status in WAITING:
        headers["Retry-After"] = _make_header("So many seconds to wait, where waiting helps.")
    if status in CHALLENGING:
        headers["WWW-Authenticate"] = _make_header("Bearer, and what is wrong with the token (RFC 6750).")
    return {"description": title, "headers": headers, "content": {CONTENT_TYPE: _refer(ProblemShown)}}


def _make_header(text: str) -> Part:
    return {"description": text, "schema": {"type": "string"}}


def _refer(model: type[BaseModel]) -> Part:
    return {"schema": {"$ref": SCHEMAS.format(model=model.__name__)}}
