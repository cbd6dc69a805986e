"""flask doctor: what is wrong here and what to do; exit 1 for what is serious, 0 for advice alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from tests.cli.test_database import run
from tests.conftest import PASSWORD, make_settings
from webapp import create_app
from webapp.cli import doctor
from webapp.db import init_db
from webapp.extensions import sqla

GOOD: dict[str, object] = {
    "session_cookie_secure": True,
    "trusted_hosts": ("dossier.example.org",),
    "proxy_count": 1,
    "secret_key": "kJ3vQ8xZpL0sWm5RtY7uBn2cGh9dFe4a",
}

Build = Callable[..., Flask]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Build]:
    """Applications with the settings given, else with good ones; with tables and an administrator."""
    monkeypatch.setattr(doctor, "INSTANCE", tmp_path)
    apps: list[Flask] = []

    def make(database_url: str = "sqlite://", *, ready: bool = True, **changes: object) -> Flask:
        app = create_app(make_settings(database_url, **{**GOOD, **changes}))
        apps.append(app)
        if ready:
            with app.app_context():
                init_db()
            assert (
                run(app, "create-admin", "--email", "ann@example.org", "--password", PASSWORD).exit_code == 0
            )
        return app

    yield make
    for app in apps:
        with app.app_context():
            sqla.engine.dispose()


@pytest.fixture(autouse=True)
def new_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which SQLite is installed is not what is asked here."""
    monkeypatch.setattr(doctor, "SQLITE_WITHOUT_RACE", (3, 0, 0))


def test_while_developing_there_is_only_advice(build: Build) -> None:
    result = run(build(debug=True, session_cookie_secure=False), "doctor")
    assert result.exit_code == 0
    assert "DEBUG is on" in result.output
    assert result.output.endswith("0 serious, 1 advice.\n")


def test_sqlite_in_production_is_advised_against(build: Build) -> None:
    result = run(build(), "doctor")
    assert (result.exit_code, result.output.count("advice ")) == (0, 1)
    assert "Production runs on SQLite" in result.output


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"session_cookie_secure": False}, "serious", "Cookies travel over plain http"),
        ({"trusted_hosts": ("*",)}, "serious", "TRUSTED_HOSTS lets every host name in"),
        ({"secret_key": "abcabcabcabcabcabcabcabcabcabcabc"}, "serious", "SECRET_KEY is easy to guess"),
        ({"proxy_count": 0}, "advice", "PROXY_COUNT is 0"),
        ({"sql_echo": True}, "advice", "SQL_ECHO logs every statement"),
        ({"secret_key_fallbacks": ("ab" * 16,)}, "serious", "SECRET_KEY_FALLBACKS is easy to guess"),
        ({"bind": "unix:/run/d.sock", "proxy_count": 0}, "serious", "PROXY_COUNT is 0: no address is known"),
        ({"bind": "unix:/run/d.sock", "socket_mode": "0666"}, "serious", "SOCKET_MODE lets every account"),
    ],
)
def test_a_risky_setting_is_named_with_its_remedy(
    build: Build, changes: dict[str, object], level: str, text: str
) -> None:
    result = run(build(**changes, log_level="ERROR"), "doctor")
    lines = result.output.splitlines()
    number = next(number for number, line in enumerate(lines) if text in line)
    assert lines[number].startswith(level)
    assert lines[number + 1].strip().startswith("→")
    assert result.exit_code == (1 if level == "serious" else 0)


def test_a_database_without_tables_is_serious(build: Build) -> None:
    result = run(build(ready=False), "doctor")
    assert result.exit_code == 1
    assert "flask --app wsgi init-db" in result.output


def test_a_database_that_is_not_there_is_serious(build: Build) -> None:
    result = run(build("postgresql+psycopg://nobody:secret@127.0.0.1:9/nothing", ready=False), "doctor")
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("place", "is_advised"),
    [
        ("127.0.0.1:5432/dossier", False),
        ("[::1]/dossier", False),
        ("/dossier", False),
        ("/dossier?host=/var/run/postgresql", False),
        ("db.internal/dossier", True),
        ("/dossier?host=db.internal", True),
        ("db.internal/dossier?sslmode=require", True),
        ("db.internal/dossier?sslmode=verify-full", False),
    ],
)
def test_the_way_to_a_database_elsewhere_is_encrypted_and_its_certificate_looked_at(
    place: str, is_advised: bool
) -> None:
    settings = make_settings(f"postgresql+psycopg://{place}")
    findings = list(doctor.check_transport(settings))
    assert [finding.is_serious for finding in findings] == [False] * is_advised
    assert all("sslmode=verify-full" in finding.remedy for finding in findings)


def test_without_an_administrator_nobody_can_let_the_others_in(build: Build) -> None:
    app = build(ready=False)
    with app.app_context():
        init_db()
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert "flask --app wsgi create-admin" in result.output


def test_a_secret_that_everybody_can_read_is_serious(build: Build, tmp_path: Path) -> None:
    secret = tmp_path / "secret_key"
    secret.touch(mode=0o600)
    secret.chmod(0o640)
    app = build()
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert f"chmod go-rwx {secret}" in result.output
    secret.chmod(0o600)
    assert run(app, "doctor").exit_code == 0


def test_so_is_a_database_that_others_can_read(build: Build, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    app = build(f"sqlite:///{file}")
    assert run(app, "doctor").exit_code == 0
    for path in (file, tmp_path / "app.db-wal"):
        path.touch()
        path.chmod(0o660)
        result = run(app, "doctor")
        assert result.exit_code == 1
        assert f"chmod go-rwx {path}" in result.output
        path.chmod(0o600)


def test_an_old_sqlite_is_serious(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SQLITE_WITHOUT_RACE", (99, 0, 0))
    result = run(build(), "doctor")
    assert result.exit_code == 1
    assert "WAL-reset race" in result.output


def test_on_postgres_the_server_is_asked_too(build: Build, postgres_url: str) -> None:
    app = build(postgres_url, ready=False)
    with app.app_context():
        init_db()
    result = run(app, "doctor")
    assert "The database user is a superuser." in result.output
    assert "SQLite" not in result.output


def test_credits_that_do_not_agree_are_serious(build: Build) -> None:
    app = build()
    assert run(app, "credits", "grant", "ann@example.org", "5", "--reason", "A present").exit_code == 0
    assert run(app, "doctor").exit_code == 0
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(text("UPDATE accounts SET balance_cents = 501"))
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert "Credits do not agree: account 1 does not hold what its postings lead to." in result.output
    assert "flask --app wsgi credits verify" in result.output


def test_an_index_that_is_missing_and_a_total_that_is_wrong_are_serious(build: Build) -> None:
    app = build()
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(text("INSERT INTO users_totals (segment, amount) VALUES ('#aa', 1)"))
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert "The total of #aa is 1 too high." in result.output
    assert "flask --app wsgi reindex" in result.output
    assert run(app, "reindex").exit_code == 0
    assert run(app, "doctor").exit_code == 0
    with app.app_context(), sqla.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_users_by_name"))
    assert "ix_users_by_name is missing." in run(app, "doctor").output
