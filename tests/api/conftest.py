"""Programs that call the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from flask import Flask

from tests.api.asking import Program
from tests.conftest import MakeUser
from webapp.access.permissions import Permission, Role

WithToken = Callable[..., Program]


@pytest.fixture
def with_token(app: Flask, make_user: MakeUser) -> WithToken:
    """A program with the token of somebody of that role; ``scopes``: all that he may give, by default."""

    def make(role: str = "administrator", scopes: Iterable[Permission] | None = None) -> Program:
        owner = make_user(full_name=f"{role.title()} Desk", email=f"{role}@desk.example", role=Role(role))
        return Program(app, owner, scopes)

    return make
