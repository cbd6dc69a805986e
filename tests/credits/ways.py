"""Orders as tests give them, and what must be true after any of them."""

from __future__ import annotations

from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.credits.proof import Fault, Proof
from webapp.credits.queries import Movement
from webapp.credits.rules import order_grant, order_transfer, order_withdrawal
from webapp.credits.services import move

TERMINAL = Actor.command_line()
SUPPORT = Actor(user_id=1_000_000, name="Support Desk", role=Role.SUPPORT)


def grant(user_id: int, cents: int, *, key: str | None = None, actor: Actor = TERMINAL) -> Movement:
    order = order_grant(to_user_id=user_id, amount_cents=cents, reason="A present")
    return move(order, key=key, actor=actor)


def withdraw(user_id: int, cents: int, *, key: str | None = None, actor: Actor = TERMINAL) -> Movement:
    order = order_withdrawal(from_user_id=user_id, amount_cents=cents, reason="An error")
    return move(order, key=key, actor=actor)


def transfer(
    sender: int, recipient: int, cents: int, *, key: str | None = None, actor: Actor = TERMINAL
) -> Movement:
    order = order_transfer(from_user_id=sender, to_user_id=recipient, amount_cents=cents)
    return move(order, key=key, actor=actor)


def find_faults() -> list[Fault]:
    return list(Proof().find_faults())
