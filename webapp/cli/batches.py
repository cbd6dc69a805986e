"""Bulk changes from the command line: what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.batches.creators import find_obstacle
from webapp.batches.locks import needed_for
from webapp.batches.queries import get_batch, is_interrupted, list_running
from webapp.batches.rules import State
from webapp.batches.runner import run_steps
from webapp.cli.errors import say_errors


@click.group("batches")
def batches() -> None:
    """Look after changes of many users at once."""


@batches.command("resume")
@with_appcontext
@say_errors
def resume() -> None:
    """Go on with what was interrupted, say by a restart, to its end. What runs is left alone.

    Each runs with the rights that the person who began it has now; where they may not go on, it stops.
    """
    resting = [batch.id for batch in list_running() if is_interrupted(batch)]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for batch_id in resting:
        batch = get_batch(batch_id)
        with click.progressbar(length=batch.total, label=f"Bulk change {batch_id}") as bar:
            bar.update(batch.position)
            run_steps(app, batch_id, actor=Actor.command_line(), tell=_advancing(bar))
        batch = get_batch(batch_id)
        click.echo(f"{batch.done:,} changed.")
        if batch.state == State.STOPPED.value:
            why = find_obstacle(batch, needed_for(batch)) or "It was stopped."
            click.echo(f"Bulk change {batch_id} stopped after {batch.position:,} of {batch.total:,}: {why}")
    if not resting:
        click.echo("Nothing was interrupted.")


def _advancing(bar: Any) -> Callable[[int], None]:
    return lambda position: bar.update(position - bar.pos)
