"""Time and language follow the browser, and the profile when it says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Desk
from webapp.users.models import User


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Europe/Paris", "13 March 2026, 00:30"), ("America/New_York", "12 March 2026, 19:30")],
)
def test_times_are_those_of_the_browser_with_utc_in_the_tooltip(
    zone: str, shown: str, desk: Desk, open_page: OpenPage, admin: User
) -> None:
    person = desk.make_user(created_at=datetime(2026, 3, 12, 23, 30, tzinfo=UTC))
    page = open_page(admin, timezone_id=zone)
    page.goto("/help")  # a script of the first page tells the zone
    page.goto(f"/users/{person.id}")
    created = page.get_by_role("time").first
    expect(created).to_have_text(shown)
    expect(created).to_have_attribute("title", "2026-03-12 23:30:00 UTC")
    expect(created).to_have_attribute("datetime", "2026-03-12T23:30:00Z")


def test_a_french_browser_reads_french_until_the_profile_says_english(
    open_page: OpenPage, admin: User
) -> None:
    page = open_page(admin, locale="fr-FR")
    page.goto("/auth/profile")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Your profile")
    page.locator("select[name=language]").select_option("en")
    page.locator("main form button").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")
    expect(page.get_by_text("Your profile is saved.")).to_be_visible()
