"""A program that calls the API; each of its answers is held against the document that the API publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.api.openapi import Part
from webapp.api.problems import CONTENT_TYPE
from webapp.api.views import find_document
from webapp.db import get_session
from webapp.tokens.rules import scopes_of
from webapp.tokens.services import create_token
from webapp.users.models import User

USERS = "/api/v1/users"
PROBLEM = "ProblemShown"


class Reply(TestResponse):
    """Of a call that is answered with JSON."""

    json: Any


class Program:
    """``user`` made a token for it, by default with all scopes that his role has; without one it has none."""

    def __init__(
        self, app: Flask, user: User | None = None, scopes: Iterable[Permission] | None = None
    ) -> None:
        self.app = app
        self.user = user
        self.client = app.test_client()
        self.token = make_token(app, user, scopes) if user is not None else None

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        **options: Any,
    ) -> Reply:
        """``body`` is sent as JSON unless it is None; bytes as they are. ``key`` makes a retry harmless."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key is not None:
            sent["Idempotency-Key"] = key
        if isinstance(body, bytes):
            options |= {"data": body, "content_type": "application/json"}
        elif body is not None:
            options["json"] = body
        answer = self.client.open(path, method=method, headers={**sent, **(headers or {})}, **options)
        assert_fits(self.app, method, answer)
        return cast("Reply", answer)

    def get(self, path: str, **options: Any) -> Reply:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object, **options: Any) -> Reply:
        return self.ask("POST", path, body, **options)

    def change(self, method: str, path: str, body: object = None, *, tag: str = "*", **options: Any) -> Reply:
        return self.ask(method, path, body, headers={"If-Match": tag}, **options)


def make_token(app: Flask, user: User, scopes: Iterable[Permission] | None = None) -> str:
    with app.app_context():
        owner = get_session().get_one(User, user.id)
        given = scopes_of(owner.role) if scopes is None else scopes
        secret, _ = create_token(owner, name="Test", scopes=given, days=1, actor=Actor.command_line())
        return secret


def assert_fits(app: Flask, method: str, answer: TestResponse) -> None:
    """The document has this call, this answer of it with these headers, and this form of it."""
    operation, status = find_operation(app, method, answer.request.path), str(answer.status_code)
    if answer.status_code >= 400:
        assert answer.content_type == CONTENT_TYPE
        assert method == "HEAD" or list(validator(PROBLEM).iter_errors(answer.json)) == []
        assert operation is None or status in operation["responses"], status
        return
    if operation is None:  # the document itself, its page
        return
    described = operation["responses"][status]
    assert {name for name in ("ETag", "Location") if name in described.get("headers", {})} <= set(
        answer.headers.keys()
    )
    if "content" not in described or method == "HEAD":
        assert answer.data == b""
        return
    assert answer.content_type == "application/json"
    name = described["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert list(validator(name).iter_errors(answer.json)) == []


def find_operation(app: Flask, method: str, path: str) -> Part | None:
    try:
        endpoint, _ = app.url_map.bind("localhost").match(path, "GET" if method == "HEAD" else method)
    except HTTPException:
        return None
    name = str(endpoint).removeprefix("api.")
    found = [
        operation
        for methods in find_document("")["paths"].values()
        for operation in methods.values()
        if operation["operationId"] == name
    ]
    return found[0] if found else None


@lru_cache
def validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": find_document("")["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def errors_of(answer: TestResponse) -> dict[str, str]:
    """Field → message."""
    assert answer.json
    return {error["field"]: error["message"] for error in answer.json.get("errors", [])}
