"""Times and numbers as the person reads them: his zone, his language. Stored times are UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import get_month_names
from babel.numbers import format_decimal
from flask import current_app, g, request

from webapp.access.identity import known_identity
from webapp.config import Settings
from webapp.extensions import utc_now
from webapp.web.language import current_language, gettext, ngettext

MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK_DAYS = 7
LONGEST_ZONE = 64


def current_zone() -> ZoneInfo:
    """The profile's zone, else the one the browser told (cookie ``tz``), else the installation's."""
    if "zone" not in g:
        identity = known_identity()
        chosen = identity.time_zone if identity else None
        settings: Settings = current_app.extensions["settings"]
        names = (chosen, request.cookies.get("tz"), settings.time_zone)
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
    """12 Mar 2021."""
    local = moment.astimezone(current_zone())
    return f"{local.day} {_months(current_language(), 'abbreviated')[local.month - 1]} {local.year}"


def format_moment(moment: datetime) -> str:
    """12 March 2021, 09:41."""
    local = moment.astimezone(current_zone())
    month = _months(current_language(), "wide")[local.month - 1]
    return f"{local.day} {month} {local.year}, {local:%H:%M}"


def format_ago(moment: datetime, now: datetime | None = None) -> str:
    """2 minutes ago, yesterday, 3 days ago; the day when longer ago than a week."""
    now = now or utc_now()
    seconds = (now - moment).total_seconds()
    if seconds < MINUTE:
        return gettext("just now") if seconds > -MINUTE else format_moment(moment)
    if seconds < HOUR:
        return ngettext("%(num)s minute ago", "%(num)s minutes ago", int(seconds // MINUTE))
    zone = current_zone()
    days = (now.astimezone(zone).date() - moment.astimezone(zone).date()).days
    if days < 1 or seconds < HOUR * 6:
        return ngettext("%(num)s hour ago", "%(num)s hours ago", int(seconds // HOUR))
    if days == 1:
        return gettext("yesterday")
    if days < WEEK_DAYS:
        return ngettext("%(num)s day ago", "%(num)s days ago", days)
    return format_day(moment)


def format_utc(moment: datetime) -> str:
    """For <time datetime>."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def format_utc_title(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_number(number: int) -> str:
    return format_decimal(number, locale=current_language())


def start_of_day(day: date) -> datetime:
    """Midnight of ``day`` where the person is, in UTC."""
    return datetime.combine(day, time.min, current_zone()).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """The first moment that is no longer in ``day``."""
    return start_of_day(day + timedelta(days=1))
