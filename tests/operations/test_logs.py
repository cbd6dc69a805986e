"""The log: one line for each event whatever anybody sent, the request's id in it, and no secrets."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from tests.conftest import PASSWORD, MakeUser, SignedIn
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.operations.logs import JsonFormatter, RequestIdFilter, TextFormatter

LINE_BREAKS = "x\nTraceback y\r\n2026-01-01 ERROR forged [-] line\u2028another\x85third"


class Log:
    """What would stand in the log, line by line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter)
        self.handler.addFilter(RequestIdFilter())

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


def listen(formatter: logging.Formatter) -> Iterator[Log]:
    log, root = Log(formatter), logging.getLogger()
    level = root.level
    root.addHandler(log.handler)
    root.setLevel(logging.INFO)
    yield log
    root.removeHandler(log.handler)
    root.setLevel(level)


@pytest.fixture
def json_log() -> Iterator[Log]:
    yield from listen(JsonFormatter())


@pytest.fixture
def text_log() -> Iterator[Log]:
    yield from listen(TextFormatter("%(levelname)s %(name)s [%(request_id)s] %(message)s"))


def test_each_request_is_one_valid_line_with_its_id(signed_in: SignedIn, json_log: Log) -> None:
    visitor = signed_in("auditor")
    answer = visitor.get("/users/?q=secret+search")
    (line,) = json_log.records
    assert visitor.user is not None
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["message"] == "GET /users/ 200"
    assert line["user_id"] == visitor.user.id
    assert line["address"] == "127.0.0.1"
    assert isinstance(line["milliseconds"], float)
    assert "secret search" not in json_log.text


def test_a_one_time_link_is_never_logged(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, json_log: Log
) -> None:
    page = signed_in().post(f"/users/{make_user().id}/password-link").text
    token = re.search(r"/auth/set-password/([\w-]{43,})", page)
    assert token
    new = {"new_password": "harbour candle meadow", "confirm_password": "harbour candle meadow"}
    for data in ({"new_password": "short"}, new, new):
        Visitor(app).get(f"/auth/set-password/{token[1]}")
        Visitor(app).post(f"/auth/set-password/{token[1]}", data)
    assert len(json_log.records) == 7
    assert token[1] not in json_log.text
    assert "harbour" not in json_log.text


def test_neither_are_passwords_tokens_and_addresses_tried(
    app: Flask, visitor: Visitor, make_user: MakeUser, json_log: Log
) -> None:
    make_user(email="ann@example.org", role=Role.AUDITOR)
    visitor.post("/auth/login", {"email": "ann@example.org", "password": "a wrong secret"})
    visitor.post("/auth/login", {"email": "ann@example.org", "password": PASSWORD})
    with visitor.client.session_transaction() as cookie:
        token = cookie["token"]
    visitor.get("/auth/devices")
    for secret in (PASSWORD, "a wrong secret", token, "ann@example.org"):
        assert secret not in json_log.text


def test_nobody_forges_a_line(visitor: Visitor, json_log: Log, text_log: Log) -> None:
    for path in ("/nowhere%0d%0aforged", "/users/?q=x%0aforged", "/auth/set-password/x%0aforged"):
        visitor.get(path, headers={"X-Request-ID": "x" * 200, "User-Agent": "x"})
    visitor.post("/auth/login", {"email": LINE_BREAKS, "password": LINE_BREAKS})
    assert len(json_log.text.split("\n")) == len(text_log.text.split("\n")) == 4 + 1
    assert "forged" not in json_log.text
    assert "forged" not in text_log.text


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter("%(levelname)s %(message)s")])
def test_a_line_break_in_a_message_makes_no_second_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "said %s", "args": (LINE_BREAKS,), "levelname": "INFO"})
    text = formatter.format(record)
    assert "\n" not in text
    assert "\r" not in text


def test_a_failure_is_logged_with_its_traceback_and_still_one_json_line() -> None:
    try:
        raise ValueError(LINE_BREAKS)
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.makeLogRecord(
        {"msg": "failed", "exc_info": info, "levelname": "ERROR", "extra_field": {1}}
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed["exception"].startswith("Traceback")
    assert parsed["extra_field"] == "{1}"
    text = TextFormatter("%(levelname)s %(message)s").format(record)
    assert text.startswith("ERROR failed\nTraceback ")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter("%(levelname)s %(message)s")])
@pytest.mark.parametrize("columns", [{"email": "x"}, {"id": 1}])
def test_a_failure_of_the_database_tells_no_row(
    app: Flask, make_user: MakeUser, formatter: logging.Formatter, columns: dict[str, object]
) -> None:
    """Postgres repeats the whole row that broke a rule."""
    make_user(id=1)
    values = {"email": "secret\nperson@example.org", "hashed_password": "$argon2id$secret", **columns}
    with pytest.raises(IntegrityError) as caught:
        make_user(**values)
    info = (caught.type, caught.value, caught.tb)
    text = formatter.format(logging.makeLogRecord({"msg": "failed", "exc_info": info, "levelname": "ERROR"}))
    assert "IntegrityError" in text
    assert "[SQL: INSERT INTO users" in text
    for secret in ("secret", "person@", "argon2id", "person1@"):
        assert secret not in text


def test_each_line_has_its_time_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        record = logging.makeLogRecord({"msg": "at noon", "created": 1_800_000_000.25, "msecs": 250.0})
        line = TextFormatter("%(asctime)s %(message)s").format(record)
        read = json.loads(JsonFormatter().format(record))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert line == "2027-01-15T08:00:00.250Z at noon"
    assert read["time"] == "2027-01-15T08:00:00.250+00:00"


def test_outside_of_a_request_the_id_is_a_dash() -> None:
    record = logging.makeLogRecord({"msg": "started"})
    assert RequestIdFilter().filter(record)
    assert json.loads(JsonFormatter().format(record))["request_id"] == "-"
