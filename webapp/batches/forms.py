"""Text in, values out; no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType

from wtforms import SelectChoice, SelectField, StringField, TextAreaField, ValidationError

from webapp.access.permissions import ROLE_LABELS
from webapp.batches import rules
from webapp.batches.rules import Action, Wanted
from webapp.errors import N_, Invalid
from webapp.listing.keyset import LARGEST_ID
from webapp.web.forms import Form
from webapp.web.language import explain, gettext

LONGEST_NUMBER = 19


class PasteForm(Form):
    text = TextAreaField(
        N_("E-mail addresses, names or ids"),
        description=N_(
            "One on each line. Several addresses or ids on a line are fine; a name must be whole."
        ),
    )
    max_lengths = MappingProxyType({"text": rules.MAX_LIST_LENGTH + 1})
    wanted: Sequence[Wanted] = ()

    def validate_text(self, field: TextAreaField) -> None:
        """A long list is read once."""
        try:
            self.wanted = rules.read_list(field.data or "")
        except Invalid as error:
            raise ValidationError(explain(error)) from None


class ActionForm(Form):
    """What to do; ``role`` and ``note`` belong to one action each."""

    action = StringField(N_("Action"))
    role = SelectField(N_("New role"), choices=[], validate_choice=False)
    note = TextAreaField(N_("Note"), description=N_("It is added to each of them, under your name."))

    def __init__(self) -> None:
        super().__init__()
        self.role.choices = [
            SelectChoice(value="", label=gettext("Choose a role")),
            *(SelectChoice(value=role.value, label=gettext(label)) for role, label in ROLE_LABELS.items()),
        ]

    def value(self) -> str | None:
        """None when only the button was pressed, and the value is still to be asked for."""
        fields = {Action.SET_ROLE.value: self.role, Action.ADD_NOTE.value: self.note}
        field = fields.get(self.action.data)
        return (field.data or "") if field is not None and field.raw_data else None

    def show_value(self, action: str | None, value: str) -> None:
        """What was chosen before."""
        if action == Action.SET_ROLE:
            self.role.data = value
        elif action == Action.ADD_NOTE:
            self.note.data = value


def read_ids(values: Iterable[str]) -> set[int]:
    """The ids that a form sent; what is no number stands for nobody."""
    numbers = (
        int(value) for value in values if value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER
    )
    return {number for number in numbers if 0 < number <= LARGEST_ID}
