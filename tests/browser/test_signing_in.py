"""The way in: the form, the one-time link from its making to its use, and the way out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from tests.conftest import PASSWORD
from webapp.access.permissions import Role
from webapp.users.models import User


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_signing_in_leads_to_the_page_that_was_asked_for_and_out_again(
    open_page: OpenPage, admin: User
) -> None:
    page = open_page()
    page.goto("/users/?q=mar")
    expect(page.get_by_label("E-mail")).to_be_focused()
    sign_in(page, admin.email, "not the password")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_value(admin.email)
    sign_in(page, admin.email, PASSWORD)
    expect(page).to_have_url(re.compile(r"/users/\?q=mar$"))
    page.locator("nav summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto("/users/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_signing_out_clears_the_storage_and_keeps_what_is_remembered_of_the_browser(
    open_page: OpenPage, admin: User
) -> None:
    page = open_page(admin, timezone_id="Asia/Kolkata")
    page.goto("/help")
    page.get_by_role("main").get_by_label("Use keyboard shortcuts in this browser").uncheck()
    page.evaluate("localStorage.setItem('left', 'behind')")
    page.locator("nav summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["dossier-shortcuts"]["value"] == "off"
    assert cookies["dossier-tz"]["value"] in {"Asia/Kolkata", "Asia/Calcutta"}
    assert set(cookies) >= {"dossier"}
    assert all(name.partition("-")[0] == "dossier" for name in cookies)


def test_a_typed_password_can_be_looked_at(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/auth/login")
    field = page.get_by_label("Password", exact=True)
    field.fill("orchard")
    reveal = page.get_by_role("button", name="Show the password")
    for shown, kind in ((True, "text"), (False, "password")):
        reveal.click()
        expect(field).to_have_attribute("type", kind)
        expect(reveal).to_have_attribute("aria-pressed", str(shown).lower())


def test_a_password_can_be_pasted(page: Page, open_page: OpenPage) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/auth/password")
    page.evaluate(f"navigator.clipboard.writeText({PASSWORD!r})")
    for name in ("Present password", "New password", "The same again"):
        field = page.get_by_label(name, exact=True)
        field.press("Control+v")
        expect(field).to_have_value(PASSWORD)


def test_a_new_user_sets_a_password_by_the_link_that_was_copied(page: Page, open_page: OpenPage) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/users/new")
    page.get_by_label("Full name (optional)").fill("Lin Linked")
    page.get_by_label("E-mail").fill("lin.linked@example.org")
    page.get_by_label("Role").select_option(Role.AUDITOR)
    page.get_by_role("button", name="Create user").click()
    link = page.get_by_label("One-time link").input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link

    theirs = open_page()
    theirs.goto(link)
    expect(theirs.get_by_text("For lin.linked@example.org")).to_be_visible()
    theirs.get_by_label("New password").fill(PASSWORD)
    theirs.get_by_label("The same again").fill(PASSWORD)
    theirs.get_by_role("button", name="Set password").click()
    theirs.get_by_role("button", name="Sign in").click()
    sign_in(theirs, "lin.linked@example.org", PASSWORD)
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Users")
    expect(theirs.get_by_role("button", name="New user")).to_have_count(0)  # an auditor only reads
    theirs.goto(link)
    expect(theirs.get_by_role("heading", level=1)).to_have_text("This link no longer works")


def test_one_device_signs_out_all_others(desk: Desk, page: Page, open_page: OpenPage, admin: User) -> None:
    other = open_page(admin)
    other.goto("/users/")
    page.goto("/auth/devices")
    expect(page.locator(".devices li")).to_have_count(2)
    expect(page.locator(".devices li").filter(has_text="This device")).to_have_count(1)
    page.get_by_role("button", name="Sign out all others").click()
    expect(page.locator(".devices li")).to_have_count(1)
    other.reload()
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
