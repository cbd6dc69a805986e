"""The filters of the history; the address is their only state."""

from __future__ import annotations

from typing import Any

from wtforms import IntegerField, SearchField, SelectChoice, SelectField, ValidationError
from wtforms.validators import Optional

from webapp.access.actor import Door
from webapp.errors import N_
from webapp.history.queries import select_entries
from webapp.history.rules import DOOR_LABELS, KIND_LABELS, Kind
from webapp.listing.definition import Selection
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.page import PageRequest
from webapp.listing.search import LONGEST_QUERY, MOST_WORDS, has_too_many_words, split_words
from webapp.web.forms import DayField, Form, refuse_far_day
from webapp.web.language import gettext
from webapp.web.times import end_of_day, start_of_day

PAGE_SIZE = 50


class HistoryFilterForm(Form):
    """Read from the query string. ``user`` and ``actor`` are ids, put there by links."""

    q = SearchField(N_("Search by name"))
    user = IntegerField(N_("Person"), validators=[Optional()])
    actor = IntegerField(N_("Done by"), validators=[Optional()])
    kind = SelectField(N_("What"), choices=[], default="")
    door = SelectField(N_("From where"), choices=[], default="")
    since = DayField(N_("From"), validators=[Optional()])
    until = DayField(N_("To"), validators=[Optional()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [SelectChoice(kind.value, gettext(label)) for kind, label in KIND_LABELS.items()]
        doors = [SelectChoice(door.value, gettext(label)) for door, label in DOOR_LABELS.items()]
        self.kind.choices = [SelectChoice("", gettext("Anything")), *kinds]
        self.door.choices = [SelectChoice("", gettext("From anywhere")), *doors]

    def validate_q(self, field: Any) -> None:
        if len(field.data or "") > LONGEST_QUERY:
            raise ValidationError(gettext("Search for at most %(most)s characters.", most=LONGEST_QUERY))
        if has_too_many_words(field.data or ""):
            raise ValidationError(gettext("Search for at most %(most)s words.", most=MOST_WORDS))

    def validate_user(self, field: Any) -> None:
        if field.data is not None and not 0 < field.data <= LARGEST_ID:
            raise ValidationError(gettext("There is nobody with this number."))

    validate_actor = validate_user

    def validate_since(self, field: DayField) -> None:
        refuse_far_day(field)

    validate_until = validate_since

    def selection(self) -> Selection:
        return select_entries(
            words=split_words(self.q.data or ""),
            subject_id=self.user.data,
            actor_id=self.actor.data,
            kind=Kind(self.kind.data) if self.kind.data else None,
            door=Door(self.door.data) if self.door.data else None,
            since=start_of_day(self.since.data) if self.since.data else None,
            before=end_of_day(self.until.data) if self.until.data else None,
        )

    def state(self) -> dict[str, str]:
        """What of the address is to be kept when paging."""
        return {field.name: str(field.data) for field in self if field.data}

    @property
    def is_filtering(self) -> bool:
        return bool(self.state())


def page_request(after: str | None, before: str | None) -> PageRequest:
    return PageRequest(sort="-at", size=PAGE_SIZE, after=after, before=before)
