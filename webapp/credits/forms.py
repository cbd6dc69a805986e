"""Text in, values out; no database."""

from __future__ import annotations

import re
import secrets

from wtforms import HiddenField, StringField

from webapp.credits import rules
from webapp.errors import N_
from webapp.web.forms import Form, follows

KEY_BYTES = 16


class KeyField(HiddenField):
    """What makes a form that is sent twice move its credits once; a new one where none of ours was sent."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0] if valuelist else ""
        self.data = text if re.fullmatch(r"[A-Za-z0-9_-]{22}", text) else secrets.token_urlsafe(KEY_BYTES)


class ConfirmedField(HiddenField):
    """Whether one has seen what will happen, and wants it."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist == ["yes"]


class TransferForm(Form):
    to_user_id = StringField(N_("Recipient"), description=N_("An e-mail address or the number of a user."))
    amount = StringField(
        N_("Amount"),
        description=N_("With two decimals or none."),
        validators=[follows(rules.read_amount)],
    )
    reason = StringField(N_("Reason"), validators=[follows(rules.clean_reason)])
    key = KeyField()
    confirmed = ConfirmedField()


class IssueForm(Form):
    """To grant or to withdraw."""

    amount = StringField(
        N_("Amount"),
        description=N_("With two decimals or none."),
        validators=[follows(rules.read_amount)],
    )
    reason = StringField(
        N_("Reason"),
        description=N_("It stands in the ledger."),
        validators=[follows(rules.require_reason)],
    )
    key = KeyField()
    confirmed = ConfirmedField()
