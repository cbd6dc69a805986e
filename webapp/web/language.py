"""The person's language: English in the source, the others in ``webapp/languages/*.po``."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from flask import g, has_request_context, request
from markupsafe import Markup, escape
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from webapp.access.identity import known_identity
from webapp.errors import DomainError, join

DEFAULT = "en"
MAX_HEADER = 1_000
CATALOGUES = Path(__file__).resolve().parent.parent / "languages"


@lru_cache
def languages() -> tuple[str, ...]:
    return (DEFAULT, *sorted(path.stem for path in CATALOGUES.glob("*.po")))


@lru_cache
def translations(language: str) -> NullTranslations:
    """Compiled in memory at first use, so that no build step can be forgotten."""
    if language == DEFAULT or language not in languages():
        return NullTranslations()
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def current_language() -> str:
    """The profile's choice, else the browser's, else English."""
    try:
        found: str = g.language
    except (AttributeError, RuntimeError):  # not asked yet, or no request to keep it for
        if not has_request_context():
            return DEFAULT
        identity = known_identity()
        chosen = identity.language if identity else None
        g.language = found = chosen or _browsers_language()
    return found


def _catalogue() -> NullTranslations:
    """Of the present language; a page asks for it a hundred times."""
    try:
        found: NullTranslations = g.catalogue
    except (AttributeError, RuntimeError):  # not asked yet, or no request to keep it for
        found = translations(current_language())
        if has_request_context():
            g.catalogue = found
    return found


def _browsers_language() -> str:
    """The first one asked for that we have: "en-GB, fr" is English, which a plain best_match() overlooks."""
    accepted = parse_accept_header(request.headers.get("Accept-Language", "")[:MAX_HEADER], LanguageAccept)
    asked = (tag.partition("-")[0].lower() for tag, quality in accepted if quality > 0)
    return next((language for language in asked if language in languages()), DEFAULT)


def forget_language() -> None:
    """Choose language and zone anew: the person has just signed in or changed his profile."""
    g.pop("language", None)
    g.pop("catalogue", None)
    g.pop("clock", None)
    g.pop("zone", None)


def gettext_in_html(message: str, **params: object) -> str:
    """For ``_()`` in templates: what is filled in is escaped, a plain text is left to autoescaping."""
    translated = _catalogue().gettext(message)
    return escape(translated) % params if params else translated


def ngettext_in_html(singular: str, plural: str, number: int, **params: object) -> Markup:
    translated = _catalogue().ngettext(singular, plural, number)
    return escape(translated) % {"num": number, **params}


def raw_gettext(message: str) -> str:
    """For ``{% trans %}``, which fills in and escapes by itself."""
    return _catalogue().gettext(message)


def raw_ngettext(singular: str, plural: str, number: int) -> str:
    return _catalogue().ngettext(singular, plural, number)


def gettext(message: str, **params: object) -> str:
    translated = _catalogue().gettext(message)
    return translated % params if params else translated


def ngettext(singular: str, plural: str, number: int, **params: object) -> str:
    translated = _catalogue().ngettext(singular, plural, number)
    return translated % {"num": number, **params}


def explain(error: DomainError) -> str:
    """The error's message in the person's language."""
    return gettext(error.message, **{name: _shown(value) for name, value in error.params.items()})


def _shown(value: object) -> object:
    return format_hundredths(value) if isinstance(value, Decimal) else join(value, gettext)


def format_hundredths(number: Decimal) -> str:
    """With two decimals, as amounts are written."""
    return format_decimal(number, format="#,##0.00", locale=current_language())
