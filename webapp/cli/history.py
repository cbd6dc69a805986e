"""The history from the command line: is it still as it was written?"""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from sqlalchemy import func, select

from webapp.cli.errors import say_errors
from webapp.db import get_session
from webapp.db.session import lift_time_limit
from webapp.history.models import ENTRIES
from webapp.history.proof import describe_end, find_faults
from webapp.users.queries import find_existing


@click.group("history")
def history() -> None:
    """Check the history."""


@history.command("verify")
@with_appcontext
@say_errors
def verify() -> None:
    """Follow every chain; name the first entry of each that was changed, is missing, was hidden, or was
    erased though no deletion explains it, and exit with 1.

    The last line says how it ends. Kept elsewhere, it tells later whether the end was cut off or all of it
    written anew: as long as nothing was, it is found again among the entries.
    """
    lift_time_limit(get_session())
    faults = list(find_faults(find_existing))
    for fault in faults:
        click.echo(f"Lane {fault.lane}: entry {fault.number} {fault.what}.", err=True)
    if faults:
        raise click.ClickException("The history is not as it was written: compare it with a backup.")
    number = get_session().scalar(select(func.count()).select_from(ENTRIES)) or 0
    click.echo(f"{number:,} entries are as they were written. {describe_end()}")
