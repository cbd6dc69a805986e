"""The French catalogue says everything that the source says, with the same placeholders, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from webapp.config import ROOT
from webapp.web.language import CATALOGUES, translations

METHODS = [("webapp/**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trimmed": "true"}}
KEYWORDS = {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[a-z%]")
NARROW_SPACE = "\u202f"

Key = tuple[str, ...]


def key_of(message: str | list[str] | tuple[str, ...] | None) -> Key:
    return tuple(message) if isinstance(message, (list, tuple)) else (message or "",)


@cache
def read_source() -> dict[Key, str]:
    """Each text that may be shown → where it stands first."""
    found: dict[Key, str] = {}
    for name, line, message, _comments, _context in extract_from_dir(
        ROOT, METHODS, options_map=OPTIONS, keywords=KEYWORDS
    ):
        found.setdefault(key_of(message), f"{name}:{line}")
    return found


@cache
def read_french() -> Catalog:
    with (CATALOGUES / "fr.po").open("rb") as file:
        return read_po(file, locale="fr", abort_invalid=True)


def french_messages() -> Iterator[Message]:
    return (message for message in read_french() if message.id)


def placeholders(text: str) -> set[str]:
    return {found[0] for found in PLACEHOLDER.finditer(text)}


def test_the_source_is_really_read() -> None:
    source = read_source()
    assert ("Sign in",) in source  # a template's
    assert ("Another user already has this e-mail.",) in source  # marked by N_
    assert ("%(num)s day ago", "%(num)s days ago") in source


def test_no_text_lacks_its_french() -> None:
    known = {key_of(message.id) for message in french_messages()}
    assert {key[0]: place for key, place in read_source().items() if key not in known} == {}


def test_no_french_is_left_over() -> None:
    source = read_source()
    left = [key_of(message.id)[0] for message in french_messages() if key_of(message.id) not in source]
    assert left + [key_of(key)[0] for key in read_french().obsolete] == []


def test_every_text_is_translated_and_none_is_a_guess() -> None:
    untranslated = [
        key_of(message.id)[0]
        for message in french_messages()
        if message.fuzzy or not all(text.strip() for text in key_of(message.string))
    ]
    assert untranslated == []


def test_the_french_has_the_placeholders_of_the_english() -> None:
    wrong = [
        text
        for message in french_messages()
        for number, text in enumerate(key_of(message.string))
        if placeholders(text) not in allowed_placeholders(message, number)
    ]
    assert wrong == []


def allowed_placeholders(message: Message, number: int) -> list[set[str]]:
    """A singular may say “one” in words as the English does, or the number; a plural says the number."""
    texts = key_of(message.id)
    return [placeholders(text) for text in (texts if number == 0 else texts[-1:])]


def test_french_counts_zero_and_one_as_one() -> None:
    assert "nplurals=2; plural=(n > 1)" in str(read_french().plural_forms)
    french = translations("fr")
    assert [french.ngettext("%(num)s day ago", "%(num)s days ago", n) for n in (0, 1, 2)] == [
        "il y a %(num)s jour",
        "il y a %(num)s jour",
        "il y a %(num)s jours",
    ]


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (rf"[^{NARROW_SPACE}][;:!?»](?=\s|$)", "a narrow no-break space before ; : ! ? »"),
        (rf"«[^{NARROW_SPACE}]", "a narrow no-break space after «"),
        (r"\w'\w", "’ and not '"),
        (r"[“”\"]", "« » and not “ ”"),
        (r"\.\.\.|  ", "… and single spaces"),
    ],
)
def test_the_french_is_typeset_as_french_is(mistake: str, rule: str) -> None:
    wrong = [
        text for message in french_messages() for text in key_of(message.string) if re.search(mistake, text)
    ]
    assert wrong == [], rule
