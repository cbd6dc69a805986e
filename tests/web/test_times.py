"""Times as a person reads them: his zone, his language, round where it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from babel.numbers import format_decimal
from flask import Flask

from webapp.web.language import languages
from webapp.web.times import (
    current_clock,
    current_zone,
    end_of_day,
    format_ago,
    format_day,
    format_moment,
    format_number,
    format_utc,
    format_utc_title,
    start_of_day,
)

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


@contextmanager
def person(app: Flask, zone: str = "UTC", language: str = "en") -> Iterator[None]:
    """A request of somebody whose browser is in ``zone`` and speaks ``language``."""
    with app.test_request_context(headers={"Cookie": f"dossier-tz={zone}", "Accept-Language": language}):
        yield


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=11, minutes=59), "11 hours ago"),
        (timedelta(hours=12, minutes=1), "yesterday"),
        (timedelta(hours=36), "yesterday"),
        (timedelta(hours=36, minutes=1), "2 days ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=7), "5 Mar 2026"),
        (timedelta(days=400), "5 Feb 2025"),
        (timedelta(days=-3), "15 March 2026, 12:00"),
    ],
)
def test_a_time_is_told_as_how_long_ago(anywhere: Flask, age: timedelta, text: str) -> None:
    with person(anywhere):
        assert replace(current_clock(), now=NOW).ago(NOW - age) == text


def test_just_before_midnight_is_hours_ago_and_not_yesterday(anywhere: Flask) -> None:
    midnight = datetime(2026, 3, 12, 0, 30, tzinfo=UTC)
    with person(anywhere):
        assert replace(current_clock(), now=midnight).ago(midnight - timedelta(hours=1)) == "1 hour ago"
        assert format_ago(datetime.now(UTC)) == "just now"


@pytest.mark.parametrize(
    ("zone", "day", "moment"),
    [
        ("UTC", "28 Mar 2026", "28 March 2026, 23:30"),
        ("Europe/Paris", "29 Mar 2026", "29 March 2026, 00:30"),
        ("Pacific/Kiritimati", "29 Mar 2026", "29 March 2026, 13:30"),
        ("Asia/Kolkata", "29 Mar 2026", "29 March 2026, 05:00"),
        ("nowhere", "28 Mar 2026", "28 March 2026, 23:30"),
    ],
)
def test_a_day_and_a_moment_are_those_of_the_zone(anywhere: Flask, zone: str, day: str, moment: str) -> None:
    time = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    with person(anywhere, zone):
        assert (format_day(time), format_moment(time)) == (day, moment)
        assert format_utc(time) == "2026-03-28T23:30:00Z"
        assert format_utc_title(time) == "2026-03-28 23:30:00 UTC"


def test_months_and_numbers_are_those_of_the_language(anywhere: Flask) -> None:
    with person(anywhere, language="fr"):
        assert format_day(NOW).startswith("12 mars")
        assert format_number(1_234_567).replace("\u202f", " ").replace("\xa0", " ") == "1 234 567"
    with person(anywhere):
        assert format_number(1_234_567) == "1,234,567"


@pytest.mark.parametrize("language", languages())
def test_numbers_are_grouped_as_the_language_does(anywhere: Flask, language: str) -> None:
    with person(anywhere, language=language):
        for number in (0, 7, 999, 1_000, 10_000, 1_234_567, 9_999_999_999, -1_234):
            assert format_number(number) == format_decimal(number, locale=language)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_a_day_has_as_many_hours_as_it_has_there(anywhere: Flask, day: date, hours: int) -> None:
    with person(anywhere, "Europe/Paris"):
        assert end_of_day(day) - start_of_day(day) == timedelta(hours=hours)
        assert start_of_day(day).astimezone(current_zone()).date() == day
        assert (end_of_day(day) - timedelta(microseconds=1)).astimezone(current_zone()).date() == day


@pytest.mark.parametrize("zone", ["", "../../etc/passwd", "/etc/localtime", "x" * 2000, "Europe", "\u0661"])
def test_a_cookie_that_names_no_zone_is_ignored(anywhere: Flask, zone: str) -> None:
    with anywhere.test_request_context(headers={"Cookie": f"dossier-tz={zone}".encode().decode("latin-1")}):
        assert current_zone().key == "UTC"
