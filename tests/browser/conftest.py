"""A real gunicorn and a real Chromium, one of each for a test worker; each test has contexts of its own.

Whatever a test does: a console message of warning or error, a violation of the content security
policy, a broken script, a missing file or an answer of 500 fails it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright

from tests.browser.desk import Desk
from tests.conftest import make_settings, user_maker
from tests.serving import serve
from webapp import create_app
from webapp.access.actor import Actor
from webapp.cli.demo_data import DemoData
from webapp.db import init_db
from webapp.extensions import sqla
from webapp.users.models import User
from webapp.users.services import load_users

PEOPLE = 150
UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
PATIENCE_MS = 15_000  # of a machine that does much else at the same time
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} stopped ${event.blockedURI}`));"""


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, hashed_password: str) -> Iterator[Desk]:
    database_url = f"sqlite:///{tmp_path_factory.mktemp('desk') / 'desk.db'}"
    settings = make_settings(database_url, trusted_hosts=("127.0.0.1",))
    app = create_app(settings)
    with app.app_context():
        init_db()
        for rows in DemoData(PEOPLE, seed=1, until=UNTIL).rows():
            load_users(rows, actor=Actor.command_line())
    with serve({"DATABASE_URL": database_url, "SECRET_KEY": settings.secret_key}) as server:
        yield Desk(server.url, app, user_maker(app, hashed_password))
    with app.app_context():
        sqla.engine.dispose()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    arguments = ["--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to sandbox itself for root
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


def find_chromium() -> str:
    names = [name for name in (os.environ.get("CHROMIUM"), *CHROMIUMS) if name]
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("There is no Chromium: run “make browser”, or name one by CHROMIUM=/path/to/it.")
    return found


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(desk: Desk, browser: Browser) -> Iterator[OpenPage]:
    """Open a browser of somebody's own; the argument is who has signed in, options go to the context."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(user: User | None = None, **options: Any) -> Page:
        context = open_context(browser, desk, problems, **options)
        contexts.append(context)
        if user is not None:
            context.add_cookies([desk.session_cookie(user)])  # type: ignore[list-item]
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def open_context(browser: Browser, desk: Desk, problems: list[str], **options: Any) -> BrowserContext:
    """Where ``problems`` are noted."""
    context = browser.new_context(
        base_url=desk.url, **{"locale": "en-GB", "reduced_motion": "reduce", **options}
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(REPORT_VIOLATIONS)
    watch(context, problems)
    return context


def watch(context: BrowserContext, problems: list[str]) -> None:
    def note_response(response: Response) -> None:
        is_wanted = response.request.resource_type in {"document", "fetch"}  # whose errors are pages too
        if response.status >= (500 if is_wanted else 400):
            problems.append(f"{response.status} {response.url}")

    # A page of status 404 is logged as an error as well: note_response() tells the good from the bad.
    context.on(
        "console",
        lambda message: (
            problems.append(f"{message.type}: {message.text}")
            if message.type in {"error", "warning"}
            and "the server responded with a status of" not in message.text
            else None
        ),
    )
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("response", note_response)


@pytest.fixture
def admin(desk: Desk) -> User:
    return desk.add_administrator()


@pytest.fixture
def page(open_page: OpenPage, admin: User) -> Page:
    """The administrator's browser."""
    return open_page(admin)
