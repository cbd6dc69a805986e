"""the fast list: segments, their totals, and a trigram index for the search"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQL = Path(__file__).resolve().parent.parent / "sql"

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SegmentText = sa.String(3).with_variant(sa.String(3, collation="C"), "postgresql")
SEGMENT = (
    "'#' || CASE role WHEN 'member' THEN 'm' WHEN 'auditor' THEN 'u' WHEN 'support' THEN 's' ELSE 'a' END"
    " || CASE WHEN NOT is_active THEN 'x' WHEN hashed_password IS NULL THEN 'i' ELSE 'a' END"
)
LAST_SIGN_IN = sa.text("coalesce(last_sign_in_at, '1970-01-01 00:00:00.000000')")
OLD_INDEXES = {
    "ix_users_name_key_id": ["name_key", "id"],
    "ix_users_created_at_id": ["created_at", "id"],
    "ix_users_last_sign_in_at_id": [LAST_SIGN_IN, "id"],
}
NEW_INDEXES = {
    "ix_users_by_name": ["segment", "name_key", "id", "created_at"],
    "ix_users_by_email": ["segment", "email_key", "id", "created_at"],
    "ix_users_by_created": ["segment", "created_at", "id", "name_key", "email_key", "last_sign_in_at"],
    "ix_users_by_last_sign_in": ["segment", LAST_SIGN_IN, "id", "created_at"],
}
ROWS_AT_ONCE = 5_000


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in OLD_INDEXES:
        op.drop_index(name, "users")
    write_search_text()
    segment = sa.Column("segment", SegmentText, sa.Computed(SEGMENT, persisted=not is_sqlite), nullable=False)
    op.add_column("users", segment)
    for name, columns in NEW_INDEXES.items():
        op.create_index(name, "users", columns)
    op.create_table(
        "users_totals",
        sa.Column("id", BigId, nullable=False),
        sa.Column("segment", sa.String(3), nullable=False),
        sa.Column("amount", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users_totals"),
    )
    op.execute(
        "INSERT INTO users_totals (segment, amount) SELECT segment, count(*) FROM users GROUP BY segment"
    )
    run("0002_search")
    run("0002_totals")


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    drop_count_triggers("users_totals")
    if is_sqlite:
        drop_search("users")
    else:
        op.drop_index("ix_users_search", "users")  # the extension stays: others may use it
    op.drop_table("users_totals")
    for name in NEW_INDEXES:
        op.drop_index(name, "users")
    op.drop_column("users", "segment")
    # As before: one space before each word. The letters that stand for marks stay.
    op.execute("UPDATE users SET search_text = replace(search_text, '  ', ' ')")
    for name, columns in OLD_INDEXES.items():
        op.create_index(name, "users", columns)


def run(name: str) -> None:
    """Run the frozen statements of sql/<name>.<dialect>.sql; empty lines separate them."""
    text = (SQL / f"{name}.{op.get_bind().dialect.name}.sql").read_text()
    for statement in text.split("\n\n"):
        op.execute(sa.text(statement.replace(":", "\\:")))


def drop_count_triggers(counts: str) -> None:
    """What keeps the table ``counts``."""
    if op.get_bind().dialect.name == "sqlite":
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER IF EXISTS {counts}_{event}")
    else:
        op.execute(f"DROP FUNCTION IF EXISTS {counts}_keep() CASCADE")


def drop_search(table: str) -> None:
    """SQLite's full text of a table, with what keeps it."""
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_search_{event}")
    op.execute(f"DROP TABLE IF EXISTS {table}_search")
    op.execute(f"DROP VIEW IF EXISTS {table}_search_rows")


def write_search_text() -> None:
    """In pieces by id, so that the memory stays small however many there are."""
    connection = op.get_bind()
    users = sa.table(
        "users", sa.column("id"), sa.column("full_name"), sa.column("email"), sa.column("search_text")
    )
    rows = sa.select(users.c.id, users.c.full_name, users.c.email).order_by(users.c.id).limit(ROWS_AT_ONCE)
    change = sa.update(users).where(users.c.id == sa.bindparam("row"))
    last = 0
    while found := connection.execute(rows.where(users.c.id > last)).all():
        values = [{"row": row.id, "search_text": searchable(row.full_name, row.email)} for row in found]
        connection.execute(change, values)
        last = found[-1].id


# How names and addresses were folded for the search when this migration was written: what stands in
# webapp/listing/search.py may change, with a migration of its own.
YI, YI_END = 0xA000, 0xA48C
LEADS, DIGITS = 0xA100, 0xA120
FOLDED_AWAY = {"Mn", "Me", "Cc", "Cf", "Cs"}


def searchable(full_name: str, email: str) -> str:
    """Return the folded words, spelled in letters only, two spaces before each."""
    parts = (part for word in f"{full_name} {email}".split() for part in fold_word(word).split())
    return "".join("  " + "".join(map(spell, part)) for part in parts)


def fold_word(word: str) -> str:
    if word.isascii() and word.isprintable():
        return word.lower()
    return "".join(" " if c.isspace() or c == "\0" else fold(c) for c in word)


def fold(character: str) -> str:
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(c for c in text if unicodedata.category(c) not in FOLDED_AWAY)


def spell(character: str) -> str:
    """Return letters of the Yi syllabary for what is neither letter, mark nor digit."""
    code = ord(character)
    is_yi = YI <= code <= YI_END
    if character.isspace() or (unicodedata.category(character)[0] in "LNM" and not is_yi):
        return character
    if character.isascii():
        return chr(YI + code)
    digits = (code >> 12 & 15, code >> 8 & 15, code >> 4 & 15, code & 15)
    return chr(LEADS + (code >> 16)) + "".join(chr(DIGITS + digit) for digit in digits)
