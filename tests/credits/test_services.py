"""Moving credits: who may, what is refused, once per key, and nothing lost however many do it at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from tests.conftest import MakeUser, empty_tables, insert_users, read_tables
from tests.credits.ways import SUPPORT, TERMINAL, find_faults, grant, transfer, withdraw
from tests.history.ways import assert_intact, read_stories, read_texts
from tests.racing import count_kinds, race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.credits.models import ACCOUNTS, POSTINGS, TRANSFERS
from webapp.credits.queries import Movement, get_balance, list_balances
from webapp.credits.rules import FULLEST_CENTS, MOST_CENTS, order_grant, order_transfer, order_withdrawal
from webapp.credits.services import foresee, move
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid
from webapp.extensions import sqla
from webapp.history.rules import Kind
from webapp.users import trash
from webapp.users.many import change_many
from webapp.users.many_trash import Trashing
from webapp.users.queries import get_user

CountQueries = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def people(context: Flask, make_user: MakeUser) -> Flask:
    """1 and 2 are members, 3 is inactive, 4 an administrator."""
    make_user(full_name="Ann")
    make_user(full_name="Bob")
    make_user(is_active=False)
    make_user(role=Role.ADMINISTRATOR)
    return context


def test_a_transfer_is_one_row_and_two_postings_that_cancel(people: Flask) -> None:
    grant(1, 1000)
    movement = transfer(1, 2, 300, actor=SUPPORT)
    assert movement[2:] == (1, 2, 300, "", SUPPORT.user_id, False)
    rows = get_session().execute(select(POSTINGS).where(POSTINGS.c.transfer_id == movement.id)).all()
    assert {(row.user_id, row.amount_cents, row.balance_cents) for row in rows} == {
        (1, -300, 700),
        (2, 300, 300),
    }
    assert list_balances([1, 2, 3]) == {1: 700, 2: 300}
    assert find_faults() == []


def test_the_history_tells_both_of_it(people: Flask) -> None:
    grant(1, 1000)
    movement = move(
        order_transfer(from_user_id=1, to_user_id=2, amount_cents=300, reason="Lunch"), actor=SUPPORT
    )
    withdraw(2, 50)
    granted, sent, received, withdrawn = read_stories(people)
    assert [it.kind for it in (granted, sent, received, withdrawn)] == [
        *(Kind.GRANTED, Kind.TRANSFERRED, Kind.TRANSFERRED, Kind.WITHDRAWN)
    ]
    assert (sent.subject_id, sent.subject_name, sent.changes) == (1, "Ann", {"balance": (1000, 700)})
    assert sent.facts == {"transfer": movement.id, "cents": 300, "to": 2}
    assert (received.subject_id, received.changes) == (2, {"balance": (0, 300)})
    assert received.facts["from"] == 1
    assert sent.actor_id == received.actor_id == SUPPORT.user_id
    assert "Bob" not in str(sent), "he may be forgotten one day, and would still be found here"
    assert_intact(people)


Order = Callable[[], object]
REFUSALS: dict[str, tuple[Order, type[DomainError], str | None]] = {
    "more than there is": (lambda: transfer(1, 2, 1001), Conflict, "amount"),
    "of who has nothing": (lambda: transfer(2, 1, 1), Conflict, "amount"),
    "withdrawn more than there is": (lambda: withdraw(1, 1001), Conflict, "amount"),
    "from an inactive user": (lambda: transfer(3, 1, 1), Conflict, "from_user_id"),
    "from nobody": (lambda: transfer(99, 1, 1), Invalid, "from_user_id"),
    "to nobody": (lambda: transfer(1, 99, 1), Invalid, "to_user_id"),
    "to nobody that there could be": (lambda: transfer(1, 2**63 - 1, 1), Invalid, "to_user_id"),
    "granted to nobody": (lambda: grant(99, 1), Invalid, "to_user_id"),
    "withdrawn from nobody": (lambda: withdraw(99, 1), Invalid, "from_user_id"),
    "granted by support": (lambda: grant(1, 1, actor=SUPPORT), Forbidden, None),
    "withdrawn by support": (lambda: withdraw(1, 1, actor=SUPPORT), Forbidden, None),
    "by support from who works here": (lambda: transfer(4, 1, 1, actor=SUPPORT), Forbidden, None),
    "by support to who works here": (lambda: transfer(1, 4, 1, actor=SUPPORT), Forbidden, None),
    "by an auditor": (
        lambda: transfer(1, 2, 1, actor=Actor(user_id=9, name="", role=Role.AUDITOR)),
        Forbidden,
        None,
    ),
    "by a member": (
        lambda: transfer(1, 2, 1, actor=Actor(user_id=1, name="", role=Role.MEMBER)),
        Forbidden,
        None,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_changes_nothing(people: Flask, name: str) -> None:
    grant(1, 1000)
    grant(3, 1000)
    grant(4, 1000)
    before, stories = read_tables(people), len(read_stories(people))
    order, error, field = REFUSALS[name]
    with pytest.raises(error) as refusal:
        order()
    assert refusal.value.field == field
    assert (read_tables(people), len(read_stories(people))) == (before, stories)


def test_it_is_said_how_much_there_is(people: Flask) -> None:
    grant(1, 123_456)
    with pytest.raises(Conflict, match=r"the balance is 1234\.56"):
        transfer(1, 2, 123_457)


def test_who_is_inactive_may_receive_and_be_withdrawn_from(people: Flask) -> None:
    grant(1, 500)
    transfer(1, 3, 300)
    withdraw(3, 200)
    assert list_balances([1, 3]) == {1: 200, 3: 100}


def test_all_there_is_can_go_and_come(people: Flask) -> None:
    grant(1, MOST_CENTS)
    transfer(1, 2, MOST_CENTS)
    withdraw(2, MOST_CENTS)
    assert list_balances([1, 2]) == {1: 0, 2: 0}
    assert find_faults() == []


def test_no_account_overflows(people: Flask) -> None:
    grant(1, 100)
    grant(2, 100)
    for user_id in (1, 2):
        get_session().execute(
            update(ACCOUNTS).where(ACCOUNTS.c.user_id == user_id).values(balance_cents=FULLEST_CENTS - 1)
        )
    get_session().commit()
    with pytest.raises(Conflict) as refusal:
        transfer(1, 2, 2)
    assert refusal.value.field == "amount"
    with pytest.raises(Conflict) as refusal:
        grant(1, 2)
    assert list_balances([1, 2]) == dict.fromkeys((1, 2), FULLEST_CENTS - 1)
    transfer(1, 2, 1)
    assert get_balance(2) == FULLEST_CENTS


def test_a_key_used_again_answers_the_transfer_of_then(people: Flask) -> None:
    grant(1, 1000)
    first = transfer(1, 2, 1000, key="k")
    before, stories = read_tables(people), len(read_stories(people))
    assert transfer(1, 2, 1000, key="k") == first._replace(is_repeated=True)
    get_session().rollback()  # it only read
    assert (read_tables(people), len(read_stories(people))) == (before, stories)
    others: list[Callable[[], object]] = [
        lambda: transfer(1, 2, 999, key="k"),
        lambda: transfer(1, 4, 1000, key="k"),
        lambda: withdraw(1, 1000, key="k"),
    ]
    for other in others:
        with pytest.raises(Conflict) as refusal:
            other()
        assert refusal.value.field == "key"
    get_session().rollback()
    assert read_tables(people) == before


def test_a_refused_transfer_leaves_its_key_free(people: Flask) -> None:
    with pytest.raises(Conflict):
        transfer(1, 2, 100, key="k")
    grant(1, 100)
    transfer(1, 2, 100, key="k")
    assert get_balance(2) == 100


def test_one_s_key_is_not_another_s(people: Flask) -> None:
    grant(1, 1000)
    one, other = (Actor(user_id=number, name="", role=Role.SUPPORT) for number in (SUPPORT.user_id or 0, 7))
    assert transfer(1, 2, 100, key="k", actor=one) != transfer(1, 2, 100, key="k", actor=other)
    assert get_balance(2) == 200


def test_what_is_foreseen_is_what_happens(people: Flask) -> None:
    grant(1, 1000)
    before = read_tables(people)
    order = order_transfer(from_user_id=1, to_user_id=2, amount_cents=300)
    seen = foresee(order, actor=TERMINAL)
    get_session().rollback()
    assert [(it.person.display_name, *it[1:]) for it in seen] == [("Ann", 1000, 700), ("Bob", 0, 300)]
    assert read_tables(people) == before
    move(order, actor=TERMINAL)
    assert list_balances([1, 2]) == {it.person.id: it.after_cents for it in seen}
    [effect] = foresee(order_grant(to_user_id=2, amount_cents=5, reason="x"), actor=TERMINAL)
    assert (effect.person.id, effect.before_cents, effect.after_cents) == (2, 300, 305)
    with pytest.raises(Conflict, match=r"the balance is 3\.00"):
        foresee(order_withdrawal(from_user_id=2, amount_cents=301, reason="x"), actor=TERMINAL)


def test_it_takes_few_statements(people: Flask, count_queries: CountQueries) -> None:
    grant(1, 1000)
    for _ in range(2):  # of who has no account yet, and of who has one
        with count_queries() as statements:
            transfer(1, 2, 1, key=str(_))
        assert len(statements) == {"postgresql": 5, "sqlite": 9}[sqla.engine.dialect.name]


def test_the_ledger_goes_forward_though_the_clock_goes_back(people: Flask) -> None:
    grant(1, 1000)
    late = datetime(2200, 1, 1, tzinfo=UTC)
    for table, column in ((ACCOUNTS, ACCOUNTS.c.changed_at), (POSTINGS, POSTINGS.c.at)):
        get_session().execute(update(table).values({column: late}))
    get_session().commit()
    transfer(1, 2, 300)
    assert find_faults() == []
    times = get_session().scalars(select(POSTINGS.c.at).where(POSTINGS.c.user_id == 1)).all()
    assert times == [late, late]


# Who has credits is not deleted


def test_who_has_credits_is_not_deleted(people: Flask) -> None:
    grant(1, 100)
    before = read_tables(people)
    with pytest.raises(Conflict, match="Transfer or withdraw them first"):
        trash.delete_user(get_user(1), version=1, actor=TERMINAL)
    with pytest.raises(Conflict):
        trash.erase_user(get_user(1), actor=TERMINAL)
    assert read_tables(people) == before
    transfer(1, 2, 100)
    trash.delete_user(get_user(1), version=1, actor=TERMINAL)
    assert list_balances([1, 2]) == {2: 100}
    assert find_faults() == []


def test_who_comes_back_has_his_ledger(people: Flask) -> None:
    grant(1, 100)
    withdraw(1, 100)
    trash.delete_user(get_user(1), version=1, actor=TERMINAL)
    with pytest.raises(Invalid):
        grant(1, 100)
    trash.restore_user(1, actor=TERMINAL)
    assert get_balance(1) == 0
    grant(1, 7)
    assert get_balance(1) == 7
    assert len(get_session().execute(select(POSTINGS).where(POSTINGS.c.user_id == 1)).all()) == 3
    assert find_faults() == []


def test_of_many_those_with_credits_are_left_out(people: Flask) -> None:
    grant(1, 100)
    outcomes = change_many(Trashing(), [1, 2, 3], actor=TERMINAL, facts={})
    refusal = outcomes[1].refusal
    assert isinstance(refusal, Conflict)
    assert "still has credits" in str(refusal)
    assert [outcomes[number].refusal for number in (2, 3)] == [None, None]
    assert [trash.is_trashed(number) for number in (1, 2, 3)] == [False, True, True]
    assert list_balances([1, 2, 3]) == {1: 100}


def test_of_who_is_forgotten_the_numbers_stay(people: Flask) -> None:
    move(order_grant(to_user_id=1, amount_cents=100, reason="Ann's birthday"), actor=TERMINAL)
    move(order_transfer(from_user_id=1, to_user_id=2, amount_cents=100, reason="Ann's"), actor=TERMINAL)
    move(order_grant(to_user_id=2, amount_cents=5, reason="Bob's"), actor=TERMINAL)
    trash.erase_user(get_user(1), actor=TERMINAL)
    assert list(get_session().scalars(select(TRANSFERS.c.reason).order_by(TRANSFERS.c.id))) == [
        "",
        "",
        "Bob's",
    ]
    assert find_faults() == []
    assert_intact(people)
    assert "Ann" not in read_texts(people), "nor in the history of who got them"


def test_what_tells_of_two_people_is_erased_in_one_order(people: Flask, count_queries: CountQueries) -> None:
    grant(1, 100)
    transfer(1, 2, 100)
    with count_queries() as queries:
        trash.erase_user(get_user(1), actor=TERMINAL)
    for table in ("transfers", "entries"):
        locked = next(query for query in queries if f"FROM {table}" in query.replace("\n", " "))
        assert f"ORDER BY {table}.id" in locked
        assert ("FOR UPDATE" in locked) == (get_session().get_bind().dialect.name == "postgresql")
        assert queries.index(locked) < next(
            i for i, it in enumerate(queries) if it.startswith(f"UPDATE {table}")
        )


def test_two_who_moved_credits_are_forgotten_at_the_same_moment(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in range(2)])
        grant(1, 1)
        for number in range(40):
            transfer(*((1, 2) if number % 2 == 0 else (2, 1)), 1)
        withdraw(1, 1)
        for user_id in (1, 2):
            trash.delete_user(get_user(user_id), version=1, actor=TERMINAL)
    outcomes = race(file_app, *(lambda it=it: trash.purge_user(it, actor=TERMINAL) for it in (1, 2)))
    assert outcomes == [None, None]
    with file_app.app_context():
        assert set(get_session().scalars(select(TRANSFERS.c.reason))) == {""}
        assert find_faults() == []


def test_a_key_is_known_after_its_reason_was_erased(people: Flask) -> None:
    grant(1, 100)
    order = order_transfer(from_user_id=1, to_user_id=2, amount_cents=100, reason="Ann's")
    first = move(order, key="k", actor=TERMINAL)
    trash.erase_user(get_user(1), actor=TERMINAL)
    assert move(order, key="k", actor=TERMINAL) == first._replace(reason="", is_repeated=True)
    with pytest.raises(Conflict):
        transfer(1, 2, 99, key="k")
    assert get_balance(2) == 100


# Any sequence, beside an oracle that only adds and subtracts

USERS = (1, 2, 3)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([grant, withdraw, transfer]),
        st.sampled_from(USERS),
        st.sampled_from(USERS),
        st.integers(1, 40),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=12,
)


Step = tuple[Callable[..., Movement], int, int, int, str | None]


class Oracle:
    """It only adds and subtracts, and remembers keys."""

    def __init__(self) -> None:
        self.balances = dict.fromkeys(USERS, 0)
        self.known: dict[str, tuple[object, ...]] = {}

    def take(self, step: Step) -> bool:
        """Whether it is done, or was."""
        act, one, other, cents, key = step
        wanted = (act, one, other if act is transfer else None, cents)
        if act is transfer and one == other:
            return False
        if key in self.known:
            return self.known[key or ""] == wanted
        changed = dict(self.balances)
        changed[one] += cents if act is grant else -cents
        if act is transfer:
            changed[other] += cents
        if min(changed.values()) < 0:
            return False
        self.balances = changed
        if key is not None:
            self.known[key] = wanted
        return True


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_is_what_an_oracle_says(context: Flask, steps: list[Step]) -> None:
    sqla.session.remove()
    empty_tables(context)
    insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in USERS])
    oracle = Oracle()
    for step in steps:
        act, one, other, cents, key = step
        try:
            act(*((one, other) if act is transfer else (one,)), cents, key=key)
            is_done = True
        except DomainError:
            is_done = False
        assert is_done == oracle.take(step)
        stored = list_balances(USERS)
        assert {user_id: stored.get(user_id, 0) for user_id in USERS} == oracle.balances
    assert find_faults() == []


# At once


def test_many_transfers_at_once_between_few_accounts_lose_nothing(file_app: Flask) -> None:
    """In all directions, each key twice: no deadlock, and each is there once."""
    accounts, each, threads = 4, 25, 8
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in range(accounts)])
        for user_id in range(1, accounts + 1):
            grant(user_id, 1_000)

    def job(seed: int) -> Counter[str]:
        """Two threads each make the same transfers, in the same order."""
        chance, told = random.Random(seed), Counter[str]()
        for number in range(each):
            sender, recipient = chance.sample(range(1, accounts + 1), 2)
            try:
                transfer(sender, recipient, chance.randint(1, 300), key=f"{seed}.{number}")
                told["done"] += 1
            except Conflict as refusal:
                told[str(refusal.field)] += 1
        return told

    outcomes = race(file_app, *(lambda seed=number // 2: job(seed) for number in range(threads)))
    assert count_kinds(outcomes) == {Counter: threads}
    assert {told for outcome in outcomes if isinstance(outcome, Counter) for told in outcome} <= {
        "done",
        "amount",
    }
    with file_app.app_context():
        assert find_faults() == []
        assert sum(list_balances(range(1, accounts + 1)).values()) == accounts * 1_000
        digests = get_session().scalars(select(TRANSFERS.c.key_digest)).all()
        keyed = [digest for digest in digests if digest]
        assert len(keyed) == len(set(keyed)) > each
    assert_intact(file_app)


def test_of_several_with_one_key_at_the_same_moment_all_are_answered_one_transfer(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in range(2)])
        grant(1, 1_000)
    for number in range(5):
        outcomes = race(file_app, *[lambda key=str(number): transfer(1, 2, 100, key=key)] * 4)
        assert count_kinds(outcomes) == {Movement: 4}
        movements = [it for it in outcomes if isinstance(it, Movement)]
        assert len({movement.id for movement in movements}) == 1
        assert sorted(movement.is_repeated for movement in movements) == [False, True, True, True]
    with file_app.app_context():
        assert list_balances([1, 2]) == {1: 500, 2: 500}
        assert find_faults() == []


def test_of_two_who_spend_the_same_credits_one_does(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in range(3)])
        grant(1, 100)
    outcomes = race(file_app, lambda: transfer(1, 2, 60), lambda: transfer(1, 3, 60))
    assert count_kinds(outcomes) == {Movement: 1, Conflict: 1}
    with file_app.app_context():
        assert get_balance(1) == 40
        assert find_faults() == []


def test_who_is_deleted_at_the_moment_of_a_grant_has_no_credits(file_app: Flask) -> None:
    """Either he is deleted, and the grant is refused; or he has it, and is not deleted."""
    pairs = 12
    with file_app.app_context():
        insert_users([{"email": f"{number}@example.org", "full_name": ""} for number in range(pairs)])
    for user_id in range(1, pairs + 1):
        outcomes = race(
            file_app,
            lambda user_id=user_id: grant(user_id, 100),  # type: ignore[misc]
            lambda user_id=user_id: trash.delete_user(get_user(user_id), version=1, actor=TERMINAL),  # type: ignore[misc]
        )
        assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 1, outcomes
        with file_app.app_context():
            assert get_balance(user_id) == (0 if trash.is_trashed(user_id) else 100)
    with file_app.app_context():
        assert find_faults() == []


def test_many_who_are_deleted_while_credits_move_among_them_cause_no_deadlock(file_app: Flask) -> None:
    """Accounts are locked in one order by both, those too that are not there yet."""
    number = 8
    with file_app.app_context():
        insert_users([{"email": f"{it}@example.org", "full_name": ""} for it in range(number)])
        grant(1, 1_000)
        grant(5, 1_000)
    ids = range(1, number + 1)

    def spend(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            sender, recipient = chance.sample(ids, 2)
            with suppress(Conflict, Invalid):
                transfer(sender, recipient, chance.randint(1, 50))

    def throw_away() -> None:
        for _ in range(5):
            change_many(Trashing(), list(ids), actor=TERMINAL, facts={})

    outcomes = race(file_app, lambda: spend(1), lambda: spend(2), throw_away, throw_away)
    assert outcomes == [None] * 4
    with file_app.app_context():
        assert find_faults() == []
        assert sum(list_balances(ids).values()) == 2_000
        assert not any(trash.is_trashed(user_id) for user_id, cents in list_balances(ids).items() if cents)
