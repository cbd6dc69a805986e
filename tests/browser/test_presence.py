"""Two who edit the same user see each other come, save and go, and nobody's typing is disturbed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from webapp.access.permissions import Role
from webapp.users.models import User
from webapp.users.presence import ASKED_EVERY_SECONDS

NAME = "Full name (optional)"
# What a screen reader would notice: nodes and texts, and not htmx's classes.
WATCH = """(line) => {
  window.changes = 0;
  new MutationObserver((records) => { window.changes += records.length; })
    .observe(line, { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture
def person(desk: Desk) -> User:
    return desk.make_user(full_name="Nora Editable")


@pytest.fixture
def colleague(desk: Desk) -> User:
    return desk.make_user(full_name="Omar Haddad", role=Role.SUPPORT)


@pytest.fixture
def page(page: Page) -> Page:
    """Its clock is moved on by the tests."""
    page.clock.install()
    return page


def open_edit(page: Page, person: User) -> None:
    """The line is asked for at once, so that it is known that the page can renew it."""
    with page.expect_response(is_about_presence):
        page.goto(f"/users/{person.id}/edit")


def is_about_presence(response: object) -> bool:
    return "/presence" in str(getattr(response, "url", ""))


def line(page: Page) -> Locator:
    return page.locator(".presence")


def wait_for_next(page: Page) -> None:
    with page.expect_response(is_about_presence):
        page.clock.run_for(ASKED_EVERY_SECONDS * 1000)


def test_two_editors_see_each_other_come_save_and_go(
    page: Page, open_page: OpenPage, person: User, colleague: User
) -> None:
    open_edit(page, person)
    expect(line(page)).to_have_text("")
    other = open_page(colleague)
    open_edit(other, person)
    expect(line(other)).to_have_text("Ada Administrator opened this form just now.")
    wait_for_next(page)
    expect(line(page)).to_have_text("Omar Haddad opened this form just now.")
    other.get_by_role("button", name="Cancel").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Nora Editable")
    wait_for_next(page)
    expect(line(page)).to_have_text("")
    open_edit(other, person)
    other.get_by_label(NAME).fill("Nora Changed")
    other.get_by_role("button", name="Save").click()
    expect(other.locator(".toast")).to_contain_text("is saved")
    wait_for_next(page)
    expect(line(page)).to_have_text(
        "Omar Haddad saved this user just now. What you typed is kept and merged when you save."
    )


def test_typing_goes_on_while_the_line_is_renewed_and_nothing_moves(
    page: Page, desk: Desk, person: User, colleague: User
) -> None:
    open_edit(page, person)
    name, save = page.get_by_label(NAME), page.get_by_role("button", name="Save")
    name.press("End")
    page.keyboard.type(" Two")
    before = save.bounding_box()
    desk.open_form(person, colleague)
    wait_for_next(page)
    expect(line(page)).to_contain_text("Omar Haddad")
    page.keyboard.type(" Three")
    expect(name).to_have_value("Nora Editable Two Three")
    expect(name).to_be_focused()
    assert save.bounding_box() == before


def test_a_line_that_says_the_same_is_not_touched(
    page: Page, desk: Desk, person: User, colleague: User
) -> None:
    """So that it is not read out again."""
    desk.open_form(person, colleague)
    open_edit(page, person)
    page.get_by_role("status").first.evaluate(WATCH)
    wait_for_next(page)
    wait_for_next(page)
    expect(line(page)).to_have_text("Omar Haddad opened this form just now.")
    assert page.evaluate("() => window.changes") == 0
    desk.rename(person, "Nora Changed")
    wait_for_next(page)
    expect(line(page)).to_contain_text("saved this user just now")
    assert page.evaluate("() => window.changes") > 0


def note_asking(page: Page) -> list[str]:
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/presence" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_may_not_ask_any_more_stops(
    page: Page, desk: Desk, admin: User, person: User, colleague: User, status: int
) -> None:
    desk.open_form(person, colleague)
    open_edit(page, person)
    page.get_by_label(NAME).fill("Typed")
    if status == 401:
        desk.end_sessions(admin)
    else:
        page.route("**/presence?*", lambda route: route.fulfill(status=status, body="<h1>No</h1>"))
    asked = note_asking(page)
    wait_for_next(page)
    expect(page.get_by_role("main").get_by_role("status")).to_have_count(0)
    page.clock.run_for(ASKED_EVERY_SECONDS * 5000)
    page.wait_for_timeout(200)
    assert len(asked) == 1
    expect(line(page)).to_have_text("")
    expect(page).to_have_url(re.compile("/edit$"))
    expect(page.get_by_label(NAME)).to_have_value("Typed")


def test_what_fails_for_a_moment_is_asked_again(
    page: Page, desk: Desk, person: User, colleague: User
) -> None:
    desk.open_form(person, colleague)
    open_edit(page, person)
    page.route("**/presence?*", lambda route: route.fulfill(status=429, body="<h1>Later</h1>"))
    wait_for_next(page)
    page.unroute_all()
    page.route("**/presence?*", lambda route: route.fulfill(status=200, body="<h1>A proxy's own</h1>"))
    wait_for_next(page)
    page.unroute_all()
    expect(line(page)).to_have_text("Omar Haddad opened this form just now.")
    expect(page).to_have_url(re.compile("/edit$"))
    desk.rename(person, "Nora Changed")
    wait_for_next(page)
    expect(line(page)).to_contain_text("saved this user just now")


def test_without_scripts_the_page_says_it_and_cancel_ends_it(
    page: Page, open_page: OpenPage, person: User, colleague: User
) -> None:
    bare = open_page(colleague, java_script_enabled=False)
    bare.goto(f"/users/{person.id}/edit")
    open_edit(page, person)
    expect(line(page)).to_have_text("Omar Haddad opened this form just now.")
    bare.reload()
    expect(line(bare)).to_have_text("Ada Administrator opened this form just now.")
    bare.get_by_role("button", name="Cancel").click()
    expect(bare.get_by_role("heading", level=1)).to_have_text("Nora Editable")
    wait_for_next(page)
    expect(line(page)).to_have_text("")
