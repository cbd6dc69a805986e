"""Times and numbers as the person reads them: his zone, his language. Stored times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import get_month_names
from babel.numbers import get_group_symbol
from flask import current_app, g, request

from webapp.access.identity import known_identity
from webapp.config import Settings
from webapp.extensions import utc_now
from webapp.web.language import current_language, format_hundredths, gettext, ngettext

MINUTE, HOUR = 60, 3600
WEEK_DAYS = 7
LONGEST_ZONE = 64


@dataclass(frozen=True, slots=True)
class Clock:
    """One person's way to read times; made once for a page that shows hundreds of them."""

    zone: ZoneInfo
    months: tuple[str, ...]
    short_months: tuple[str, ...]
    now: datetime

    def day(self, moment: datetime) -> str:
        """12 Mar 2021."""
        local = moment.astimezone(self.zone)
        return f"{local.day} {self.short_months[local.month - 1]} {local.year}"

    def moment(self, moment: datetime) -> str:
        """12 March 2021, 09:41."""
        local = moment.astimezone(self.zone)
        return f"{local.day} {self.months[local.month - 1]} {local.year}, {local.hour:02}:{local.minute:02}"

    def ago(self, moment: datetime) -> str:  # noqa: PLR0911 - one answer for each distance
        """2 minutes ago, yesterday, 3 days ago; the day when longer ago than a week."""
        seconds = (self.now - moment).total_seconds()
        if seconds > WEEK_DAYS * 24 * HOUR:  # most are: answered first
            return self.day(moment)
        if seconds < MINUTE:
            return gettext("just now") if seconds > -MINUTE else self.moment(moment)
        if seconds < HOUR:
            return ngettext("%(num)s minute ago", "%(num)s minutes ago", int(seconds // MINUTE))
        days = (self.now.astimezone(self.zone).date() - moment.astimezone(self.zone).date()).days
        if days < 1 or seconds < HOUR * 6:
            return ngettext("%(num)s hour ago", "%(num)s hours ago", int(seconds // HOUR))
        if days == 1:
            return gettext("yesterday")
        if days < WEEK_DAYS:
            return ngettext("%(num)s day ago", "%(num)s days ago", days)
        return self.day(moment)


def current_clock() -> Clock:
    if "clock" not in g:
        language = current_language()
        g.clock = Clock(
            current_zone(), _months(language, "wide"), _months(language, "abbreviated"), utc_now()
        )
    clock: Clock = g.clock
    return clock


def current_zone() -> ZoneInfo:
    """The profile's zone, else the one the browser told in a cookie, else the installation's."""
    if "zone" not in g:
        identity = known_identity()
        chosen = identity.time_zone if identity else None
        settings: Settings = current_app.extensions["settings"]
        told = request.cookies.get(current_app.config["SESSION_COOKIE_NAME"] + "-tz")  # by app.js
        names = (chosen, told, settings.time_zone)
        g.zone = next(found for name in names if name and (found := _find_zone(name)))
    zone: ZoneInfo = g.zone
    return zone


@lru_cache(maxsize=512)
def _find_zone(name: str) -> ZoneInfo | None:
    if len(name) > LONGEST_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache
def _months(language: str, width: Literal["abbreviated", "wide"]) -> tuple[str, ...]:
    names = get_month_names(width, locale=Locale.parse(language))
    return tuple(names[month] for month in range(1, 13))


def format_day(moment: datetime) -> str:
    return current_clock().day(moment)


def format_moment(moment: datetime) -> str:
    return current_clock().moment(moment)


def format_ago(moment: datetime) -> str:
    return current_clock().ago(moment)


def utc_texts(moment: datetime) -> tuple[str, str]:
    """For <time>: its datetime 2021-03-12T09:41:00Z and its title 2021-03-12 09:41:00 UTC."""
    day, time = moment.date().isoformat(), moment.time().isoformat("seconds")
    return f"{day}T{time}Z", f"{day} {time} UTC"


def format_utc(moment: datetime) -> str:
    return utc_texts(moment)[0]


def format_utc_title(moment: datetime) -> str:
    return utc_texts(moment)[1]


def format_number(number: int) -> str:
    """1,234,567; in French 1 234 567."""
    return f"{number:,}".replace(",", _group_symbol(current_language()))


@lru_cache
def _group_symbol(language: str) -> str:
    return get_group_symbol(Locale.parse(language))


def format_cents(cents: int) -> str:
    """1,234.50; in French 1 234,50."""
    return format_hundredths(Decimal(cents).scaleb(-2))


def start_of_day(day: date) -> datetime:
    """Midnight of ``day`` where the person is, in UTC."""
    return datetime.combine(day, time.min, current_zone()).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """The first moment that is no longer in ``day``."""
    return start_of_day(day + timedelta(days=1))
