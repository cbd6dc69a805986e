"""Every shortcut that the help names, and none while somebody types."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk

ROWS = ".users tbody a"


def test_rows_are_walked_opened_and_edited_by_single_keys(page: Page) -> None:
    page.goto("/users/?page_size=20")
    rows, keyboard = page.locator(ROWS), page.keyboard
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        keyboard.press(key)
        expect(rows.nth(row)).to_be_focused()
    address = rows.nth(1).get_attribute("href") or ""
    keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{re.escape(address)}$"))
    keyboard.press("e")
    expect(page).to_have_url(re.compile(r"/users/\d+/edit"))


def test_the_row_that_has_the_focus_is_never_behind_the_head_or_the_pager(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 500})
    page.goto("/users/?page_size=20")
    hidden: list[str] = []
    for key in "j" * 20 + "k" * 20:
        page.keyboard.press(key)
        is_covered = page.evaluate("""() => {
            const { left, top, bottom } = document.activeElement.getBoundingClientRect();
            return [top + 2, bottom - 2].some((y) => document.elementFromPoint(left + 4, y)?.closest("a")
                !== document.activeElement);
        }""")
        if is_covered:
            hidden.append(page.evaluate("() => document.activeElement.textContent"))
    assert hidden == []


def test_slash_goes_to_the_search_box_and_n_to_a_new_user(page: Page) -> None:
    page.goto("/users/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jn?e/k")
    expect(page.get_by_role("searchbox")).to_have_value("jn?e/k")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/users/")
    page.keyboard.press("Control+n")  # the browser's own
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("/users/new$"))


def test_letters_typed_into_a_form_are_letters(desk: Desk, page: Page) -> None:
    page.goto("/users/new")
    name = page.get_by_label("Full name (optional)")
    name.press_sequentially("jenny /?")
    expect(name).to_have_value("jenny /?")
    expect(page).to_have_url(re.compile("/users/new$"))


def test_the_shortcuts_are_shown_by_question_mark_and_closed_by_escape(page: Page) -> None:
    page.goto("/users/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("n")  # not behind an open dialog
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("/users/$"))


def test_shortcuts_can_be_switched_off_for_good(page: Page) -> None:
    page.goto("/help")
    page.get_by_role("main").get_by_label("Use keyboard shortcuts in this browser").uncheck()
    page.goto("/users/")
    page.keyboard.press("/")
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.locator("body")).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_account_menu_opens_by_enter_and_escape_closes_it(page: Page) -> None:
    page.goto("/users/")
    summary = page.locator("nav summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Your profile")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Your profile")).to_be_hidden()
    expect(summary).to_be_focused()


def test_the_first_tab_offers_to_skip_to_the_content(page: Page) -> None:
    page.goto("/users/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
