"""Settings: what each defaults to, what it refuses, and that a refusal is one line naming the variable."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from webapp import config
from webapp.config import LOCAL_HOSTS, ROOT, Settings
from webapp.errors import ConfigurationError

SECRET = "x" * 16 + "0123456789abcdef"
POSTGRES = "postgresql+psycopg://dossier:pw@db.example:5432/dossier"
PRODUCTION = {"SECRET_KEY": SECRET, "DATABASE_URL": POSTGRES, "TRUSTED_HOSTS": "dossier.example.org"}


def read(**variables: str) -> Settings:
    """Production, with these variables besides."""
    return Settings.from_environment({**PRODUCTION, **variables})


def refuse(variables: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_environment(variables)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Debug mode keeps a secret in the instance folder: not in the one of this checkout."""
    monkeypatch.setattr(config, "INSTANCE", tmp_path / "instance")
    return tmp_path / "instance"


PRODUCTION_DEFAULTS: dict[str, object] = {
    "debug": False,
    "database_url": POSTGRES,
    "secret_key": SECRET,
    "secret_key_fallbacks": (),
    "trusted_hosts": ("dossier.example.org",),
    "session_cookie_secure": True,
    "session_cookie_name": "dossier",
    "hsts_include_subdomains": False,
    "session_idle_minutes": 120,
    "session_absolute_hours": 12,
    "member_password_min_length": 8,
    "sql_echo": False,
    "log_format": "text",
    "log_level": "INFO",
    "proxy_count": 0,
    "max_content_length": 2 * 1024 * 1024,
    "database_pool_size": 10,
    "database_timeout_seconds": 20,
    "read_timeout_seconds": 5,
    "time_zone": "UTC",
    "bind": "127.0.0.1:8000",
    "socket_mode": "0660",
    "web_workers": 2,
    "web_threads": 8,
    "graceful_timeout_seconds": 30,
    "api_rate_per_minute": 600,
    "api_cors_origins": (),
    "history_staff_days": 400,
    "security_contact": "",
}


def test_every_setting_has_its_default_in_production() -> None:
    assert {field.name: getattr(read(), field.name) for field in fields(Settings)} == PRODUCTION_DEFAULTS


def test_debug_changes_these_defaults_and_no_others() -> None:
    settings = Settings.from_environment({"DEBUG": "1"})
    differing = {
        field.name: getattr(settings, field.name)
        for field in fields(Settings)
        if getattr(settings, field.name) != PRODUCTION_DEFAULTS[field.name]
    }
    secret = differing.pop("secret_key")
    assert len(secret) >= 32
    assert differing == {
        "debug": True,
        "database_url": "sqlite:///app.db",
        "trusted_hosts": LOCAL_HOSTS,
        "session_cookie_secure": False,
        "sql_echo": True,
    }


@pytest.mark.parametrize("name", PRODUCTION)
def test_production_does_not_start_without_what_only_the_operator_knows(name: str) -> None:
    for variables in ({**PRODUCTION, name: ""}, {k: v for k, v in PRODUCTION.items() if k != name}):
        assert refuse(variables).startswith(f"{name} is not set: set it to ")


INTEGERS = [
    ("SESSION_IDLE_MINUTES", 5, 43_200),
    ("SESSION_ABSOLUTE_HOURS", 1, 2_160),
    ("PROXY_COUNT", 0, 10),
    ("MAX_CONTENT_LENGTH", 10_000, 2**30),
    ("DATABASE_POOL_SIZE", 1, 1_000),
    ("DATABASE_TIMEOUT_SECONDS", 1, 600),
    ("READ_TIMEOUT_SECONDS", 1, 600),
    ("WEB_WORKERS", 1, 64),
    ("WEB_THREADS", 1, 128),
    ("GRACEFUL_TIMEOUT_SECONDS", 1, 600),
    ("API_RATE_PER_MINUTE", 0, 1_000_000),
    ("HISTORY_STAFF_DAYS", 30, 3650),
]


@pytest.mark.parametrize(("name", "low", "high"), INTEGERS)
def test_a_number_is_taken_within_its_bounds_only(name: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(read(**{name: f" {value} "}), name.lower()) == value
    for wrong in (str(low - 1), str(high + 1)):
        message = refuse({**PRODUCTION, name: wrong})
        assert message == f"{name} is {wrong!r}: set it to a whole number from {low} to {high}."


@pytest.mark.parametrize("wrong", ["ten", "1.5", "1e3", "0x10", "١٢", "²", "--1", "9" * 5_000, "1 2", "1_0"])
@pytest.mark.parametrize("name", [name for name, _, _ in INTEGERS] + ["PORT"])
def test_what_is_no_number_is_refused_by_name(name: str, wrong: str) -> None:
    message = refuse({**PRODUCTION, name: wrong})
    assert message.startswith(f"{name} is ")
    assert len(message) < 200


BOOLEANS = ["DEBUG", "SESSION_COOKIE_SECURE", "HSTS_INCLUDE_SUBDOMAINS", "SQL_ECHO"]


@pytest.mark.parametrize("name", BOOLEANS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "true", "TRUE", "yes", "on", " On ")),
        *((text, False) for text in ("0", "false", "False", "no", "off", " OFF ")),
    ],
)
def test_a_switch_understands_the_usual_words(name: str, text: str, value: bool) -> None:
    assert getattr(read(**{name: text}), name.lower()) is value


@pytest.mark.parametrize("name", BOOLEANS)
@pytest.mark.parametrize("wrong", ["2", "maybe", "t", "disabled"])
def test_a_switch_is_never_guessed(name: str, wrong: str) -> None:
    assert refuse({**PRODUCTION, name: wrong}) == f"{name} is {wrong!r}: set it to 1 or 0."


@pytest.mark.parametrize(
    ("name", "choices"),
    [("LOG_FORMAT", ["text", "json"]), ("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"])],
)
def test_a_choice_is_one_of_the_listed_in_any_case(name: str, choices: list[str]) -> None:
    for choice in choices:
        for text in (choice, choice.lower(), choice.upper()):
            assert getattr(read(**{name: text}), name.lower()) == choice
    assert refuse({**PRODUCTION, name: "loud"}) == f"{name} is 'loud': set it to one of {', '.join(choices)}."


def test_a_time_zone_is_one_that_exists() -> None:
    assert read(TIME_ZONE="Europe/Paris").time_zone == "Europe/Paris"
    for wrong in ("Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe/", "x" * 300):
        assert refuse({**PRODUCTION, "TIME_ZONE": wrong}).startswith("TIME_ZONE is ")


@pytest.mark.parametrize("name", [*PRODUCTION_DEFAULTS, "PORT"])
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    name = name.upper()
    if name not in PRODUCTION:
        assert read(**{name: "  "}) == read()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_is_its_psycopg_driver(scheme: str) -> None:
    url = f"{scheme}://me:p%40ss@db.example:5433/people?sslmode=require"
    settings = read(DATABASE_URL=url)
    assert settings.database_url == "postgresql+psycopg://me:p%40ss@db.example:5433/people?sslmode=require"
    assert not settings.is_sqlite


@pytest.mark.parametrize("url", ["sqlite:///people.db", "sqlite:////var/lib/people.db", "sqlite://"])
@pytest.mark.parametrize("debug", ["0", "1"])
def test_an_explicit_address_wins_in_either_mode(url: str, debug: str) -> None:
    settings = read(DATABASE_URL=url, DEBUG=debug)
    assert settings.database_url == url
    assert settings.is_sqlite


@pytest.mark.parametrize(
    "url", ["mysql://db/x", "postgresql+psycopg2://db/x", "oracle://x", "sqlite+aiosqlite:///x.db"]
)
def test_another_database_is_refused_and_its_password_not_printed(url: str) -> None:
    message = refuse({**PRODUCTION, "DATABASE_URL": url.replace("://", "://me:hunter2@")})
    assert message.startswith("DATABASE_URL names ")
    assert "hunter2" not in message


@pytest.mark.parametrize("text", ["app.db", "not a url", "://", "postgresql://me:hunter2@db:notaport/x"])
def test_what_is_no_address_is_refused_and_not_printed(text: str) -> None:
    message = refuse({**PRODUCTION, "DATABASE_URL": text})
    assert message.startswith("DATABASE_URL is not a database address: set it to postgresql://")
    assert "hunter2" not in message


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_short_secret_is_refused_and_not_printed(debug: str) -> None:
    message = refuse({**PRODUCTION, "SECRET_KEY": "y" * 31, "DEBUG": debug})
    assert message.startswith("SECRET_KEY has fewer than 32 characters: set it to ")
    assert "yyy" not in message


def test_debug_makes_one_secret_and_keeps_it_to_its_owner(instance: Path) -> None:
    first, second = (Settings.from_environment({"DEBUG": "1"}).secret_key for _ in range(2))
    assert first == second == (instance / "secret_key").read_text()
    assert stat.S_IMODE((instance / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(instance.stat().st_mode) == 0o700
    assert Settings.from_environment({"DEBUG": "1", "SECRET_KEY": SECRET}).secret_key == SECRET


def test_production_never_makes_a_secret(instance: Path) -> None:
    refuse({**PRODUCTION, "SECRET_KEY": ""})
    assert not instance.exists()


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("a.example", ("a.example",)),
        (" a.example , b.example,", ("a.example", "b.example")),
        (".example.org,[::1]", (".example.org", "[::1]")),
    ],
)
def test_trusted_hosts_are_separated_by_commas(text: str, hosts: tuple[str, ...]) -> None:
    assert read(TRUSTED_HOSTS=text).trusted_hosts == hosts


def test_nothing_but_commas_names_no_host() -> None:
    assert refuse({**PRODUCTION, "TRUSTED_HOSTS": " , ,"}).startswith("TRUSTED_HOSTS is not set")


@pytest.mark.parametrize(
    ("variables", "bind"),
    [
        ({"PORT": "9000"}, "127.0.0.1:9000"),
        ({"BIND": "0.0.0.0:80"}, "0.0.0.0:80"),
        ({"BIND": "unix:/run/dossier.sock", "PORT": "9000"}, "unix:/run/dossier.sock"),
    ],
)
def test_bind_wins_over_port(variables: dict[str, str], bind: str) -> None:
    assert read(**variables).bind == bind


@pytest.mark.parametrize("wrong", ["0", "65536"])
def test_a_port_is_one_that_exists(wrong: str) -> None:
    assert (
        refuse({**PRODUCTION, "PORT": wrong})
        == f"PORT is {wrong!r}: set it to a whole number from 1 to 65535."
    )


def test_the_process_s_environment_is_read_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("DEBUG=1\nWEB_WORKERS=3\nWEB_THREADS=4\n")
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", {"WEB_THREADS": "5"})
    settings = Settings.from_environment()
    assert (settings.debug, settings.web_workers, settings.web_threads) == (True, 3, 5)


def run_python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a copy of the house, where no ``.env`` lies, with nothing in the environment but ``variables``."""
    for name in ("webapp", "templates", "static", "migrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, folder)
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "code", ["import wsgi", "import runpy; runpy.run_path('gunicorn.conf.py')"], ids=["wsgi", "gunicorn"]
)
def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path: Path, code: str) -> None:
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Dossier does not start: DATABASE_URL is not set: set it to ")


def test_a_server_with_all_it_needs_starts_without_asking_the_database(tmp_path: Path) -> None:
    done = run_python("import wsgi; print(wsgi.app.name)", tmp_path, **PRODUCTION)
    assert (done.returncode, done.stdout, done.stderr) == (0, "webapp\n", "")


FORKED = """
import runpy, threading
app = runpy.run_path("gunicorn.conf.py")["app"]
from webapp.db import engine
with app.app_context():
    print(engine.dialect.name, engine.pool.checkedin(), engine.pool.checkedout(), threading.active_count())
"""


@pytest.mark.parametrize(
    ("url", "name"), [({}, "postgresql"), ({"DATABASE_URL": "sqlite:///a.db"}, "sqlite")]
)
def test_workers_are_forked_from_what_has_no_connection_and_no_thread(
    tmp_path: Path, url: dict[str, str], name: str
) -> None:
    done = run_python(FORKED, tmp_path, **{**PRODUCTION, **url})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} 0 0 1\n", "")


WITHOUT_FILES = """
import pathlib, runpy, shutil
templates = [path.relative_to("templates").as_posix() for path in pathlib.Path("templates").rglob("*.*")]
app = runpy.run_path("gunicorn.conf.py")["app"]
from webapp.web.assets import asset_names, load_asset
for folder in ("templates", "static", "webapp/languages"):
    shutil.rmtree(folder)
for template in templates:
    app.jinja_env.get_template(template)
with app.app_context():
    print(len(templates) > 50, sum(len(load_asset(name).content) for name in asset_names()) > 100_000)
french = {"Accept-Language": "fr", "Host": "dossier.example.org"}
print("Se connecter" in app.test_client().get("/auth/login", headers=french).text)
"""
RELOADED = """
import gc, runpy
counts = []
for _ in range(3):
    runpy.run_path("gunicorn.conf.py")
    gc.unfreeze()
    counts.append(len(gc.get_objects()))
    gc.freeze()
print(counts[0] > 50_000, counts[-1] - counts[0] < 5_000)
"""


def test_workers_are_forked_from_what_has_read_its_files(tmp_path: Path) -> None:
    quiet = {**PRODUCTION, "DATABASE_URL": "sqlite://", "LOG_LEVEL": "WARNING"}
    done = run_python(WITHOUT_FILES, tmp_path, **quiet)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True\nTrue\n", "")


def test_a_reload_keeps_hardly_anything_of_the_former_code(tmp_path: Path) -> None:
    done = run_python(RELOADED, tmp_path, **PRODUCTION, LOG_LEVEL="DEBUG")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True\n", "")


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SESSION_COOKIE_SECURE": "0"}, "dossier"),
        ({"SESSION_COOKIE_SECURE": "1"}, "__Host-dossier"),
        ({}, "__Host-dossier"),
        ({"DEBUG": "1"}, "dossier"),
        ({"SESSION_COOKIE_NAME": "desk-2"}, "__Host-desk-2"),
        ({"SESSION_COOKIE_NAME": "desk-2", "DEBUG": "1"}, "desk-2"),
    ],
)
def test_the_cookie_is_bound_to_https_unless_told_otherwise(variables: dict[str, str], name: str) -> None:
    from webapp import create_app

    app = create_app(read(DATABASE_URL="sqlite://", LOG_LEVEL="ERROR", **{"SQL_ECHO": "0", **variables}))
    assert app.config["SESSION_COOKIE_NAME"] == name
    assert app.config["SESSION_COOKIE_SECURE"] is name.startswith("__Host-")
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"


@pytest.mark.parametrize("name", ["a b", "a;b", "a=b", "é", "_a", "__Host-a", "-a", "x" * 41, "a,b", "a\tb"])
def test_a_name_that_no_cookie_can_have_is_refused(name: str) -> None:
    assert refuse({**PRODUCTION, "SESSION_COOKIE_NAME": name}).startswith("SESSION_COOKIE_NAME is ")
    assert read(SESSION_COOKIE_NAME="x" * 40).cookie_name == "__Host-" + "x" * 40


OLD, OLDER = "old" * 11, "older" * 7


def test_former_keys_come_before_the_one_that_signs() -> None:
    settings = read(SECRET_KEY_FALLBACKS=f" {OLDER}, {OLD},")
    assert settings.signing_keys == [OLDER, OLD, SECRET]
    assert read(SECRET_KEY_FALLBACKS="off").signing_keys == [SECRET]
    assert OLD not in repr(settings)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (f"{OLD},{'y' * 31}", "has a key of fewer than 32 characters: "),
        (f"{OLD},{SECRET}", "names SECRET_KEY itself: "),
        (",".join(f"{number}{OLD}" for number in range(11)), "names 11 keys: "),
        (",", "names 0 keys: "),
    ],
)
def test_former_keys_that_are_none_are_refused_and_not_repeated(keys: str, what: str) -> None:
    message = refuse({**PRODUCTION, "SECRET_KEY_FALLBACKS": keys})
    assert message.startswith(f"SECRET_KEY_FALLBACKS {what}set it to at most 10 former values")
    assert OLD not in message
    assert "yyy" not in message


def test_a_contact_is_an_address_that_can_be_opened() -> None:
    assert read(SECURITY_CONTACT="OFF").security_contact == ""
    for contact in ("mailto:security@example.org", "https://example.org", "https://example.org/security?a=b"):
        assert read(SECURITY_CONTACT=contact).security_contact == contact
    for wrong in (
        *(
            "security@example.org",
            "http://example.org",
            "mailto:",
            "mailto:a b@c",
            "https://",
            "javascript:1",
        ),
        *("https://example.org/\nExpires: never", "mailto:é@example.org", "https://example.org/" + "x" * 200),
    ):
        assert refuse({**PRODUCTION, "SECURITY_CONTACT": wrong}).startswith("SECURITY_CONTACT is ")


@pytest.mark.parametrize("mode", ["660", "0777", "0o660", "rw"])
def test_a_socket_has_one_of_three_modes(mode: str) -> None:
    assert refuse({**PRODUCTION, "SOCKET_MODE": mode}).endswith("set it to one of 0600, 0660, 0666.")


def test_origins_are_taken_as_browsers_send_them() -> None:
    assert read(API_CORS_ORIGINS="off").api_cors_origins == ()
    for origin in (
        *("https://app.example.org", "http://localhost:3000", "https://xn--bcher-kva.example"),
        *("http://127.0.0.1:8080", "https://[2001:db8::1]:8443", "https://app.example.org:65535"),
    ):
        assert read(API_CORS_ORIGINS=origin).api_cors_origins == (origin,)
    two = read(API_CORS_ORIGINS=" https://a.example , https://b.example:8443,")
    assert two.api_cors_origins == ("https://a.example", "https://b.example:8443")


@pytest.mark.parametrize(
    "wrong",
    [
        *("*", "null", "app.example.org", "https://app.example.org/", "https://App.example.org"),
        *("https://app.example.org:443", "http://app.example.org:80", "https://app.example.org:65536"),
        *(
            "https://*.example.org",
            "https://bücher.example",
            "https://me:hunter2@app.example.org",
            "https://",
        ),
        *("ftp://app.example.org", "https://a.example https://b.example", "https://a.example, *"),
        *("https://app.example.org?x", "x" * 10_000, "https://a.example:0"),
    ],
)
def test_what_is_no_origin_is_refused_with_the_remedy(wrong: str) -> None:
    message = refuse({**PRODUCTION, "API_CORS_ORIGINS": wrong})
    assert message.startswith("API_CORS_ORIGINS names ")
    assert "such as https://app.example.org, or to off" in message
    assert len(message) < 300
