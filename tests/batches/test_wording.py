"""A bulk change in words: each action, one and many, in every language."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import pytest
from flask import Flask

from tests.conftest import make_settings
from webapp import create_app
from webapp.batches.rules import Action, Result, Source, State
from webapp.batches.wording import (
    BUTTONS,
    RESULTS,
    SOURCES,
    STATES,
    explain_action,
    name_action,
    tell_done,
)
from webapp.extensions import sqla
from webapp.web.language import gettext

VALUES = {Action.SET_ROLE: "auditor", Action.ADD_NOTE: "100 % %(x)s of it"}
each_action = pytest.mark.parametrize("action", Action)


@pytest.fixture(scope="module")
def anywhere() -> Iterator[Flask]:
    """An application for what asks no database."""
    app = create_app(make_settings("sqlite://"))
    yield app
    with app.app_context():
        sqla.engine.dispose()


@pytest.mark.parametrize(
    ("action", "value", "number", "text"),
    [
        ("deactivate", "", 1, "Deactivate 1 user"),
        ("deactivate", "", 0, "Deactivate 0 users"),
        ("trash", "", 1_234, "Move 1,234 users to the trash"),
        ("set_role", "auditor", 2, "Give 2 users the role Auditor"),
        ("set_role", "", 2, "Give 2 users the role …"),
        ("add_note", "%(x)s", 2, "Note on 2 users"),
        ("undo", "", 1, "Undo 1 change"),
        (None, "", 3, "3 users chosen"),
    ],
)
def test_what_it_does_is_said_with_the_number(
    anywhere: Flask, action: str | None, value: str, number: int, text: str
) -> None:
    with anywhere.test_request_context():
        assert name_action(action, value, number) == text


@pytest.mark.parametrize(
    ("action", "value", "number", "text"),
    [
        ("deactivate", "", 1, "1 user is inactive and signed out."),
        ("activate", "", 412, "412 users are active again."),
        ("set_role", "support", 2, "2 users have the role Support now."),
        ("undo", "", 2, "2 changes are undone."),
    ],
)
def test_what_was_done_is_said_with_the_number(
    anywhere: Flask, action: str, value: str, number: int, text: str
) -> None:
    with anywhere.test_request_context():
        assert tell_done(action, value, number) == text


@each_action
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_action_has_its_words_for_one_and_for_many(
    anywhere: Flask, language: str, action: Action
) -> None:
    value = VALUES.get(action, "")
    with anywhere.test_request_context(headers={"Accept-Language": language}):
        for tell in (name_action, tell_done):
            one, many = tell(action, value, 1), tell(action, value, 7)
            assert one != many
            assert "1" in one
            assert "7" in many
        assert explain_action(action)


@each_action
def test_french_is_no_english(anywhere: Flask, action: Action) -> None:
    texts = []
    for language in ("en", "fr"):
        with anywhere.test_request_context(headers={"Accept-Language": language}):
            value = VALUES.get(action, "")
            texts.append({name_action(action, value, 7), tell_done(action, value, 7), explain_action(action)})
    assert texts[0] & texts[1] == set()


def test_nothing_is_explained_before_something_is_chosen(anywhere: Flask) -> None:
    with anywhere.test_request_context():
        assert explain_action(None) == explain_action("") == ""


@pytest.mark.parametrize(("words", "of"), [(STATES, State), (RESULTS, Result), (SOURCES, Source)])
def test_nothing_is_without_words(anywhere: Flask, words: dict[StrEnum, str], of: type[StrEnum]) -> None:
    assert set(words) == set(of)
    with anywhere.test_request_context(headers={"Accept-Language": "fr"}):
        assert all(gettext(text) != text for text in words.values())


def test_there_is_a_button_for_all_that_one_can_choose() -> None:
    assert set(BUTTONS) == set(Action) - {Action.UNDO}
