"""Calls that nobody thought of, made from the document by schemathesis: a few here, thousands by `make fuzz`.

None is answered by a defect or outside the document, and a refused one changes nothing.
"""

from __future__ import annotations

import os
from functools import cache
from itertools import count
from typing import Any, TypeAlias

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import func, select

from tests.api.asking import make_token
from tests.conftest import MakeUser, read_tables
from webapp.access.permissions import Role
from webapp.api.views import all_calls
from webapp.db import get_session
from webapp.history.models import ENTRIES
from webapp.history.rules import Kind

CASES = int(os.environ.get("FUZZ_CASES", "5"))  # of each call and mode, on each database
REFUSED = 400
PEOPLE = 8
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
AnyCase: TypeAlias = Case[Any]
each_call = pytest.mark.parametrize("name", [call.name for call in all_calls()])


def stored(app: Flask) -> object:
    """But for what the history tells of refusals."""
    tables = {name: rows for name, rows in read_tables(app).items() if name not in {"tokens", "rates"}}
    changes = select(func.max(ENTRIES.c.id)).where(ENTRIES.c.kind != Kind.REFUSED.value)
    with app.app_context():
        return tables, get_session().scalar(changes)


def likely(case: AnyCase, numbers: st.DataObject) -> AnyCase:
    """Made-up ids and versions meet nobody: half of the cases get such as there may be."""
    if numbers.draw(st.booleans()):
        if case.path_parameters:
            case.path_parameters = dict.fromkeys(
                case.path_parameters, numbers.draw(st.integers(1, PEOPLE + 1))
            )
        if "If-Match" in (case.headers or {}):
            case.headers["If-Match"] = numbers.draw(st.sampled_from(["*", '"1"', '"2"']))
    return case


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@each_call
def test_made_up_calls_are_answered_as_the_document_says(
    app: Flask, make_user: MakeUser, name: str, mode: GenerationMode
) -> None:
    token = make_token(app, make_user(role=Role.ADMINISTRATOR))
    for _ in range(PEOPLE):
        make_user()
    cases = read_operations(app)[name].as_strategy(mode)
    run_cases(app, cases, {"Authorization": f"Bearer {token}"})


@cache
def read_operations(app: Flask) -> dict[str, Any]:
    """By their names; to read the document takes longer than to try a call of it."""
    schema = openapi.from_wsgi("/api/openapi.json", app)
    operations = [it.ok() for it in schema.get_all_operations() if isinstance(it, Ok)]
    return {it.definition.raw["operationId"]: it for it in operations}


def run_cases(app: Flask, cases: st.SearchStrategy[AnyCase], headers: dict[str, str]) -> None:
    made = count()

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.data())
    def run(case: AnyCase, numbers: st.DataObject) -> None:
        case = likely(case, numbers)
        before = stored(app)
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS, headers=headers)
        if answer.status_code >= REFUSED:
            assert stored(app) == before
        next(made)

    run()
    assert next(made) > 0
