"""Text in, values out; no database."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    Field,
    IntegerField,
    SearchField,
    SelectChoice,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.validators import Optional

from webapp.access.permissions import ROLE_LABELS, Role
from webapp.errors import N_
from webapp.listing.definition import Selection
from webapp.listing.page import FURTHEST_ROW, PAGE_SIZES, PageRequest
from webapp.listing.search import LONGEST_QUERY, MOST_WORDS, has_too_many_words, split_words
from webapp.users import rules
from webapp.users.queries import SORTS, select_users
from webapp.web.forms import DayField, Form, VersionField, follows, refuse_far_day
from webapp.web.language import current_language, gettext
from webapp.web.times import end_of_day, start_of_day

DEFAULT_SORT, DEFAULT_SIZE = "name", 50
PROMOTION = N_(
    "Auditors read, support changes members, administrators change everything. A member who gets one of"
    " these roles loses their password and needs a new password link."
)


class UserForm(Form):
    """``role`` and ``create_link`` are there only for those who may use them."""

    full_name = StringField(N_("Full name"), validators=[follows(rules.clean_full_name)])
    email = EmailField(N_("E-mail"), validators=[follows(rules.clean_email)])
    role = SelectField(
        N_("Role"),
        choices=[],
        validate_choice=False,
        description=N_("Auditors read, support changes members, administrators change everything."),
        validators=[follows(rules.clean_role)],
    )
    create_link = BooleanField(N_("Make a one-time link to set a password"), default=True)
    version = VersionField()

    def __init__(self, *args: Any, with_role: bool, with_link: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if with_role:
            self.role.choices = role_choices()
            if not with_link:  # of somebody who has a role, and perhaps a password, already
                self.role.description = gettext(PROMOTION)
        else:
            del self.role
        if not with_link:
            del self.create_link


class DeleteForm(Form):
    version = VersionField()


class RestoreForm(Form):
    """Another e-mail, where somebody else has the old one by now."""

    email = EmailField(N_("E-mail"), validators=[follows(rules.clean_email)])


class UserFilterForm(Form):
    """The list's state, all of it in the URL. A value that means nothing is an error on its field."""

    q = SearchField(N_("Search name or e-mail"))
    status = SelectField(N_("Status"), choices=[], validate_choice=False)
    role = SelectField(N_("Role"), choices=[], validate_choice=False)
    created_from = DayField(N_("Created from"), validators=[Optional()])
    created_to = DayField(N_("Created to"), validators=[Optional()])
    sort = StringField(N_("Sort"), default=DEFAULT_SORT)
    page_size = SelectField(N_("Rows"), choices=[], validate_choice=False, default=str(DEFAULT_SIZE))
    page = IntegerField(N_("Page"), validators=[Optional()])

    def __init__(self, arguments: MultiDict[str, str]) -> None:
        super().__init__(formdata=arguments)
        language = current_language()
        self.status.choices = _filters_of_status(language)
        self.role.choices = _filters_of_role(language)
        self.page_size.choices = _page_sizes(language)
        for field in (self.sort, self.page_size):
            field.data = field.data or field.default

    def validate_q(self, field: SearchField) -> None:
        if len(field.data or "") > LONGEST_QUERY:
            raise ValidationError(gettext("Search for at most %(most)s characters.", most=LONGEST_QUERY))
        if has_too_many_words(field.data or ""):
            raise ValidationError(gettext("Search for at most %(most)s words.", most=MOST_WORDS))

    def validate_status(self, field: SelectField) -> None:
        _refuse_unlisted(field)

    def validate_role(self, field: SelectField) -> None:
        _refuse_unlisted(field)

    def validate_page_size(self, field: SelectField) -> None:
        _refuse_unlisted(field)

    def validate_created_from(self, field: DateField) -> None:
        refuse_far_day(field)

    def validate_created_to(self, field: DateField) -> None:
        refuse_far_day(field)
        first = self.created_from.data
        if first and field.data and field.data < first:
            raise ValidationError(gettext("This day is before the first one."))

    def validate_sort(self, field: StringField) -> None:
        if field.data.removeprefix("-") not in SORTS:
            raise ValidationError(gettext("Sort by one of: %(choices)s.", choices=", ".join(SORTS)))

    def validate_page(self, field: IntegerField) -> None:
        if field.data is not None and not 1 <= field.data <= FURTHEST_ROW:
            raise ValidationError(gettext("Pages are counted from 1."))

    def selection(self) -> Selection:
        """Days are the person's own: from its first moment to its last where he is."""
        first, last = self.created_from.data, self.created_to.data
        return select_users(
            words=split_words(self.q.data or ""),
            status=self.status.data or None,
            role=Role(self.role.data) if self.role.data else None,
            created_from=start_of_day(first) if first else None,
            created_before=end_of_day(last) if last else None,
        )

    def page_request(self, arguments: Mapping[str, str]) -> PageRequest:
        return PageRequest(
            sort=self.sort.data,
            size=int(self.page_size.data),
            after=arguments.get("after"),
            before=arguments.get("before"),
            number=self.page.data,
        )

    def state(self) -> dict[str, str]:
        """What the URL must say to come back to this list (without the page): no defaults, nothing empty."""
        values = {field.name: _raw(field) for field in self if field.name != "page"}
        defaults = {"sort": DEFAULT_SORT, "page_size": str(DEFAULT_SIZE)}
        return {name: value for name, value in values.items() if value and value != defaults.get(name)}

    @property
    def is_filtering(self) -> bool:
        return any(_raw(self[name]) for name in ("q", "status", "role", "created_from", "created_to"))


def _raw(field: Field) -> str:
    value = field.data
    if value is None and field.raw_data:  # what could not be read as a date stays as it was typed
        value = field.raw_data[0]
    return str(value or "")


def _refuse_unlisted(field: SelectField) -> None:
    values = [choice.value for choice in field.choices]
    if (field.data or "") not in values:
        listed = ", ".join(value for value in values if value)
        raise ValidationError(gettext("Choose one of: %(choices)s.", choices=listed))


# The list asks for these again and again: made once for each language.
@lru_cache
def _filters_of_status(_language: str) -> tuple[SelectChoice, ...]:
    return (
        SelectChoice(value="", label=gettext("Any status")),
        SelectChoice(value="active", label=gettext("Active")),
        SelectChoice(value="invited", label=gettext("Active, invited")),
        SelectChoice(value="inactive", label=gettext("Inactive")),
    )


@lru_cache
def _filters_of_role(_language: str) -> tuple[SelectChoice, ...]:
    return (SelectChoice(value="", label=gettext("Any role")), *role_choices())


@lru_cache
def _page_sizes(_language: str) -> tuple[SelectChoice, ...]:
    wording = gettext("# per page")
    return tuple(SelectChoice(value=str(n), label=wording.replace("#", str(n))) for n in PAGE_SIZES)


def role_choices() -> list[SelectChoice]:
    return [SelectChoice(value=role.value, label=gettext(label)) for role, label in ROLE_LABELS.items()]
