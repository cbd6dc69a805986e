"""A file of any length: what a spreadsheet must not run, how many at once, an end that cannot be mistaken."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from io import StringIO
from itertools import count
from signal import SIGKILL

import pytest
from flask import Flask, Response

from webapp.errors import Conflict
from webapp.web import csv as web_csv
from webapp.web.csv import AT_ONCE, FORMULA_SIGNS, Row, stream_csv


@pytest.fixture(autouse=True)
def request_context(app: Flask) -> Iterator[None]:
    with app.test_request_context():
        yield


people = count(1)


def write(*rows: Row) -> Response:
    return stream_csv("things", ("a", "b"), iter([rows]), owner_id=next(people), begin=lambda: None)


def text_of(answer: Response) -> str:
    with answer:
        return answer.get_data().decode("utf-8-sig")


def test_it_is_a_csv_file_that_reads_back() -> None:
    rows = [("plain", 'with "quotes"'), ("a,b;c", "two\r\nlines"), (12, ""), ("Šťastný 😀", " ")]
    answer = write(*rows)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="things.csv"'
    assert answer.content_type == "text/csv; charset=utf-8"
    text = text_of(answer)
    assert text.startswith("a,b\r\n")
    read = list(csv.reader(StringIO(text, newline="")))
    assert read == [["a", "b"], *([str(value) for value in row] for row in rows)]


@pytest.mark.parametrize("sign", FORMULA_SIGNS)
@pytest.mark.parametrize("delimiter", ",;\t")
def test_no_spreadsheet_takes_a_text_for_a_formula(sign: str, delimiter: str) -> None:
    """However it parts the lines."""
    formula = f"{sign}1+1"
    texts = [
        f"{before}{formula}"
        for before in ("", " ", '"', "\t", "\n", "x;", "x ; ", 'x;"', "x,", "x\t", "x\r\n")
    ]
    rows = csv.reader(
        StringIO(text_of(write(*zip(texts, texts, strict=True))), newline=""), delimiter=delimiter
    )
    for cell in (cell for row in rows for cell in row):
        assert not cell.strip(' "\t\r\n').startswith(formula), cell


def test_what_is_no_formula_stays_as_it_is() -> None:
    texts = ("Marie-Claire O'Hara", "ann+shop@example.org", "2026-01-01T00:00:00Z", "a; b, c", "1=1")
    read = list(csv.reader(StringIO(text_of(write(texts, (-5, 0))), newline="")))
    assert read[1:] == [list(texts), ["-5", "0"]]


def test_it_is_written_while_it_is_read() -> None:
    read = []

    def parts() -> Iterator[list[Row]]:
        for number in range(3):
            read.append(number)
            yield [(number, "x")]

    answer = stream_csv("things", ("a", "b"), parts(), owner_id=1, begin=lambda: None)
    assert read == [0], "so that an error there is still answered by a page"
    pieces = iter(answer.response)
    assert str(next(pieces)).endswith("a,b\r\n0,x\r\n")
    assert next(pieces) == "1,x\r\n"
    assert read == [0, 1]
    answer.close()


def test_some_at_once_and_the_next_when_one_is_through() -> None:
    running = [write() for _ in range(AT_ONCE)]
    with pytest.raises(Conflict):
        stream_csv(
            "things", (), iter(()), owner_id=next(people), begin=lambda: pytest.fail("there is no room")
        )
    running.pop().close()  # read or not
    running.append(write())
    for answer in running:
        answer.close()


def test_what_cannot_begin_takes_no_place() -> None:
    def refuse() -> None:
        raise Conflict("no")

    for _ in range(AT_ONCE + 1):
        with pytest.raises(Conflict, match="no"):
            stream_csv("things", (), iter(()), owner_id=next(people), begin=refuse)
    write().close()


def test_half_a_file_is_no_file(caplog: pytest.LogCaptureFixture) -> None:
    def parts(most: int) -> Iterator[list[Row]]:
        for _ in range(most):
            yield [("1", "2")]
        raise OSError("the database went away")

    caplog.set_level(logging.ERROR)  # whatever another application in this process logs
    for _ in range(AT_ONCE + 1):
        with pytest.raises(OSError, match="went away"):
            stream_csv("things", (), parts(0), owner_id=1, begin=lambda: pytest.fail("nothing is taken out"))
        with pytest.raises(OSError, match="went away"):
            text_of(stream_csv("things", (), parts(1), owner_id=1, begin=lambda: None))
    assert "an export broke off" in caplog.text
    text_of(write())


def test_one_person_takes_out_one_file_at_a_time() -> None:
    def write_own(owner_id: int) -> Response:
        return stream_csv("things", ("a",), iter([[("x",)]]), owner_id=owner_id, begin=lambda: None)

    first = write_own(7)
    with pytest.raises(Conflict, match="earlier export is still running"):
        write_own(7)
    write_own(8).close()
    first.close()
    write_own(7).close()


def test_nor_by_another_worker(app: Flask) -> None:
    """Which is forked from the same process; when it is killed, its place is free."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"y" if web_csv._take_own_place(2**62) else b"n")
        os.read(go[0], 1)
        os._exit(0)
    assert os.read(ready[0], 1) == b"y"
    with pytest.raises(Conflict, match="earlier export"):
        stream_csv("things", (), iter(()), owner_id=2**62, begin=lambda: None)
    os.kill(child, SIGKILL)
    os.waitpid(child, 0)
    stream_csv("things", (), iter(()), owner_id=2**62, begin=lambda: None).close()
    for end in (*ready, *go):
        os.close(end)


def test_the_last_line_of_half_a_file_says_so() -> None:
    def parts() -> Iterator[list[Row]]:
        yield [("1", "2")]
        raise OSError("the database went away")

    answer = stream_csv("things", ("a", "b"), parts(), owner_id=9, begin=lambda: None)
    lines = iter(answer.response)
    next(lines)
    assert str(next(lines)).strip() == "This file is incomplete: the export broke off here."
    with pytest.raises(OSError, match="went away"):
        next(lines)
    answer.close()
