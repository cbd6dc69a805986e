"""Access tokens from the command line: for programs that are set up without a browser."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.cli.errors import say_errors
from webapp.cli.users import get_by_email
from webapp.db import get_session
from webapp.db.session import lift_time_limit
from webapp.extensions import utc_now
from webapp.listing.page import PageRequest, paginate
from webapp.listing.search import split_words
from webapp.tokens import queries, services
from webapp.tokens.rules import LONGEST_LIFE_DAYS, SCOPES
from webapp.users.queries import list_people

SCOPE = click.Choice([scope.value for scope in SCOPES])
SCOPE_HELP = "May be given repeatedly; one that changes something needs the one that reads it, too."


@click.group("tokens")
def tokens() -> None:
    """Make, list and revoke access tokens of the API."""


@tokens.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", type=SCOPE, multiple=True, required=True, help=SCOPE_HELP)
@click.option("--days", type=click.IntRange(1, LONGEST_LIFE_DAYS), default=30, show_default=True)
@click.option("--from", "address_range", default="", help="Only from these addresses, such as 192.0.2.0/24.")
@with_appcontext
@say_errors
def create(email: str, name: str, scopes: tuple[str, ...], days: int, address_range: str) -> None:
    """Make a token for a user, and print it: only now. What it does is done in the user's name."""
    owner = get_by_email(email)
    secret, token = services.create_token(
        owner,
        name=name,
        scopes=scopes,
        days=days,
        address_range=address_range,
        actor=Actor.command_line(),
    )
    click.echo(f"Token {token.id} works until {token.expires_at:%Y-%m-%d %H:%M} UTC.", err=True)
    click.echo(secret)


@tokens.command("list")
@click.option("--search", default="", help="Words of the token's name or its owner's.")
@click.option("--user", "email", help="Only those of the user with this e-mail.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_appcontext
@say_errors
def list_all(search: str, email: str | None, limit: int) -> None:
    """Print id, owner, state, end, last use, scopes and name, separated by tabs; the latest first."""
    lift_time_limit(get_session())
    selection = queries.select_tokens(
        words=split_words(search), user_id=get_by_email(email).id if email else None
    )
    page = paginate(get_session(), queries.LISTING, selection, PageRequest(sort="-created_at", size=limit))
    owners = {person.id: person for person in list_people({row.user_id for row in page.rows})}
    for row in page.rows:
        owner = owners.get(row.user_id)
        if owner is None:  # deleted meanwhile, and the token with him
            continue
        used = f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never"
        state = queries.state_of(row, owner, utc_now())
        fields = (row.id, owner.email, state, f"{row.expires_at:%Y-%m-%d}", used, row.scopes, row.name)
        click.echo("\t".join(map(str, fields)))
    if page.next:
        click.echo(f"… and more: raise --limit, or narrow the --search ({limit} shown).", err=True)


@tokens.command("revoke")
@click.argument("token_id", type=int)
@with_appcontext
@say_errors
def revoke(token_id: int) -> None:
    """Revoke the token with this id (see: flask tokens list). It opens nothing from now on."""
    services.revoke_token(queries.get_token(token_id), actor=Actor.command_line())
    click.echo(f"Token {token_id} is revoked.")
