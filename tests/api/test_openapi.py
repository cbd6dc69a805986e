"""The document is valid, says all that there is, and its page says all that it says."""

from __future__ import annotations

import json
from html import unescape

from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from webapp.api.openapi import Part, make_document
from webapp.api.problems import PROBLEMS
from webapp.api.views import ROOMS, all_calls, find_document


def operations(document: Part) -> list[Part]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def test_the_document_is_valid() -> None:
    document = json.loads(json.dumps(find_document("")))
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_is_served_to_everybody_as_it_was_made(app: Flask) -> None:
    answer = app.test_client().get("/api/openapi.json")
    assert answer.content_type == "application/json"
    assert answer.json == json.loads(json.dumps(make_document(ROOMS, server="/api/v1")))


def test_every_call_is_in_it_and_can_be_told_from_the_others() -> None:
    found = operations(find_document(""))
    assert [operation["operationId"] for operation in found] != []
    assert {operation["operationId"] for operation in found} == {call.name for call in all_calls()}
    assert len(found) == len(list(all_calls()))
    assert all(operation["summary"].endswith(".") for operation in found)


def test_every_parameter_and_field_of_ours_says_what_it_is() -> None:
    for operation in operations(find_document("")):
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], parameter["name"]


def test_nothing_in_it_can_hold_more_than_it_says() -> None:
    for name, schema in find_document("")["components"]["schemas"].items():
        assert schema.get("additionalProperties") is False or "enum" in schema, name
        assert "hashed_password" not in schema.get("properties", {})


def test_where_it_is_mounted_is_where_it_says() -> None:
    assert find_document("/desk")["servers"] == [{"url": "/desk/api/v1"}]


def test_the_page_says_what_the_document_says(app: Flask) -> None:
    page = unescape(app.test_client().get("/api/").text)
    document = find_document("")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert f"<code>/api/v1{path}</code>" in page
            assert operation["summary"] in page
            for parameter in operation.get("parameters", []):
                assert f"<code>{parameter['name']}</code>" in page
                assert parameter.get("description", "") in page
    for schema in document["components"]["schemas"].values():
        for name, described in schema.get("properties", {}).items():
            if "Problem" not in schema["title"]:
                assert f"<code>{name}</code>" in page
                assert described.get("description", "") in page
    assert all(problem.title in page for problem in PROBLEMS.values())


def test_calls_name_the_scopes_that_some_of_their_fields_need_too() -> None:
    by_name = {operation["operationId"]: operation for operation in operations(find_document(""))}
    for name in ("replace_user", "change_user", "change_users", "undo_entry"):
        assert "users.set_role" in by_name[name]["description"]
        assert "users.set_status" in by_name[name]["description"]
    assert "users.delete" in by_name["undo_entry"]["description"]


def test_a_key_is_said_to_be_kept_as_long_as_it_is() -> None:
    said = {
        operation["operationId"]: parameter["description"]
        for operation in operations(find_document(""))
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    for call in all_calls():
        if call.takes_key:
            assert ("for good" in said[call.name], "24 hours" in said[call.name]) == (
                call.keeps_key,
                not call.keeps_key,
            )


def test_the_document_says_where_a_token_comes_from() -> None:
    assert "flask tokens create" in find_document("")["info"]["description"]


def test_the_page_needs_no_other_host(app: Flask) -> None:
    page = app.test_client().get("/api/").text
    assert "http:" not in page
    assert "https:" not in page
