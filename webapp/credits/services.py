"""Moving credits. Raises Invalid, Conflict or Forbidden, and then nothing was written.

A movement is one transaction: the transfer, its two postings, the balances, the history. Accounts are locked
in the order of their ids by the very statements that change them, or before, where Postgres saw too little;
a transfer waits for no row but these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import delete, literal, select, update

from webapp.access.actor import Actor
from webapp.credits import rules
from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.queries import Movement, find_by_key, get_balance, list_balances
from webapp.credits.rules import BANK, FULLEST_CENTS, Order
from webapp.credits.statements import BOOK, CHANGE, INSERTS, NOTE, PEOPLE, POST, SIDES
from webapp.db import atomic, get_connection, get_session
from webapp.errors import N_, Conflict, DomainError, Invalid
from webapp.extensions import BigId, UtcDateTime, utc_now
from webapp.history.rules import Kind
from webapp.history.services import Happening, Subject, record_all
from webapp.users.models import USERS
from webapp.users.queries import Person


def move(order: Order, *, key: str | None = None, actor: Actor) -> Movement:
    """Carry the order out. Who sends must be active; credits are withdrawn from others too, and who receives
    need not be.

    With a ``key`` that this actor has used before, the transfer of then is answered and nothing is done;
    raises Conflict when that was another one.
    """
    actor.require(order.permission)
    digest = None if key is None else rules.digest_key(actor.user_id, key)
    known = find_by_key(digest) if digest else None  # without waiting for anybody who writes
    return _move(order, digest, actor) if known is None else _repeat(order, known)


@atomic
def _move(order: Order, key_digest: str | None, actor: Actor) -> Movement:
    values: dict[str, Any] = {**asdict(order), "created_at": utc_now(), "actor_id": actor.user_id}
    booked = _BOOKING[_dialect()](order, {**values, "key_digest": key_digest})
    if booked is None:  # somebody came with the key at the same moment
        return _repeat(order, find_by_key(key_digest or ""))
    movement = Movement(id=booked.id, **values)
    people = _find_people(order)
    _check(order, people, booked.held, actor)
    _require_confirmation(order, people, actor)
    held = {user_id: cents for user_id, cents in booked.held.items() if cents is not None}
    happenings = [
        _describe(movement, people[user_id], held[user_id], cents) for user_id, cents in order.sides
    ]
    record_all(_kind_of(order), happenings, actor=actor)
    return movement


class Effect(NamedTuple):
    """What an order will do to one of its users."""

    person: Person
    before_cents: int
    after_cents: int


def foresee(order: Order, *, actor: Actor) -> list[Effect]:
    """What move() would do at this moment, the sender first. Raises what it would raise; writes nothing."""
    actor.require(order.permission)
    people = _find_people(order)
    balances = list_balances(people)
    after = {user_id: balances.get(user_id, 0) + cents for user_id, cents in order.sides}
    _check(
        order,
        people,
        {it: cents if 0 <= cents <= FULLEST_CENTS else None for it, cents in after.items()},
        actor,
    )
    return [
        Effect(people[user_id], balances.get(user_id, 0), after[user_id])
        for user_id in (order.from_user_id, order.to_user_id)
        if user_id != BANK
    ]


def _find_people(order: Order) -> dict[int, Person]:
    ids = {"one": order.from_user_id, "other": order.to_user_id}
    return {row.id: Person(*row) for row in get_connection().execute(PEOPLE, ids)}


def _require_confirmation(order: Order, people: Mapping[int, Person], actor: Actor) -> None:
    """Credits that are moved are only elsewhere then; of those that are issued there are more."""
    amount = rules.as_decimal(order.amount_cents)
    if order.from_user_id == BANK:
        name = people[order.to_user_id].display_name
        actor.require_confirmation(N_("Grant %(amount)s to %(name)s"), amount=amount, name=name)
    elif order.to_user_id == BANK:
        name = people[order.from_user_id].display_name
        actor.require_confirmation(N_("Withdraw %(amount)s from %(name)s"), amount=amount, name=name)


def _kind_of(order: Order) -> Kind:
    if order.from_user_id == BANK:
        return Kind.GRANTED
    return Kind.WITHDRAWN if order.to_user_id == BANK else Kind.TRANSFERRED


class _Booked(NamedTuple):
    """A transfer that is written, and what its accounts hold by now: None where there was too little or too
    much, or no such user.
    """

    id: int
    held: Mapping[int, int | None]


def _book_at_once(order: Order, values: Mapping[str, Any]) -> _Booked | None:
    """On Postgres. None when there is a transfer of that key: whoever comes with it at the same moment waits
    for the first, and holds nothing that others wait for; then each account is locked by what changes it.

    A statement sees what was there when it began, however long it waits then. So where a side could not be
    changed, it may be possible by now: the accounts are locked, what is left is done in turn, and only what
    that refuses is refused.
    """
    sides = tuple(_name_side(cents) for _, cents in order.sides)
    row = get_connection().execute(BOOK[sides], values).one_or_none()
    if row is None:
        return None
    posted = row._asdict()
    if None in posted.values():
        _lock([user_id for user_id, _ in order.sides])
        return _change_in_turn(order, {**values, **posted})
    return _Booked(posted["transfer_id"], _read_held(order, posted))


def _book_in_turn(order: Order, values: Mapping[str, Any]) -> _Booked | None:
    """On SQLite, where nobody else writes meanwhile. None when there is a transfer of that key."""
    transfer_id = get_connection().execute(NOTE, values).scalar_one_or_none()
    return None if transfer_id is None else _change_in_turn(order, {**values, "transfer_id": transfer_id})


def _change_in_turn(order: Order, values: Mapping[str, Any]) -> _Booked:
    """Each account that is not changed yet, then the postings."""
    connection, posted = get_connection(), dict(values)
    for side in SIDES:
        if posted.get(f"{side}_balance_cents") is None:  # as it stays for the bank
            posted |= {f"{side}_balance_cents": None, f"{side}_at": values["created_at"]}
    for user_id, cents in order.sides:
        side = _name_side(cents)
        if posted[f"{side}_balance_cents"] is None:
            change = CHANGE[_dialect()][side]
            account = connection.execute(change, {**values, "whose": user_id}).one_or_none()
            if account is not None:
                posted |= {f"{side}_balance_cents": account.balance_cents, f"{side}_at": account.changed_at}
    held = _read_held(order, posted)
    if None not in held.values():  # or all is undone
        connection.execute(POST, posted)
    return _Booked(posted["transfer_id"], held)


def _read_held(order: Order, posted: Mapping[str, Any]) -> dict[int, int | None]:
    return {user_id: posted[f"{_name_side(cents)}_balance_cents"] for user_id, cents in order.sides}


_BOOKING = {"postgresql": _book_at_once, "sqlite": _book_in_turn}


def _name_side(cents: int) -> str:
    return "from" if cents < 0 else "to"


def _repeat(order: Order, movement: Movement | None) -> Movement:
    wanted = asdict(order)
    if movement is not None and not movement.reason:  # erased, perhaps: see forget_reasons
        del wanted["reason"]
    if movement is None or wanted.items() - movement._asdict().items():
        raise Conflict(N_("This key was used for another transfer. Use a new one."), field="key")
    return movement._replace(is_repeated=True)


def _check(
    order: Order, people: Mapping[int, Person], held: Mapping[int, object | None], actor: Actor
) -> None:
    """Asked once the accounts are locked, of the people as they are by now. ``held`` is None for who has too
    little or would have too much.
    """
    sides = {"from_user_id": order.from_user_id, "to_user_id": order.to_user_id}
    for field, user_id in sides.items():
        if user_id == BANK:
            continue
        if user_id not in people:
            raise Invalid(rules.NO_SUCH_USER, field=field)
        actor.require(order.permission, on=people[user_id].role)
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


def _describe(movement: Movement, person: Person, balance: int, cents: int) -> Happening:
    """What the history tells of one side. Of the other it names the number alone, and the reason is in the
    ledger: that person may be forgotten one day, and is to be found here then no more.
    """
    facts: dict[str, object] = {"transfer": movement.id, "cents": movement.amount_cents}
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
    added = INSERTS[_dialect()](ACCOUNTS).from_select(
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
    """The user is deleted for good: that credits went from him and to him stays, and why is erased.

    Locked in the order of their ids: the other person of a transfer may be forgotten at the same moment.
    """
    of_user = TRANSFERS.c.id.in_(select(POSTINGS.c.transfer_id).where(POSTINGS.c.user_id == user_id))
    session = get_session()
    session.execute(select(TRANSFERS.c.id).where(of_user).order_by(TRANSFERS.c.id).with_for_update()).all()
    session.execute(update(TRANSFERS).where(of_user).values(reason=""))


def _dialect() -> str:
    return get_connection().dialect.name
