"""Users from the command line: the first administrator, and the way back in when locked out."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.access.permissions import Role, may_sign_in
from webapp.cli.errors import say_errors
from webapp.db import get_session
from webapp.db.session import lift_time_limit
from webapp.errors import Invalid, NotFound
from webapp.listing.page import PageRequest, paginate
from webapp.listing.search import split_words
from webapp.users import services
from webapp.users.models import User
from webapp.users.passwords import generate_password
from webapp.users.queries import LISTING, find_user_by_email, select_users
from webapp.users.trash import erase_user

ACTOR = Actor.command_line()
ROLES = click.Choice([role.value for role in Role])
OPTION_HELP = "“-” asks for it, or reads a line from standard input. Without it one is generated and shown."
ON_COMMAND_LINE = (
    "Warning: a password on the command line can be read by other accounts of this machine, and stays in the"
    " history of the shell. Use “--password -”."
)


@click.command("create-admin")
@click.option("--email", required=True)
@click.option("--name", default="", help="Full name.")
@click.option("--password", help=OPTION_HELP)
@with_appcontext
@say_errors
def create_admin(email: str, name: str, password: str | None) -> None:
    """Create an administrator."""
    chosen = read_password(password)
    user = services.create_user(
        email=email, full_name=name, role=Role.ADMINISTRATOR, password=chosen, actor=ACTOR
    )
    click.echo(f"Administrator {user.email} is created.")
    tell_generated(password, chosen)
    tell_temporary(user)


@click.group("users")
def users() -> None:
    """List and change users."""


@users.command("list")
@click.option("--search", default="", help="Words of the name or e-mail.")
@click.option("--role", type=ROLES)
@click.option("--active/--inactive", "is_active", default=None)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_appcontext
@say_errors
def list_all(search: str, role: str | None, is_active: bool | None, limit: int) -> None:
    """Print id, e-mail, role, status and name, separated by tabs."""
    status = None if is_active is None else "active" if is_active else "inactive"
    lift_time_limit(get_session())
    selection = select_users(words=split_words(search), role=Role(role) if role else None, status=status)
    page = paginate(get_session(), LISTING, selection, PageRequest(sort="email", size=limit))
    for row in page.rows:
        status = "active" if row.is_active else "inactive"
        click.echo("\t".join((str(row.id), row.email, row.role.value, status, row.full_name)))
    if page.next:
        click.echo(f"… and more: raise --limit, or narrow the --search ({limit} shown).", err=True)


@users.command("create")
@click.option("--email", required=True)
@click.option("--name", default="", help="Full name.")
@click.option("--role", type=ROLES, default=Role.MEMBER.value, show_default=True)
@click.option("--password", help="“-” asks for it, or reads a line from standard input.")
@with_appcontext
@say_errors
def create(email: str, name: str, role: str, password: str | None) -> None:
    """Create a user; without a password the user is invited and sets one by a one-time link."""
    chosen = read_password(password) if password else None
    user = services.create_user(email=email, full_name=name, role=role, password=chosen, actor=ACTOR)
    click.echo(f"User {user.email} is created with id {user.id}.")
    tell_temporary(user)


@users.command("activate")
@click.argument("email")
@with_appcontext
@say_errors
def activate(email: str) -> None:
    """Let a user sign in again."""
    changed = services.activate_user(get_by_email(email), actor=ACTOR)
    click.echo(f"{email} is active." if changed else f"{email} was active already.")


@users.command("deactivate")
@click.argument("email")
@with_appcontext
@say_errors
def deactivate(email: str) -> None:
    """Shut a user out, on every device at once."""
    changed = services.deactivate_user(get_by_email(email), actor=ACTOR)
    click.echo(f"{email} is inactive." if changed else f"{email} was inactive already.")


@users.command("set-password")
@click.argument("email")
@click.option("--password", help=OPTION_HELP)
@with_appcontext
@say_errors
def set_password(email: str, password: str | None) -> None:
    """Give a user a new password; every device is signed out."""
    user = get_by_email(email)
    chosen = read_password(password)
    services.set_password(user, password=chosen, actor=ACTOR, field="password")
    click.echo(f"{user.email} has a new password.")
    tell_generated(password, chosen)
    tell_temporary(user)


@users.command("erase")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
@say_errors
def erase(email: str, yes: bool) -> None:
    """Delete a user for good, and all that is personal from the history too. Cannot be undone."""
    user = get_by_email(email)
    if not yes:
        click.confirm(f"Erase {user.display_name} ({user.email}) for good?", abort=True)
    erase_user(user, actor=ACTOR)
    click.echo("The user is erased.")


def get_by_email(email: str) -> User:
    """Raises NotFound."""
    user = find_user_by_email(email)
    if user is None:
        raise NotFound("There is no user with the e-mail %(email)s. See: flask users list", email=email)
    return user


def read_password(option: str | None) -> str:
    """The password as the option says: typed or piped for "-", generated for None."""
    if option is None:
        return generate_password()
    if option != "-":
        click.echo(ON_COMMAND_LINE, err=True)
        return option
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Invalid("No password came on standard input.", field="password")
    return line


def tell_temporary(user: User) -> None:
    """Members use their password elsewhere, where another application decides."""
    if user.must_change_password and may_sign_in(user.role):
        click.echo("It must be changed at the first sign-in.")


def tell_generated(option: str | None, password: str) -> None:
    if option is None:
        click.echo(f"Password: {password}   (shown only now)")
