"""Making the tables, and people to try things with."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.cli.errors import say_errors
from webapp.cli.names import Person, generate_people
from webapp.db import init_db
from webapp.extensions import utc_now
from webapp.users.passwords import generate_password, hash_password
from webapp.users.queries import count_users, find_highest_id, has_administrator
from webapp.users.services import create_user, insert_users

ROWS_PER_TRANSACTION = 2_000  # about 50 ms: SQLite lets others write in between
DEMO_USERS = 2_000
DEMO_SEED = 2026
DEMO_EMAIL = "admin@dossier.example"


@click.command("init-db")
@with_appcontext
@say_errors
def init_database() -> None:
    """Create the tables, or bring them up to date. Safe to repeat."""
    init_db()
    click.echo("The database is up to date.")


@click.command("seed")
@click.option("--count", type=click.IntRange(1, 100_000_000), default=DEMO_USERS, show_default=True)
@click.option(
    "--seed", "seed_number", type=int, default=DEMO_SEED, show_default=True, help="Same number, same people."
)
@with_appcontext
@say_errors
def seed(count: int, seed_number: int) -> None:
    """Add made-up users with names of many languages."""
    start = find_highest_id()
    people = generate_people(count, seed=seed_number, until=_this_hour(), start=start)
    with click.progressbar(length=count, label=f"Adding {count:,} users") as bar:
        for added in add_people(people):
            bar.update(added)


@click.command("demo")
@click.option(
    "--address", default="http://127.0.0.1:8000", show_default=True, help="Where it will be served."
)
@with_appcontext
@say_errors
def demo(address: str) -> None:
    """Prepare a database to try Dossier with: tables, an administrator, 2,000 people. Safe to repeat."""
    init_db()
    password = None
    if not has_administrator():
        password = generate_password()
        create_user(
            email=DEMO_EMAIL,
            full_name="Ada Administrator",
            role=Role.ADMINISTRATOR,
            password=password,
            actor=Actor.command_line(),
        )
    if count_users() == 1:
        for _ in add_people(generate_people(DEMO_USERS, seed=DEMO_SEED, until=_this_hour())):
            pass
    how = f"the password {password} (shown only now)" if password else "the password shown at the first run"
    lost = "" if password else " (lost? make password)"
    click.echo(f"Dossier: open {address} and sign in as {DEMO_EMAIL} with {how}{lost}")


def add_people(people: Iterable[Person]) -> Iterator[int]:
    """Insert them in short transactions; yields how many after each."""
    # One hash of a secret nobody keeps: these accounts count as having a password, and none opens.
    hashed = hash_password(secrets.token_urlsafe())
    rest = iter(people)
    while rows := [_row(person, hashed) for person in islice(rest, ROWS_PER_TRANSACTION)]:
        yield insert_users(rows)


def _row(person: Person, hashed: str) -> dict[str, Any]:
    return {
        "full_name": person.full_name,
        "email": person.email,
        "role": Role(person.role),
        "is_active": person.is_active,
        "hashed_password": hashed if person.has_password else None,
        "created_at": person.created_at,
        "updated_at": person.created_at,
        "last_sign_in_at": person.last_sign_in_at,
    }


def _this_hour() -> datetime:
    return utc_now().replace(minute=0, second=0, microsecond=0)
