"""The calls about credits: the contract's transfer, amounts that are never floats, and keys that are kept."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.api.asking import Program, Reply, errors_of
from tests.api.conftest import WithToken
from tests.conftest import MakeUser, newest_entry, read_tables
from tests.credits.ways import TERMINAL, find_faults, grant, transfer
from webapp.access.permissions import Permission
from webapp.credits.queries import list_balances
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.trash import delete_user

TRANSFER = "/api/v1/transfer"


@pytest.fixture
def ann(app: Flask, make_user: MakeUser) -> User:
    """She has 20.00."""
    user = make_user(full_name="Ann")
    with app.app_context():
        grant(user.id, 2000)
    return user


@pytest.fixture
def bob(make_user: MakeUser) -> User:
    return make_user(full_name="Bob")


def send(
    program: Program, sender: int, recipient: int, amount: object, *, key: str | None = None, **more: object
) -> Reply:
    body = {"from_user_id": sender, "to_user_id": recipient, "amount": amount, **more}
    headers = {} if key is None else {"Idempotency-Key": key}
    return program.ask("POST", TRANSFER, body, headers=headers)


def balances(app: Flask, *users: User) -> list[int]:
    with app.app_context():
        found = list_balances([user.id for user in users])
        assert find_faults() == []
    return [found.get(user.id, 0) for user in users]


def test_a_transfer_is_that_of_the_contract(app: Flask, with_token: WithToken, ann: User, bob: User) -> None:
    program = with_token("support", {Permission.CREDITS_MOVE, Permission.CREDITS_READ})
    answer = send(program, ann.id, bob.id, 7.5, reason="Lunch")
    assert answer.status_code == 201
    shown = answer.json
    assert {name: shown[name] for name in ("from_user_id", "to_user_id", "amount", "reason")} == {
        "from_user_id": ann.id,
        "to_user_id": bob.id,
        "amount": "7.50",
        "reason": "Lunch",
    }
    assert balances(app, ann, bob) == [1250, 750]


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ("0.01", 1),
        ("12.5", 1250),
        ("12", 1200),
        ("1e1", 1000),
        ("150e-2", 150),
        ("1.50000e0", 150),
        ("10.0000e-3", 1),
        (0.29, 29),
        (1.1, 110),
        (19.99, 1999),
        (20, 2000),
    ],
)
def test_an_amount_is_a_text_or_a_number_to_the_cent(
    app: Flask, with_token: WithToken, ann: User, bob: User, amount: object, cents: int
) -> None:
    """1.1 and 0.29 have no exact float; those with an e are sent as numbers of JSON."""
    text = amount if isinstance(amount, str) and "e" in amount else None
    body = f'{{"from_user_id": {ann.id}, "to_user_id": {bob.id}, "amount": {text}}}' if text else None
    program = with_token()
    if body:
        answer = program.ask("POST", TRANSFER, data=body, content_type="application/json")
    else:
        answer = send(program, ann.id, bob.id, amount)
    assert answer.status_code == 201
    assert balances(app, bob) == [cents]


@pytest.mark.parametrize(
    "amount",
    [
        0,
        0.0,
        "0.00",
        -1,
        "-1",
        0.001,
        "0.001",
        1.999,
        "1,50",
        "1 000",
        " 1",
        "1e1",
        "",
        "x",
        None,
        True,
        [],
        {},
        1e18,
    ],
)
def test_whatever_else_is_refused_at_its_field(
    app: Flask, with_token: WithToken, ann: User, bob: User, amount: object
) -> None:
    program = with_token()
    before = read_tables(app)["transfers"], newest_entry(app)
    answer = send(program, ann.id, bob.id, amount)
    assert answer.status_code == 422
    assert list(errors_of(answer)) == ["amount"]
    assert (read_tables(app)["transfers"], newest_entry(app)) == before


def test_what_cannot_be_is_a_conflict_or_invalid(
    app: Flask, with_token: WithToken, make_user: MakeUser, ann: User, bob: User
) -> None:
    program, inactive = with_token(), make_user(is_active=False)
    with app.app_context():
        grant(inactive.id, 100)
    cases: list[tuple[int, int, object, int, str]] = [
        (ann.id, bob.id, "20.01", 409, "amount"),
        (bob.id, ann.id, "0.01", 409, "amount"),
        (inactive.id, ann.id, "1", 409, "from_user_id"),
        (ann.id, ann.id, "1", 422, "to_user_id"),
        (ann.id, 99, "1", 422, "to_user_id"),
        (99, ann.id, "1", 422, "from_user_id"),
        (0, ann.id, "1", 422, "from_user_id"),
        (ann.id, 0, "1", 422, "to_user_id"),
        (ann.id, 2**63 - 1, "1", 422, "to_user_id"),
    ]
    for sender, recipient, amount, status, field in cases:
        answer = send(program, sender, recipient, amount)
        assert (answer.status_code, list(errors_of(answer))) == (status, [field])
    assert balances(app, ann, bob, inactive) == [2000, 0, 100]


def test_a_key_sent_twice_moves_once_and_another_body_is_refused(
    app: Flask, with_token: WithToken, ann: User, bob: User
) -> None:
    program = with_token()
    first = send(program, ann.id, bob.id, "5", key="k-1")
    again = send(program, ann.id, bob.id, 5.00, key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = send(program, ann.id, bob.id, "6", key="k-1")
    assert (other.status_code, list(errors_of(other))) == (422, ["Idempotency-Key"])
    bad = send(program, ann.id, bob.id, "6", key="x" * 256)
    assert (bad.status_code, list(errors_of(bad))) == (422, ["Idempotency-Key"])
    assert balances(app, ann, bob) == [1500, 500]


def test_a_key_of_a_refused_transfer_may_be_used_again(
    app: Flask, with_token: WithToken, ann: User, bob: User
) -> None:
    program = with_token()
    assert send(program, bob.id, ann.id, "5", key="k").status_code == 409
    assert send(program, ann.id, bob.id, "5", key="k").status_code == 201


@pytest.mark.parametrize(("path", "left"), [("grants", 2150), ("withdrawals", 1850)])
def test_credits_are_granted_and_withdrawn(
    app: Flask, with_token: WithToken, ann: User, path: str, left: int
) -> None:
    program = with_token(scopes={Permission.CREDITS_ISSUE, Permission.CREDITS_READ})
    address = f"/api/v1/users/{ann.id}/credits/{path}"
    body = {"amount": "1.50", "reason": "Why"}
    answers = [program.ask("POST", address, body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    shown: dict[str, Any] = answers[1].json
    assert (shown["from_user_id"], shown["to_user_id"]) == (
        (None, ann.id) if path == "grants" else (ann.id, None)
    )
    assert balances(app, ann) == [left]
    for missing in ({"amount": "1"}, {"amount": "1", "reason": " "}):
        answer = program.ask("POST", address, missing)
        assert (answer.status_code, list(errors_of(answer))) == (422, ["reason"])
    assert program.ask("POST", address.replace(str(ann.id), "99"), body).status_code == 404


def test_what_was_issued_is_answered_again_when_its_user_is_gone(
    app: Flask, with_token: WithToken, bob: User
) -> None:
    program = with_token()
    body = {"amount": "1.50", "reason": "Why"}
    addresses = [f"/api/v1/users/{bob.id}/credits/{path}" for path in ("grants", "withdrawals")]
    first = [program.post(address, body, key=address) for address in addresses]
    with app.app_context():
        delete_user(get_user(bob.id), version=bob.version, actor=TERMINAL)
    again = [program.post(address, body, key=address) for address in addresses]
    assert [(answer.status_code, answer.json) for answer in again] == [(201, it.json) for it in first]
    for address in (*addresses, *(it.replace(f"/{bob.id}/", f"/{2**63}/") for it in addresses)):
        assert program.post(address, body).status_code == 404
        assert program.post(address, body, key="new").status_code == 404


def test_the_ledger_is_read_in_pages(app: Flask, with_token: WithToken, ann: User, bob: User) -> None:
    with app.app_context():
        for cents in range(1, 6):
            transfer(ann.id, bob.id, cents)
    program = with_token("auditor", {Permission.CREDITS_READ})
    assert program.get(f"/api/v1/users/{bob.id}/credits").json == {"user_id": bob.id, "balance": "0.15"}
    first = program.get(f"/api/v1/users/{bob.id}/credits/ledger?page_size=3")
    assert [line["amount"] for line in first.json["lines"]] == ["0.05", "0.04", "0.03"]
    assert {name: first.json[name] for name in ("page", "page_size", "total", "pages")} == {
        "page": 1,
        "page_size": 3,
        "total": 5,
        "pages": 2,
    }
    link = first.headers["Link"].partition(">")[0].removeprefix("<")
    second = program.get(link).json["lines"]
    assert [(line["amount"], line["balance"], line["other_user_id"]) for line in second] == [
        ("0.02", "0.03", ann.id),
        ("0.01", "0.01", ann.id),
    ]
    newest = program.get(f"/api/v1/users/{ann.id}/credits/ledger").json["lines"][0]
    assert (newest["amount"], newest["balance"], newest["actor_id"]) == ("-0.05", "19.85", None)
    assert program.get("/api/v1/users/99/credits").status_code == 404
    assert program.get("/api/v1/users/99/credits/ledger").status_code == 404
