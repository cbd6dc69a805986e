"""Moving credits. Raises Invalid, Conflict or Forbidden, and then nothing was written.

Each way is one transaction: the transfer, its two postings, the balances, the history. Accounts are locked in
the order of their ids by the very statements that change them; a transfer waits for no row but these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, delete, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from webapp.access.actor import Actor
from webapp.access.permissions import Permission
from webapp.credits import rules
from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.queries import Movement, find_by_key, get_balance, list_balances
from webapp.credits.rules import BANK, FULLEST_CENTS
from webapp.db import atomic, get_session
from webapp.errors import N_, Conflict, DomainError, Invalid
from webapp.extensions import BigId, UtcDateTime, utc_now
from webapp.history.rules import Kind
from webapp.history.services import Happening, Subject, record_all
from webapp.users.models import USERS
from webapp.users.queries import Person, list_people

class Order(NamedTuple):
    """What is asked for, in values that are clean. Only grant() and withdraw() may name the bank."""

    from_user_id: int
    to_user_id: int
    amount_cents: int
    reason: str


@atomic
def transfer(
    *,
    from_user_id: int,
    to_user_id: int,
    amount_cents: int,
    reason: str = "",
    key: str | None = None,
    actor: Actor,
) -> Movement:
    """From one user to another. Who sends must be active; who receives need not be.

    With a ``key`` that this actor has used before, the transfer of then is answered and nothing is done;
    raises Conflict when that was another one.
    """
    actor.require(Permission.CREDITS_MOVE)
    if from_user_id == to_user_id:
        raise Invalid(N_("Choose somebody else: this is the sender."), field="to_user_id")
    order = Order(
        rules.clean_user_id(from_user_id, field="from_user_id"),
        rules.clean_user_id(to_user_id, field="to_user_id"),
        rules.clean_cents(amount_cents),
        rules.clean_reason(reason),
    )
    return _move(order, Kind.TRANSFERRED, Permission.CREDITS_MOVE, key=key, actor=actor)


@atomic
def grant(
    *, to_user_id: int, amount_cents: int, reason: str, key: str | None = None, actor: Actor
) -> Movement:
    """New credits, for a reason; ``key`` as for transfer()."""
    actor.require(Permission.CREDITS_ISSUE)
    to_user_id = rules.clean_user_id(to_user_id, field="to_user_id")
    order = Order(BANK, to_user_id, rules.clean_cents(amount_cents), rules.require_reason(reason))
    return _move(order, Kind.GRANTED, Permission.CREDITS_ISSUE, key=key, actor=actor)


@atomic
def withdraw(
    *, from_user_id: int, amount_cents: int, reason: str, key: str | None = None, actor: Actor
) -> Movement:
    """Take credits away, for a reason, from inactive people too; ``key`` as for transfer()."""
    actor.require(Permission.CREDITS_ISSUE)
    from_user_id = rules.clean_user_id(from_user_id, field="from_user_id")
    order = Order(from_user_id, BANK, rules.clean_cents(amount_cents), rules.require_reason(reason))
    return _move(order, Kind.WITHDRAWN, Permission.CREDITS_ISSUE, key=key, actor=actor)


def _move(order: Order, kind: Kind, permission: Permission, *, key: str | None, actor: Actor) -> Movement:
    """The history comes last, since it holds one of its lanes until the end."""
    now, digest = utc_now(), None if key is None else rules.digest_key(actor.user_id, key)
    movement = _note(order, digest, now, actor)
    if movement is None:
        return _repeat(order, digest or "")
    held = {user_id: _change(user_id, cents, now) for user_id, cents in _sides(order)}
    people = {person.id: person for person in list_people(held)}
    _check(order, held, people, permission, actor)
    _post(movement, {user_id: account for user_id, account in held.items() if account is not None})
    happenings = [
        _describe(movement, people[user_id], held[user_id], cents) for user_id, cents in _sides(order)
    ]
    record_all(kind, happenings, actor=actor)
    return movement


def _sides(order: Order) -> list[tuple[int, int]]:
    """Whose accounts are changed, and by how much, in the order of their ids."""
    sides = ((order.from_user_id, -order.amount_cents), (order.to_user_id, order.amount_cents))
    return sorted(side for side in sides if side[0] != BANK)


def _note(order: Order, key_digest: str | None, now: datetime, actor: Actor) -> Movement | None:
    """None when there is one of that key. Whoever comes with it at the same moment waits here, and holds
    nothing that others wait for.
    """
    values = {**order._asdict(), "created_at": now, "actor_id": actor.user_id}
    statement = (
        _dialect_insert()(TRANSFERS)
        .values(**values, key_digest=key_digest)
        .on_conflict_do_nothing(index_elements=[TRANSFERS.c.key_digest])
        .returning(TRANSFERS.c.id)
    )
    transfer_id = get_session().execute(statement).scalar_one_or_none()
    return None if transfer_id is None else Movement(id=transfer_id, **values)


def _repeat(order: Order, key_digest: str) -> Movement:
    movement = find_by_key(key_digest)
    if movement is None or order != tuple(getattr(movement, name) for name in Order._fields):
        raise Conflict(N_("This key was used for another transfer. Use a new one."), field="key")
    return movement


class _Account(NamedTuple):
    balance_cents: int
    changed_at: datetime


def _change(user_id: int, cents: int, now: datetime) -> _Account | None:
    """Add to an account or take from it, which locks it. None when there is too little or too much in it, or
    no such user.
    """
    account = ACCOUNTS.c
    if cents < 0:
        changed = (
            update(ACCOUNTS)
            .where(account.user_id == user_id, account.balance_cents >= -cents)
            .values(
                balance_cents=account.balance_cents + cents,
                changed_at=_later(account.changed_at, literal(now, UtcDateTime)),
            )
        ).returning(account.balance_cents, account.changed_at)
    else:
        new = select(USERS.c.id, literal(cents, BigId), literal(now, UtcDateTime))
        added = _dialect_insert()(ACCOUNTS).from_select(
            ["user_id", "balance_cents", "changed_at"], new.where(USERS.c.id == user_id)
        )
        changed = added.on_conflict_do_update(  # type: ignore[assignment]
            index_elements=[account.user_id],
            set_={
                "balance_cents": account.balance_cents + added.excluded.balance_cents,
                "changed_at": _later(account.changed_at, added.excluded.changed_at),
            },
            where=account.balance_cents + added.excluded.balance_cents <= FULLEST_CENTS,
        ).returning(account.balance_cents, account.changed_at)
    row = get_session().execute(changed).one_or_none()
    return None if row is None else _Account(*row)


def _later(one: ColumnElement[datetime], other: ColumnElement[datetime]) -> ColumnElement[datetime]:
    return case((one > other, one), else_=other)


def _check(
    order: Order,
    held: Mapping[int, _Account | None],
    people: Mapping[int, Person],
    permission: Permission,
    actor: Actor,
) -> None:
    """Asked once the accounts are locked, of the people as they are by now."""
    for field in ("from_user_id", "to_user_id"):
        user_id: int = getattr(order, field)
        if user_id == BANK:
            continue
        if user_id not in people:
            raise Invalid(rules.NO_SUCH_USER, field=field)
        actor.require(permission, on=people[user_id].role)
    sender = people.get(order.from_user_id)
    if sender is not None and order.to_user_id != BANK and not sender.is_active:
        raise Conflict(
            N_("This person is inactive and cannot send credits. Activate the account first."),
            field="from_user_id",
        )
    if sender is not None and held[sender.id] is None:
        has = rules.as_decimal(get_balance(sender.id))
        raise Conflict(N_("That is more than there is: the balance is %(has)s."), field="amount", has=has)
    if order.to_user_id in held and held[order.to_user_id] is None:
        most = rules.as_decimal(FULLEST_CENTS)
        raise Conflict(N_("An account holds at most %(most)s."), field="amount", most=most)


def _post(movement: Movement, held: Mapping[int, _Account]) -> None:
    rows = [
        {
            "transfer_id": movement.id,
            "user_id": user_id,
            "amount_cents": cents,
            "balance_cents": held[user_id].balance_cents if user_id in held else None,
            "at": held[user_id].changed_at if user_id in held else movement.created_at,
        }
        for user_id, cents in (
            (movement.from_user_id, -movement.amount_cents),
            (movement.to_user_id, movement.amount_cents),
        )
    ]
    get_session().execute(insert(POSTINGS), rows)


def _describe(movement: Movement, person: Person, account: _Account | None, cents: int) -> Happening:
    """What the history tells of one side. Of the other side it names the number alone: that person may be
    forgotten one day, and is to be found here then no more.
    """
    balance = account.balance_cents if account else 0
    facts = {"transfer": movement.id, "cents": movement.amount_cents, "why": movement.reason}
    if BANK not in {movement.from_user_id, movement.to_user_id}:
        facts |= {"to": movement.to_user_id} if cents < 0 else {"from": movement.from_user_id}
    return Happening(
        Subject(person.id, person.display_name), changes={"balance": (balance - cents, balance)}, facts=facts
    )


def find_kept(user_ids: Collection[int], *, is_locking: bool) -> Mapping[int, DomainError]:
    """Who cannot be deleted, because credits would go with him. With ``is_locking`` nobody can give any to
    the others until the transaction ends: their accounts are locked (made, where there are none) and, as
    nothing is in them, go.
    """
    if is_locking:
        _lock(user_ids)
    kept = {user_id for user_id, cents in list_balances(user_ids).items() if cents}
    if is_locking:
        empty = ACCOUNTS.c.user_id.in_(set(user_ids) - kept)
        get_session().execute(delete(ACCOUNTS).where(empty))
    refusal = Conflict(N_("This person still has credits. Transfer or withdraw them first."))
    return dict.fromkeys(kept, refusal)


def _lock(user_ids: Collection[int]) -> None:
    """In the order of their ids, those that are there and those that are made for it alike."""
    added = _dialect_insert()(ACCOUNTS).from_select(
        ["user_id", "balance_cents", "changed_at"],
        select(USERS.c.id, literal(0, BigId), literal(utc_now(), UtcDateTime))
        .where(USERS.c.id.in_(user_ids))
        .order_by(USERS.c.id),
    )
    get_session().execute(
        added.on_conflict_do_update(
            index_elements=[ACCOUNTS.c.user_id], set_={"balance_cents": ACCOUNTS.c.balance_cents}
        )
    )


def forget_reasons(user_id: int) -> None:
    """The user is deleted for good: that credits went from him and to him stays, and why is erased."""
    of_user = select(POSTINGS.c.transfer_id).where(POSTINGS.c.user_id == user_id)
    get_session().execute(update(TRANSFERS).where(TRANSFERS.c.id.in_(of_user)).values(reason=""))


def _dialect_insert() -> type[postgresql.Insert] | type[sqlite.Insert]:
    is_postgres = get_session().get_bind().dialect.name == "postgresql"
    return postgresql.Insert if is_postgres else sqlite.Insert
