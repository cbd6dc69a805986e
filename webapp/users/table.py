"""What the list page shows of a Page: ready strings, so that the template only puts them down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import escape

from webapp.access.permissions import ROLE_LABELS, Role
from webapp.errors import N_
from webapp.listing.counting import Count
from webapp.listing.marks import mark_words
from webapp.listing.page import LAST, Page
from webapp.listing.types import AnyRow
from webapp.users.forms import DEFAULT_SORT, UserFilterForm
from webapp.users.urls import list_root, list_url
from webapp.web.language import gettext
from webapp.web.people import hue, initials
from webapp.web.times import current_clock, format_number, utc_texts

HEADS = {
    "name": N_("Name"),
    "email": N_("E-mail"),
    "created_at": N_("Created"),
    "last_sign_in_at": N_("Last sign-in"),
}
NEVER = ("", "", "")
LATEST_FIRST = frozenset({"created_at", "last_sign_in_at"})


class Head(NamedTuple):
    """A column head: ``url`` sorts by it, or the other way round when it is sorted so already."""

    name: str
    label: str
    url: str
    direction: str | None


class UserRow(NamedTuple):
    """Every part is ready HTML: what people typed is escaped here, the rest cannot need it."""

    id: int
    url: str
    name: str
    email: str
    initials: str
    hue: int
    role: str
    is_active: bool
    invited: bool
    created: str
    created_utc: str
    created_title: str
    last: str
    last_utc: str
    last_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The page's rows, count and links. A link that leads nowhere is None."""

    rows: list[UserRow]
    count_text: str
    range_text: str
    took_ms: int
    number: int | None
    pages: int | None
    first_url: str | None
    previous_url: str | None
    next_url: str | None
    last_url: str | None
    jump_hidden: list[tuple[str, str]]


def build_heads(form: UserFilterForm) -> dict[str, Head]:
    state = form.state()
    return {name: _head(name, label, state) for name, label in HEADS.items()}


def _head(name: str, label: str, state: dict[str, str]) -> Head:
    """A first click sorts names from A, times from the latest; a second one turns it round."""
    present = state.get("sort", DEFAULT_SORT)
    direction = None
    if present.removeprefix("-") == name:
        direction = "descending" if present.startswith("-") else "ascending"
        wanted = name if present.startswith("-") else f"-{name}"
    else:
        wanted = f"-{name}" if name in LATEST_FIRST else name
    sort = None if wanted == DEFAULT_SORT else wanted
    rest = {key: value for key, value in state.items() if key != "sort"}
    return Head(name, gettext(label), list_url(rest, sort=sort), direction)


def build_table(
    page: Page, form: UserFilterForm, *, words: tuple[str, ...], here: str, took_ms: int
) -> Table:
    """``here`` is the present list's query string, for coming back to it."""
    state = form.state()
    number = None
    if page.position is not None and page.position % page.size == 0:
        number = page.position // page.size + 1
    return Table(
        rows=list(_rows(page.rows, words, here)),
        count_text=count_text(page.count),
        range_text=_range_text(page),
        took_ms=took_ms,
        number=number,
        pages=page.pages,
        first_url=list_url(state) if page.previous or page.is_past_end else None,
        previous_url=list_url(state, before=page.previous) if page.previous else None,
        next_url=list_url(state, after=page.next) if page.next else None,
        last_url=list_url(state, before=LAST) if page.next or page.is_past_end else None,
        jump_hidden=list(state.items()),
    )


def _rows(rows: Sequence[AnyRow], words: tuple[str, ...], here: str) -> Iterable[UserRow]:
    prefix, suffix = list_root(), f"?back={quote(here, safe='')}" if here else ""
    labels = {role: escape(gettext(label)) for role, label in ROLE_LABELS.items()} | {Role.MEMBER: ""}
    clock = current_clock()
    mark = partial(map, partial(mark_words, words=words)) if words else escape_all
    emails = [row.email for row in rows]
    names = [row.full_name or row.email for row in rows]
    texts = zip(mark(names), mark(emails), escape_all(map(initials, names)), strict=True)
    for row, (name, email, letters) in zip(rows, texts, strict=True):
        user_id, _, _, role, is_active, is_invited, created_at, last_at, *_ = row
        yield UserRow(
            user_id,
            f"{prefix}{user_id}{suffix}",
            name,
            email,
            letters,
            hue(user_id),
            labels[role],
            is_active,
            is_invited,
            clock.day(created_at),
            *utc_texts(created_at),
            *((clock.ago(last_at), *utc_texts(last_at)) if last_at else NEVER),
        )


def escape_all(texts: Iterable[str]) -> list[str]:
    """Each of them; in one step, for a page has hundreds, of which hardly one needs it."""
    texts = list(texts)
    escaped = str(escape("\0".join(texts))).split("\0")
    return escaped if len(escaped) == len(texts) else [str(escape(text)) for text in texts]


def count_text(count: Count) -> str:
    number = format_number(count.value)
    return number if count.is_exact else gettext("more than %(number)s", number=number)


def _range_text(page: Page) -> str:
    shown = len(page.rows)
    if not shown:
        return ""
    total = count_text(page.count)
    if page.position is None:
        return gettext("%(shown)s of %(total)s", shown=format_number(shown), total=total)
    first, last = format_number(page.position + 1), format_number(page.position + shown)
    return gettext("%(first)s–%(last)s of %(total)s", first=first, last=last, total=total)
