"""The users table."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, Unmapped, mapped_column, unmapped_column, validates

from webapp.access.permissions import Role
from webapp.errors import N_
from webapp.extensions import Base, BigId, FoldedText, Generated, UtcDateTime, table_of, utc_now
from webapp.listing.definition import (
    month_number,
    places_table,
    search_index,
    spans_table,
    totals_table,
)
from webapp.listing.periods import Signs
from webapp.listing.search import fold, searchable
from webapp.listing.stretches import NumberOrder, Order, TextOrder, TimeOrder
from webapp.users.rules import LONGEST_EMAIL, LONGEST_NAME, email_key

# Text with a CHECK of our own: adding a role is then a plain migration on both databases.
RoleText = Enum(Role, native_enum=False, create_constraint=False, length=16, values_callable=list)

SegmentText = String(3).with_variant(String(3, collation="C"), "postgresql")
# Role and status in three characters, computed by the database from the other columns: each filter of
# the list is a union of segments, which the indexes below begin with.
ROLE_LETTERS = {Role.MEMBER: "m", Role.AUDITOR: "u", Role.SUPPORT: "s", Role.ADMINISTRATOR: "a"}
STATUS_LETTERS = {"active": "a", "invited": "i", "inactive": "x"}
SEGMENT = (
    "'#' || CASE role WHEN 'member' THEN 'm' WHEN 'auditor' THEN 'u' WHEN 'support' THEN 's' ELSE 'a' END"
    " || CASE WHEN NOT is_active THEN 'x' WHEN hashed_password IS NULL THEN 'i' ELSE 'a' END"
)

# "Never" sorts before any time, and is no NULL: NULLs would need an OR in every page's predicate.
NEVER = literal_column("'1970-01-01 00:00:00.000000'", UtcDateTime())


class User(Base):
    """One person. ``version`` counts edits, so that a second editor's save is noticed.

    ``session_epoch`` counts the moments at which all earlier sign-ins died (a new password, a
    deactivation, "sign out everywhere"): a session is alive while it carries the present one.
    ``must_change_password``: it was chosen by somebody else, and lets in only to choose another.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint(
            "email_key", info={"conflict": ("email", N_("Another user already has this e-mail."))}
        ),
        CheckConstraint("role IN ('member', 'auditor', 'support', 'administrator')", name="role"),
        CheckConstraint(f"length(email) BETWEEN 3 AND {LONGEST_EMAIL}", name="email_length"),
        CheckConstraint(f"length(full_name) <= {LONGEST_NAME}", name="full_name_length"),
        {"sqlite_autoincrement": True},  # the id of a deleted user is never given to another
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(LONGEST_EMAIL))
    email_key: Mapped[str] = mapped_column(FoldedText)
    full_name: Mapped[str] = mapped_column(String(LONGEST_NAME), default="")
    name_key: Mapped[str] = mapped_column(FoldedText)
    search_text: Mapped[str] = mapped_column(FoldedText)
    hashed_password: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(RoleText, default=Role.MEMBER)
    is_active: Mapped[bool] = mapped_column(default=True)
    session_epoch: Mapped[int] = mapped_column(default=0)
    language: Mapped[str | None] = mapped_column(String(8))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    must_change_password: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The list reads the segment as a column; as an attribute it would cost a query after each change.
    segment: Unmapped[str] = unmapped_column(SegmentText, Generated(SEGMENT))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    @validates("email", "full_name")
    def _derive_keys(self, name: str, value: str) -> str:
        email = value if name == "email" else self.email or ""
        full_name = value if name == "full_name" else self.full_name or ""
        for key, derived in derive_keys(full_name=full_name, email=email).items():
            setattr(self, key, derived)
        return value

    @property
    def is_superuser(self) -> bool:
        return self.role is Role.ADMINISTRATOR

    @property
    def is_invited(self) -> bool:
        """Return whether there is no password (any more): a one-time link sets one."""
        return self.hashed_password is None

    @property
    def display_name(self) -> str:
        return self.full_name or self.email


class PasswordMethod(Base):
    """A method of hashing of which there are, or were, passwords besides the present one.

    A sign-in does the work of all of them, so that its time does not tell whose hash is of which.
    """

    __tablename__ = "password_methods"

    method: Mapped[str] = mapped_column(String(100), primary_key=True)


class Trashed(Base):
    """Somebody in the trash: the whole row as JSON, out of the way of every list, sign-in and e-mail."""

    __tablename__ = "trash"

    user_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    email: Mapped[str] = mapped_column(String(LONGEST_EMAIL))
    full_name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    role: Mapped[Role] = mapped_column(RoleText)
    row: Mapped[str] = mapped_column(Text)

    @property
    def display_name(self) -> str:
        return self.full_name or self.email


class OpenForm(Base):
    """Somebody has the form open in which a user is edited: a hint for others until it expires, no lock."""

    __tablename__ = "open_forms"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    editor_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


def derive_keys(*, full_name: str, email: str) -> dict[str, str]:
    """The columns computed from name and e-mail; used by the model and by bulk writes alike."""
    return {
        "email_key": email_key(email),
        "name_key": fold(full_name or email)[:LONGEST_NAME],  # sorted by what is shown
        "search_text": searchable(full_name, email),
    }


def segment_of(role: Role, status: str) -> str:
    """The segment of the users of that role and status (a key of STATUS_LETTERS)."""
    return f"#{ROLE_LETTERS[role]}{STATUS_LETTERS[status]}"


USERS = table_of(User)
TRASH = table_of(Trashed)
TOTALS = totals_table(Base.metadata, of="users")
PLACES = places_table(Base.metadata, of="users")
SPANS = spans_table(Base.metadata, of="users")

_c = USERS.c
# Each sort's index holds created_at too, so that a period is checked without a look at the row; and that of
# created_at holds the other sorts' keys, so that the rows of a period are sorted without one.
Index("ix_users_by_name", _c.segment, _c.name_key, _c.id, _c.created_at)
Index("ix_users_by_email", _c.segment, _c.email_key, _c.id, _c.created_at)
Index(
    "ix_users_by_created",
    *(_c.segment, _c.created_at, _c.id),
    *(_c.name_key, _c.email_key, _c.last_sign_in_at),
)
Index("ix_users_by_last_sign_in", _c.segment, func.coalesce(_c.last_sign_in_at, NEVER), _c.id, _c.created_at)
# In the order of arrival a row that is looked at for its period lies beside the one before.
Index("ix_users_by_id", _c.segment, _c.id)
# Where a month is chosen, its first names are no first names of the list: they would be far to walk to.
Index("ix_users_by_month", month_number(_c.created_at), _c.name_key, _c.id, _c.created_at, _c.segment)
# How the search's index cuts the order of each sort.
ORDERS: dict[str, Order] = {
    "id": NumberOrder("id", 2),
    "name": TextOrder("name_key", 0),
    "email": TextOrder("email_key", 1),
    "created_at": TimeOrder("created_at", has_days=True),
    "last_sign_in_at": TimeOrder("last_sign_in_at", Signs("[", "]", "^")),
}
search_index("ix_users_search", _c.search_text, segment=_c.segment, orders=ORDERS.values())
Index("ix_trash_by_deleted_at", TRASH.c.deleted_at, TRASH.c.user_id)
# Asked at every change of a role: who else could still let the others in.
_IS_ADMINISTRATOR = text("role = 'administrator'")
Index("ix_users_administrators", _c.id, postgresql_where=_IS_ADMINISTRATOR, sqlite_where=_IS_ADMINISTRATOR)
