"""The form that all forms are: rules asked at once, refusals on their field, nothing but text taken in."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict
from wtforms import StringField

from webapp.errors import Conflict, Invalid
from webapp.users.rules import clean_email
from webapp.web.forms import NO_VERSION, Form, VersionField, follows


class ExampleForm(Form):
    email = StringField("E-mail", validators=[follows(clean_email)])
    version = VersionField()


def form_of(**values: str) -> ExampleForm:
    return ExampleForm(MultiDict(values))


@pytest.mark.parametrize(
    ("sent", "version"),
    [
        ("7", 7),
        ("007", 7),
        ("999999999", 999_999_999),
        ("1000000000", NO_VERSION),
        ("", NO_VERSION),
        ("-1", NO_VERSION),
        (" 7", NO_VERSION),
        ("7.0", NO_VERSION),
        ("٧", NO_VERSION),
        ("²", NO_VERSION),
        ("x", NO_VERSION),
    ],
)
def test_a_version_is_a_plain_number_or_none_at_all(anywhere: Flask, sent: str, version: int) -> None:
    with anywhere.test_request_context():
        assert form_of(version=sent).version.data == version
        assert form_of().version.data == NO_VERSION


def test_a_broken_rule_stands_on_the_field_and_the_text_stays(anywhere: Flask) -> None:
    with anywhere.test_request_context():
        form = form_of(email="no address")
        assert not form.validate()
        assert form.email.errors == ["This is not an e-mail address, such as name@example.org."]
        assert form.email.data == "no address"


def test_a_field_that_was_not_sent_is_empty_text(anywhere: Flask) -> None:
    with anywhere.test_request_context():
        form = form_of()
        assert form.email.data == ""
        assert not form.validate()


def test_a_refusal_stands_where_it_belongs(anywhere: Flask) -> None:
    with anywhere.test_request_context():
        form = form_of(email="ann@example.org")
        assert form.validate()
        form.show(Conflict("Taken.", field="email"))
        form.show(Invalid("Of the whole."))
        form.show(Invalid("Of a field that this form has not: %(what)s.", field="role", what="x"))
        assert form.email.errors == ["Taken."]
        assert form.form_errors == ["Of the whole.", "Of a field that this form has not: x."]


def test_labels_and_refusals_speak_the_persons_language(anywhere: Flask) -> None:
    with anywhere.test_request_context(headers={"Accept-Language": "fr"}):
        form = form_of(email="")
        form.validate()
        assert form.email.label.text != "E-mail"
        assert form.email.errors != ["Enter an e-mail address."]


@pytest.mark.parametrize("body", ['{"email": "ann@example.org"}', "[1]", "NaN"])
def test_json_fills_no_form(anywhere: Flask, body: str) -> None:
    with anywhere.test_request_context(method="POST", data=body, content_type="application/json"):
        assert ExampleForm().email.data == ""
