"""Where the users' pages lead, and how one comes back to the same list and row."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from flask import request, url_for

from webapp.users.models import User

LONGEST_BACK = 2000
MOST_BACK_FIELDS = 12


def list_url(state: dict[str, str], **where: str | None) -> str:
    query = urlencode({**state, **{name: value for name, value in where.items() if value}})
    return list_back(query)


def list_root() -> str:
    """The list's address without a query; the links to one list ask for it again and again."""
    return _list_root(request.script_root)


@lru_cache
def _list_root(_script_root: str) -> str:
    return url_for("users.list_users")


def back_to() -> str:
    """The list's state that the person came from, as a query string; anything else is dropped."""
    text = request.values.get("back", "")[:LONGEST_BACK]
    return urlencode(parse_qsl(text)[:MOST_BACK_FIELDS])


def list_back(back: str) -> str:
    return list_root() + (f"?{back}" if back else "")


def back_url(user: User, back: str) -> str:
    """The same list at the same row."""
    return f"{list_back(back)}#u{user.id}"


def show_url(user: User, back: str) -> str:
    return url_for("users.show_user", user_id=user.id, back=back or None)


def came_from_form(user_id: int) -> bool:
    """Whether one left the form in which this user is edited: by Cancel, or back. A browser says so, or
    nothing; it matters too little to be proved.
    """
    before = (request.referrer or "").partition("?")[0]
    return before.endswith(url_for("users.edit_user", user_id=user_id))


def after_save(user: User, back: str) -> str:
    """To the row in the list when one came from there, else to the user's page."""
    return back_url(user, back) if back else show_url(user, back)
