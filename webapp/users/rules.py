"""What a valid user is: pure checks and limits, shared by forms, API, command line and imports.

Each ``clean_`` function returns the value to store or raises Invalid with the field's name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from webapp.access.permissions import Role, may_sign_in
from webapp.config import Settings
from webapp.errors import N_, Invalid
from webapp.text import MAX_TYPED, has_heap, normalize
from webapp.users.guessing import is_guessable

LONGEST_EMAIL = 254  # RFC 5321, errata 1690
LONGEST_NAME = 200
# NIST SP 800-63B-4, 3.1.1.2: the only factor has more characters than one of two.
MIN_PASSWORD_ALONE, MIN_PASSWORD_OF_TWO = 15, 8
LONGEST_PASSWORD = 256
TOO_LONG = " "  # no address has this key: it would have been trimmed
PRODUCT = "dossier"
LANGUAGES = {"en": "English", "fr": "Français"}

# Zero-width joiners are part of Persian and Indic names and of emoji; other invisible characters
# (bidi overrides above all) can make one name look like another.
_JOINERS = "\u200c\u200d"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
# Blank though Unicode counts them among letters, marks and symbols, or leaves them free for such: fillers of
# Hangul, selectors of variants, a Braille cell without dots.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)


def clean_full_name(value: str) -> str:
    """NFC, white space collapsed; may be empty."""
    text = " ".join(normalize(value, most=LONGEST_NAME, field="full_name").split())
    if len(text) > LONGEST_NAME:
        raise Invalid(N_("Use at most %(most)s characters."), field="full_name", most=LONGEST_NAME)
    _refuse_invisible(text, "full_name", allowed=_JOINERS)
    return "" if is_blank(text) else text


def is_blank(text: str) -> bool:
    """Whether nothing of it is to be seen: whatever must not be empty must not be that either."""
    return all(
        character.isspace()
        or unicodedata.category(character) in {"Cc", "Cf", "Cs"}
        or _BLANK.match(character)
        for character in text
    )


def clean_email(value: str) -> str:
    """The address as it is stored: NFC, trimmed, its domain lower-case and in Unicode."""
    text = normalize(value, most=LONGEST_EMAIL, field="email").strip()
    if not text:
        raise Invalid(N_("Enter an e-mail address."), field="email")
    if len(text) > LONGEST_EMAIL:
        raise Invalid(N_("Use at most %(most)s characters."), field="email", most=LONGEST_EMAIL)
    _refuse_invisible(text, "email")
    try:
        # Offices use names such as mail.test or desk.internal, so reserved domains are fine here.
        checked = validate_email(
            text, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError:
        raise Invalid(N_("This is not an e-mail address, such as name@example.org."), field="email") from None
    address = checked.normalized
    if "." not in checked.domain or max(len(address), len(email_key(address))) > LONGEST_EMAIL:
        raise Invalid(N_("This is not an e-mail address, such as name@example.org."), field="email")
    return address


def email_key(email: str) -> str:
    """Two addresses with the same key are the same mailbox to a person: case and width do not count.

    Any text has one, since any may be searched for; all that are too long for an address have the same.
    """
    text = email.strip()
    if len(text) > LONGEST_EMAIL:
        if len(text) > LONGEST_EMAIL * MAX_TYPED or has_heap(text):
            return TOO_LONG
        text = unicodedata.normalize("NFC", text)
        if len(text) > LONGEST_EMAIL:
            return TOO_LONG
    if text.isascii():  # most are
        return text.lower().replace("\0", "\ufffd")
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # What no address holds and no database takes may still be typed into a search for one.
    return key.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def clean_role(value: str) -> Role:
    try:
        return Role(value)
    except ValueError:
        roles = ", ".join(Role)
        raise Invalid(N_("Choose one of: %(choices)s."), field="role", choices=roles) from None


def password_min_length(role: Role, settings: Settings, *, has_second_factor: bool = False) -> int:
    """Of people who sign in here; members use theirs elsewhere, and a setting says how long it is."""
    if not may_sign_in(role):
        return settings.member_password_min_length
    return MIN_PASSWORD_OF_TWO if has_second_factor else MIN_PASSWORD_ALONE


def clean_password(
    value: str,
    *,
    role: Role,
    email: str = "",
    full_name: str = "",
    settings: Settings,
    field: str = "new_password",
) -> str:
    """Long rather than complicated (ASVS 5.0 6.2); any character that has an encoding will do."""
    text = normalize(value, most=LONGEST_PASSWORD, field=field, form="NFKC")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(N_("The password holds a broken character."), field=field) from None
    least = password_min_length(role, settings)
    if len(text) < least:
        raise Invalid(N_("Use at least %(least)s characters."), field=field, least=least)
    if len(text) > LONGEST_PASSWORD:
        raise Invalid(N_("Use at most %(most)s characters."), field=field, most=LONGEST_PASSWORD)
    local_part, _, domain = email.rpartition("@")
    names = (host.rpartition(".")[0] or host for host in (*settings.trusted_hosts, domain))
    if is_guessable(text, context=(PRODUCT, local_part, full_name, *names)):
        raise Invalid(N_("This password is easy to guess. A few unrelated words are better."), field=field)
    return text


def clean_language(value: str) -> str | None:
    """None means the browser's."""
    if value and value not in LANGUAGES:
        raise Invalid(N_("Choose one of: %(choices)s."), field="language", choices=", ".join(LANGUAGES))
    return value or None


def clean_time_zone(value: str) -> str | None:
    """None means the browser's."""
    text = value.strip()
    if text and text not in time_zones():
        raise Invalid(N_("This is no time zone we know, such as Europe/Paris."), field="time_zone")
    return text or None


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """The IANA names of places, sorted; UTC among them."""
    return tuple(sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"))


def _refuse_invisible(text: str, field: str, *, allowed: str = "") -> None:
    for character in text:
        if character == "\ufffd" or (
            unicodedata.category(character) in _INVISIBLE and character not in allowed
        ):
            raise Invalid(
                N_("It holds an invisible or damaged character (U+%(code)s). Remove it."),
                field=field,
                code=f"{ord(character):04X}",
            )
