"""Text in, values out; no database."""

from __future__ import annotations

from wtforms import TextAreaField

from webapp.errors import N_
from webapp.notes import rules
from webapp.web.forms import Form, VersionField, follows


class NoteForm(Form):
    text = TextAreaField(N_("Note"), validators=[follows(rules.clean_text)])
    version = VersionField()
