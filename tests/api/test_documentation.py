"""The client in docs/api.md is run as it stands there, and what the page says of limits is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.api.asking import make_token
from tests.conftest import make_settings, user_maker
from tests.serving import serve
from webapp import create_app
from webapp.access.permissions import Role
from webapp.api.bodies import DEEPEST
from webapp.api.lists import DEFAULT_SIZE, LARGEST_PAGE
from webapp.config import ROOT
from webapp.db import get_session, init_db
from webapp.extensions import sqla
from webapp.listing.counting import MOST_COUNTED
from webapp.users.queries import find_user_by_email

DOCUMENT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SECRET = "a test's secret, long enough to be accepted"


def read_client() -> str:
    found = re.search(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_client_of_the_documents_works(tmp_path: Path, hashed_password: str) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    app = create_app(make_settings(url))
    with app.app_context():
        init_db()
    make_user = user_maker(app, hashed_password)
    token = make_token(app, make_user(role=Role.ADMINISTRATOR))
    people = [make_user() for _ in range(LARGEST_PAGE + 1)]
    with serve({"DATABASE_URL": url, "SECRET_KEY": SECRET}) as server:
        done = subprocess.run(
            [sys.executable, "-c", read_client()],
            check=False,
            env={**os.environ, "DOSSIER_URL": server.url, "DOSSIER_TOKEN": token},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    printed = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert sorted(printed)[1:] == [user.id for user in people]
    with app.app_context():
        ann = find_user_by_email("ann@example.org")
        assert ann is not None
        assert (ann.full_name, ann.version) == ("Ann Smith", 2)
        get_session().close()
        sqla.engine.dispose()


def test_the_client_is_short() -> None:
    lines = [line for line in read_client().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 20


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.split())
    for sentence in (
        f"A page has {DEFAULT_SIZE} users unless `page_size` says otherwise, up to {LARGEST_PAGE}.",
        f"counted up to {MOST_COUNTED:,};",
        f"nothing is nested more than {DEEPEST} deep",
    ):
        assert sentence in text
