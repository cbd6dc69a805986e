"""The person's language: English in the source, the others in ``webapp/languages/*.po``."""

from __future__ import annotations

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import g, has_request_context, request

from webapp.access.identity import known_identity
from webapp.errors import DomainError

DEFAULT = "en"
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
    if not has_request_context():
        return DEFAULT
    if "language" not in g:
        identity = known_identity()
        chosen = identity.language if identity else None
        g.language = chosen or request.accept_languages.best_match(languages()) or DEFAULT
    language: str = g.language
    return language


def forget_language() -> None:
    """Choose anew: the person has just signed in or changed his profile."""
    g.pop("language", None)


def gettext_of_template(message: str) -> str:
    """For Jinja's newstyle ``_()``, which fills in the parameters itself (and escapes them)."""
    return translations(current_language()).gettext(message)


def ngettext_of_template(singular: str, plural: str, number: int) -> str:
    return translations(current_language()).ngettext(singular, plural, number)


def gettext(message: str, **params: object) -> str:
    translated = translations(current_language()).gettext(message)
    return translated % params if params else translated


def ngettext(singular: str, plural: str, number: int, **params: object) -> str:
    translated = translations(current_language()).ngettext(singular, plural, number)
    return translated % {"num": number, **params}


def explain(error: DomainError) -> str:
    """The error's message in the person's language."""
    return gettext(error.message, **error.params)
