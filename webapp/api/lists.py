"""Lists in pages, by number or by cursor: what every list's query takes, and where its neighbours are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from flask import request
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from webapp.api.bodies import WHOLE, Query
from webapp.api.calls import Shown
from webapp.api.problems import FieldError, Refused
from webapp.db import get_session
from webapp.errors import N_
from webapp.listing.definition import Listing, Selection
from webapp.listing.keyset import LONGEST_CURSOR
from webapp.listing.page import FURTHEST_ROW, Page, PageRequest, paginate
from webapp.listing.search import LONGEST_QUERY, MOST_WORDS, has_too_many_words
from webapp.web.language import gettext

LARGEST_PAGE, DEFAULT_SIZE = 200, 20
FIRST_YEAR, LAST_YEAR = 1970, 2200
# A date or a date-time of RFC 3339: Python reads many other forms of ISO 8601, such as weeks.
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(
    DAY.pattern + r"[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,20})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
LINKED = {"Link": "The next and the previous page, where there are such (RFC 8288)."}


Cursor = Annotated[str, Field(min_length=1, max_length=LONGEST_CURSOR)]


class ListQuery(Query):
    """``sort`` is for each list to name, with its values."""

    page: Annotated[int, Field(ge=1, le=FURTHEST_ROW), WHOLE] | None = Field(
        None,
        description="The page's number, from 1. Where `pages` is null one gets no further by it than row"
        " 10,000: follow the links instead.",
    )
    page_size: Annotated[int, WHOLE] = Field(
        DEFAULT_SIZE, ge=1, le=LARGEST_PAGE, description="Rows of a page."
    )
    after: Cursor | None = Field(None, description="A cursor: take it from the header Link.")
    before: Cursor | None = Field(
        None, description="A cursor: take it from the header Link. “end” leads to the last page."
    )


def _read_moment(value: object) -> object:
    """A day is its first moment in UTC."""
    if not isinstance(value, str):
        return value
    try:
        if DAY.fullmatch(value):
            moment = datetime.combine(date.fromisoformat(value), time.min, UTC)
        elif MOMENT.fullmatch(value):
            moment = datetime.fromisoformat(value.upper())
        else:
            raise ValueError
        if not FIRST_YEAR < moment.year < LAST_YEAR:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        message = gettext(N_("Write the moment as 2024-12-31T23:59:59Z, or the day as 2024-12-31."))
        raise PydanticCustomError("ours", "{message}", {"message": message}) from None


Moment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
    ),
]


def _refuse_many_words(text: str) -> str:
    if has_too_many_words(text):
        message = gettext("Search for at most %(most)s words.", most=MOST_WORDS)
        raise PydanticCustomError("ours", "{message}", {"message": message})
    return text


SearchText = Annotated[str, Field(max_length=LONGEST_QUERY), AfterValidator(_refuse_many_words)]


def find_page(listing: Listing, selection: Selection, query: ListQuery, *, sort: str) -> Page:
    """Raises Refused (422) for a page that is not there, and for a cursor that is none of this list."""
    places = {
        name: value for name in ("page", "after", "before") if (value := getattr(query, name)) is not None
    }
    if len(places) > 1:
        raise _refuse(places, N_("Send one of page, after and before."))
    page = paginate(
        get_session(),
        listing,
        selection,
        PageRequest(
            sort=sort, size=query.page_size, number=query.page, after=query.after, before=query.before
        ),
    )
    if page.had_bad_cursor:
        raise _refuse(places, N_("This cursor was damaged or belongs to another list or sort."))
    if page.is_too_far:
        message = N_("One gets no further than row 10,000 by number here: follow the header Link, by after.")
        raise _refuse(places, message)
    if page.is_past_end:
        raise _refuse(places, N_("This page is past the end of the list."))
    return page


def _refuse(places: Mapping[str, object], message: str) -> Refused:
    return Refused(422, errors=[FieldError(name, gettext(message)) for name in places])


class PageShown(Shown):
    """The envelope of a list, without what it lists."""

    page: int | None = Field(description="null where a cursor led to a page whose place is not known.")
    page_size: int
    total: int | None = Field(
        description="Exact, or null for more than 10,000 that are not counted to their end."
    )
    pages: int | None = Field(
        description="null where total is, and where not every page is found by its number."
    )


class Numbers(NamedTuple):
    """What the envelope of a list says; None is what nobody counted."""

    page: int | None
    page_size: int
    total: int | None
    pages: int | None


def number_page(page: Page) -> Numbers:
    total = page.count.value if page.count.is_exact else None
    return Numbers(
        page=None if page.position is None else page.position // page.size + 1,
        page_size=page.size,
        total=total,
        pages=page.pages,
    )


def link_pages(page: Page) -> dict[str, str]:
    """The header Link (RFC 8288) with the next and the previous page, where there are such."""
    links = [
        f'<{_address(place, cursor)}>; rel="{relation}"'
        for relation, place, cursor in (("next", "after", page.next), ("previous", "before", page.previous))
        if cursor is not None
    ]
    return {"Link": ", ".join(links)} if links else {}


def _address(place: str, cursor: str) -> str:
    """The present one, at another place."""
    kept = {name: value for name, value in request.args.items() if name not in {"page", "after", "before"}}
    return f"{request.script_root}{request.path}?{urlencode({**kept, place: cursor})}"
