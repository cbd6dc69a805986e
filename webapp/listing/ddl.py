"""What a fast list needs in the database besides its indexes: triggers, and SQLite's full-text table.

`flask reindex` runs these statements. Migrations have frozen ones of their own (`migrations/sql`), so what is
here changes only together with a new migration; ``tests/db/test_migrations.py`` compares what both make.

Names follow the table: ``users_search``, ``users_totals``, ``users_places``, ``users_spans`` and triggers
that begin so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from webapp.listing.periods import day_number, month_mark, year_mark
from webapp.listing.stretches import Order


def search_table(
    table: str, *, text: str, segment: str, time: str, orders: Sequence[Order] = ()
) -> list[str]:
    """SQLite: full text of ``table``, in trigrams, kept by triggers: the search column, and as marks of
    three characters the segment, the year and the month of ``time``, and the stretches of the orders.

    ``detail=none`` keeps which row has a trigram, not where: a third of the size; each hit is checked.
    """
    name = f"{table}_search"

    def marks(row: str) -> dict[str, str]:
        """The names of the columns, and what stands in each."""
        moment = f"{row}.{time}"
        found = {"search_text": f"{row}.{text}", "segment": f"{row}.{segment}"}
        found |= {"year": year_mark(moment), "month": month_mark(moment)}
        for order in orders:
            known = (f"{time}_year", f"{time}_month")
            found |= {name: mark for name, mark in order.sqlite_marks(row).items() if name not in known}
        return found

    columns = ", ".join(marks("new"))

    def values(row: str) -> str:
        return ", ".join(marks(row).values())

    changed = " OR ".join(
        [
            *(f"old.{column} <> new.{column}" for column in ("id", text, segment, time)),
            *(order.sqlite_changed("old", "new") for order in orders if order.column not in {"id", time}),
        ]
    )
    add = f"INSERT INTO {name} (rowid, {columns}) VALUES (new.id, {values('new')})"
    remove = f"INSERT INTO {name} ({name}, rowid, {columns}) VALUES ('delete', old.id, {values('old')})"
    return [
        f"CREATE VIEW {name}_rows (id, {columns}) AS SELECT id, {values(table)} FROM {table}",
        f"CREATE VIRTUAL TABLE {name} USING fts5({columns}, content='{name}_rows', content_rowid='id',"
        " tokenize='trigram case_sensitive 1', detail=none, columnsize=0)",
        f"CREATE TRIGGER {name}_insert AFTER INSERT ON {table} BEGIN {add}; END",
        f"CREATE TRIGGER {name}_delete AFTER DELETE ON {table} BEGIN {remove}; END",
        f"CREATE TRIGGER {name}_update AFTER UPDATE ON {table} WHEN {changed} BEGIN {remove}; {add}; END",
    ]


def totals_triggers(table: str, segment: str, *, is_sqlite: bool) -> list[str]:
    """Keep ``<table>_totals``: how many rows each segment has."""
    return _count_triggers(table, f"{table}_totals", {"segment": f"{{row}}.{segment}"}, is_sqlite=is_sqlite)


def places_triggers(table: str, segment: str, sizes: Sequence[int], *, is_sqlite: bool) -> list[str]:
    """Keep ``<table>_places``: how many rows each segment has in each block of ids, of each of the ``sizes``:
    in so many of their last bits the ids of one may differ.
    """
    keys = {"bits": "{size}", "block": "({row}.id >> {size})", "segment": f"{{row}}.{segment}"}
    return _count_triggers(table, f"{table}_places", keys, sizes, is_sqlite=is_sqlite)


def spans_triggers(
    table: str, segment: str, time: str, lengths: Sequence[int], *, is_sqlite: bool
) -> list[str]:
    """Keep ``<table>_spans``: how many rows each segment has in each span of ``time``, of each of the
    ``lengths`` in days (see ``day_number``).
    """
    day = day_number(f"{{row}}.{time}", is_sqlite=is_sqlite)
    keys = {"days": "{size}", "number": f"({day} / {{size}})", "segment": f"{{row}}.{segment}"}
    return _count_triggers(table, f"{table}_spans", keys, lengths, is_sqlite=is_sqlite)


def _count_triggers(
    table: str, counts: str, keys: Mapping[str, str], sizes: Sequence[int] = (), *, is_sqlite: bool
) -> list[str]:
    """Keep a table in which the amounts of the same keys are to be summed. Each key has a name, and says what
    it is of a {row}; where there are ``sizes``, once for each as {size}.
    """
    return (_sqlite_counts if is_sqlite else _postgres_counts)(table, counts, keys, sizes)


def _sqlite_counts(table: str, counts: str, keys: Mapping[str, str], sizes: Sequence[int]) -> list[str]:
    """One row for the same keys: SQLite has one writer at a time, so nobody waits for it."""
    names = ", ".join(keys)

    def add(row: str, amount: int) -> str:
        return " ".join(add_once(row, size, amount) for size in sizes or (0,))

    def add_once(row: str, size: int, amount: int) -> str:
        values = {name: key.format(row=row, size=size) for name, key in keys.items()}
        is_it = " AND ".join(f"{name} = {value}" for name, value in values.items())
        return (
            f"INSERT INTO {counts} ({names}, amount) SELECT {', '.join(values.values())}, 0"
            f" WHERE NOT EXISTS (SELECT 1 FROM {counts} WHERE {is_it});"
            # One row of them: a correction adds another.
            f" UPDATE {counts} SET amount = amount + {amount}"
            f" WHERE id = (SELECT min(id) FROM {counts} WHERE {is_it});"
        )

    finest = min(sizes, default=0)
    old, new = ([key.format(row=row, size=finest) for key in keys.values()] for row in ("old", "new"))
    changed = " OR ".join(f"{one} <> {other}" for one, other in zip(old, new, strict=True) if one != other)
    return [
        f"CREATE TRIGGER {counts}_insert AFTER INSERT ON {table} BEGIN {add('new', 1)} END",
        f"CREATE TRIGGER {counts}_delete AFTER DELETE ON {table} BEGIN {add('old', -1)} END",
        f"CREATE TRIGGER {counts}_update AFTER UPDATE ON {table} WHEN {changed}"
        f" BEGIN {add('old', -1)} {add('new', 1)} END",
    ]


def _postgres_counts(table: str, counts: str, keys: Mapping[str, str], sizes: Sequence[int]) -> list[str]:
    """Each statement adds its differences as rows of its own; one in ten folds up those of the same keys that
    are free.
    """
    names = ", ".join(keys)
    each = f", (VALUES {', '.join(f'({size})' for size in sizes)}) AS size (bits)" if sizes else ""

    def keys_of(rows: str) -> str:
        return ", ".join(key.format(row=rows, size="size.bits") for key in keys.values())

    def change(rows: str, amount: int) -> str:
        return f"SELECT {keys_of(rows)}, {amount} FROM {rows}{each}"

    def add(*changes: str) -> str:
        return f"""
                WITH changes ({names}, amount) AS (
                    {" UNION ALL ".join(changes)}
                ), added AS (
                    INSERT INTO {counts} ({names}, amount)
                    SELECT {names}, sum(amount) FROM changes GROUP BY {names} HAVING sum(amount) <> 0
                    RETURNING id
                )
                SELECT array_agg(id) INTO added FROM added;"""

    function = f"""
        CREATE OR REPLACE FUNCTION {counts}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            added bigint[];
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                DELETE FROM {counts};
            ELSIF TG_OP = 'INSERT' THEN{add(change("new_rows", 1))}
            ELSIF TG_OP = 'DELETE' THEN{add(change("old_rows", -1))}
            ELSE{add(change("new_rows", 1), change("old_rows", -1))}
            END IF;
            IF added IS NOT NULL AND random() < 0.1 THEN
                WITH gone AS (
                    DELETE FROM {counts} WHERE id = ANY (ARRAY(
                        SELECT id FROM {counts}
                        WHERE ({names}) IN (SELECT {names} FROM {counts} WHERE id = ANY (added))
                        FOR UPDATE SKIP LOCKED
                    )) RETURNING *
                )
                INSERT INTO {counts} ({names}, amount)
                SELECT {names}, sum(amount) FROM gone GROUP BY {names} HAVING sum(amount) <> 0;
            END IF;
            RETURN NULL;
        END $$
    """
    tables = {
        "insert": "REFERENCING NEW TABLE AS new_rows",
        "delete": "REFERENCING OLD TABLE AS old_rows",
        "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "truncate": "",
    }
    triggers = [
        f"CREATE OR REPLACE TRIGGER {counts}_{event} AFTER {event.upper()} ON {table} {rows}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {counts}_keep()"
        for event, rows in tables.items()
    ]
    return [function, *triggers]


def drop_count_triggers(counts: str, *, is_sqlite: bool) -> list[str]:
    """Of the table ``counts``, which nothing then keeps."""
    if is_sqlite:
        return [f"DROP TRIGGER IF EXISTS {counts}_{event}" for event in ("insert", "delete", "update")]
    return [f"DROP FUNCTION IF EXISTS {counts}_keep() CASCADE"]


def drop_search_table(table: str) -> list[str]:
    name = f"{table}_search"
    return [
        *(f"DROP TRIGGER IF EXISTS {name}_{event}" for event in ("insert", "delete", "update")),
        f"DROP TABLE IF EXISTS {name}",
        f"DROP VIEW IF EXISTS {name}_rows",
    ]
