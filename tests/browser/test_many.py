"""Many at once with scripts: rows ticked by mouse and keys, a bar that counts, progress by itself."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from tests.conftest import insert_users, read_user
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches.queries import get_batch
from webapp.batches.rules import State
from webapp.batches.running import run_step
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.users.models import User

LARGE = 1_200  # more than are changed at once


@pytest.fixture(scope="module")
def family(desk: Desk) -> list[User]:
    """25: more than a page of 20."""
    return [desk.make_user(full_name=f"Tick Tickworthy {number:02}") for number in range(25)]


@pytest.fixture(scope="module")
def tribe(desk: Desk) -> str:
    """Very many with one word in their names."""
    with desk.app.app_context():
        insert_users(
            [
                {"full_name": f"Mult Itudinous {number}", "email": f"mult{number}@many.example"}
                for number in range(LARGE)
            ]
        )
    return "itudinous"


def open_list(page: Page, query: str = "q=tickworthy&page_size=20") -> None:
    page.goto(f"/users/?{query}")


def boxes(page: Page) -> Locator:
    return page.locator(".users tbody input[type=checkbox]")


def bar(page: Page) -> Locator:
    return page.get_by_role("form", name="Change many at once")


def expect_ticked(page: Page, *numbers: int) -> None:
    """These rows, counted from 0; the bar says how many, or is not there."""
    ticked = page.locator(".users tbody input:checked")
    expect(ticked).to_have_count(len(numbers))
    found = boxes(page).evaluate_all("all => all.flatMap((box, index) => box.checked ? [index] : [])")
    assert found == list(numbers)
    if numbers:
        expect(bar(page)).to_contain_text(f"{len(numbers)} selected")
    else:
        expect(bar(page)).to_have_count(0)  # hidden, so it has no role


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def is_active(desk: Desk, user: User) -> bool:
    found = read_user(desk.app, user.id)
    assert found
    return found.is_active


# Ticking


def test_rows_are_ticked_one_by_one_as_a_range_and_all(page: Page, family: list[User]) -> None:
    open_list(page)
    expect_ticked(page)
    boxes(page).nth(2).click()
    expect_ticked(page, 2)
    boxes(page).nth(5).click(modifiers=["Shift"])
    expect_ticked(page, 2, 3, 4, 5)
    boxes(page).nth(1).click(modifiers=["Shift"])
    expect_ticked(page, 1, 2, 3, 4, 5)
    boxes(page).nth(4).click()
    boxes(page).nth(2).click(modifiers=["Shift"])
    expect_ticked(page, 1, 5)
    head = page.get_by_label("Select all on this page")
    expect(head).to_have_js_property("indeterminate", True)
    head.click()
    expect_ticked(page, *range(20))
    expect(head).to_be_checked()
    boxes(page).nth(7).click()
    expect(head).not_to_be_checked()
    head.click()
    expect_ticked(page, *range(20))
    head.click()
    expect_ticked(page)


def test_a_box_is_named_after_its_row(page: Page, family: list[User]) -> None:
    open_list(page)
    page.get_by_role("checkbox", name="Tick Tickworthy 03").check()
    expect_ticked(page, 3)


def test_x_ticks_the_row_that_has_the_focus(page: Page, family: list[User]) -> None:
    open_list(page)
    for key in "jjx":
        page.keyboard.press(key)
    expect_ticked(page, 1)
    expect(page.locator(".users tbody a").nth(1)).to_be_focused()
    for key in "jxjx":
        page.keyboard.press(key)
    expect_ticked(page, 1, 2, 3)
    page.keyboard.press("x")
    expect_ticked(page, 1, 2)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tick Tickworthy 03")


def test_x_is_a_letter_where_one_types_and_nothing_where_no_row_is(page: Page, family: list[User]) -> None:
    open_list(page)
    page.keyboard.press("x")
    expect_ticked(page)
    page.get_by_role("searchbox").press("End")
    page.get_by_role("searchbox").press_sequentially("x")
    expect(page.get_by_role("searchbox")).to_have_value("tickworthyx")


def test_a_renewed_list_has_no_ticks_and_no_bar(page: Page, family: list[User]) -> None:
    open_list(page)
    page.evaluate("window.isSamePage = true")
    boxes(page).nth(0).click()
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".range")).to_contain_text("21–25 of 25")
    expect_ticked(page)
    boxes(page).nth(1).click()
    boxes(page).nth(3).click(modifiers=["Shift"])
    expect_ticked(page, 1, 2, 3)
    page.get_by_role("searchbox").fill("tickworthy 1")
    expect(page.locator(".range")).to_contain_text("of 10")
    expect_ticked(page)
    boxes(page).nth(2).click(modifiers=["Shift"])  # the last box that was ticked is gone: no range
    expect_ticked(page, 2)
    assert page.evaluate("window.isSamePage")
    page.reload()
    expect_ticked(page)


def test_who_may_not_change_anybody_has_nothing_to_tick(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk.make_user(role=Role.AUDITOR))
    page.goto("/users/")
    expect(page.locator(".users tbody a").first).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)


# From the rows to the change and back


def test_ticked_people_are_deactivated_and_the_toast_undoes_it(desk: Desk, page: Page) -> None:
    people = [desk.make_user(full_name=f"Dea Activate {number}") for number in range(3)]
    open_list(page, "q=dea+activate")
    boxes(page).nth(0).click()
    boxes(page).nth(1).click()
    press(page, "Deactivate")
    expect(page.get_by_role("heading", level=1)).to_have_text("Deactivate 2 users?")
    expect(page.get_by_role("main")).to_contain_text("2 users will be changed.")
    expect(page.locator(".sample")).to_contain_text("Dea Activate 0")
    assert [is_active(desk, user) for user in people] == [True, True, True]
    press(page, "Deactivate 2 users")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("2 users are inactive and signed out.")
    expect(page.locator(".outcomes li")).to_have_count(2)
    assert [is_active(desk, user) for user in people] == [False, False, True]
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("2 changes are undone.")
    assert [is_active(desk, user) for user in people] == [True, True, True]
    page.get_by_role("link", name="undoes this bulk change").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Deactivate 2 users")
    expect(page.get_by_role("button", name="Undo all")).to_have_count(0)


def test_all_that_match_are_more_than_the_page_shows_and_cancel_leads_back(
    page: Page, family: list[User]
) -> None:
    open_list(page)
    boxes(page).nth(0).click()
    page.get_by_role("checkbox", name="All that match (25)").check()
    expect(bar(page)).to_be_visible()
    press(page, "Set role…")
    expect(page.get_by_role("heading", level=1)).to_contain_text("25 users")
    page.get_by_label("New role").select_option("support")
    press(page, "Show what will happen")
    expect(page.get_by_role("main")).to_contain_text("25 users will be changed.")
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile(r"/users/\?(?=.*q=tickworthy)(?=.*page_size=20)"))
    expect_ticked(page)


def test_back_from_the_draft_shows_ticks_and_bar_that_agree(page: Page, family: list[User]) -> None:
    open_list(page)
    boxes(page).nth(0).click()
    press(page, "Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign 1 user out?")
    page.go_back()
    expect(boxes(page)).to_have_count(20)
    number = page.locator(".users tbody input:checked").count()
    assert bar(page).count() == (1 if number else 0)
    boxes(page).nth(4).check()
    expect(page.get_by_role("button", name="Sign out", exact=True).last).to_be_enabled()


def test_a_pasted_list_with_a_name_of_two_is_asked_about(desk: Desk, page: Page) -> None:
    single = desk.make_user(full_name="Paz Single")
    twins = [desk.make_user(full_name="Paz Twin") for _ in range(2)]
    page.goto("/batches/")
    page.get_by_role("button", name="Paste a list").first.click()
    page.get_by_label("E-mail addresses, names or ids").fill(f"{single.email}\npaz TWIN\nPaz Nobody")
    press(page, "Look them up")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 user chosen")
    page.locator("summary", has_text="1 entry of the list was not found").click()
    expect(page.get_by_text("Paz Nobody")).to_be_visible()
    page.get_by_role("checkbox", name=twins[1].email).check()
    press(page, "Add the chosen ones")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 users chosen")
    expect(page.get_by_text("stands for several people")).to_have_count(0)
    press(page, "Add a note…")
    page.get_by_label("Note").fill("Came by a list.")
    press(page, "Show what will happen")
    press(page, "Note on 2 users")
    expect(page.locator(".toast")).to_contain_text("2 users have the note.")
    page.get_by_role("link", name="Paz Single").click()
    expect(page.get_by_text("Came by a list.").first).to_be_visible()
    page.get_by_role("link", name="in a bulk change").click()
    expect(page.locator(".outcomes li")).to_have_count(2)


def test_leaving_a_list_half_pasted_asks_first(page: Page) -> None:
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto("/batches/paste")
    page.get_by_label("E-mail addresses, names or ids").press_sequentially("ann")
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile("/batches/$"))
    assert asked == ["beforeunload"]


# In steps


def choose_all(page: Page, tribe: str) -> None:
    open_list(page, f"q={tribe}&page_size=20")
    boxes(page).nth(0).click()
    page.get_by_role("checkbox", name=re.compile("All that match")).check()
    press(page, "Deactivate")
    expect(page.get_by_role("main")).to_contain_text("They are changed in short steps")


def test_a_large_change_and_its_undo_end_in_results_by_themselves(page: Page, tribe: str) -> None:
    choose_all(page, tribe)
    press(page, "Deactivate 1,200 users")
    expect(page.get_by_role("button", name="Undo all")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("navigation", name="Results")).to_contain_text("Done 1,200")
    expect(page.locator(".outcomes li")).to_have_count(100)
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".outcomes li").first).to_have_id("r101")
    press(page, "Undo all")
    expect(page.get_by_role("link", name="undoes this bulk change")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Undo 1,200 changes")
    open_list(page, f"q={tribe}&status=inactive")
    expect(page.get_by_role("heading", level=2)).to_contain_text("Nobody matches")


def test_who_is_signed_out_while_it_is_watched_is_asked_to_sign_in(
    desk: Desk, page: Page, admin: User, tribe: str
) -> None:
    choose_all(page, tribe)
    path = urlsplit(page.url).path
    with desk.app.app_context():
        batch = get_batch(int(path.rpartition("/")[2]))
        batch.state, batch.touched_at = State.RUNNING.value, utc_now()
        get_session().commit()
    page.reload()
    expect(page.get_by_role("progressbar")).to_be_visible()
    desk.end_sessions(admin)
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    assert path in unquote(page.url)


def test_progress_is_followed_stopped_and_goes_on(desk: Desk, page: Page, admin: User, tribe: str) -> None:
    """The test makes the steps, as long as it looks at them."""
    choose_all(page, tribe)
    batch_id = int(re.findall(r"/batches/(\d+)", page.url)[0])
    with desk.app.app_context():
        batch = get_batch(batch_id)
        batch.state, batch.touched_at = State.RUNNING.value, utc_now()
        get_session().commit()
    page.reload()
    page.evaluate("window.isSamePage = true")
    expect(page.get_by_role("progressbar", name="0 of 1,200")).to_be_visible()
    page.get_by_role("button", name="Stop").focus()
    with desk.app.app_context():
        actor = Actor(user_id=admin.id, name=admin.full_name, role=admin.role)
        assert run_step(batch_id, most=600, actor=actor)
    expect(page.get_by_role("progressbar", name="600 of 1,200")).to_be_visible()
    assert page.evaluate("window.isSamePage")
    expect(page.get_by_role("button", name="Stop")).to_be_focused(timeout=2_000)  # also while it is renewed
    press(page, "Stop")
    expect(page.get_by_text("It was stopped after 600 of 1,200.")).to_be_visible()
    press(page, "Continue")
    expect(page.get_by_role("navigation", name="Results")).to_contain_text("Done 1,200", timeout=30_000)
    expect(page.get_by_text("It was stopped")).to_have_count(0)
