"""The document of the API as a page that a person reads: nothing is in it that is not in the document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from webapp.api.problems import PROBLEMS, Problem

Part = Mapping[str, Any]


class Field(NamedTuple):
    name: str
    type: str
    is_required: bool
    description: str


class Entry(NamedTuple):
    """One call. ``parameters`` of path, query and headers by where they stand; ``parts`` are what fields of
    its body and its answer are made of.
    """

    method: str
    path: str
    name: str
    summary: str
    description: str
    scope: str
    parameters: list[tuple[str, list[Field]]]
    body: list[Field]
    status: str
    answer: list[Field]
    parts: dict[str, list[Field]]
    problems: list[tuple[int, Problem]]


PLACES = {"path": "In the path", "query": "In the query", "header": "In the header"}


def list_entries(document: Part) -> Iterator[tuple[str, list[Entry]]]:
    """Each heading with its calls."""
    for tag in document["tags"]:
        yield (
            tag["name"],
            [
                _make_entry(document, method.upper(), path, operation)
                for path, methods in document["paths"].items()
                for method, operation in methods.items()
                if tag["name"] in operation["tags"]
            ],
        )


def _make_entry(document: Part, method: str, path: str, operation: Part) -> Entry:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    statuses = {int(status): answer for status, answer in operation["responses"].items()}
    status = min(statuses)
    answer = statuses[status]["content"]["application/json"]["schema"]
    scopes = [scope for scheme in operation["security"] for scope in scheme["token"]]
    return Entry(
        method=method,
        path=document["servers"][0]["url"] + path,
        name=operation["operationId"],
        summary=operation["summary"],
        description=operation.get("description", ""),
        scope=", ".join(scopes),
        parameters=[
            (label, fields)
            for place, label in PLACES.items()
            if (fields := _parameters(document, operation, place))
        ],
        body=_fields(document, body) if body else [],
        status=str(status),
        answer=_fields(document, answer),
        parts={**_parts(document, body or {}), **_parts(document, answer)},
        problems=[(code, PROBLEMS[code]) for code in statuses if code in PROBLEMS],
    )


def _parameters(document: Part, operation: Part, place: str) -> list[Field]:
    return [
        Field(it["name"], _type(document, it["schema"]), it.get("required", False), it.get("description", ""))
        for it in operation.get("parameters", [])
        if it["in"] == place
    ]


def _fields(document: Part, schema: Part) -> list[Field]:
    model = _resolve(document, schema)
    required = model.get("required", ())
    return [
        Field(name, _type(document, it), name in required, it.get("description", ""))
        for name, it in model.get("properties", {}).items()
    ]


def _parts(document: Part, schema: Part) -> dict[str, list[Field]]:
    """By name, without what some call answers by itself."""
    found: dict[str, list[Field]] = {}
    for described in _resolve(document, schema).get("properties", {}).values():
        inside = (described, described.get("items"), described.get("additionalProperties"))
        for one in (*inside, *described.get("anyOf", ())):
            part = _resolve(document, one) if isinstance(one, Mapping) else {}
            if "properties" in part and part["title"] not in _answers(document):
                found |= {part["title"]: _fields(document, part), **_parts(document, part)}
    return found


def _answers(document: Part) -> set[str]:
    """The names of what the calls answer."""
    return {
        schema["$ref"].rpartition("/")[2]
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for schema in [answer.get("content", {}).get("application/json", {}).get("schema", {})]
        if "$ref" in schema
    }


def _resolve(document: Part, schema: Part) -> Part:
    if "$ref" not in schema:
        return schema
    found: Part = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _type(document: Part, schema: Part) -> str:
    """In words: whole number, 1 to 200, 20 by default."""
    words = [_type_name(document, schema)]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and "path" not in schema:
        words.append(f"{low:,} to {high:,}" if high < 2**31 else f"{low:,} or more")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']:,} characters")
    if schema.get("default") not in (None, "", []):
        words.append(f"{json.dumps(schema['default']).strip(chr(34))} by default")
    return ", ".join(words)


def _type_name(document: Part, schema: Part) -> str:
    if "anyOf" in schema:
        return " or ".join(_type_name(document, one) for one in schema["anyOf"])
    if "$ref" in schema:
        target = _resolve(document, schema)
        return _type_name(document, target) if "enum" in target else schema["$ref"].rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_name(document, schema['items'])}"
    if "properties" in schema:
        return str(schema["title"])
    names = {"integer": "whole number", "boolean": "true or false", "string": "text"}
    kind = schema.get("type", "anything")
    return str(schema.get("format") if kind == "string" and "format" in schema else names.get(kind, kind))
