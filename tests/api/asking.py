"""A program that calls the API, as far as Flask's test client is one."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.visitor import Visitor
from webapp.users.models import User


class Program:
    """It acts for ``user``, or for nobody."""

    def __init__(self, app: Flask, user: User | None) -> None:
        self.app = app
        self.user = user
        self.client = Visitor(app, user).client

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        match: str | None = None,
        key: str | None = None,
        **options: Any,
    ) -> TestResponse:
        """``body`` is sent as JSON, or as it is where it is bytes."""
        headers = dict(options.pop("headers", {}))
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["data"] = body if isinstance(body, bytes) else json.dumps(body)
        if match is not None:
            headers["If-Match"] = match
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, buffered=True, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object, **options: Any) -> TestResponse:
        return self.ask("POST", path, body, **options)

    def patch(self, path: str, body: object, **options: Any) -> TestResponse:
        return self.ask("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.ask("DELETE", path, **options)


def read(response: TestResponse) -> Any:
    """The JSON that was answered."""
    return json.loads(response.text)
