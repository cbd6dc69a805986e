"""Bulk changes as somebody makes them without scripts: rows ticked, buttons pressed, pages read."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.conftest import insert_users
from tests.pages.asking import text_of
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.batches.models import BATCHES, ROWS
from webapp.db import get_session
from webapp.listing.types import AnyRow

PATH = "/batches/"
PASTE = "/batches/paste"
FORM = "application/x-www-form-urlencoded"


def begin(desk: Visitor, *user_ids: int, action: str = "", **fields: str) -> str:
    """Tick these rows and press a button; answer the address of the draft."""
    answer = desk.post(PATH, {"id": [str(user_id) for user_id in user_ids], "action": action, **fields})
    assert answer.status_code == 303
    path = urlsplit(answer.headers["Location"]).path
    assert re.fullmatch(r"/batches/\d+", path), path
    return path


def choose(desk: Visitor, path: str, action: str, **values: str) -> TestResponse:
    """Press a button of the draft, or send the form with its value."""
    return desk.post(f"{path}/action", {"action": action, **values})


def press(desk: Visitor, path: str, button: str, *, query: str = "") -> TestResponse:
    """Press the button that the page ``path`` has for this: run, stop, continue, undo."""
    form = read_form(desk.get(path + query).text, action=f"{path}/{button}")
    return desk.post_raw(form.action, form.fields)


def run(desk: Visitor, path: str) -> str:
    """Press the button under the preview; answer the page that comes."""
    answer = press(desk, path, "run")
    assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (303, path)
    return text_of(desk.get(path))


def change(desk: Visitor, action: str, *user_ids: int, **value: str) -> str:
    """All of it at once; answer the address of the results."""
    path = begin(desk, *user_ids, action=action)
    if value:
        assert choose(desk, path, action, **value).status_code == 303
    run(desk, path)
    return path


def outcomes_of(page: str) -> list[str]:
    """What each row of the results says, its tags left out."""
    rows = re.findall(r'<li id="r\d+">(.*?)</li>', page, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows]


def typed(page: str, name: str) -> str | None:
    """What a textarea holds; a browser leaves its first line break out."""
    found = re.search(rf'<textarea[^>]*\bname="{name}"[^>]*>\r?\n?(.*?)</textarea>', page, re.DOTALL)
    return found[1] if found else None


def read_batches(app: Flask) -> list[AnyRow]:
    with app.app_context():
        return list(get_session().execute(select(BATCHES).order_by(BATCHES.c.id)))


def read_members(app: Flask, path: str) -> list[int]:
    """Whom the batch holds, in its order."""
    batch_id = int(path.rpartition("/")[2])
    statement = select(ROWS.c.user_id).where(ROWS.c.batch_id == batch_id).order_by(ROWS.c.position)
    with app.app_context():
        return list(get_session().scalars(statement))


def count_rows(app: Flask) -> int:
    with app.app_context():
        return get_session().scalar(select(func.count()).select_from(ROWS)) or 0


def add_people(app: Flask, number: int, **columns: Any) -> None:
    """Many members at once, quickly."""
    with app.app_context():
        insert_users(
            [
                {"full_name": f"Row {index:03}", "email": f"row{index}@example.org", **columns}
                for index in range(number)
            ]
        )
