"""The trash from the command line."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.cli.errors import say_errors
from webapp.extensions import utc_now
from webapp.users.trash import purge_older


class Age(click.ParamType[timedelta]):
    """So many days, as 30d."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"([0-9]{1,5})d", str(value), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no age: give a number of days, such as 30d.", param, ctx)
        return timedelta(days=int(found[1]))


@click.group("trash")
def trash() -> None:
    """Look after the trash."""


@trash.command("purge")
@click.option("--older-than", type=Age(), required=True, help="Days since the deletion, such as 30d.")
@with_appcontext
@say_errors
def purge(older_than: timedelta) -> None:
    """Delete for good who has been in the trash for longer than that."""
    number = purge_older(utc_now() - older_than, actor=Actor.command_line())
    click.echo(f"{number} deleted for good.")
