"""The calls about credits. Amounts are answered as texts with two decimals: nobody makes them floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.api.bodies import Body, follows
from webapp.api.calls import Answer, Calls, Shown
from webapp.api.idempotency import REPLAYED
from webapp.api.lists import LINKED, ListQuery, find_page, link_pages, number_page
from webapp.credits import queries, rules, services
from webapp.credits.queries import Movement
from webapp.credits.rules import BANK, Order, order_grant, order_transfer, order_withdrawal
from webapp.errors import Invalid, NotFound
from webapp.listing.keyset import LARGEST_ID
from webapp.users.queries import get_user
from webapp.web.language import explain

calls = Calls("Credits")


def _read_amount(value: object) -> int:
    """Cents. A number came as int or Decimal; see bodies.py."""
    try:
        return rules.read_decimal(value if isinstance(value, str | int | Decimal) else "")
    except Invalid as error:
        raise PydanticCustomError("ours", "{message}", {"message": explain(error)}) from None


# No multipleOf of 0.01: whoever validates with floats finds that 0.29 is none.
_WRITTEN = {"type": "string", "pattern": rules.DECIMAL.pattern, "examples": ["12.50"]}
Amount = Annotated[
    int,
    BeforeValidator(_read_amount),
    WithJsonSchema(
        {"anyOf": [_WRITTEN, {"type": "number", "minimum": 0.01, "maximum": rules.MOST_CENTS // 100}]}
    ),
    Field(description="Above zero, with at most two decimals: a text or a number."),
]
UserId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
LENGTH = Field(json_schema_extra={"maxLength": rules.LONGEST_REASON})
Reason = Annotated[str, AfterValidator(follows(rules.clean_reason)), LENGTH]
RequiredReason = Annotated[str, AfterValidator(follows(rules.require_reason)), LENGTH]
Money = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2}$"})]


# What is sent


class NewTransfer(Body):
    from_user_id: UserId
    to_user_id: UserId
    amount: Amount
    reason: Reason = ""


class Issue(Body):
    amount: Amount
    reason: RequiredReason


# What is answered


class TransferShown(Shown):
    id: int
    created_at: datetime
    from_user_id: int | None = Field(description="null for a grant.")
    to_user_id: int | None = Field(description="null for a withdrawal.")
    amount: Money
    reason: str


class CreditsShown(Shown):
    user_id: int
    balance: Money


class LineShown(Shown):
    id: int
    at: datetime
    transfer_id: int
    amount: Money = Field(description="With a minus where it went.")
    balance: Money = Field(description="What the user had then.")
    other_user_id: int | None = Field(description="null where it was granted or withdrawn.")
    reason: str = Field(description="Empty where a person in it is deleted for good.")
    actor_id: int | None = Field(description="null for the command line.")


class LinePage(Shown):
    lines: list[LineShown]
    page: int | None = Field(description="null where a cursor led to a page whose place is not known.")
    page_size: int
    total: int | None = Field(description="Exact, or null for more than 10,000.")
    pages: int | None = Field(description="null where total is.")


def write_amount(cents: int) -> str:
    return str(rules.as_decimal(cents))


def show(movement: Movement) -> TransferShown:
    return TransferShown(
        id=movement.id,
        created_at=movement.created_at,
        from_user_id=None if movement.from_user_id == BANK else movement.from_user_id,
        to_user_id=None if movement.to_user_id == BANK else movement.to_user_id,
        amount=write_amount(movement.amount_cents),
        reason=movement.reason,
    )


def _move(order: Order, key: str | None) -> Answer:
    movement = services.move(order, key=key, actor=current_actor())
    return Answer(value=show(movement), headers=REPLAYED if movement.is_repeated else {})


def _issue(make: Callable[[], Order], key: str | None) -> Answer:
    """The user is that of the path. Whether there is one is asked after the key: what was done is answered
    when he is gone, too.
    """
    try:
        return _move(make(), key)
    except Invalid as error:
        if error.field in {"from_user_id", "to_user_id"}:
            raise NotFound(rules.NO_SUCH_USER) from None
        raise


# The calls

MOVING: Mapping[str, Any] = {"answer": TransferShown, "status": 201, "refusals": (409,), "keeps_key": True}


@calls.post("/transfer", permission=Permission.CREDITS_MOVE, body=NewTransfer, **MOVING)
def transfer_credits(body: NewTransfer, key: str | None) -> Answer:
    """Transfer credits from one user to another: wholly or not at all.

    Who sends must be active and have as much; who receives need not be active.
    """
    order = order_transfer(
        from_user_id=body.from_user_id,
        to_user_id=body.to_user_id,
        amount_cents=body.amount,
        reason=body.reason,
    )
    return _move(order, key)


@calls.post("/users/<id:user_id>/credits/grants", permission=Permission.CREDITS_ISSUE, body=Issue, **MOVING)
def grant_credits(user_id: int, body: Issue, key: str | None) -> Answer:
    """Grant new credits to a user."""
    return _issue(lambda: order_grant(to_user_id=user_id, amount_cents=body.amount, reason=body.reason), key)


@calls.post(
    "/users/<id:user_id>/credits/withdrawals", permission=Permission.CREDITS_ISSUE, body=Issue, **MOVING
)
def withdraw_credits(user_id: int, body: Issue, key: str | None) -> Answer:
    """Withdraw credits from a user, from an inactive one too."""
    return _issue(
        lambda: order_withdrawal(from_user_id=user_id, amount_cents=body.amount, reason=body.reason), key
    )


@calls.get("/users/<id:user_id>/credits", permission=Permission.CREDITS_READ, answer=CreditsShown)
def show_credits(user_id: int) -> Answer:
    """Read what a user has."""
    user_id = get_user(user_id).id
    return Answer(value=CreditsShown(user_id=user_id, balance=write_amount(queries.get_balance(user_id))))


@calls.get(
    "/users/<id:user_id>/credits/ledger",
    permission=Permission.CREDITS_READ,
    query=ListQuery,
    answer=LinePage,
    headers=LINKED,
)
def list_ledger(user_id: int, query: ListQuery) -> Answer:
    """List what moved a user's credits, the latest first."""
    selection = queries.select_postings(get_user(user_id).id)
    page = find_page(queries.LISTING, selection, query, sort="-at")
    lines = [
        LineShown(
            id=line.id,
            at=line.at,
            transfer_id=line.transfer_id,
            amount=write_amount(line.amount_cents),
            balance=write_amount(line.balance_cents),
            other_user_id=line.other_id,
            reason=line.reason,
            actor_id=line.actor_id,
        )
        for line in queries.tell(page.rows)
    ]
    return Answer(value=LinePage(lines=lines, **number_page(page)._asdict()), headers=link_pages(page))
