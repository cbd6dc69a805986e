"""What a form of a bulk change sent, as values: text only, and nothing that nobody can have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from tests.conftest import make_settings
from webapp import create_app
from webapp.batches.forms import ActionForm, PasteForm, read_ids
from webapp.extensions import sqla
from webapp.listing.keyset import LARGEST_ID


@pytest.fixture(scope="module")
def anywhere() -> Iterator[Flask]:
    """An application for what asks no database."""
    app = create_app(make_settings("sqlite://"))
    yield app
    with app.app_context():
        sqla.engine.dispose()


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        (["1", "2", "2"], {1, 2}),
        (["007"], {7}),
        ([str(LARGEST_ID)], {LARGEST_ID}),
        ([str(LARGEST_ID + 1), "9" * 19, "9" * 500, "0", "00", "-1", "+1", " 1", "1.0", "1e3", ""], set()),
        (["٣", "²", "１", "x", "1\0", "0x1", "1_000"], set()),
        ([], set()),
    ],
)
def test_what_is_no_id_stands_for_nobody(sent: list[str], ids: set[int]) -> None:
    assert read_ids(sent) == ids


@given(sent=st.lists(st.text(max_size=25) | st.integers().map(str), max_size=20))
def test_whatever_was_sent_ids_are_ids(sent: list[str]) -> None:
    found = read_ids(sent)
    assert all(0 < user_id <= LARGEST_ID for user_id in found)
    assert {str(user_id) for user_id in found} <= {value.lstrip("0") for value in sent}


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"action": "set_role", "role": "auditor", "note": "Called."}, "auditor"),
        ({"action": "add_note", "role": "auditor", "note": "Called."}, "Called."),
        ({"action": "trash", "role": "auditor", "note": "Called."}, None),
        ({"action": "set_role"}, None),
        ({"action": "set_role", "role": ""}, ""),
        ({"action": "add_note"}, None),
        ({"action": "add_note", "note": ""}, ""),
        ({"action": "\0"}, None),
        ({}, None),
    ],
)
def test_each_action_has_the_value_of_its_own_field(
    anywhere: Flask, sent: dict[str, str], value: str | None
) -> None:
    with anywhere.test_request_context(method="POST", data=MultiDict(sent)):
        assert ActionForm().value() == value


@pytest.mark.parametrize(
    ("action", "value", "role", "note"),
    [
        ("set_role", "auditor", "auditor", ""),
        ("add_note", "Called.", "", "Called."),
        ("trash", "", "", ""),
        (None, "", "", ""),
    ],
)
def test_what_was_chosen_before_is_shown(
    anywhere: Flask, action: str | None, value: str, role: str, note: str
) -> None:
    with anywhere.test_request_context():
        form = ActionForm()
        form.show_value(action, value)
        assert (form.role.data or "", form.note.data or "") == (role, note)


def test_the_roles_are_offered_in_the_person_s_language(anywhere: Flask) -> None:
    with anywhere.test_request_context(headers={"Accept-Language": "fr"}):
        choices = [(choice.value, str(choice.label)) for choice in ActionForm().role.choices]
    assert [value for value, _label in choices] == ["", "member", "auditor", "support", "administrator"]
    assert dict(choices)["member"] != "Member"


@pytest.mark.parametrize("text", ["", "\ufeff", "\n".join(map(str, range(100_001)))])
def test_a_list_that_cannot_be_is_refused_on_its_field(anywhere: Flask, text: str) -> None:
    with anywhere.test_request_context(method="POST", data={"text": text}):
        form = PasteForm()
        assert not form.validate()
        assert len(form.text.errors) == 1


def test_a_list_is_taken_as_it_is(anywhere: Flask) -> None:
    with anywhere.test_request_context(method="POST", data={"text": "ann@x.org\r\nBob\r\n"}):
        form = PasteForm()
        assert form.validate()
        assert form.text.data == "ann@x.org\r\nBob\r\n"
