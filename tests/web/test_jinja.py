"""Fragments: made once for all who see the same, and never shown to anybody who does not."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, g

from webapp.access.identity import Identity
from webapp.access.permissions import Permission, Role


def render_places(
    app: Flask, role: Role, *, scopes: frozenset[Permission] | None = None, nav: str = "", **request: Any
) -> str:
    identity = Identity(
        id=1,
        email="ann@example.org",
        full_name="",
        role=role,
        language=None,
        time_zone=None,
        scopes=scopes,
        epoch=0,
        credential=lambda: True,
    )
    with app.test_request_context(**request):
        g.identity = identity
        return app.jinja_env.from_string('{{ fragment("layout/places.html", nav=nav) }}').render(nav=nav)


def addresses(html: str) -> list[str]:
    return re.findall(r'<a href="([^"]*)"', html)


def test_each_sees_the_places_of_his_own_permissions(anywhere: Flask) -> None:
    for _ in range(2):  # the second time all of them are made already
        everything = addresses(render_places(anywhere, Role.ADMINISTRATOR))
        assert everything == ["/users/", "/history/", "/batches/", "/trash/", "/tokens/all"]
        assert addresses(render_places(anywhere, Role.AUDITOR)) == everything[:3]
        few = frozenset({Permission.USERS_READ, Permission.TOKENS_MANAGE})
        assert addresses(render_places(anywhere, Role.ADMINISTRATOR, scopes=few)) == [
            everything[0],
            everything[-1],
        ]
        assert addresses(render_places(anywhere, Role.AUDITOR, scopes=few)) == everything[:1]
        assert addresses(render_places(anywhere, Role.MEMBER)) == []


def test_the_present_place_the_language_and_the_root_are_those_of_the_request(anywhere: Flask) -> None:
    for _ in range(2):
        there = render_places(anywhere, Role.AUDITOR, nav="history")
        assert re.findall(r'href="([^"]*)" aria-current="page"', there) == ["/history/"]
        assert "aria-current" not in render_places(anywhere, Role.AUDITOR)
        french = render_places(anywhere, Role.AUDITOR, headers={"Accept-Language": "fr"})
        assert ">Users<" not in french.replace("> ", ">")
        assert "Users" in there
        below = render_places(anywhere, Role.AUDITOR, environ_overrides={"SCRIPT_NAME": "/desk"})
        assert addresses(below) == ["/desk/users/", "/desk/history/", "/desk/batches/"]
