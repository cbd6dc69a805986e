"""Bulk changes from the command line: what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.batches.queries import get_batch, is_interrupted, list_running
from webapp.batches.runner import run_steps
from webapp.cli.errors import say_errors


@click.group("batches")
def batches() -> None:
    """Look after changes of many users at once."""


@batches.command("resume")
@with_appcontext
@say_errors
def resume() -> None:
    """Go on with what was interrupted, say by a restart, to its end. What runs is left alone."""
    resting = [batch.id for batch in list_running() if is_interrupted(batch)]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for batch_id in resting:
        batch = get_batch(batch_id)
        with click.progressbar(length=batch.total, label=f"Bulk change {batch_id}") as bar:
            bar.update(batch.position)
            run_steps(app, batch_id, actor=Actor.command_line(), tell=_advancing(bar))
        click.echo(f"{get_batch(batch_id).done:,} changed.")
    if not resting:
        click.echo("Nothing was interrupted.")


def _advancing(bar: Any) -> Callable[[int], None]:
    return lambda position: bar.update(position - bar.pos)
