"""Text in, values out; no database."""

from __future__ import annotations

from typing import Any

from wtforms import SearchField, SelectChoice, SelectField, SelectMultipleField, StringField, ValidationError

from webapp.access.permissions import Role
from webapp.errors import N_, Invalid
from webapp.listing.definition import Selection
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.search import LONGEST_QUERY, MOST_WORDS, has_too_many_words, split_words
from webapp.tokens import rules
from webapp.tokens.queries import select_tokens
from webapp.web.forms import Form, follows
from webapp.web.language import explain, gettext, ngettext

DEFAULT_DAYS = "30"
KINDS = {"": None, "reading": True, "changing": False}


class TokenForm(Form):
    name = StringField(
        N_("Name"),
        description=N_("What it is for, such as “nightly report”."),
        validators=[follows(rules.clean_name)],
    )
    scopes = SelectMultipleField(N_("Scopes"), choices=[], validate_choice=False)
    days = SelectField(
        N_("Lives for"),
        choices=[],
        default=DEFAULT_DAYS,
        validate_choice=False,
        validators=[follows(rules.read_days)],
    )
    address_range = StringField(
        N_("Only from these addresses"),
        description=N_("An address or a range, such as 192.0.2.0/24 or 2001:db8::/32."),
        validators=[follows(rules.clean_range)],
    )

    def __init__(self, role: Role, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._role = role
        self.scopes.choices = [
            SelectChoice(scope.value, gettext(rules.SCOPES[scope])) for scope in rules.scopes_of(role)
        ]
        self.days.choices = [
            SelectChoice(str(days), ngettext("%(num)s day", "%(num)s days", days)) for days in rules.LIFE_DAYS
        ]

    def validate_scopes(self, field: SelectMultipleField) -> None:
        try:
            rules.clean_scopes(field.data or (), role=self._role)
        except Invalid as error:
            raise ValidationError(explain(error)) from None


class TokenFilterForm(Form):
    """Read from the query string. ``user`` is an id, put there by a link."""

    q = SearchField(N_("Search by name or person"))
    user = StringField(N_("Person"))
    kind = SelectField(N_("What"), choices=[], default="")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [
            SelectChoice("", gettext("All tokens")),
            SelectChoice("reading", gettext("That only read")),
            SelectChoice("changing", gettext("That can change something")),
        ]

    def validate_q(self, field: Any) -> None:
        if len(field.data or "") > LONGEST_QUERY:
            raise ValidationError(gettext("Search for at most %(most)s characters.", most=LONGEST_QUERY))
        if has_too_many_words(field.data or ""):
            raise ValidationError(gettext("Search for at most %(most)s words.", most=MOST_WORDS))

    def validate_user(self, field: Any) -> None:
        if field.data and self.user_id is None:
            raise ValidationError(gettext("There is nobody with this number."))

    @property
    def user_id(self) -> int | None:
        text = self.user.data or ""
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))
        return int(text) if is_number and 0 < int(text) <= LARGEST_ID else None

    def selection(self) -> Selection:
        return select_tokens(
            words=split_words(self.q.data or ""), user_id=self.user_id, is_reading=KINDS[self.kind.data or ""]
        )

    def state(self) -> dict[str, str]:
        """What of the address is to be kept when paging."""
        return {field.name: str(field.data) for field in self if field.data}
