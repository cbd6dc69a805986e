"""@atomic: one commit for all that a service does, or none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.conftest import read_user, user_maker
from tests.racing import race
from webapp.auth.models import SignInSession
from webapp.db import at_once, atomic, attempt, get_session, on_commit
from webapp.db.session import SQLITE_WAIT_SECONDS, is_sqlite, write_options
from webapp.errors import Conflict, Stale
from webapp.extensions import sqla
from webapp.users.models import User


def count_users() -> int:
    """As another connection sees it; in memory there is only one."""
    with sqla.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(User)) or 0


@atomic
def add_user(email: str) -> User:
    user = User(email=email)
    get_session().add(user)
    get_session().flush()
    return user


@contextmanager
def count_ends() -> Iterator[list[str]]:
    """The commits and rollbacks that reach the database."""
    ends: list[str] = []

    def note_commit(_connection: object) -> None:
        ends.append("commit")

    def note_rollback(_connection: object) -> None:
        ends.append("rollback")

    event.listen(sqla.engine, "commit", note_commit)
    event.listen(sqla.engine, "rollback", note_rollback)
    yield ends
    event.remove(sqla.engine, "commit", note_commit)
    event.remove(sqla.engine, "rollback", note_rollback)


@pytest.fixture(autouse=True)
def _context(context: Flask) -> Flask:
    return context


def test_a_call_commits_once_and_answers() -> None:
    with count_ends() as ends:
        user = add_user("ann@example.org")
    assert ends == ["commit"]
    assert user.email == "ann@example.org"
    assert not get_session().in_transaction()
    assert count_users() == 1


def test_an_inner_call_joins_the_outer_one() -> None:
    @atomic
    def add_two() -> None:
        add_user("ann@example.org")
        assert get_session().in_transaction()
        add_user("bob@example.org")

    with count_ends() as ends:
        add_two()
    assert ends == ["commit"]
    assert count_users() == 2


@pytest.mark.parametrize("failure", [ValueError, Conflict, KeyboardInterrupt, SystemExit])
def test_an_exception_undoes_all_inner_calls_too(failure: type[BaseException]) -> None:
    @atomic
    def add_and_fail() -> None:
        add_user("ann@example.org")
        raise failure("no")

    with count_ends() as ends, pytest.raises(failure):
        add_and_fail()
    assert ends == ["rollback"]
    assert count_users() == 0
    add_user("bob@example.org")  # the session works on
    assert count_users() == 1


def test_a_failure_at_the_commit_itself_undoes_all(context: Flask) -> None:
    @atomic
    def leave_unflushed() -> None:
        get_session().add_all([User(email="same@example.org"), User(email="SAME@example.org")])

    with pytest.raises(Conflict):
        leave_unflushed()
    assert count_users() == 0


def test_callbacks_run_after_the_commit_and_in_order() -> None:
    seen: list[object] = []

    @atomic
    def inner() -> None:
        on_commit(lambda: seen.append(("inner", get_session().in_transaction())))
        add_user("ann@example.org")

    @atomic
    def outer() -> str:
        inner()
        assert seen == []
        on_commit(lambda: seen.append(("outer", count_users())))
        return "answer"

    assert outer() == "answer"
    assert seen == [("inner", False), ("outer", 1)]
    add_user("bob@example.org")
    assert len(seen) == 2


def test_a_callback_may_start_a_transaction_of_its_own() -> None:
    @atomic
    def add_then_more() -> None:
        on_commit(lambda: add_user("second@example.org"))
        add_user("first@example.org")

    with count_ends() as ends:
        add_then_more()
    assert ends == ["commit", "commit"]
    assert count_users() == 2


def test_callbacks_of_an_undone_call_never_run() -> None:
    seen: list[str] = []

    @atomic
    def promise_and_fail() -> None:
        on_commit(lambda: seen.append("ran"))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised just above
        promise_and_fail()
    add_user("ann@example.org")
    assert seen == []


@pytest.mark.parametrize("email", ["ann@example.org", "ANN@EXAMPLE.ORG", "ａnn@example.org"])
def test_a_broken_constraint_is_the_conflict_it_declares(email: str) -> None:
    add_user("ann@example.org")
    with pytest.raises(Conflict) as conflict:
        add_user(email)
    assert conflict.value.field == "email"
    assert str(conflict.value) == "Another user already has this e-mail."
    assert count_users() == 1


@atomic
def break_check() -> None:
    get_session().execute(update(User).values(role=text("'king'")))


@atomic
def break_foreign_key() -> None:
    get_session().add(SignInSession(user_id=999, token_hash="x", epoch=0, address="", user_agent=""))


@atomic
def break_undeclared_unique() -> None:
    user = add_user("bob@example.org")
    for _ in range(2):
        get_session().add(
            SignInSession(user_id=user.id, token_hash="same", epoch=0, address="", user_agent="")
        )


@atomic
def break_not_null() -> None:
    get_session().execute(update(User).values(full_name=None))


@pytest.mark.parametrize(
    "break_it", [break_check, break_foreign_key, break_undeclared_unique, break_not_null]
)
def test_a_constraint_that_declares_nothing_stays_a_defect(break_it: Callable[[], None]) -> None:
    add_user("ann@example.org")
    with pytest.raises(IntegrityError):
        break_it()
    assert count_users() == 1


def test_a_row_changed_under_its_version_is_stale(context: Flask) -> None:
    user = add_user("ann@example.org")
    user_id = user.id

    @atomic
    def change_behind_the_mapper_s_back() -> None:
        get_session().refresh(user)
        newer = update(User).values(version=User.version + 1)
        get_session().execute(newer, execution_options={"synchronize_session": False})
        user.full_name = "Ann"

    with pytest.raises(Stale, match="Somebody else changed this meanwhile"):
        change_behind_the_mapper_s_back()
    stored = read_user(context, user_id)
    assert stored is not None
    assert (stored.full_name, stored.version) == ("", 1)


def change_new() -> None:
    get_session().add(User(email="new@example.org"))


def change_dirty() -> None:
    get_session().scalars(select(User)).one().full_name = "Changed"


def change_deleted() -> None:
    get_session().delete(get_session().scalars(select(User)).one())


@pytest.mark.parametrize("change", [change_new, change_dirty, change_deleted])
def test_rows_changed_outside_are_refused_and_not_written(change: Callable[[], None]) -> None:
    add_user("ann@example.org")
    change()
    with pytest.raises(RuntimeError, match="outside @atomic"):
        add_user("bob@example.org")
    get_session().rollback()
    assert count_users() == 1
    assert get_session().scalars(select(User.full_name)).one() == ""


def test_what_was_read_before_is_read_anew_inside(file_app: Flask, hashed_password: str) -> None:
    user_id = user_maker(file_app, hashed_password)(full_name="Before").id
    with file_app.app_context():
        user = get_session().get_one(User, user_id)
        assert user.full_name == "Before"
        with sqla.engine.begin() as other:
            other.execute(update(User).values(full_name="After"))

        @atomic
        def read_name() -> str:
            return user.full_name

        assert read_name() == "After"


def test_what_is_not_worth_waiting_for_fails_at_once_and_leaves_the_connection_as_it_was(
    file_app: Flask, hashed_password: str
) -> None:
    user_id = user_maker(file_app, hashed_password)(full_name="Before").id

    def rename(name: str) -> None:
        get_session().execute(update(User).where(User.id == user_id).values(full_name=name))

    with file_app.app_context():
        engine = sqla.engine.execution_options(**write_options(sqla.engine))
        with engine.begin() as other:
            other.execute(update(User).where(User.id == user_id).values(full_name="Theirs"))
            started = monotonic()
            with pytest.raises(OperationalError):
                at_once(rename)("Mine")
            assert monotonic() - started < 5, "an ordinary change waits for 20 seconds or more"
        at_once(rename)("Mine")
        assert get_session().scalar(select(User.full_name)) == "Mine"
        if is_sqlite(sqla.engine):
            patience = get_session().scalar(text("PRAGMA busy_timeout"))
            assert patience == SQLITE_WAIT_SECONDS * 1000


def test_what_fails_at_once_joins_a_change_that_waits() -> None:
    with count_ends() as ends:
        atomic(at_once(add_user))("ann@example.org")
    assert ends == ["commit"]


def test_no_increment_of_many_threads_is_lost(file_app: Flask, hashed_password: str) -> None:
    """Each reads first and writes later: on SQLite a plain BEGIN would fail as locked here."""
    user_id = user_maker(file_app, hashed_password)().id

    @atomic
    def increment() -> None:
        user = get_session().get_one(User, user_id, with_for_update=True)
        user.session_epoch = user.session_epoch + 1

    def increment_often() -> int:
        for _ in range(25):
            increment()
        return 25

    assert race(file_app, *[increment_often] * 8) == [25] * 8
    stored = read_user(file_app, user_id)
    assert stored is not None
    assert (stored.session_epoch, stored.version) == (200, 201)


def test_a_unique_value_is_given_to_one_of_many_threads(file_app: Flask) -> None:
    outcomes = race(file_app, *[lambda: add_user("wanted@example.org")] * 8)
    winners = [outcome for outcome in outcomes if isinstance(outcome, User)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (len(winners), len(losers)) == (1, 7)
    assert {loser.field for loser in losers} == {"email"}


def test_a_wrapped_function_keeps_its_name_and_words() -> None:
    @atomic
    def rename() -> None:
        """Say what it does."""

    assert (rename.__name__, rename.__doc__) == ("rename", "Say what it does.")


# One of several, which may fail by itself


def test_of_several_what_fails_is_undone_alone() -> None:
    seen: list[str] = []

    def add(email: str) -> None:
        on_commit(lambda: seen.append(email))
        add_user(email)

    @atomic
    def add_all() -> list[str]:
        outcomes = []
        for email in ("ann@example.org", "ANN@example.org", "bob@example.org"):
            try:
                attempt(lambda email=email: add(email))  # type: ignore[misc]
            except Conflict as error:
                outcomes.append(str(error.field))
            else:
                outcomes.append("added")
        return outcomes

    with count_ends() as ends:
        assert add_all() == ["added", "email", "added"]
    assert ends == ["commit"]
    assert count_users() == 2
    assert seen == ["ann@example.org", "bob@example.org"], "a promise of what failed is not kept"


def test_what_was_attempted_is_undone_with_the_rest() -> None:
    @atomic
    def add_and_fail() -> None:
        attempt(lambda: add_user("ann@example.org"))
        raise Conflict("no")

    with pytest.raises(Conflict):
        add_and_fail()
    assert count_users() == 0


def test_a_row_that_a_failed_attempt_changed_is_as_it_was() -> None:
    user = add_user("ann@example.org")

    def rename() -> None:
        user.full_name = "Other"
        get_session().flush()
        raise Conflict("no")

    @atomic
    def try_it() -> str:
        get_session().refresh(user)
        with pytest.raises(Conflict):
            attempt(rename)
        return user.full_name

    assert try_it() == ""
    with sqla.engine.connect() as connection:
        assert connection.scalar(select(User.full_name)) == ""


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_that_means_nothing_to_anybody_goes_through(failure: type[BaseException]) -> None:
    def fail() -> None:
        raise failure("no")

    @atomic
    def try_it() -> None:
        attempt(fail)

    with pytest.raises(failure):
        try_it()
