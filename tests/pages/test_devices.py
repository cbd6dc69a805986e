"""GET /auth/devices and its two buttons: one's own sessions, and nobody else's."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import PASSWORD, MakeUser, SignedIn
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    text_of,
)
from tests.pages.form_reader import read_form
from tests.visitor import Visitor
from webapp.access.permissions import Role
from webapp.auth.models import SignInSession
from webapp.auth.services import open_session
from webapp.db import get_session

PATH = "/auth/devices"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def device_ids(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'action="/auth/devices/(\d+)/revoke"', page)]


def stored_ids(app: Flask) -> list[int]:
    with app.app_context():
        return list(get_session().scalars(select(SignInSession.id).order_by(SignInSession.id)))


def test_it_lists_where_one_is_signed_in(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    assert visitor.user is not None
    with app.app_context():
        open_session(user_id=visitor.user.id, epoch=0, address="198.51.100.9", user_agent=FIREFOX)
    page = text_of(visitor.get(PATH))
    for text in ("Firefox on Linux", "198.51.100.9", "192.0.2.7", "This device", "Unknown device"):
        assert text in page
    assert page.count("This device") == 1
    assert sorted(device_ids(page)) == stored_ids(app)


def test_a_header_that_is_markup_stays_text(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    assert visitor.user is not None
    with app.app_context():
        open_session(
            user_id=visitor.user.id, epoch=0, address="<script>canary", user_agent="<script>canary Linux"
        )
    assert "<script>canary" not in visitor.get(PATH).text


def test_another_device_is_signed_out_by_its_button(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    other = Visitor(app, visitor.user)
    button = read_form(visitor.get(PATH).text, action=f"/auth/devices/{stored_ids(app)[1]}/revoke")
    answer = visitor.post_raw(button.action, button.fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    assert other.get(PATH).status_code == 303
    assert "The device is signed out." in visitor.get(PATH).text
    assert visitor.post_raw(button.action, button.fields).status_code == 404, "gone already"


def test_this_device_is_signed_out_by_its_button(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    answer = visitor.post(f"/auth/devices/{stored_ids(app)[0]}/revoke")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/auth/login")
    assert visitor.get(PATH).status_code == 303


def test_all_others_are_signed_out_by_one_button(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    assert "/auth/devices/revoke-others" not in visitor.get(PATH).text
    others = [Visitor(app, visitor.user) for _ in range(2)]
    button = read_form(visitor.get(PATH).text, action="/auth/devices/revoke-others")
    answer = visitor.post_raw(button.action, button.fields, follow_redirects=True)
    assert "2 devices are signed out." in answer.text
    assert [other.get(PATH).status_code for other in others] == [303, 303]
    assert device_ids(answer.text) == stored_ids(app)[:1]


@pytest.mark.parametrize("role", ["auditor", "support", "administrator"])
def test_nobody_signs_out_somebody_elses_device_here(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: str
) -> None:
    bystander = Visitor(app, make_user(role=Role.SUPPORT))
    visitor = signed_in(role, email="other@desk.example")
    assert visitor.post(f"/auth/devices/{stored_ids(app)[0]}/revoke").status_code == 404
    assert visitor.post("/auth/devices/revoke-others").status_code == 303
    assert bystander.get(PATH).status_code == 200


@pytest.mark.parametrize("device_id", [*UNKNOWN_IDS, "x", "-1"])
def test_an_unknown_device_is_said(signed_in: SignedIn, device_id: str) -> None:
    visitor = signed_in("auditor")
    assert visitor.post(f"/auth/devices/{device_id}/revoke").status_code == 404
    assert visitor.get(PATH).status_code == 200


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask) -> None:
    assert_get_asks_to_sign_in(app, PATH)
    assert_post_asks_to_sign_in(app, "/auth/devices/1/revoke")
    assert_post_asks_to_sign_in(app, "/auth/devices/revoke-others")


def test_looking_writes_nothing(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("auditor")
    before = stored_ids(app)
    assert_get_writes_nothing(visitor, PATH)
    assert visitor.get("/auth/devices/revoke-others").status_code == 405
    assert stored_ids(app) == before


def test_where_no_address_is_known_that_is_said(app: Flask, make_user: MakeUser) -> None:
    """What a proxy writes instead of an address is no address."""
    user = make_user(role=Role.AUDITOR)
    form = {"email": user.email, "password": PASSWORD}
    visitors = {address: Visitor(app) for address in ("_hidden", "203.0.113.7:51008")}
    for address, visitor in visitors.items():
        answer = visitor.post("/auth/login", form, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 303
    page = visitors["_hidden"].get("/auth/devices").text
    assert "Unknown address" in page
    assert "203.0.113.7 " in page
    assert "_hidden" not in page
    assert "51008" not in page
