"""What a valid amount and a valid reason are. Amounts are whole cents; a float is never among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from webapp.access.permissions import Permission
from webapp.errors import N_, Invalid
from webapp.listing.keyset import LARGEST_ID
from webapp.text import normalize
from webapp.users.rules import is_blank

# Zero-width joiners are part of Persian and Indic words and of emoji.
_JOINERS = "\u200c\u200d"

NO_AMOUNT = N_("Enter an amount such as 12.50, with at most two decimals.")
NO_SUCH_USER = N_("There is no such user (any more).")
BANK = 0  # where credits come from by a grant, and go to by a withdrawal; no user has this id
MOST_CENTS = 10**11  # in one transfer: a thousand million
FULLEST_CENTS = 10**15  # in one account; JavaScript, too, still counts these without loss
LONGEST_REASON = 200
LONGEST_KEY = 255
_LONGEST_AMOUNT = 30
_GROUPS = "[ \u00a0\u202f]"  # what parts thousands: a space, the hard one, the narrow one of French
DECIMAL = re.compile(r"^[0-9]{1,15}(\.[0-9]{1,2})?$")
_AMOUNT = re.compile(
    rf"(?P<whole>[0-9]+|[0-9]{{1,3}}(?:{_GROUPS}[0-9]{{3}})+|[0-9]{{1,3}}(?:,[0-9]{{3}})+(?=\.))"
    r"(?:[.,](?P<cents>[0-9]{1,2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants moved, in clean values: made by the functions below. From the bank it is a grant,
    to the bank a withdrawal.
    """

    from_user_id: int
    to_user_id: int
    amount_cents: int
    reason: str

    @property
    def permission(self) -> Permission:
        is_between_users = BANK not in {self.from_user_id, self.to_user_id}
        return Permission.CREDITS_MOVE if is_between_users else Permission.CREDITS_ISSUE

    @property
    def sides(self) -> list[tuple[int, int]]:
        """Each user with what it does to his account, in the order of their ids."""
        sides = ((self.from_user_id, -self.amount_cents), (self.to_user_id, self.amount_cents))
        return sorted(side for side in sides if side[0] != BANK)


def order_transfer(*, from_user_id: int, to_user_id: int, amount_cents: int, reason: str = "") -> Order:
    """From one user to another. Raises Invalid, as the next two do."""
    if from_user_id == to_user_id:
        raise Invalid(N_("Choose somebody else: this is the sender."), field="to_user_id")
    return Order(
        from_user_id=clean_user_id(from_user_id, field="from_user_id"),
        to_user_id=clean_user_id(to_user_id, field="to_user_id"),
        amount_cents=clean_cents(amount_cents),
        reason=clean_reason(reason),
    )


def order_grant(*, to_user_id: int, amount_cents: int, reason: str) -> Order:
    """New credits."""
    return Order(
        from_user_id=BANK,
        to_user_id=clean_user_id(to_user_id, field="to_user_id"),
        amount_cents=clean_cents(amount_cents),
        reason=require_reason(reason),
    )


def order_withdrawal(*, from_user_id: int, amount_cents: int, reason: str) -> Order:
    """Credits taken away."""
    return Order(
        from_user_id=clean_user_id(from_user_id, field="from_user_id"),
        to_user_id=BANK,
        amount_cents=clean_cents(amount_cents),
        reason=require_reason(reason),
    )


def clean_user_id(value: int, *, field: str) -> int:
    """One that somebody could have: the bank is nobody. Raises Invalid."""
    if not BANK < value <= LARGEST_ID:
        raise Invalid(NO_SUCH_USER, field=field)
    return value


def read_amount(text: str) -> int:
    """Cents, from "12", "12.5", "12,50" or what a page shows. Raises Invalid on the field ``amount``."""
    # Asked first: Python refuses to read a number of very many digits.
    found = _AMOUNT.fullmatch(text.strip()) if len(text) <= _LONGEST_AMOUNT else None
    if found is None:
        raise Invalid(NO_AMOUNT, field="amount")
    whole = re.sub("[^0-9]", "", found["whole"])
    return clean_cents(int(whole) * 100 + int((found["cents"] or "0").ljust(2, "0")))


def read_decimal(value: str | int | Decimal) -> int:
    """Cents, from a number or a text as programs write it: a point, and no signs between digits.

    Of a number it is the value that counts: 1.50000 is 1.5.
    """
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, Decimal) and "." in text:
        text = text.rstrip("0").removesuffix(".")
    if isinstance(value, bool) or not DECIMAL.fullmatch(text):
        raise Invalid(NO_AMOUNT, field="amount")
    return read_amount(text)


def clean_cents(cents: int) -> int:
    """At least one cent, at most MOST_CENTS. Raises Invalid on the field ``amount``."""
    if cents < 1:
        raise Invalid(N_("Enter an amount above zero."), field="amount")
    if cents > MOST_CENTS:
        raise Invalid(N_("Move at most %(most)s at once."), field="amount", most=as_decimal(MOST_CENTS))
    return cents


def as_decimal(cents: int) -> Decimal:
    """With two places, exactly."""
    return Decimal(cents).scaleb(-2)


def clean_reason(value: str) -> str:
    """NFC, white space collapsed; may be empty. Raises Invalid on the field ``reason``."""
    text = " ".join(normalize(value, most=LONGEST_REASON, field="reason").split())
    if len(text) > LONGEST_REASON:
        raise Invalid(N_("Use at most %(most)s characters."), field="reason", most=LONGEST_REASON)
    if not all(character.isprintable() or character in _JOINERS for character in text):
        raise Invalid(N_("Use printable characters only."), field="reason")
    return "" if is_blank(text) else text


def require_reason(value: str) -> str:
    """The same, but not empty."""
    text = clean_reason(value)
    if not text:
        raise Invalid(N_("Say why."), field="reason")
    return text


def digest_key(actor_id: int | None, key: str) -> str:
    """What is stored of an idempotency key: of any text the same length, and each actor has his own keys."""
    if len(key) > LONGEST_KEY:
        raise Invalid(N_("Use at most %(most)s characters."), field="key", most=LONGEST_KEY)
    return sha256(f"{actor_id}:{key}".encode("utf-8", "surrogatepass")).hexdigest()
