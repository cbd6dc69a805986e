"""The command line: a door to the same services as the pages."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.cli.batches import batches
    from webapp.cli.credits import credits_
    from webapp.cli.database import demo, init_database, reindex, seed
    from webapp.cli.doctor import doctor
    from webapp.cli.history import history
    from webapp.cli.tokens import tokens
    from webapp.cli.trash import trash
    from webapp.cli.users import create_admin, users

    for command in (
        init_database,
        seed,
        reindex,
        demo,
        doctor,
        create_admin,
        users,
        trash,
        history,
        batches,
        credits_,
    ):
        app.cli.add_command(command)
    app.cli.add_command(tokens)
