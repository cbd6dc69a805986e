"""Settings: read once from the environment (and ``.env``), typed, bounded, and refused with a remedy.

Nothing else in the application reads the environment.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from webapp.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
SHORTEST_SECRET = 32
MAX_FALLBACKS = 10  # each cookie that none of the keys has signed is tried with all of them
LONGEST_INTEGER = 12
LARGEST_PORT = 65_535
MIN_STAFF_DAYS, MAX_STAFF_DAYS = 30, 3650
MAX_CONTACT = 200
LOCAL_HOSTS = ("localhost", "127.0.0.1")
DEFAULT_PORTS = {"http": "80", "https": "443"}
# As a browser writes it (RFC 6454, 6.2): in small letters, another alphabet as xn--…, an IPv6 address in
# brackets, and no path, not even a slash.
ORIGIN = re.compile(
    r"(https?)://(?:[a-z0-9](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?"
)
# Of the characters that a cookie's name may have (RFC 6265, 4.1.1) those that need no escaping anywhere.
COOKIE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
CONTACT = re.compile(r"mailto:[^\s@<>\"]+@[^\s@<>\"]+|https://[^\s<>\"/]+(?:/[^\s<>\"]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration. Times are in the unit that the name ends with."""

    debug: bool = False
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(default=(), repr=False)
    trusted_hosts: tuple[str, ...]
    session_cookie_secure: bool = True
    session_cookie_name: str = "dossier"
    hsts_include_subdomains: bool = False
    session_idle_minutes: int = 120
    session_absolute_hours: int = 12
    member_password_min_length: int = 8
    sql_echo: bool = False
    log_format: str = "text"
    log_level: str = "INFO"
    proxy_count: int = 0
    max_content_length: int = 2 * 1024 * 1024
    database_pool_size: int = 10
    database_timeout_seconds: int = 20
    read_timeout_seconds: int = 5
    time_zone: str = "UTC"
    bind: str = "127.0.0.1:8000"
    socket_mode: str = "0660"
    web_workers: int = 2
    web_threads: int = 8
    graceful_timeout_seconds: int = 30
    api_rate_per_minute: int = 600
    api_cors_origins: tuple[str, ...] = ()
    history_staff_days: int = 400
    security_contact: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``environment`` (by default the process's, over ``.env``).

        Raises ConfigurationError with one line that names the variable and what to set.
        """
        if environment is None:
            from_file = {k: v for k, v in dotenv_values(ROOT / ".env").items() if v is not None}
            environment = {**from_file, **os.environ}
        read = _Reader(environment)
        debug = read.boolean("DEBUG", False)
        defaults = _defaults_of_debug() if debug else {}
        return cls(
            debug=debug,
            database_url=read.database_url(defaults.get("DATABASE_URL")),
            secret_key=read.secret(_kept_secret if debug else None),
            secret_key_fallbacks=read.fallbacks(),
            trusted_hosts=read.hosts(defaults.get("TRUSTED_HOSTS")),
            session_cookie_secure=read.boolean("SESSION_COOKIE_SECURE", not debug),
            session_cookie_name=read.cookie_name(),
            hsts_include_subdomains=read.boolean("HSTS_INCLUDE_SUBDOMAINS", False),
            session_idle_minutes=read.integer("SESSION_IDLE_MINUTES", 120, 5, 60 * 24 * 30),
            session_absolute_hours=read.integer("SESSION_ABSOLUTE_HOURS", 12, 1, 24 * 90),
            member_password_min_length=read.integer("MEMBER_PASSWORD_MIN_LENGTH", 8, 8, 64),
            sql_echo=read.boolean("SQL_ECHO", debug),
            log_format=read.choice("LOG_FORMAT", "text", ("text", "json")),
            log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
            proxy_count=read.integer("PROXY_COUNT", 0, 0, 10),
            max_content_length=read.integer("MAX_CONTENT_LENGTH", 2 * 1024 * 1024, 10_000, 2**30),
            database_pool_size=read.integer("DATABASE_POOL_SIZE", 10, 1, 1000),
            database_timeout_seconds=read.integer("DATABASE_TIMEOUT_SECONDS", 20, 1, 600),
            read_timeout_seconds=read.integer("READ_TIMEOUT_SECONDS", 5, 1, 600),
            time_zone=read.time_zone("TIME_ZONE", "UTC"),
            bind=read.bind(),
            socket_mode=read.choice("SOCKET_MODE", "0660", ("0600", "0660", "0666")),
            web_workers=read.integer("WEB_WORKERS", 2, 1, 64),
            web_threads=read.integer("WEB_THREADS", 8, 1, 128),
            graceful_timeout_seconds=read.integer("GRACEFUL_TIMEOUT_SECONDS", 30, 1, 600),
            api_rate_per_minute=read.integer("API_RATE_PER_MINUTE", 600, 0, 1_000_000),
            api_cors_origins=read.origins(),
            history_staff_days=read.integer("HISTORY_STAFF_DAYS", 400, MIN_STAFF_DAYS, MAX_STAFF_DAYS),
            security_contact=read.contact(),
        )

    @property
    def cookie_name(self) -> str:
        """That of the session. "__Host-" binds it to this very host and to https: no subdomain can set it."""
        return ("__Host-" if self.session_cookie_secure else "") + self.session_cookie_name

    @property
    def signing_keys(self) -> list[str]:
        """Return the keys that open what is signed; the last one signs (as itsdangerous has it)."""
        return [*self.secret_key_fallbacks, self.secret_key]

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def _defaults_of_debug() -> dict[str, str]:
    return {"DATABASE_URL": "sqlite:///app.db", "TRUSTED_HOSTS": ",".join(LOCAL_HOSTS)}


def _kept_secret() -> str:
    """A secret made once and kept beside the development database, so that a restart signs nobody out."""
    path = INSTANCE / "secret_key"
    INSTANCE.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    secret = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return secret


class _Reader:
    """Turns one text variable into one typed value, or refuses with the variable's name."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def boolean(self, name: str, default: bool) -> bool:
        value = self.text(name).lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        if value:
            raise ConfigurationError(f"{name} is {value!r}: set it to 1 or 0.")
        return default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not (
            value.isascii()
            and value.isdigit()
            and len(value) <= LONGEST_INTEGER
            and low <= int(value) <= high
        ):
            raise ConfigurationError(
                f"{name} is {value[:40]!r}: set it to a whole number from {low} to {high}."
            )
        return int(value)

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name) or default
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ConfigurationError(f"{name} is {value[:40]!r}: set it to one of {', '.join(choices)}.")

    def time_zone(self, name: str, default: str) -> str:
        value = self.text(name) or default
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ConfigurationError(
                f"{name} is {value[:40]!r}: set it to a zone such as Europe/Paris."
            ) from None
        return value

    def database_url(self, default: str | None) -> str:
        value = self.text("DATABASE_URL") or default
        if not value:
            raise ConfigurationError(
                "DATABASE_URL is not set: set it to postgresql://user:password@host:5432/database,"
                " or set DEBUG=1 to use SQLite."
            )
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ConfigurationError(
                "DATABASE_URL is not a database address:"
                " set it to postgresql://user:password@host:5432/database or sqlite:///app.db."
            ) from None
        if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
            return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        if url.drivername == "sqlite":
            return value
        raise ConfigurationError(
            f"DATABASE_URL names {url.drivername!r}: Dossier runs on postgresql:// and sqlite:// only."
        )

    def secret(self, fallback: Callable[[], str] | None) -> str:
        value = self.text("SECRET_KEY")
        if not value and fallback is not None:
            return fallback()
        if len(value) < SHORTEST_SECRET:
            state = "is not set" if not value else f"has fewer than {SHORTEST_SECRET} characters"
            raise ConfigurationError(
                f"SECRET_KEY {state}: set it to the output of"
                " python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
            )
        return value

    def fallbacks(self) -> tuple[str, ...]:
        """Return the former secrets. The message never repeats one."""
        value = self.text("SECRET_KEY_FALLBACKS") or "off"
        if value.lower() == "off":
            return ()
        keys = tuple(key.strip() for key in value.split(",") if key.strip())
        remedy = f"set it to at most {MAX_FALLBACKS} former values of SECRET_KEY, oldest first, or to off."
        if len(keys) > MAX_FALLBACKS or not keys:
            raise ConfigurationError(f"SECRET_KEY_FALLBACKS names {len(keys)} keys: {remedy}")
        if any(len(key) < SHORTEST_SECRET for key in keys):
            raise ConfigurationError(
                f"SECRET_KEY_FALLBACKS has a key of fewer than {SHORTEST_SECRET} characters: {remedy}"
            )
        if self.text("SECRET_KEY") in keys:
            raise ConfigurationError(f"SECRET_KEY_FALLBACKS names SECRET_KEY itself: {remedy}")
        return keys

    def cookie_name(self) -> str:
        value = self.text("SESSION_COOKIE_NAME") or "dossier"
        if not COOKIE_NAME.fullmatch(value):
            raise ConfigurationError(
                f"SESSION_COOKIE_NAME is {value[:40]!r}: set it to at most 40 letters, digits, “-” and “_”,"
                " a letter or digit first, such as dossier-test."
            )
        return value

    def contact(self) -> str:
        value = self.text("SECURITY_CONTACT") or "off"
        if value.lower() == "off":
            return ""
        if len(value) > MAX_CONTACT or not (value.isascii() and CONTACT.fullmatch(value)):
            raise ConfigurationError(
                f"SECURITY_CONTACT is {value[:80]!r}: set it to an address such as"
                " mailto:security@example.org or https://example.org/security, or to off."
            )
        return value

    def hosts(self, default: str | None) -> tuple[str, ...]:
        value = self.text("TRUSTED_HOSTS") or default or ""
        hosts = tuple(host.strip() for host in value.split(",") if host.strip())
        if not hosts:
            raise ConfigurationError(
                "TRUSTED_HOSTS is not set: set it to the names people type, such as dossier.example.org."
            )
        return hosts

    def origins(self) -> tuple[str, ...]:
        """Each exactly as a browser names it: what is written otherwise would never be met."""
        value = self.text("API_CORS_ORIGINS") or "off"
        if value.lower() == "off":
            return ()
        origins = tuple(origin.strip() for origin in value.split(",") if origin.strip())
        for origin in origins:
            found = ORIGIN.fullmatch(origin)
            if found is None or found[2] == DEFAULT_PORTS[found[1]] or int(found[2] or 0) > LARGEST_PORT:
                raise ConfigurationError(
                    f"API_CORS_ORIGINS names {origin[:80]!r}: set it to origins as browsers send them, in"
                    " small letters without path or usual port, such as https://app.example.org, or to off."
                )
        return origins

    def bind(self) -> str:
        explicit = self.text("BIND")
        return explicit or f"127.0.0.1:{self.integer('PORT', 8000, 1, LARGEST_PORT)}"
