"""History, undo, trash, two editors, many at once, notes and the way back in: all of it without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from tests.conftest import read_user
from webapp.users.models import User

NAME = "Full name (optional)"


@pytest.fixture
def page(open_page: OpenPage, admin: User) -> Page:
    return open_page(admin, java_script_enabled=False)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def rename(page: Page, person: User, full_name: str) -> None:
    page.goto(f"/users/{person.id}/edit")
    page.get_by_label(NAME).fill(full_name)
    press(page, "Save")


def test_a_change_is_told_and_found_and_undone_from_its_entry(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Hanna Historic")
    rename(page, person, "Hanna Modern")
    entry = page.locator(".timeline li").filter(has_text="edited").first
    expect(entry.locator("del")).to_have_text("Hanna Historic")
    expect(entry.locator("ins")).to_have_text("Hanna Modern")
    expect(page.locator(".told").first).to_contain_text("before: Hanna Historic")
    page.get_by_role("link", name="History", exact=True).click()
    page.get_by_role("searchbox").fill("hanna modern")
    press(page, "Apply")
    found = page.locator(".timeline li")
    expect(found).to_have_count(1)
    found.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hanna Historic")


def test_the_trash_gives_back_under_another_address_and_forgets_for_good(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Tilda Trashed", email="tilda@example.org")
    page.goto(f"/users/{person.id}/delete")
    press(page, "Move to the trash")
    desk.make_user(full_name="Tilda Second", email="tilda@example.org")
    page.get_by_role("link", name="Trash", exact=True).click()
    press(page, "Restore Tilda Trashed")
    expect(page.get_by_label("E-mail")).to_have_accessible_description(re.compile("already has this e-mail"))
    page.get_by_label("E-mail").fill("tilda.first@example.org")
    press(page, "Restore")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tilda Trashed")
    page.goto(f"/users/{person.id}/delete")
    press(page, "Move to the trash")
    page.get_by_role("link", name="Trash", exact=True).click()
    page.get_by_role("button", name="Delete Tilda Trashed for good").click()
    press(page, "Delete for good")
    expect(page.get_by_text("Tilda Trashed is deleted for good.")).to_be_visible()


def test_two_editors_of_one_field_choose(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Before")
    page.goto(f"/users/{person.id}/edit")
    desk.rename(person, "Theirs")
    page.get_by_label(NAME).fill("Mine")
    press(page, "Save")
    row = page.locator(".merge tbody tr")
    for text in ("Before", "Theirs", "Mine"):
        expect(row).to_contain_text(text)
    row.get_by_role("radio", name="Theirs").check()
    press(page, "Save the merged user")
    expect(page.get_by_role("heading", level=1)).to_have_text("Theirs")


def test_many_are_chosen_looked_at_changed_and_undone(desk: Desk, page: Page) -> None:
    people = [desk.make_user(full_name=f"Mona Many {letter}") for letter in "ABC"]
    page.goto("/users/?q=mona+many")
    for person in people[:2]:
        page.get_by_role("checkbox", name=person.full_name).check()
    page.get_by_role("form", name="Change many at once").get_by_role("button", name="Deactivate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Deactivate 2 users?")
    press(page, "Deactivate 2 users")
    expect(page.locator(".outcomes li")).to_have_count(2)
    assert [is_active(desk, person) for person in people] == [False, False, True]
    press(page, "Undo all")
    expect(page.get_by_role("heading", level=1)).to_have_text("Undo 2 changes")
    assert all(is_active(desk, person) for person in people)


def test_a_pasted_list_gets_a_note(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Pia Pasted", email="pia.pasted@example.org")
    page.goto("/batches/paste")
    page.get_by_label("E-mail addresses, names or ids").fill(
        f"Pia <PIA.PASTED@example.org>\nnobody@example.org\n{person.id}"
    )
    press(page, "Look them up")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 user chosen")
    expect(page.get_by_text("1 entry of the list was not found")).to_be_visible()
    press(page, "Add a note…")
    page.get_by_label("Note").fill("Called about the invoice.")
    press(page, "Show what will happen")
    press(page, "Note on 1 user")
    page.goto(f"/users/{person.id}")
    expect(page.get_by_text("Called about the invoice.").first).to_be_visible()


def test_a_note_is_added_edited_and_found_in_the_history(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Nele Noted")
    page.goto(f"/users/{person.id}")
    page.get_by_role("link", name="Add a note").click()
    page.get_by_label("Note").fill("Wants a paper invoice.")
    press(page, "Save")
    notes = page.locator("section", has=page.get_by_role("heading", name="Notes"))
    notes.get_by_role("button", name="Edit").click()
    page.get_by_label("Note").fill("Wants a zebra-striped invoice.")
    press(page, "Save")
    expect(notes.locator(".text")).to_have_text("Wants a zebra-striped invoice.")
    page.goto("/history/?q=zebra-striped")
    expect(page.locator(".timeline li")).to_have_count(1)


def test_who_cannot_sign_in_is_explained_and_helped(desk: Desk, page: Page) -> None:
    person = desk.make_user(full_name="Ines Inactive", is_active=False, hashed_password=None)
    page.goto(f"/users/{person.id}")
    panel = page.locator("section", has=page.get_by_role("heading", name="Why can’t this person sign in?"))
    for reason in ("The account is inactive.", "No password is set", "A member does not sign in here."):
        expect(panel).to_contain_text(reason)
    panel.get_by_role("button", name="Activate").click()
    expect(panel).not_to_contain_text("The account is inactive.")
    panel.get_by_role("button", name="Password link").click()
    expect(page.get_by_label("One-time link")).to_have_value(re.compile("/auth/set-password/"))


def is_active(desk: Desk, person: User) -> bool:
    user = read_user(desk.app, person.id)
    return user is not None and user.is_active
