"""From the list to a user and back, and nothing typed is lost on the way."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from tests.conftest import PASSWORD, read_user
from webapp.access.permissions import Role
from webapp.users.models import User

NAME = "Full name (optional)"


@pytest.fixture
def person(desk: Desk) -> User:
    return desk.make_user(full_name="Nora Editable")


def open_edit(page: Page, person: User) -> None:
    page.goto(f"/users/{person.id}/edit")


def save(page: Page, button: str = "Save") -> None:
    page.get_by_role("button", name=button, exact=True).click()


def type_more(page: Page, text: str) -> None:
    page.get_by_label(NAME).press("End")
    page.keyboard.type(text)


def stored_name(desk: Desk, person: User) -> str:
    user = read_user(desk.app, person.id)
    assert user
    return user.full_name


def test_saving_comes_back_to_the_same_list_at_the_same_row(desk: Desk, page: Page) -> None:
    people = [desk.make_user(full_name=f"Rowan Returning {number:02}") for number in range(30)]
    page.goto("/users/?q=rowan+returning&page_size=50&sort=-name")
    page.get_by_role("link", name=people[2].full_name).click()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label(NAME).fill("Rowan Returning 02b")
    save(page)
    expect(page).to_have_url(re.compile(rf"/users/\?(?=.*q=rowan)(?=.*sort=-name).*#u{people[2].id}$"))
    row = page.locator("tr:target")
    expect(row).to_contain_text("Rowan Returning 02b")
    expect(row).to_be_in_viewport()
    expect(page.locator(".toast")).to_contain_text("Rowan Returning 02b is saved.")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".toast")).to_have_count(0)


def test_errors_take_the_focus_lead_to_their_field_and_keep_what_was_typed(page: Page, person: User) -> None:
    open_edit(page, person)
    page.get_by_label(NAME).fill("Typed Name")
    page.get_by_label("E-mail").fill("no address")
    save(page)
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(page.get_by_label(NAME)).to_have_value("Typed Name")
    expect(page.get_by_label("E-mail")).to_have_value("no address")
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("E-mail")).to_have_accessible_description(re.compile(r"\w+"))
    summary.get_by_role("link", name="E-mail").click()
    expect(page.get_by_label("E-mail")).to_be_focused()


def test_leaving_with_unsaved_changes_asks_first(desk: Desk, page: Page, person: User) -> None:
    asked: list[str] = []
    leave = False

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    open_edit(page, person)
    type_more(page, "!")
    to_list = page.get_by_role("navigation").get_by_role("link", name="Users")
    to_list.click(no_wait_after=True)
    expect(page.get_by_label(NAME)).to_have_value("Nora Editable!")
    leave = True
    to_list.click()
    expect(page).to_have_url(re.compile("/users/$"))
    assert asked == ["beforeunload", "beforeunload"]
    open_edit(page, person)
    type_more(page, "?")
    save(page)
    expect(page.locator(".toast")).to_contain_text("is saved")
    assert len(asked) == 2  # saving is not leaving
    assert stored_name(desk, person) == "Nora Editable?"


def test_a_form_is_sent_once_however_often_it_is_clicked(desk: Desk, page: Page, person: User) -> None:
    open_edit(page, person)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/users/{person.id}/edit", hold)
    page.get_by_label(NAME).fill("Nora Once")
    with page.expect_request(f"**/users/{person.id}/edit"):
        page.get_by_role("button", name="Save").dblclick(no_wait_after=True)
    page.keyboard.press("Enter")
    held[0].continue_()
    expect(page.locator(".toast")).to_contain_text("Nora Once is saved.")
    assert len(held) == 1


def test_the_second_editor_is_refused_and_sees_both_values(
    desk: Desk, page: Page, open_page: OpenPage, person: User
) -> None:
    open_edit(page, person)
    first = open_page(desk.add_administrator())
    open_edit(first, person)
    first.get_by_label(NAME).fill("Nora First")
    save(first)
    expect(first.locator(".toast")).to_contain_text("is saved")
    page.get_by_label(NAME).fill("Nora Second")
    save(page)
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("saved this user just now")
    assert stored_name(desk, person) == "Nora First"
    row = page.get_by_role("table").locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("th, td")).to_have_text(["Full name", "Nora Editable", "Nora First", "Nora Second"])
    expect(page.get_by_label(NAME).last).to_have_value("Nora Second")
    expect(page.get_by_role("radio", name="Nora Second")).to_be_checked()
    page.get_by_role("radio", name="Nora First").check()
    save(page, "Save the merged user")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora First")
    assert stored_name(desk, person) == "Nora First"


def test_what_two_editors_changed_apart_is_kept_of_both(
    desk: Desk, page: Page, open_page: OpenPage, person: User
) -> None:
    open_edit(page, person)
    first = open_page(desk.add_administrator())
    open_edit(first, person)
    first.get_by_label("Role").select_option("support")
    save(first)
    page.get_by_label(NAME).fill("Nora Second")
    save(page)
    toast = page.locator(".toast")
    expect(toast).to_contain_text("What somebody else changed meanwhile is kept: Role.")
    toast.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora Editable")
    user = read_user(desk.app, person.id)
    assert user
    assert user.role is Role.SUPPORT


def test_what_is_typed_is_not_lost_when_the_user_is_deleted_meanwhile(
    desk: Desk, page: Page, open_page: OpenPage, person: User
) -> None:
    open_edit(page, person)
    other = open_page(desk.add_administrator())
    other.goto(f"/users/{person.id}/delete")
    save(other, "Move to the trash")
    page.get_by_label(NAME).fill("Nora Typed")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("deleted while you were editing")
    expect(page.get_by_label(NAME)).to_have_value("Nora Typed")
    page.get_by_role("link", name="Restore the user").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora Editable")


def test_a_session_that_ends_while_a_form_is_open_loses_nothing(
    desk: Desk, admin: User, page: Page, person: User
) -> None:
    open_edit(page, person)
    desk.end_sessions(admin)
    page.get_by_label(NAME).fill("Nora After Lunch")
    save(page)
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.get_by_label("E-mail").fill(admin.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    save(page, "Sign in")
    expect(page.get_by_role("definition").first).to_have_text("Nora After Lunch")
    assert stored_name(desk, person) == "Nora Editable"
    save(page, "Send again")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora After Lunch")
    assert stored_name(desk, person) == "Nora After Lunch"


def test_deactivating_can_be_undone_from_its_toast(desk: Desk, page: Page, person: User) -> None:
    page.goto(f"/users/?q=editable&sort=-created_at#u{person.id}")
    page.locator(f"#u{person.id} a").click()
    save(page, "Deactivate")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Nora Editable is inactive and signed out everywhere.")
    user = read_user(desk.app, person.id)
    assert user
    assert not user.is_active
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("Undone: Nora Editable is as before.")
    user = read_user(desk.app, person.id)
    assert user
    assert user.is_active
    page.locator(".back").click()
    expect(page).to_have_url(re.compile(rf"q=editable.*#u{person.id}$"))


def test_deleting_says_what_goes_asks_once_and_returns_to_the_list(
    desk: Desk, page: Page, person: User
) -> None:
    page.goto(f"/users/?q={person.email}")
    page.locator(f"#u{person.id} a").click()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete Nora Editable?")
    expect(page.get_by_role("main")).to_contain_text("can be restored from there")
    assert read_user(desk.app, person.id)
    save(page, "Move to the trash")
    expect(page.locator(".toast")).to_contain_text("Nora Editable is in the trash.")
    expect(page.get_by_role("searchbox")).to_have_value(person.email)
    expect(page.locator(f"#u{person.id}")).to_have_count(0)
    assert read_user(desk.app, person.id) is None
