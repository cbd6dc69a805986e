"""The form that all forms are: translated, checked by the rules, showing the services' refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import DateField, Field, HiddenField, StringField, TextAreaField, ValidationError
from wtforms.i18n import get_translations

from webapp.errors import DomainError, Invalid
from webapp.web.language import current_language, explain, gettext

LONGEST_VERSION = 9
# What is shown again of what was typed: each rule asks for less.
MAX_LINE, MAX_TEXT = 10_000, 200_000
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2200, 1, 1)
NO_VERSION = 0


class Form(FlaskForm):
    """CSRF is checked once for every unsafe request (extensions.csrf), so no form does it again.

    ``max_lengths`` are those of the fields that hold more than MAX_LINE and MAX_TEXT characters.
    """

    max_lengths: ClassVar[Mapping[str, int]] = {}

    class Meta:
        csrf = False

        def get_translations(self, _form: object) -> Any:
            return _translations(current_language())

        def wrap_formdata(self, form: Form, formdata: Any) -> Any:
            """Only fields of a form: neither a JSON body nor an uploaded file stands for a text."""
            if formdata is None or isinstance(formdata, MultiDict):
                sent = formdata
            else:
                sent = request.form if request.method == "POST" else None
            return None if sent is None else form.cut(sent)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            field.label.text = gettext(field.label.text)
            if field.description:
                field.description = gettext(field.description)
            if isinstance(field, StringField) and field.data is None:  # not sent at all
                field.data = ""

    def cut(self, sent: MultiDict[str, str]) -> MultiDict[str, str]:
        """Shorten what is longer than any rule allows before a field reads it: it stays too long for them."""
        bounds = {name: self._bound_of(name) for name in self._fields if name in sent}
        long = {
            name: [value[:most] for value in sent.getlist(name)]
            for name, most in bounds.items()
            if any(len(value) > most for value in sent.getlist(name))
        }
        return MultiDict({**sent.to_dict(flat=False), **long}) if long else sent

    def _bound_of(self, name: str) -> int:
        is_text = isinstance(self._fields[name], TextAreaField)
        return self.max_lengths.get(name, MAX_TEXT if is_text else MAX_LINE)

    def show(self, error: DomainError) -> None:
        """Put a service's refusal on the field it names, or on top of the form."""
        if error.field is None or error.field not in self:
            self.form_errors.append(explain(error))
        else:
            field = self[error.field]
            field.errors = [*field.errors, explain(error)]


@lru_cache
def _translations(language: str) -> Any:
    """Of WTForms' own messages; it would look for the file anew for each form."""
    return get_translations([language])


def follows(rule: Callable[[str], object]) -> Callable[[FlaskForm, Field], None]:
    """A validator that asks the same rule as the service will, so that all fields err at once."""

    def check(_form: FlaskForm, field: Field) -> None:
        try:
            rule(field.data or "")
        except Invalid as error:
            raise ValidationError(explain(error)) from None

    return check


class VersionField(HiddenField):
    """The version the editor saw; anything but a plain number counts as none he can have seen."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0] if valuelist else ""
        is_number = text.isascii() and text.isdigit() and len(text) <= LONGEST_VERSION
        self.data = int(text) if is_number else NO_VERSION


class DayField(DateField):
    """A calendar day, as browsers send it."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(gettext("Write the day as 2024-12-31.")) from None


def refuse_far_day(field: DateField) -> None:
    """Days that every zone can turn into a time, and every database store."""
    if field.data and not FIRST_DAY <= field.data <= LAST_DAY:
        raise ValidationError(gettext("Choose a day from 1970 to 2200."))
