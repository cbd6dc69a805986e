"""What a fast list needs in the database besides its indexes: triggers, and SQLite's full-text table.

Migrations run these statements, and `flask reindex` runs them again. A migration must make the same for
ever, so what is here changes only together with a new migration that drops and makes it anew;
``tests/db/test_migrations.py`` compares what both make.

Names follow the table: ``users_search``, ``users_totals`` and triggers that begin so.
"""

from __future__ import annotations

from collections.abc import Sequence

from webapp.listing.periods import month_mark, year_mark
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
            *(order.sqlite_changed("old", "new") for order in orders if order.column != time),
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
    """Keep ``<table>_totals``, in which the amounts of one segment are to be summed."""
    return _sqlite_totals(table, segment) if is_sqlite else _postgres_totals(table, segment)


def _sqlite_totals(table: str, segment: str) -> list[str]:
    """One row for each segment: SQLite has one writer at a time, so nobody waits for it."""
    totals = f"{table}_totals"

    def add(row: str, amount: int) -> str:
        is_it = f"segment = {row}.{segment}"
        return (
            f"INSERT INTO {totals} (segment, amount) SELECT {row}.{segment}, 0"
            f" WHERE NOT EXISTS (SELECT 1 FROM {totals} WHERE {is_it});"
            # One row of them: a correction adds another.
            f" UPDATE {totals} SET amount = amount + {amount}"
            f" WHERE id = (SELECT min(id) FROM {totals} WHERE {is_it});"
        )

    return [
        f"CREATE TRIGGER {totals}_insert AFTER INSERT ON {table} BEGIN {add('new', 1)} END",
        f"CREATE TRIGGER {totals}_delete AFTER DELETE ON {table} BEGIN {add('old', -1)} END",
        f"CREATE TRIGGER {totals}_update AFTER UPDATE ON {table} WHEN old.{segment} <> new.{segment}"
        f" BEGIN {add('old', -1)} {add('new', 1)} END",
    ]


def _postgres_totals(table: str, segment: str) -> list[str]:
    """Each statement adds its difference as a row of its own; one in a hundred folds the free ones up."""
    totals = f"{table}_totals"
    function = f"""
        CREATE OR REPLACE FUNCTION {totals}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                DELETE FROM {totals};
                RETURN NULL;
            ELSIF TG_OP = 'INSERT' THEN
                INSERT INTO {totals} (segment, amount)
                SELECT {segment}, count(*) FROM new_rows GROUP BY {segment};
            ELSIF TG_OP = 'DELETE' THEN
                INSERT INTO {totals} (segment, amount)
                SELECT {segment}, -count(*) FROM old_rows GROUP BY {segment};
            ELSE
                INSERT INTO {totals} (segment, amount)
                SELECT segment, sum(amount) FROM (
                    SELECT {segment} AS segment, 1 AS amount FROM new_rows
                    UNION ALL SELECT {segment}, -1 FROM old_rows
                ) AS changes
                GROUP BY segment HAVING sum(amount) <> 0;
                IF NOT FOUND THEN
                    RETURN NULL;
                END IF;
            END IF;
            IF random() < 0.01 THEN
                WITH free AS MATERIALIZED (
                    SELECT id FROM {totals} ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM {totals} USING free WHERE {totals}.id = free.id
                    RETURNING {totals}.segment, {totals}.amount
                )
                INSERT INTO {totals} (segment, amount)
                SELECT segment, sum(amount) FROM gone GROUP BY segment HAVING sum(amount) <> 0;
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
        f"CREATE OR REPLACE TRIGGER {totals}_{event} AFTER {event.upper()} ON {table} {rows}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {totals}_keep()"
        for event, rows in tables.items()
    ]
    return [function, *triggers]


def drop_totals_triggers(table: str, *, is_sqlite: bool) -> list[str]:
    totals = f"{table}_totals"
    if is_sqlite:
        return [f"DROP TRIGGER IF EXISTS {totals}_{event}" for event in ("insert", "delete", "update")]
    return [f"DROP FUNCTION IF EXISTS {totals}_keep() CASCADE"]


def drop_search_table(table: str) -> list[str]:
    name = f"{table}_search"
    return [
        *(f"DROP TRIGGER IF EXISTS {name}_{event}" for event in ("insert", "delete", "update")),
        f"DROP TABLE IF EXISTS {name}",
        f"DROP VIEW IF EXISTS {name}_rows",
    ]
