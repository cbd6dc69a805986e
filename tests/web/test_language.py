"""Which language a page speaks: the profile's, else the browser's, else English."""

from __future__ import annotations

import pytest
from flask import Flask

from webapp.errors import Invalid
from webapp.web.language import current_language, explain, gettext, languages, ngettext, translations


def test_there_are_english_and_french() -> None:
    assert languages() == ("en", "fr")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR;q=0.9", "fr"),
        ("en-GB,fr;q=0.9", "en"),
        ("de,ja", "en"),
        ("de,fr", "fr"),
        ("fr;q=0,en", "en"),
        ("fr;q=0", "en"),
        ("frr", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
def test_the_browser_is_asked(anywhere: Flask, header: str, language: str) -> None:
    with anywhere.test_request_context(headers={"Accept-Language": header}):
        assert current_language() == language


def test_outside_of_a_request_it_is_english() -> None:
    assert current_language() == "en"
    assert explain(Invalid("Use at most %(most)s characters.", most=7)) == "Use at most 7 characters."


@pytest.mark.parametrize("language", ["xx", "../fr", "", "fr\0"])
def test_a_language_we_do_not_have_says_it_in_english(language: str) -> None:
    assert translations(language).gettext("Users") == "Users"


def test_french_has_its_own_plural_of_nothing(anywhere: Flask) -> None:
    with anywhere.test_request_context(headers={"Accept-Language": "fr"}):
        one, none, two = (
            ngettext("%(num)s device is signed out.", "%(num)s devices are signed out.", number)
            for number in (1, 0, 2)
        )
        assert none.replace("0", "") == one.replace("1", "")
        assert two.replace("2", "") != one.replace("1", "")
        assert gettext("Users") != "Users"


def test_a_percent_sign_in_a_value_is_only_a_percent_sign(anywhere: Flask) -> None:
    with anywhere.test_request_context():
        assert gettext("%(name)s is saved.", name="100 % %(x)s") == "100 % %(x)s is saved."
