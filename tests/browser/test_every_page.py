"""Every page, in every state it can be seen in: accessible in light and dark, never wider than the window.

The console and the content security policy are watched in all browser tests, see conftest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from tests.browser.accessibility import (
    COLOURS,
    HEIGHT,
    NARROW,
    SIZES,
    WIDE,
    ZOOMED,
    find_violations,
    overflow,
)
from tests.browser.conftest import OpenPage, open_context
from tests.browser.desk import TERMINAL, Desk
from tests.conftest import PASSWORD
from webapp.access.permissions import Role
from webapp.batches.queries import get_batch
from webapp.batches.rules import State
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.tokens.models import Token
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import deactivate_user

# Long words of a name must wrap too.
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh Llanfairpwllgwyngyllgogerychwyrndrobwll"
LONG_EMAIL = "averyveryveryveryverylongaddresswithnobreakinitatallanywhere{}@example.org"


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser, and a member with a long name to look at."""

    desk: Desk
    page: Page
    admin: User
    person: User

    def open(self, path: str) -> None:
        self.page.goto(path)

    def open_person(self, path: str = "") -> None:
        self.page.goto(f"/users/{self.person.id}{path}")

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def label(self, text: str) -> Locator:
        return self.page.get_by_label(text, exact=True)

    def make_link(self) -> str:
        self.open_person()
        self.click("Password link")
        return self.label("One-time link").input_value()


Steps = Callable[[Visit], None]


class Sight(NamedTuple):
    """``endpoint`` answers with the page titled ``title``."""

    endpoint: str
    title: str
    steps: Steps


SIGHTS: dict[str, Sight] = {}


def sight(endpoint: str, title: str) -> Callable[[Steps], Steps]:
    def add(steps: Steps) -> Steps:
        SIGHTS[steps.__name__] = Sight(endpoint, title, steps)
        return steps

    return add


@sight("users.list_users", "Users")
def list_of_users(visit: Visit) -> None:
    visit.open("/users/?page_size=20&page=2")


@sight("users.list_users", "Users")
def list_with_marks(visit: Visit) -> None:
    visit.open("/users/?q=llan&sort=-created_at")
    expect(visit.page.locator("mark").first).to_be_visible()


@sight("users.list_users", "Users")
def list_with_days_open(visit: Visit) -> None:
    visit.open("/users/?page_size=20&created_from=2020-01-01&created_to=2026-01-01")
    visit.page.locator(".created summary").click()


@sight("users.list_users", "Users")
def empty_list(visit: Visit) -> None:
    visit.open("/users/?q=nobodyhasthisname&status=active")


@sight("users.list_users", "Users")
def list_with_bad_filters(visit: Visit) -> None:
    visit.open("/users/?status=asleep&created_from=2026-05-05&created_to=2026-01-01&sort=shoe&page=0")


@sight("users.list_users", "Users")
def list_past_the_end(visit: Visit) -> None:
    visit.open("/users/?page=999")


@sight("users.list_users", "Users")
def list_that_could_not_load(visit: Visit) -> None:
    visit.open("/users/?page_size=20")
    visit.page.route("**/users/?q=*", lambda route: route.fulfill(status=429, body="later"))
    visit.page.get_by_role("searchbox").fill("mar")
    expect(visit.page.locator("#load-failed")).to_be_visible()


@sight("users.show_user", LONG_NAME)
def user(visit: Visit) -> None:
    visit.desk.session_cookie(visit.person)  # so that a device is shown
    visit.open_person()


@sight("users.show_user", LONG_NAME)
def user_deactivated_a_moment_ago(visit: Visit) -> None:
    visit.open_person()
    visit.click("Deactivate")
    expect(visit.page.locator(".toast")).to_be_visible()


@sight("users.show_user", LONG_EMAIL)
def user_without_name_or_password(visit: Visit) -> None:
    invited = visit.desk.make_user(
        full_name="", email=LONG_EMAIL.format(visit.person.id), hashed_password=None, role=Role.AUDITOR
    )
    visit.open(f"/users/{invited.id}")


@sight("users.create_user", "New user")
def new_user(visit: Visit) -> None:
    visit.open("/users/new")


@sight("users.create_user", "New user")
def new_user_with_errors(visit: Visit) -> None:
    visit.open("/users/new")
    visit.label("E-mail").fill("no address")
    visit.click("Create user")


@sight("users.edit_user", f"Edit {LONG_NAME}")
def edit(visit: Visit) -> None:
    visit.open_person("/edit")


@sight("users.edit_user", f"Edit {LONG_NAME}")
def edit_with_somebody_else_there(visit: Visit) -> None:
    colleague = visit.desk.make_user(full_name=LONG_NAME, role=Role.SUPPORT)
    visit.desk.open_form(visit.person, colleague)
    visit.open_person("/edit")
    expect(visit.page.locator(".presence")).to_contain_text("opened this form just now.")


@sight("users.edit_user", f"Edit {LONG_NAME}")
def edit_with_errors(visit: Visit) -> None:
    visit.open_person("/edit")
    visit.label("E-mail").fill("")
    visit.click("Save")


@sight("users.edit_user", "Edit Somebody Else")
def edit_that_came_second(visit: Visit) -> None:
    visit.open_person("/edit")
    visit.desk.rename(visit.person, "Somebody Else")
    visit.label("Full name (optional)").fill("Mine")
    visit.click("Save")
    expect(visit.page.get_by_role("table", name="What is different")).to_be_visible()


@sight("users.delete_user", f"Delete {LONG_NAME}")
def delete(visit: Visit) -> None:
    visit.open_person("/delete")


@sight("users.delete_user", "Delete Somebody Else")
def delete_that_came_second(visit: Visit) -> None:
    visit.open_person("/delete")
    visit.desk.rename(visit.person, "Somebody Else")
    visit.click("Move to the trash")


def discard(visit: Visit) -> None:
    visit.open_person("/delete")
    visit.click("Move to the trash")


@sight("trash.list_trash", "Trash")
def trash(visit: Visit) -> None:
    discard(visit)
    visit.open("/trash/")


@sight("trash.list_trash", "Trash")
def trash_with_ticks(visit: Visit) -> None:
    discard(visit)
    visit.open("/trash/")
    visit.page.locator(f"#u{visit.person.id}").get_by_role("checkbox").check()
    expect(visit.page.get_by_role("form", name="Change many at once")).to_be_visible()


@sight("trash.restore_user", f"Restore {LONG_NAME}")
def restore_a_taken_address(visit: Visit) -> None:
    discard(visit)
    visit.desk.make_user(email=visit.person.email)
    visit.open(f"/trash/{visit.person.id}/restore")
    visit.click("Restore")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("trash.purge_user", f"Delete {LONG_NAME} for good")
def purge(visit: Visit) -> None:
    discard(visit)
    visit.open(f"/trash/{visit.person.id}/purge")


@sight("users.edit_user", "This user was deleted")
def edit_of_somebody_deleted_meanwhile(visit: Visit) -> None:
    visit.open_person("/edit")
    other = visit.page.context.new_page()
    other.goto(f"/users/{visit.person.id}/delete")
    other.get_by_role("button", name="Move to the trash").click()
    other.close()
    visit.click("Save")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("notes.add_note", f"Note on {LONG_NAME}")
def new_note_with_errors(visit: Visit) -> None:
    visit.open_person("/notes/new")
    visit.click("Save")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("notes.edit_note", f"Edit the note on {LONG_NAME}")
def edit_note(visit: Visit) -> None:
    visit.open_person("/notes/new")
    visit.label("Note").fill("Asked for a copy of the invoice.\nCall back on Monday.")
    visit.click("Save")
    visit.page.locator("#main").get_by_role("button", name="Edit", exact=True).last.click()


@sight("users.show_user", LONG_NAME)
def user_with_a_history(visit: Visit) -> None:
    visit.open_person("/notes/new")
    visit.label("Note").fill("x" * 300)
    visit.click("Save")
    visit.click("Deactivate")
    expect(visit.page.get_by_text("The account is inactive.")).to_be_visible()


@sight("credits.grant_credits", "Grant 1,234.50?")
def grant_to_confirm(visit: Visit) -> None:
    visit.open_person("/credits/grant")
    visit.label("Amount").fill("1234.50")
    visit.label("Reason").fill("x" * 200)
    visit.click("Go on")


@sight("credits.show_ledger", f"Credits of {LONG_NAME}")
def ledger(visit: Visit) -> None:
    grant_to_confirm(visit)
    visit.click("Grant 1,234.50")
    expect(visit.page.get_by_role("row")).to_have_count(2)


@sight("users.show_user", LONG_NAME)
def user_with_credits(visit: Visit) -> None:
    ledger(visit)
    visit.open_person("")


@sight("credits.transfer_credits", f"Transfer from {LONG_NAME}")
def transfer_with_errors(visit: Visit) -> None:
    visit.open_person("/credits/transfer")
    visit.click("Go on")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("credits.transfer_credits", "Transfer 34.50?")
def transfer_to_confirm(visit: Visit) -> None:
    ledger(visit)
    visit.open_person("/credits/transfer")
    visit.label("Recipient").fill(visit.admin.email)
    visit.label("Amount").fill("34.50")
    visit.click("Go on")


@sight("credits.withdraw_credits", f"Withdraw from {LONG_NAME}")
def withdrawal_of_too_much(visit: Visit) -> None:
    visit.open_person("/credits/withdraw")
    visit.label("Amount").fill("1")
    visit.label("Reason").fill("An error")
    visit.click("Go on")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("users.list_users", "Users")
def list_with_ticks(visit: Visit) -> None:
    visit.open("/users/?q=llan")
    for box in visit.page.locator(".users tbody").get_by_role("checkbox").all():
        box.check()
    expect(visit.page.get_by_role("form", name="Change many at once")).to_be_visible()


def choose_many(visit: Visit, button: str) -> None:
    """One whom it changes, one whom it does not, and oneself, who is left out."""
    same = visit.desk.make_user(full_name=LONG_NAME, is_active=False)
    visit.open("/batches/paste")
    visit.label("E-mail addresses, names or ids").fill(f"{visit.person.id} {same.id} {visit.admin.id}")
    visit.click("Look them up")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("3 users chosen")
    visit.click(button)
    expect(visit.page.get_by_role("heading", level=1)).not_to_have_text("3 users chosen")


@sight("batches.list_batches", "Bulk changes")
def bulk_changes(visit: Visit) -> None:
    choose_many(visit, "Set role…")
    choose_many(visit, "Deactivate")
    visit.click("Deactivate 1 user")
    visit.open("/batches/")


@sight("batches.paste_list", "Paste a list of users")
def pasted_list_with_errors(visit: Visit) -> None:
    visit.open("/batches/paste")
    visit.label("E-mail addresses, names or ids").fill(f"{LONG_EMAIL}\n" * 20)
    visit.click("Look them up")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("batches.show_batch", "1 user chosen")
def draft_of_a_pasted_list(visit: Visit) -> None:
    for number in range(7):
        visit.desk.make_user(full_name=LONG_NAME, email=f"{number}{LONG_EMAIL.format(visit.person.id)}")
    visit.open("/batches/paste")
    missing = f"nobody.{LONG_EMAIL}\n" + "x" * 300
    visit.label("E-mail addresses, names or ids").fill(f"{LONG_NAME}\n{visit.admin.id}\n{missing}")
    visit.click("Look them up")
    visit.page.locator("summary", has_text="were not found").click()
    expect(visit.page.get_by_role("checkbox").first).to_be_visible()


@sight("batches.show_batch", "Give 3 users the role …")
def draft_that_asks_for_a_role(visit: Visit) -> None:
    choose_many(visit, "Set role…")


@sight("batches.show_batch", "Note on 3 users")
def draft_of_a_note_with_errors(visit: Visit) -> None:
    choose_many(visit, "Add a note…")
    visit.label("Note").fill("x" * 5001)
    visit.click("Show what will happen")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("batches.show_batch", "Deactivate 3 users")
def draft_with_a_preview(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    expect(visit.page.locator(".left-out")).to_be_visible()


@sight("batches.show_batch", "Deactivate 3 users")
def draft_that_was_overtaken(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    with visit.desk.app.app_context():
        deactivate_user(get_user(visit.person.id), actor=TERMINAL)
    visit.click("Deactivate 1 user")
    expect(visit.page.get_by_role("alert")).to_be_focused()


def set_batch(visit: Visit, state: State, *, minutes: int = 0) -> None:
    """The batch on the page, after the first of its rows; last touched so many minutes ago."""
    with visit.desk.app.app_context():
        batch = get_batch(int(visit.page.url.partition("/batches/")[2]))
        batch.state, batch.position = state.value, 1
        batch.touched_at = utc_now() - timedelta(minutes=minutes)
        get_session().commit()
    visit.page.reload()


@sight("batches.show_batch", "Deactivate 3 users")
def progress(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    set_batch(visit, State.RUNNING)
    expect(visit.page.get_by_role("progressbar", name="1 of 3")).to_be_visible()


@sight("batches.show_batch", "Deactivate 3 users")
def progress_that_was_interrupted(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    set_batch(visit, State.RUNNING, minutes=5)
    expect(visit.page.get_by_role("alert")).to_be_visible()


@sight("batches.show_batch", "Deactivate 3 users")
def results_that_were_stopped(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    set_batch(visit, State.STOPPED)
    expect(visit.page.get_by_role("button", name="Continue")).to_be_visible()


@sight("batches.show_batch", "Deactivate 3 users")
def results(visit: Visit) -> None:
    choose_many(visit, "Deactivate")
    visit.click("Deactivate 1 user")
    expect(visit.page.locator(".outcomes li")).to_have_count(3)


@sight("history.list_history", "History")
def history(visit: Visit) -> None:
    visit.open_person()
    visit.click("Deactivate")
    visit.open(f"/history/?user={visit.person.id}")


@sight("history.list_history", "History")
def empty_history(visit: Visit) -> None:
    visit.open("/history/?q=nobodyhasthisname&kind=purged")


@sight("history.list_history", "History")
def history_with_bad_filters(visit: Visit) -> None:
    visit.open("/history/?user=-1&kind=shoe&since=2300-01-01")


@sight("auth.create_password_link", f"Password link for {LONG_NAME}")
def link(visit: Visit) -> None:
    visit.make_link()


@sight("auth.create_password_link", "Confirm it’s you")
def confirmation(visit: Visit) -> None:
    visit.open_person()
    visit.desk.age_sessions(visit.admin)
    visit.click("Password link")
    expect(visit.label("Password")).to_be_focused()


@sight("auth.create_password_link", "Confirm it’s you")
def confirmation_with_errors(visit: Visit) -> None:
    confirmation(visit)
    visit.label("Password").fill("not the password")
    visit.click("Confirm")
    expect(visit.page.get_by_role("alert")).to_be_focused()


@sight("auth.use_password_link", "Set your password")
def set_password(visit: Visit) -> None:
    visit.open(visit.make_link())


@sight("auth.use_password_link", "Set your password")
def set_password_with_errors(visit: Visit) -> None:
    visit.open(visit.make_link())
    visit.label("New password").fill("short")
    visit.click("Set password")


@sight("auth.use_password_link", "Set your password")
def password_is_set(visit: Visit) -> None:
    visit.open(visit.make_link())
    visit.label("New password").fill(PASSWORD)
    visit.label("The same again").fill(PASSWORD)
    visit.click("Set password")
    expect(visit.page.get_by_role("heading", name="Your password is set")).to_be_visible()


@sight("auth.use_password_link", "Set your password")
def link_that_is_dead(visit: Visit) -> None:
    visit.open("/auth/set-password/unknown")


@sight("auth.list_devices", "Signed-in devices")
def devices(visit: Visit) -> None:
    visit.desk.session_cookie(visit.admin)
    visit.open("/auth/devices")


@sight("notices.show_notices", "Recent account activity")
def notices(visit: Visit) -> None:
    visit.desk.give_news(visit.admin)
    visit.open("/auth/notices/")
    expect(visit.page.get_by_text("made a password link")).to_be_visible()


@sight("notices.show_notices", "Recent account activity")
def no_notices(visit: Visit) -> None:
    visit.open("/auth/notices/")


@sight("users.list_users", "Users")
def list_with_news_of_the_account(visit: Visit) -> None:
    visit.desk.give_news(visit.admin)
    visit.open("/users/?page_size=20")
    expect(visit.page.get_by_text("There is new activity on your account.")).to_be_visible()


def make_token(visit: Visit, name: str) -> str:
    """Answer the secret."""
    visit.open("/tokens/new")
    visit.label("Name").fill(name)
    visit.label("Read users and notes").check()
    visit.label("Activate and deactivate users (together with editing)").check()
    visit.label("Only from these addresses (optional)").fill("2001:db8:1234:5678:9abc::/80")
    visit.click("Make the token")
    return visit.label("Access token").input_value()


@sight("tokens.list_own_tokens", "Access tokens")
def tokens(visit: Visit) -> None:
    make_token(visit, LONG_NAME[:60])
    make_token(visit, "Ended")
    with visit.desk.app.app_context():
        session = get_session()
        session.execute(update(Token).where(Token.name == "Ended").values(epoch=-1))
        session.commit()
    visit.open("/tokens/")
    expect(visit.page.get_by_text("Ended").last).to_be_visible()


@sight("tokens.list_own_tokens", "Access tokens")
def no_tokens(visit: Visit) -> None:
    visit.open("/tokens/")


@sight("tokens.create_token", "New token")
def new_token(visit: Visit) -> None:
    visit.open("/tokens/new")


@sight("tokens.create_token", "New token")
def new_token_with_errors(visit: Visit) -> None:
    visit.open("/tokens/new")
    visit.label("Only from these addresses (optional)").fill("somewhere")
    visit.click("Make the token")


@sight("tokens.create_token", f"Token “{LONG_NAME[:60]}”")
def token_just_made(visit: Visit) -> None:
    assert make_token(visit, LONG_NAME[:60]).startswith("dossier_")


@sight("tokens.list_all_tokens", "Everybody’s tokens")
def all_tokens(visit: Visit) -> None:
    make_token(visit, LONG_NAME[:60])
    visit.open("/tokens/all")


@sight("tokens.list_all_tokens", "Everybody’s tokens")
def all_tokens_with_none_found(visit: Visit) -> None:
    visit.open("/tokens/all?q=nothinghasthisname&kind=reading")


@sight("tokens.list_all_tokens", "Everybody’s tokens")
def all_tokens_with_bad_filters(visit: Visit) -> None:
    visit.open("/tokens/all?kind=shoe&user=x")


@sight("auth.edit_profile", "Your profile")
def profile(visit: Visit) -> None:
    visit.open("/auth/profile")


@sight("auth.edit_profile", "Your profile")
def profile_with_errors(visit: Visit) -> None:
    visit.open("/auth/profile")
    visit.label("Time zone (optional)").fill("Middle/Earth")
    visit.click("Save")


@sight("auth.change_password", "Change password")
def password(visit: Visit) -> None:
    visit.open("/auth/password")


@sight("auth.change_password", "Change password")
def password_with_errors(visit: Visit) -> None:
    visit.open("/auth/password")
    visit.click("Change password")


@sight("api.show_reference", "API")
def reference_of_the_api(visit: Visit) -> None:
    visit.open("/api/")


@sight("web.show_help", "Help")
def help_page(visit: Visit) -> None:
    visit.open("/help")


@sight("web.show_help", "Help")
def help_with_account_menu_open(visit: Visit) -> None:
    visit.open("/help")
    visit.page.locator("nav summary").click()


@sight("web.show_help", "Help")
def help_with_shortcuts_open(visit: Visit) -> None:
    visit.open("/help")
    visit.page.keyboard.press("?")
    expect(visit.page.get_by_role("dialog")).to_be_visible()


@sight("users.show_user", "There is nothing here")
def not_found(visit: Visit) -> None:
    visit.open("/users/999999")


@sight("users.create_user", "You may not do this")
def not_allowed(visit: Visit) -> None:
    auditor = visit.desk.make_user(role=Role.AUDITOR)
    visit.page.context.clear_cookies()
    visit.page.context.add_cookies([visit.desk.session_cookie(auditor)])  # type: ignore[list-item]
    visit.open("/users/new")


@sight("users.show_user", "There is nothing here")
def not_found_while_signed_out(visit: Visit) -> None:
    visit.page.context.clear_cookies()
    visit.open("/nowhere")


@sight("auth.sign_in", "Sign in")
def sign_in(visit: Visit) -> None:
    visit.page.context.clear_cookies()
    visit.open("/auth/login")


@sight("auth.sign_in", "Sign in")
def sign_in_with_errors(visit: Visit) -> None:
    sign_in(visit)
    visit.click("Sign in")


@sight("users.edit_user", "Sign in")
def sign_in_for_a_session_that_ended(visit: Visit) -> None:
    visit.open_person("/edit")
    visit.desk.end_sessions(visit.admin)
    visit.label("Full name (optional)").fill(f"{LONG_NAME} {LONG_NAME}")
    visit.click("Save")
    expect(visit.page.get_by_text("Your session has ended.")).to_be_visible()


@sight("auth.sign_in", "Send again?")
def resend(visit: Visit) -> None:
    sign_in_for_a_session_that_ended(visit)
    visit.label("E-mail").fill(visit.admin.email)
    visit.label("Password").fill(PASSWORD)
    visit.click("Sign in")
    expect(visit.page.get_by_role("button", name="Send again")).to_be_visible()


Tab = tuple[Page, list[str]]


@pytest.fixture(scope="module")
def tab(desk: Desk, browser: Browser) -> Iterator[Tab]:
    """One for all, and what is wrong in it: to open one takes Chromium longer than to show a page."""
    problems: list[str] = []
    context = open_context(browser, desk, problems)
    yield context.new_page(), problems
    context.close()


@pytest.fixture
def page(tab: Tab, desk: Desk, admin: User) -> Iterator[Page]:
    """The administrator's browser, as if it was new."""
    page, problems = tab
    problems.clear()
    page.context.clear_cookies()
    page.context.add_cookies([desk.session_cookie(admin)])  # type: ignore[list-item]
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    yield page
    for other in page.context.pages:
        if other is not page:
            other.close()
    page.unroute_all()
    page.context.clear_cookies(name="dossier-shortcuts")
    page.goto("about:blank")
    assert problems == []


@pytest.mark.parametrize("name", SIGHTS)
def test_every_page_is_accessible_and_fits(name: str, desk: Desk, admin: User, page: Page) -> None:
    person = desk.make_user(full_name=LONG_NAME)
    SIGHTS[name].steps(Visit(desk, page, admin, person))
    assert page.title().startswith(SIGHTS[name].title.partition("{")[0])
    page.emulate_media(color_scheme="light")
    assert find_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert find_violations(page, COLOURS) == []
    assert [overflow(page, width) for width in (ZOOMED, NARROW)] == [0, 0]
    assert find_violations(page, SIZES) == []


def test_pages_in_french_fit_as_well(open_page: OpenPage, admin: User) -> None:
    page = open_page(admin, locale="fr-FR")
    for path in (
        "/users/?q=mar",
        "/users/2",
        "/users/2/delete",
        "/users/new",
        "/history/",
        "/trash/",
        "/users/2/notes/new",
        "/users/2/credits/",
        "/users/2/credits/transfer",
        "/batches/",
        "/batches/paste",
        "/auth/profile",
        "/tokens/",
        "/tokens/new",
        "/tokens/all",
        "/help",
    ):
        page.goto(path)
        expect(page.locator("html[lang=fr]")).to_be_attached()
        assert [overflow(page, width) for width in (WIDE, ZOOMED, NARROW)] == [0, 0, 0], path


def test_no_page_is_forgotten(desk: Desk) -> None:
    """Every route that a person can open has been looked at above."""
    bare = {"static", "favicon", "operations.show_health", "operations.show_readiness", "web.show_home"}
    bare |= {"security_txt.show_security_contact"}
    bare |= {rule.endpoint for rule in desk.app.url_map.iter_rules() if rule.rule.startswith("/api/v1")}
    bare.add("api.show_document")
    bare.add("presence.show_presence")  # a line of the form in which a user is edited
    bare.add("batches.show_progress")  # what batches.show_batch shows of one that runs
    routes = {rule.endpoint for rule in desk.app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert routes - bare <= {sight.endpoint for sight in SIGHTS.values()}
