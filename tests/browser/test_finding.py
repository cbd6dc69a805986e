"""The list with scripts: results follow the typing, the address follows the results, and Back goes back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk


@pytest.fixture(autouse=True, scope="module")
def _families(desk: Desk) -> None:
    for name in ("Zubin Quixworthy", "Zora Quixworthy", "Zora Quixling"):
        desk.make_user(full_name=name)


def expect_rows(page: Page, *names: str) -> None:
    expect(page.locator(".users tbody tr a")).to_have_text(names)


def test_results_and_address_follow_the_typing_and_back_goes_back(page: Page) -> None:
    page.goto("/users/?role=member&sort=-name")
    page.get_by_role("searchbox").press_sequentially("quixw", delay=20)
    expect_rows(page, "Zubin Quixworthy", "Zora Quixworthy")
    expect(page).to_have_url(re.compile(r"/users/\?(?=.*q=quixw)(?=.*role=member)(?=.*sort=-name)"))
    expect(page.get_by_role("status").first).to_have_text("2")
    expect(page.locator("mark")).to_have_text(["Quixw", "Quixw"])
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill("quixling")
    expect_rows(page, "Zora Quixling")
    page.go_back()
    expect(page).to_have_url(re.compile(r"q=quixw(&|$)"))
    expect_rows(page, "Zubin Quixworthy", "Zora Quixworthy")
    expect(page.get_by_role("searchbox")).to_have_value("quixw")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/users/\?role=member&sort=-name$"))
    expect(page.locator("mark")).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_a_burst_of_typing_is_one_request(page: Page) -> None:
    """On a clock of our own: a busy machine types slowly."""
    page.clock.install()
    page.goto("/users/")
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/users/")[2]))
    page.get_by_role("searchbox").press_sequentially("zubin quixworthy", delay=5)
    assert asked == []
    page.clock.resume()
    expect_rows(page, "Zubin Quixworthy")
    assert [query for query in asked if query] == ["?q=zubin+quixworthy"]


def test_a_newer_search_cancels_the_one_that_still_runs(page: Page) -> None:
    page.goto("/users/")
    held: list[str] = []
    cancelled: list[str] = []
    page.route("**/users/?q=quix", lambda route: held.append(route.request.url))
    page.on("requestfailed", lambda request: cancelled.append(request.url))
    with page.expect_request("**/users/?q=quix"):
        page.get_by_role("searchbox").fill("quix")
    page.get_by_role("searchbox").fill("quixling")
    expect_rows(page, "Zora Quixling")
    assert cancelled == held
    assert len(held) == 1


def test_filters_sorting_and_pages_renew_the_results_in_place(page: Page) -> None:
    page.goto("/users/?page_size=20")
    page.evaluate("window.isSamePage = true")
    page.get_by_role("combobox", name="Status").select_option("inactive")
    expect(page).to_have_url(re.compile("status=inactive"))
    expect(page.locator(".users tbody td:nth-child(4)").first).to_have_text("Inactive")
    page.get_by_role("link", name="Clear").click()
    expect(page).to_have_url(re.compile(r"/users/\?page_size=20$"))
    page.evaluate("window.isSamePage = true")
    page.get_by_role("link", name="Created", exact=True).click()
    expect(page).to_have_url(re.compile("sort=-created_at"))
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Created")
    first = page.locator(".users tbody tr").first.get_attribute("id")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".range")).to_contain_text("21–40 of")
    page.get_by_role("button", name="Previous page").click()
    expect(page.locator(".users tbody tr").first).to_have_id(first or "")
    assert page.evaluate("window.isSamePage")
    page.get_by_role("spinbutton", name="Page").fill("3")
    page.keyboard.press("Enter")
    expect(page.locator(".range")).to_contain_text("41–60 of")


def test_a_search_after_the_session_has_ended_leads_to_the_sign_in_page(page: Page) -> None:
    page.goto("/users/")
    page.context.clear_cookies()
    page.get_by_role("searchbox").fill("quix")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("input[name=next]")).to_have_value("/users/?q=quix")


def test_a_list_that_fails_to_load_keeps_what_was_typed_and_offers_another_try(page: Page) -> None:
    page.goto("/users/")
    page.route("**/users/?q=*", lambda route: route.fulfill(status=429, body="later"))
    page.get_by_role("searchbox").fill("zubin quixw")
    expect(page.get_by_role("alert")).to_contain_text("The list could not be loaded.")
    expect(page.get_by_role("searchbox")).to_have_value("zubin quixw")
    page.unroute("**/users/?q=*")
    page.get_by_role("link", name="Try again").click()
    expect_rows(page, "Zubin Quixworthy")


def test_names_of_every_script_are_shown_in_their_own_direction(desk: Desk, page: Page) -> None:
    names = {
        "Łukasz Żółć Xscript": "ltr",
        "Αλέξανδρος Xscript": "ltr",
        "李小龙 Xscript": "ltr",
        "สมชาย Xscript": "ltr",
        "דוד כהן Xscript": "rtl",
        "محمد العربي Xscript": "rtl",
    }
    users = {name: desk.make_user(full_name=name) for name in names}
    page.goto("/users/?q=xscript")
    for name, direction in names.items():
        link = page.locator(f"#u{users[name].id} a")
        expect(link).to_have_text(name)
        expect(link).to_have_css("direction", direction)
    page.locator(f"#u{users['דוד כהן Xscript'].id} a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("דוד כהן Xscript")


def test_what_is_typed_is_what_is_exported(desk: Desk, page: Page) -> None:
    desk.make_user(full_name="Exporta Nowhere", email="exporta@example.org")
    page.goto("/users/")
    page.get_by_role("searchbox").fill("exporta")
    expect(page.locator("#count")).to_have_text("1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert "exporta@example.org" in download.value.path().read_text(encoding="utf-8-sig")
    assert len(download.value.path().read_text(encoding="utf-8-sig").splitlines()) == 2
    page.get_by_role("searchbox").fill("quixling")
    expect(page.locator("#count")).to_have_text("1")
    with page.expect_download() as download:  # the same button once more: it waits until that works again
        page.get_by_role("button", name="Export").click()
    assert "Zora Quixling" in download.value.path().read_text(encoding="utf-8-sig")
