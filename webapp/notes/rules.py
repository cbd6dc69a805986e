"""What a note may hold."""

from __future__ import annotations

import unicodedata

from webapp.errors import N_, Invalid
from webapp.text import normalize
from webapp.users.rules import is_blank

LONGEST_NOTE = 5_000


def clean_text(value: str) -> str:
    """NFC, plain line breaks, no white space around it. Raises Invalid on the field ``text``."""
    text = normalize(value, most=LONGEST_NOTE, field="text")
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > LONGEST_NOTE:
        raise Invalid(N_("Use at most %(most)s characters."), field="text", most=LONGEST_NOTE)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text if character not in "\n\t"):
        raise Invalid(N_("Use printable characters only."), field="text")
    if is_blank(text):
        raise Invalid(N_("Write something."), field="text")
    return text
