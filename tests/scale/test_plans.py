"""Of 100,000 users no page of the list reads them all: the databases themselves say what they read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from flask import Flask
from werkzeug.datastructures import MultiDict

from bench.query import Sent, recorded
from bench.workload import all_combinations
from tests.scale.conftest import USERS
from webapp.db import get_session
from webapp.db.session import is_sqlite
from webapp.extensions import sqla
from webapp.listing.counting import MOST_COUNTED
from webapp.listing.definition import Selection
from webapp.listing.page import LAST, PageRequest, count_rows, paginate
from webapp.listing.places import BLOCK_BITS
from webapp.users.forms import UserFilterForm
from webapp.users.queries import LISTING, SEGMENTS, STATUSES, select_users

STRIDE = 7  # of more than a thousand combinations; it meets every search, filter and sort
MOST_READ = 4 * (MOST_COUNTED + 1)  # rows, by one statement
# A block, and a page's rows of each segment.
MOST_READ_OF_A_BLOCK = (1 << BLOCK_BITS[-1]) + 51 * len(SEGMENTS)
# A whole table or index is read, or the table of hits is searched without its index.
FULL_SCAN = re.compile(r"SCAN (users|users_\d+)\b(?! VIRTUAL)")
# The first page in the order of the primary key: no row is passed over, and the LIMIT stops it.
FIRST_BY_ID = re.compile(r"FROM users\s+ORDER BY users\.id (ASC|DESC), users\.id (ASC|DESC)\s+LIMIT")


def send_all() -> Iterator[tuple[str, Sent]]:
    """Every statement of the first and the last page of many lists."""
    for number, combination in enumerate(all_combinations()):
        if number % STRIDE:
            continue
        form = UserFilterForm(MultiDict(combination.query))
        assert form.validate(), form.errors
        request = PageRequest(sort=combination.sort, before=LAST if number % (2 * STRIDE) else None)
        yield from send(combination.label, form.selection(), request)


def send(label: str, selection: Selection, request: PageRequest) -> Iterator[tuple[str, Sent]]:
    with recorded() as statements:
        paginate(get_session(), LISTING, selection, request)
    get_session().rollback()
    yield from ((label, sent) for sent in statements)


def send_numbered() -> Iterator[tuple[str, Sent]]:
    """Every statement of pages in the middle, by their number in the order of arrival."""
    for sort, status in product(("id", "-id"), (None, *STATUSES)):
        selection = select_users(status=status)
        total = count_rows(get_session(), LISTING, selection).value
        for number in (total // 50 // 3, total // 50 * 2 // 3):
            yield from send(f"{sort} {status} {number}", selection, PageRequest(sort=sort, number=number))


def test_a_page_by_number_in_the_order_of_arrival_reads_a_block(crowded_app: Flask) -> None:
    with crowded_app.test_request_context():
        sent_ones = list(send_numbered())
        assert sum("users_places" in sent.statement for _label, sent in sent_ones) > 3 * len(STATUSES)
        for label, sent in sent_ones:
            if is_sqlite(sqla.engine):
                plan = explain("EXPLAIN QUERY PLAN ", sent)
                assert not any(FULL_SCAN.search(str(row)) for row in plan), f"{label}: {sent.statement}"
            else:
                ((plan,),) = explain("EXPLAIN (ANALYZE, FORMAT JSON) ", sent)
                read = max(rows_read(node["Plan"]) for node in load(plan))
                assert read <= MOST_READ_OF_A_BLOCK, f"{label}: {read} rows: {sent.statement}"


def test_no_statement_reads_the_whole_table(crowded_app: Flask) -> None:
    with crowded_app.test_request_context():
        number = 0
        for label, sent in send_all():
            number += 1
            if is_sqlite(sqla.engine):
                plan = explain("EXPLAIN QUERY PLAN ", sent)
                scans = [row for row in plan if FULL_SCAN.search(str(row))]
                assert scans == [] or FIRST_BY_ID.search(sent.statement), f"{label}: {sent.statement}"
            else:
                ((plan,),) = explain("EXPLAIN (ANALYZE, FORMAT JSON) ", sent)
                read = max(rows_read(node["Plan"]) for node in load(plan))
                assert read <= MOST_READ < USERS, f"{label}: {read} rows: {sent.statement}"
        assert number > 2 * len(list(all_combinations())) // STRIDE


def explain(how: str, sent: Sent) -> list[Any]:
    return list(get_session().connection().exec_driver_sql(how + sent.statement, sent.parameters))


def load(plan: Any) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(plan) if isinstance(plan, str) else plan
    return loaded


def rows_read(node: dict[str, Any]) -> int:
    """By all scans of the users below ``node``, with those that a filter threw away."""
    own = 0
    if node.get("Relation Name") == "users":
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        own = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return own + sum(rows_read(child) for child in node.get("Plans", []))
