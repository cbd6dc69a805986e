"""With JavaScript switched off every form and link does the same."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from tests.conftest import PASSWORD, read_user
from webapp.access.permissions import Role
from webapp.users.models import User


@pytest.fixture
def page(open_page: OpenPage, admin: User) -> Page:
    return open_page(admin, java_script_enabled=False)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_the_list_is_searched_filtered_sorted_and_paged(desk: Desk, page: Page) -> None:
    for name in ("Sven Scriptless", "Sara Scriptless"):
        desk.make_user(full_name=name)
    rows = page.locator(".users tbody tr a")
    page.goto("/users/?page_size=20")
    page.get_by_role("searchbox").fill("scriptless")
    page.get_by_role("searchbox").press("Enter")
    expect(rows).to_have_text(["Sara Scriptless", "Sven Scriptless"])
    page.get_by_role("link", name="Name", exact=True).click()
    expect(rows).to_have_text(["Sven Scriptless", "Sara Scriptless"])
    page.get_by_role("combobox", name="Status").select_option("inactive")
    press(page, "Apply")
    expect(page.get_by_role("heading", level=2)).to_contain_text("Nobody matches")
    expect(page).to_have_url(re.compile(r"(?=.*q=scriptless)(?=.*status=inactive)(?=.*sort=-name)"))
    page.get_by_role("link", name="Clear").click()
    expect(rows).to_have_count(20)
    page.locator(".created summary").click()
    page.get_by_label("Created to").fill("2026-05-31")
    press(page, "Apply")
    expect(page.locator(".created summary")).to_have_text("Created until 2026-05-31")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".range")).to_contain_text("21–40 of")
    page.get_by_role("spinbutton", name="Page").fill("4")
    press(page, "Go")
    expect(page.locator(".range")).to_contain_text("61–80 of")
    page.get_by_role("button", name="Last page").click()
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()


def test_a_user_is_created_edited_deactivated_and_deleted(desk: Desk, page: Page) -> None:
    page.goto("/users/")
    page.get_by_role("button", name="New user").click()
    page.get_by_label("Full name (optional)").fill("Noel Noscript")
    press(page, "Create user")
    expect(page.get_by_role("alert")).to_be_focused()  # by autofocus
    expect(page.get_by_label("Full name (optional)")).to_have_value("Noel Noscript")
    page.get_by_label("E-mail").fill("noel.noscript@example.org")
    press(page, "Create user")
    link = page.get_by_label("One-time link")
    expect(link).to_have_value(re.compile("^http://127.0.0.1:.*/auth/set-password/"))
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)  # it would do nothing
    expect(page.locator(".toast")).to_contain_text("Noel Noscript is created.")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Full name (optional)").fill("Noel Noscripts")
    press(page, "Save")
    expect(page.get_by_role("heading", level=1)).to_have_text("Noel Noscripts")
    press(page, "Deactivate")
    expect(page.locator(".badge").first).to_have_text("Inactive")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".badge").first).to_have_text("Active")
    page.get_by_role("button", name="Delete…").click()
    user_id = int(re.findall(r"/users/(\d+)/delete", page.url)[0])
    press(page, "Move to the trash")
    expect(page.locator(".toast")).to_contain_text("Noel Noscripts is in the trash.")
    assert read_user(desk.app, user_id) is None


def test_a_form_of_an_ended_session_is_sent_again(desk: Desk, admin: User, page: Page) -> None:
    person = desk.make_user(full_name="Before")
    page.goto(f"/users/{person.id}/edit")
    desk.end_sessions(admin)
    page.get_by_label("Full name (optional)").fill("After")
    press(page, "Save")
    page.get_by_label("E-mail").fill(admin.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Sign in")
    press(page, "Send again")
    expect(page.get_by_role("heading", level=1)).to_have_text("After")


def test_the_account_menu_opens_and_signs_out(page: Page) -> None:
    page.goto("/users/")
    page.locator("nav summary").click()
    page.get_by_role("link", name="Your profile").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")
    page.locator("nav summary").click()
    press(page, "Sign out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto("/users/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_nothing_is_offered_that_only_a_script_could_do(page: Page) -> None:
    page.goto("/users/")
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    for path in ("/users/", "/help", "/auth/password"):
        page.goto(path)
        assert [element for element in page.locator(".js").all() if element.is_visible()] == []


def test_an_act_that_asks_for_the_password_goes_on_after_it(desk: Desk, admin: User, page: Page) -> None:
    person = desk.make_user(full_name="Rita Role")
    page.goto(f"/users/{person.id}/edit")
    page.get_by_label("Full name (optional)").fill("Rita Renamed")
    page.get_by_label("Role").select_option("support")
    desk.age_sessions(admin)
    press(page, "Save")
    expect(page.get_by_text("Change the role of Rita Role to Support")).to_be_visible()
    field = page.get_by_label("Password", exact=True)
    expect(field).to_be_focused()
    field.fill("not the password")
    press(page, "Confirm")
    field.fill(PASSWORD)
    press(page, "Confirm")
    expect(page.get_by_role("heading", level=1)).to_have_text("Rita Renamed")
    saved = read_user(desk.app, person.id)
    assert saved is not None
    assert (saved.full_name, saved.role) == ("Rita Renamed", Role.SUPPORT)


def test_a_file_is_downloaded_after_the_password(desk: Desk, admin: User, page: Page) -> None:
    page.goto("/users/?q=mar")
    desk.age_sessions(admin)
    press(page, "Export")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    with page.expect_download() as download:
        press(page, "Confirm")
    assert download.value.suggested_filename.startswith("users-")
    page.get_by_role("button", name="Back").click()
    expect(page).to_have_url(re.compile(r"/users/\?q=mar$"))


def test_news_of_the_account_are_acknowledged(desk: Desk, admin: User, page: Page) -> None:
    desk.give_news(admin)
    page.goto("/users/?q=mar")
    page.get_by_role("link", name="Review it").click()
    expect(page.get_by_text("made a password link")).to_be_visible()
    press(page, "OK, I recognize this")
    page.goto("/users/")
    expect(page.get_by_text("There is new activity on your account.")).to_have_count(0)
