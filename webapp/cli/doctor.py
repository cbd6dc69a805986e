"""The deployment checklist: what is wrong or risky here, and what to do about it."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from webapp.cli.database import LISTINGS
from webapp.config import INSTANCE, LOCAL_HOSTS, Settings
from webapp.credits.proof import Proof
from webapp.db import engine, get_session
from webapp.db.diagnosis import diagnose
from webapp.db.session import lift_time_limit
from webapp.listing.maintenance import find_faults
from webapp.operations.health import find_problem
from webapp.users.keys import SAMPLED, count_wrong_keys
from webapp.users.queries import has_administrator

SQLITE_WITHOUT_RACE = (3, 51, 3)
OLDEST_POSTGRES = 140_000
OTHERS = stat.S_IRWXG | stat.S_IRWXO
REINDEX = "Run “flask --app wsgi reindex”."


class Finding(NamedTuple):
    is_serious: bool
    what: str
    remedy: str


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check settings and database; exit 1 when something serious is found."""
    settings: Settings = current_app.extensions["settings"]
    findings = [finding for check in CHECKS for finding in check(settings)]
    for finding in findings:
        level = "serious" if finding.is_serious else "advice "
        click.echo(f"{level}  {finding.what}\n         → {finding.remedy}")
    serious = sum(finding.is_serious for finding in findings)
    click.echo(f"{serious} serious, {len(findings) - serious} advice." if findings else "All is well.")
    sys.exit(1 if serious else 0)


def check_mode(settings: Settings) -> Iterator[Finding]:
    if settings.debug:
        yield Finding(False, "DEBUG is on.", "Unset DEBUG where other people can reach the service.")
    if settings.sql_echo and not settings.debug:
        yield Finding(False, "SQL_ECHO logs every statement, with personal data.", "Unset SQL_ECHO.")


def check_secrecy(settings: Settings) -> Iterator[Finding]:
    if not settings.session_cookie_secure and not settings.debug:
        yield Finding(
            True,
            "Cookies travel over plain http.",
            "Unset SESSION_COOKIE_SECURE and serve Dossier over https.",
        )
    if any(host in {"*", "."} for host in settings.trusted_hosts):
        yield Finding(True, "TRUSTED_HOSTS lets every host name in.", "Name the hosts people type.")
    for name, keys in (
        ("SECRET_KEY", [settings.secret_key]),
        ("SECRET_KEY_FALLBACKS", settings.secret_key_fallbacks),
    ):
        if any(len(set(key)) < 10 for key in keys):  # noqa: PLR2004
            yield Finding(True, f"{name} is easy to guess.", "Generate one with secrets.token_urlsafe(48).")
    if settings.bind.startswith("unix:") and not settings.proxy_count:
        yield Finding(
            True,
            "BIND is a unix socket and PROXY_COUNT is 0: no address is known, so all share one throttle.",
            "Set PROXY_COUNT to the number of proxies in front, usually 1.",
        )
    if settings.bind.startswith("unix:") and settings.socket_mode == "0666":
        yield Finding(
            True,
            "SOCKET_MODE lets every account of this machine send requests past the proxy, as any address.",
            "Unset it, and put the proxy's account into the group of the service.",
        )
    outside = [host for host in settings.trusted_hosts if host not in LOCAL_HOSTS]
    if outside and not settings.proxy_count and not settings.debug:
        yield Finding(
            False,
            "PROXY_COUNT is 0: behind a proxy all people would share one address and one throttle.",
            "Set PROXY_COUNT to the number of proxies in front, usually 1.",
        )


def check_transport(settings: Settings) -> Iterator[Finding]:
    """Here nothing is overheard; elsewhere TLS is of use only with a certificate that is looked at."""
    url = make_url(settings.database_url)
    host = str(url.query.get("host") or url.host or "")
    is_here = settings.is_sqlite or not host or host.startswith("/") or host in {*LOCAL_HOSTS, "::1"}
    if not is_here and url.query.get("sslmode") != "verify-full":
        yield Finding(
            False,
            "The way to the database can be listened to, or another machine may answer in its place.",
            "Add ?sslmode=verify-full&sslrootcert=/path/of/the/authority.pem to DATABASE_URL.",
        )


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        problem = find_problem()
        if problem is not None:
            yield Finding(True, "The database is not ready.", problem)
            return
        lift_time_limit(get_session())
        yield from _check_sqlite(settings) if settings.is_sqlite else _check_postgres()
        for listing in LISTINGS:
            for fault in find_faults(get_session(), listing):
                yield Finding(True, f"A list may find too few or too many: {fault}", REINDEX)
        if wrong := count_wrong_keys():
            what = f"Of {SAMPLED:,} users at random {wrong:,} are not found by their name and e-mail."
            yield Finding(True, what, REINDEX)
        if not has_administrator():
            yield Finding(
                True,
                "No active administrator has a password, so nobody can let the others in.",
                "Run “flask --app wsgi create-admin --email you@example.org”.",
            )
        if found := next(Proof().find_faults(), None):
            what = f"Credits do not agree: {found.thing} {found.number} {found.what}."
            yield Finding(True, what, "Run “flask --app wsgi credits verify”: it names all that does not.")
    except SQLAlchemyError as error:
        diagnosis = diagnose(error)
        if diagnosis is None:
            raise
        yield Finding(True, f"{diagnosis.title}.", diagnosis.remedy)


def _check_sqlite(settings: Settings) -> Iterator[Finding]:
    dbapi = engine.dialect.dbapi
    version: tuple[int, ...] = getattr(dbapi, "sqlite_version_info", (0,))
    if version < SQLITE_WITHOUT_RACE:
        yield Finding(
            True,
            f"SQLite {'.'.join(map(str, version))} can corrupt a busy database (WAL-reset race).",
            "Install pysqlite3, or use Postgres.",
        )
    if not settings.debug:
        yield Finding(
            False,
            "Production runs on SQLite, which takes one writer at a time.",
            "Set DATABASE_URL to Postgres.",
        )
    checked = get_session().execute(text("PRAGMA quick_check(1)")).scalar()
    if checked != "ok":
        yield Finding(True, f"The database file is damaged: {checked}.", "Restore the latest backup.")


def _check_postgres() -> Iterator[Finding]:
    session = get_session()
    version = int(session.execute(text("SHOW server_version_num")).scalar_one())
    if version < OLDEST_POSTGRES:
        yield Finding(True, "This Postgres is no longer maintained.", "Move to Postgres 14 or newer.")
    if session.execute(text("SHOW fsync")).scalar() != "on":
        yield Finding(True, "Postgres runs with fsync off: a power cut loses everything.", "Set fsync = on.")
    if session.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar():
        yield Finding(
            False, "The database user is a superuser.", "Give Dossier a role that owns its database only."
        )


def check_files(settings: Settings) -> Iterator[Finding]:
    database = make_url(settings.database_url).database if settings.is_sqlite else None
    file = INSTANCE / (database or "app.db")
    for path in (INSTANCE / "secret_key", file, *(Path(f"{file}{end}") for end in ("-wal", "-shm"))):
        if path.exists() and path.stat().st_mode & OTHERS:
            yield Finding(
                not settings.debug,
                f"Other accounts of this machine can read or change {path.name}.",
                f"chmod go-rwx {path}",
            )


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_mode,
    check_secrecy,
    check_transport,
    check_database,
    check_files,
)
