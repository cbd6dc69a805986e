"""What stands in the database now beside what a second editor typed."""

from __future__ import annotations

from typing import NamedTuple

from webapp.access.permissions import ROLE_LABELS, Role
from webapp.users.forms import UserForm
from webapp.users.models import User
from webapp.web.language import gettext
from webapp.web.times import format_ago


class Difference(NamedTuple):
    label: str
    now: str
    yours: str


class Comparison(NamedTuple):
    """``changes``: the fields in which the two differ."""

    editor_line: str
    changes: list[Difference]

    @classmethod
    def of(cls, user: User, form: UserForm) -> Comparison:
        line = gettext("Somebody else saved this user %(when)s.", when=format_ago(user.updated_at))
        typed = {name: form[name].data for name in ("full_name", "email", "role") if name in form}
        changes = [
            Difference(form[name].label.text, _shown(name, getattr(user, name)), _shown(name, value))
            for name, value in typed.items()
            if value != getattr(user, name)
        ]
        return cls(line, changes)


def _shown(name: str, value: str) -> str:
    return gettext(ROLE_LABELS[Role(value)]) if name == "role" else value
