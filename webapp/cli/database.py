"""Making the tables, and people to try things with."""

from __future__ import annotations

from collections.abc import Iterable

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.cli.demo_data import DemoData, Row
from webapp.cli.errors import say_errors
from webapp.db import get_settings, init_db
from webapp.history import queries as history
from webapp.listing.maintenance import drop_indexes, make_indexes, rebuild_indexes, settle
from webapp.tokens import queries as tokens
from webapp.users.keys import mend_keys, note_password_methods
from webapp.users.passwords import generate_password
from webapp.users.queries import LISTING, count_users, find_highest_id, has_administrator
from webapp.users.services import create_user, load_users

LISTINGS = (LISTING, history.LISTING, tokens.LISTING)
FEWEST_IN_BULK = 50_000  # from here on, indexes made at the end cost less than indexes kept up
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
    data = DemoData(count, seed=seed_number, start=find_highest_id())
    if count < max(FEWEST_IN_BULK, count_users()):
        _load(data.rows(), count)
        return
    click.echo("Until the indexes are made at the end, lists are slow and searches are off.")
    drop_indexes(LISTING)
    try:
        _load(data.rows_in_parallel(), count)
    finally:  # also for what was added before an interruption
        try:
            make_indexes(LISTING, tell_index)
        except BaseException:
            click.echo("The indexes are not made. Run “flask --app wsgi reindex”.", err=True)
            raise
    settle(LISTING)


def _load(batches: Iterable[list[Row]], count: int) -> None:
    with click.progressbar(length=count, label=f"Adding {count:,} users") as bar:
        for rows in batches:
            load_users(rows, actor=Actor.command_line())
            bar.update(len(rows))


@click.command("reindex")
@with_appcontext
@say_errors
def reindex() -> None:
    """Make the indexes, totals and searches of the lists anew; others can read meanwhile."""
    tell_index("what is searched and sorted by")
    mend_keys()
    note_password_methods()
    for listing in LISTINGS:
        rebuild_indexes(listing, tell_index)
    click.echo("All indexes, totals and searches are made anew.")


def tell_index(name: str) -> None:
    click.echo(f"Making {name}")


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
            must_change_password=not get_settings().debug,  # on one's own machine it is one's own
            actor=Actor.command_line(),
        )
    if count_users() == 1:
        for rows in DemoData(DEMO_USERS, seed=DEMO_SEED).rows():
            load_users(rows, actor=Actor.command_line())
    how = f"the password {password} (shown only now)" if password else "the password shown at the first run"
    lost = "" if password else " (lost? make password)"
    click.echo(f"Dossier: open {address} and sign in as {DEMO_EMAIL} with {how}{lost}")
