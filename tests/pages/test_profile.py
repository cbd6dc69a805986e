"""GET, POST /auth/profile: one's own name, language and time zone, and nothing beyond."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import SignedIn, read_user
from tests.pages.asking import (
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import field_error
from webapp.access.permissions import Role

PATH = "/auth/profile"


@pytest.mark.parametrize("role", ["auditor", "support", "administrator"])
def test_the_pages_own_form_saves(app: Flask, signed_in: SignedIn, role: str) -> None:
    visitor = signed_in(role)
    form = read_form(visitor.get(PATH).text, holding="time_zone")
    sent = {**form.fields, "full_name": " Zoë  Adler", "time_zone": "Asia/Tokyo", "language": "en"}
    answer = visitor.post_raw(form.action or PATH, sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    assert "Your profile is saved." in visitor.get(PATH).text
    assert visitor.user is not None
    user = read_user(app, visitor.user.id)
    assert user is not None
    assert (user.full_name, user.time_zone, user.language) == ("Zoë Adler", "Asia/Tokyo", "en")
    shown = read_form(visitor.get(PATH).text, holding="time_zone").fields
    assert {name: shown[name] for name in ("full_name", "time_zone", "language")} == {
        "full_name": "Zoë Adler",
        "time_zone": "Asia/Tokyo",
        "language": "en",
    }


def test_empty_means_the_browsers(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor", language="fr", time_zone="Asia/Tokyo")
    form = read_form(visitor.get(PATH).text, holding="time_zone")
    assert visitor.post_raw(PATH, {**form.fields, "language": "", "time_zone": " "}).status_code == 303
    assert visitor.user is not None
    user = read_user(app, visitor.user.id)
    assert user is not None
    assert (user.language, user.time_zone) == (None, None)


def test_the_chosen_language_holds_from_the_next_page_on(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    form = read_form(visitor.get(PATH).text, holding="time_zone")
    answer = visitor.post_raw(PATH, {**form.fields, "language": "fr"}, follow_redirects=True)
    assert '<html lang="fr"' in answer.text
    assert "Your profile" not in answer.text, "the message about it included"


def test_extra_fields_change_nothing(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    form = read_form(visitor.get(PATH).text, holding="time_zone")
    extra = {
        "role": "administrator",
        "email": "eve@example.org",
        "id": "1",
        "is_active": "",
        "session_epoch": "9",
    }
    assert visitor.post_raw(PATH, {**form.fields, **extra, "full_name": "Changed"}).status_code == 303
    old = visitor.user
    assert old is not None
    user = read_user(app, old.id)
    assert user is not None
    assert (user.role, user.email, user.is_active, user.session_epoch) == (Role.AUDITOR, old.email, True, 0)


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, PATH, {"full_name": "Eve"})


def test_opening_the_form_writes_nothing(signed_in: SignedIn) -> None:
    assert_get_writes_nothing(signed_in(), PATH)


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"full_name": "a\u202eb"}, "full_name", "U+202E"),
        ({"full_name": "n" * 201}, "full_name", "at most 200"),
        ({"language": "de"}, "language", "Choose one of"),
        ({"time_zone": "Mars/Base"}, "time_zone", "no time zone we know"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "no time zone we know"),
    ],
)
def test_bad_input_is_named_and_what_was_typed_is_kept(
    signed_in: SignedIn, values: dict[str, str], field: str, text: str
) -> None:
    visitor = signed_in("auditor")
    form = read_form(visitor.get(PATH).text, holding="time_zone")
    sent = {**form.fields, "full_name": "Typed", "time_zone": "Asia/Tokyo", "language": "fr", **values}
    answer = assert_refused(visitor, PATH, sent, status=422)
    assert text in (field_error(answer.text, field) or "")
    kept = read_form(answer.text, holding="time_zone").fields
    for name in {"full_name", "time_zone", "language"} - ({"language"} if field == "language" else set()):
        assert kept[name] == sent[name]


def test_the_second_of_two_tabs_is_told_and_loses_nothing(signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    first, second = (read_form(visitor.get(PATH).text, holding="time_zone").fields for _ in range(2))
    assert visitor.post_raw(PATH, {**first, "full_name": "First"}).status_code == 303
    answer = assert_refused(visitor, PATH, {**second, "full_name": "Second"}, status=409)
    assert "Somebody else changed" in text_of(answer)
    merged = read_form(answer.text, holding="time_zone").fields
    assert merged["full_name"] == "Second"
    assert visitor.post_raw(PATH, merged).status_code == 303
