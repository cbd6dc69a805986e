"""Two editors of one user: what it was before, what the other made of it, and what this one typed."""

from __future__ import annotations

from typing import Any, NamedTuple

from webapp.access.permissions import ROLE_LABELS, Role
from webapp.history.queries import list_stories_since
from webapp.users.forms import UserForm
from webapp.users.models import User
from webapp.users.services import find_base
from webapp.web.language import gettext
from webapp.web.times import format_ago

FIELDS = ("full_name", "email", "role")
THEIRS = "theirs"


class Difference(NamedTuple):
    """One field, as it is shown; ``before`` is empty where nobody can know it any more."""

    name: str
    label: str
    before: str
    theirs: str
    yours: str
    is_theirs: bool
    is_yours: bool

    @property
    def is_clash(self) -> bool:
        """Whether somebody has to choose."""
        return self.is_theirs and self.is_yours


class Comparison(NamedTuple):
    """``differences``: the fields that one of the two changed, or both."""

    editor: str
    line: str
    differences: list[Difference]

    @classmethod
    def of(cls, user: User, form: UserForm, version: int) -> Comparison:
        """Of a form that was opened on that version. What only the other changed is taken into the form."""
        stories = list_stories_since(user.id, version)
        editor = next((story.actor_name for story in stories if story.changes), "")
        editor = editor or gettext("somebody else")
        line = gettext("%(name)s saved this user %(when)s.", name=editor, when=format_ago(user.updated_at))
        base = find_base(user, version)
        fields = [_compare(name, user, form, base) for name in FIELDS if name in form]
        for field in fields:
            if field.is_theirs and not field.is_yours:
                form[field.name].data = getattr(user, field.name)
        return cls(editor, line, [field for field in fields if field.is_theirs or field.is_yours])


def _compare(name: str, user: User, form: UserForm, base: dict[str, Any] | None) -> Difference:
    now, typed = getattr(user, name), form[name].data
    if base is None:  # then whoever differs has changed it
        before, is_theirs, is_yours = None, now != typed, now != typed
    else:
        before = base.get(name, now)
        is_theirs, is_yours = now != before, typed not in {before, now}
    return Difference(
        name=name,
        label=form[name].label.text,
        before=_shown(name, before),
        theirs=_shown(name, now),
        yours=_shown(name, typed),
        is_theirs=is_theirs,
        is_yours=is_yours,
    )


def choose(user: User, form: UserForm, chosen: dict[str, str]) -> None:
    """Put into the form what was chosen for the fields that both changed."""
    for name in FIELDS:
        if name in form and chosen.get(name) == THEIRS:
            form[name].data = getattr(user, name)


def _shown(name: str, value: str | None) -> str:
    return gettext(ROLE_LABELS[Role(value)]) if name == "role" and value in ROLE_LABELS else value or ""
