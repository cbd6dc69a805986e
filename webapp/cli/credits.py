"""Credits from the command line: grant, withdraw, transfer, and the proof that none are lost."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from webapp.access.actor import Actor
from webapp.cli.errors import say_errors
from webapp.cli.users import get_by_email
from webapp.credits.proof import Proof
from webapp.credits.queries import get_balance
from webapp.credits.rules import as_decimal, order_grant, order_transfer, order_withdrawal, read_amount
from webapp.credits.services import move
from webapp.users.models import User

ACTOR = Actor.command_line()
MOST_SHOWN = 100


@click.group("credits")
def credits_() -> None:
    """Move credits, and check the ledger."""


@credits_.command("grant")
@click.argument("email")
@click.argument("amount")
@click.option("--reason", required=True)
@with_appcontext
@say_errors
def grant(email: str, amount: str, reason: str) -> None:
    """Give a user new credits, such as 12.50."""
    user = get_by_email(email)
    move(order_grant(to_user_id=user.id, amount_cents=read_amount(amount), reason=reason), actor=ACTOR)
    tell_balances(user)


@credits_.command("withdraw")
@click.argument("email")
@click.argument("amount")
@click.option("--reason", required=True)
@with_appcontext
@say_errors
def withdraw(email: str, amount: str, reason: str) -> None:
    """Take credits away from a user."""
    user = get_by_email(email)
    cents = read_amount(amount)
    move(order_withdrawal(from_user_id=user.id, amount_cents=cents, reason=reason), actor=ACTOR)
    tell_balances(user)


@credits_.command("transfer")
@click.argument("sender")
@click.argument("recipient")
@click.argument("amount")
@click.option("--reason", default="")
@with_appcontext
@say_errors
def transfer(sender: str, recipient: str, amount: str, reason: str) -> None:
    """Move credits from one user to another, both named by their e-mails."""
    one, other = get_by_email(sender), get_by_email(recipient)
    cents = read_amount(amount)
    order = order_transfer(from_user_id=one.id, to_user_id=other.id, amount_cents=cents, reason=reason)
    move(order, actor=ACTOR)
    tell_balances(one, other)


@credits_.command("verify")
@with_appcontext
@say_errors
def verify() -> None:
    """Prove that transfers, postings and balances say the same; name what differs, and exit with 1."""
    proof, number = Proof(), 0
    for number, fault in enumerate(proof.find_faults(), 1):
        if number <= MOST_SHOWN:
            click.echo(f"{fault.thing.title()} {fault.number} {fault.what}.", err=True)
    if number:
        raise click.ClickException(f"{number:,} things do not agree: compare the credits with a backup.")
    click.echo(
        f"{proof.transfers:,} transfers have {proof.postings:,} postings, which sum to"
        f" {as_decimal(proof.sum_of_postings)}. {proof.accounts:,} accounts hold what these lead to:"
        f" {as_decimal(proof.sum_of_balances):,} in all."
    )


def tell_balances(*users: User) -> None:
    for user in users:
        click.echo(f"{user.email} has {as_decimal(get_balance(user.id)):,}.")
