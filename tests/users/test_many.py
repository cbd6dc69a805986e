"""A change of many is the change of each, one after the other in the order of the ids; only quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from tests.conftest import MakeUser, insert_users, read_tables, read_user
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.batches.models import BATCHES, ROWS
from webapp.db import atomic, get_session
from webapp.errors import Conflict, DomainError, Forbidden, NotFound
from webapp.extensions import table_of
from webapp.history.models import ENTRIES, LANES
from webapp.history.queries import Story
from webapp.history.rules import START, Kind
from webapp.listing.maintenance import find_miscounts
from webapp.notes.models import Note
from webapp.users import services, trash
from webapp.users.many import (
    Activation,
    Change,
    Deactivation,
    Outcome,
    RoleChange,
    SignOut,
    change_many,
    judge,
)
from webapp.users.models import TRASH, USERS, User
from webapp.users.queries import LISTING, find_administrators, get_user

DESK = Actor(user_id=1_000_000, name="Desk Person", role=Role.ADMINISTRATOR)
SUPPORT = Actor(user_id=1_000_001, name="Support Person", role=Role.SUPPORT)
AUDITOR = Actor(user_id=1_000_002, name="Auditor Person", role=Role.AUDITOR)
FACTS = {"batch": 7}
NOBODY = 999
NOTES = table_of(Note)


def change(
    app: Flask,
    wanted: Change,
    user_ids: Iterable[int],
    *,
    actor: Actor = DESK,
    undoes: Mapping[int, int] | None = None,
) -> dict[int, Outcome]:
    with app.app_context():
        return change_many(wanted, list(user_ids), actor=actor, facts=FACTS, undoes=undoes)


def reasons(outcomes: Mapping[int, Outcome]) -> dict[int, str]:
    """Who was refused, and why."""
    return {user_id: str(outcome.refusal) for user_id, outcome in outcomes.items() if outcome.refusal}


def read_present(app: Flask, user_id: int) -> User:
    user = read_user(app, user_id)
    assert user is not None
    return user


# Each change, and what is told of it


@dataclass(frozen=True)
class Case:
    """Whom it changes, what the history tells then, and what it counts."""

    of: dict[str, object]
    make: Callable[[], Change]
    kind: Kind
    told: dict[str, tuple[object, object]]
    epochs: int = 1
    versions: int = 1


CASES = {
    "activation": Case(
        {"is_active": False}, Activation, Kind.ACTIVATED, {"is_active": (False, True)}, epochs=0
    ),
    "deactivation": Case({}, Deactivation, Kind.DEACTIVATED, {"is_active": (True, False)}),
    "a role": Case({}, lambda: RoleChange(Role.AUDITOR), Kind.EDITED, {"role": (Role.MEMBER, Role.AUDITOR)}),
    "a sign-out": Case({}, SignOut, Kind.SIGNED_OUT_EVERYWHERE, {}, versions=0),
}
each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_each_is_changed_with_an_entry_and_a_version_of_his_own(
    app: Flask, make_user: MakeUser, name: str
) -> None:
    case = CASES[name]
    users = [make_user(**case.of, session_epoch=epoch) for epoch in (0, 5, 5)]
    outcomes = change(app, case.make(), [user.id for user in reversed(users)])
    stories = read_stories(app)
    for before, story in zip(users, stories, strict=True):
        after = read_present(app, before.id)
        assert (after.version, after.session_epoch) == (
            before.version + case.versions,
            before.session_epoch + case.epochs,
        )
        assert all(getattr(after, field) == new for field, (_old, new) in case.told.items())
        assert (story.kind, story.subject_id, story.subject_name) == (case.kind, before.id, before.full_name)
        assert (story.changes, story.version) == (case.told, after.version)
        assert (story.facts, story.undoes_id) == (FACTS, None)
        assert (story.actor_id, story.actor_name) == (DESK.user_id, DESK.name)
        assert outcomes[before.id] == Outcome(story.id)
    assert_intact(app)


@each_case
def test_nobody_else_is_touched(app: Flask, make_user: MakeUser, name: str) -> None:
    users = [make_user(**CASES[name].of) for _ in range(3)]
    before = read_tables(app)["users"]
    change(app, CASES[name].make(), [users[1].id])
    after = read_tables(app)["users"]
    assert [row == old for row, old in zip(after, before, strict=True)] == [True, False, True]


SAME: dict[str, tuple[dict[str, object], Callable[[], Change]]] = {
    "active": ({}, Activation),
    "inactive": ({"is_active": False}, Deactivation),
    "the role": ({"role": Role.AUDITOR}, lambda: RoleChange(Role.AUDITOR)),
}


@pytest.mark.parametrize("name", SAME)
def test_for_who_is_so_already_nothing_is_written(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, make = SAME[name]
    ids = [make_user(**columns).id for _ in range(2)]
    before = read_tables(app)
    assert change(app, make(), ids) == dict.fromkeys(ids, Outcome())
    assert (read_tables(app), read_rows(app)) == (before, [])


def test_of_nobody_nothing_is_changed(app: Flask) -> None:
    assert change(app, Deactivation(), []) == {}
    assert read_rows(app) == []


def test_who_was_signed_out_already_is_signed_out_again(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    for _ in range(2):
        change(app, SignOut(), [user.id])
    assert read_present(app, user.id).session_epoch == 2


def test_roles_may_differ(app: Flask, make_user: MakeUser) -> None:
    ids = [make_user(role=Role.SUPPORT).id for _ in range(3)]
    roles = {ids[0]: Role.AUDITOR, ids[1]: Role.ADMINISTRATOR}
    change(app, RoleChange(Role.MEMBER, roles), ids)
    found = [read_present(app, user_id).role for user_id in ids]
    assert found == [Role.AUDITOR, Role.ADMINISTRATOR, Role.MEMBER]
    assert [story.changes["role"][1] for story in read_stories(app)] == found
    with app.app_context():
        assert find_miscounts(get_session(), LISTING) == []


def test_members_who_become_staff_lose_their_password_and_staff_keep_theirs(
    app: Flask, make_user: MakeUser
) -> None:
    """Back among the members they have none either, and a role between staff takes nothing away."""
    member, auditor, invited = make_user(), make_user(role=Role.AUDITOR), make_user(hashed_password=None)
    ids = [member.id, auditor.id, invited.id]
    for role in (Role.SUPPORT, Role.MEMBER, Role.ADMINISTRATOR):
        change(app, RoleChange(role), [member.id, invited.id])
        people = [read_present(app, user_id) for user_id in ids]
        assert [person.role for person in people] == [role, Role.AUDITOR, role]
        assert [person.hashed_password for person in people] == [None, auditor.hashed_password, None]
    change(app, RoleChange(Role.SUPPORT), [auditor.id])
    assert read_present(app, auditor.id).hashed_password == auditor.hashed_password


def test_an_entry_says_which_one_it_undoes(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(2)]
    done = change(app, Deactivation(), [user.id for user in users])
    undoes = {user_id: outcome.entry_id or 0 for user_id, outcome in done.items()}
    change(app, Activation(), undoes, undoes=undoes)
    assert [story.undoes_id for story in read_stories(app)] == [None, None, *undoes.values()]
    before, entries = read_tables(app), read_rows(app)
    change(app, Deactivation(), [])
    with pytest.raises(Conflict, match="undone already"):
        change(app, Deactivation(), undoes, undoes=undoes)
    assert (read_tables(app), read_rows(app)) == (before, entries)


def test_a_form_that_is_open_meanwhile_is_merged(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    change(app, Deactivation(), [user.id])
    change(app, RoleChange(Role.AUDITOR), [user.id])
    change(app, SignOut(), [user.id])
    with app.app_context():
        services.update_user(
            get_user(user.id), version=user.version, full_name="New Name", role="member", actor=DESK
        )
    after = read_present(app, user.id)
    assert (after.full_name, after.role, after.is_active) == ("New Name", Role.AUDITOR, False)


def test_the_change_and_its_entries_are_one_transaction(app: Flask, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(3)]
    before = read_tables(app)

    @atomic
    def act_and_fail() -> None:
        change_many(Deactivation(), [user.id for user in users], actor=DESK, facts=FACTS)
        raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        act_and_fail()
    assert (read_tables(app), read_rows(app)) == (before, [])


def test_the_statements_are_as_many_for_a_hundred_as_for_three(
    app: Flask, make_user: MakeUser, count_queries: Callable[[], Any]
) -> None:
    ids = [make_user().id for _ in range(103)]
    with count_queries() as few:
        change(app, Deactivation(), ids[:3])
    with count_queries() as many:
        change(app, Deactivation(), ids[3:])
    assert len(many) <= len(few) + 1, "whatever their number"


# Who is left out, and why


def test_who_is_not_there_is_left_out_and_the_others_are_changed(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    outcomes = change(app, Deactivation(), [NOBODY, user.id, 2**63 - 1, 0])
    assert list(outcomes) == [NOBODY, user.id, 2**63 - 1, 0], "in the order in which they were given"
    assert reasons(outcomes) == dict.fromkeys((NOBODY, 2**63 - 1, 0), "There is no such user (any more).")
    assert all(isinstance(outcomes[user_id].refusal, NotFound) for user_id in (NOBODY, 0))
    assert not read_present(app, user.id).is_active


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Deactivation, "cannot deactivate yourself"),
        (lambda: RoleChange(Role.MEMBER), "cannot change your own role"),
        (lambda: RoleChange(Role.ADMINISTRATOR), "cannot change your own role"),
        (SignOut, "This is you"),
    ],
)
def test_the_own_row_is_left_out(
    app: Flask, make_user: MakeUser, make: Callable[[], Change], words: str
) -> None:
    own, other = make_user(role=Role.ADMINISTRATOR), make_user()
    actor = Actor(user_id=own.id, name="", role=Role.ADMINISTRATOR)
    outcomes = change(app, make(), [own.id, other.id], actor=actor)
    assert list(reasons(outcomes)) == [own.id]
    assert words in reasons(outcomes)[own.id]
    assert isinstance(outcomes[own.id].refusal, Conflict)
    after = read_present(app, own.id)
    assert (after.version, after.session_epoch) == (1, 0)


@pytest.mark.parametrize("make", [Deactivation, lambda: RoleChange(Role.SUPPORT)])
def test_of_all_administrators_the_last_one_stays(
    app: Flask, make_user: MakeUser, make: Callable[[], Change]
) -> None:
    """Who could not sign in anyway saves nobody: an invited one, an inactive one."""
    able = [make_user(role=Role.ADMINISTRATOR).id for _ in range(3)]
    invited = make_user(role=Role.ADMINISTRATOR, hashed_password=None).id
    outcomes = change(app, make(), [invited, *able, make_user().id])
    assert list(reasons(outcomes)) == [able[-1]]
    assert "last administrator" in reasons(outcomes)[able[-1]]
    with app.app_context():
        assert find_administrators() == {able[-1]}


@pytest.mark.parametrize("make", [Activation, Deactivation, SignOut])
def test_support_changes_members_only(app: Flask, make_user: MakeUser, make: Callable[[], Change]) -> None:
    make_user(role=Role.ADMINISTRATOR)
    users = {role: make_user(role=role, is_active=make is not Activation).id for role in Role}
    outcomes = change(app, make(), users.values(), actor=SUPPORT)
    assert outcomes[users.pop(Role.MEMBER)].entry_id
    assert reasons(outcomes) == dict.fromkeys(
        users.values(), "Only an administrator may change a person who works here."
    )
    assert len(read_rows(app)) == 1


@pytest.mark.parametrize(
    ("make", "actor"),
    [
        *((make, AUDITOR) for make in (Activation, Deactivation, SignOut)),
        *((lambda: RoleChange(Role.AUDITOR), actor) for actor in (AUDITOR, SUPPORT)),
    ],
)
def test_who_may_not_changes_nobody(
    app: Flask, make_user: MakeUser, make: Callable[[], Change], actor: Actor
) -> None:
    ids = [make_user(is_active=is_active).id for is_active in (True, False)]
    before = read_tables(app)
    outcomes = change(app, make(), ids, actor=actor)
    assert all(isinstance(outcome.refusal, Forbidden) for outcome in outcomes.values())
    assert (read_tables(app), read_rows(app)) == (before, [])


def test_to_judge_writes_nothing_and_foretells_the_change(app: Flask, make_user: MakeUser) -> None:
    admins = [make_user(role=Role.ADMINISTRATOR).id for _ in range(2)]
    ids = [*admins, make_user().id, make_user(is_active=False).id, NOBODY]
    before = read_tables(app)
    with app.app_context():
        planned, refused = judge(Deactivation(), ids, actor=DESK, administrators=set(find_administrators()))
    assert (read_tables(app), read_rows(app)) == (before, [])
    outcomes = change(app, Deactivation(), ids)
    assert [person.id for person, _values in planned] == [i for i in ids if outcomes[i].entry_id]
    assert {user_id: str(refusal) for user_id, refusal in refused.items()} == reasons(outcomes)


# The same as one by one


@dataclass(frozen=True)
class Somebody:
    """Few values each, so that much is so already."""

    full_name: str
    role: Role
    is_active: bool
    hashed_password: str | None
    version: int
    session_epoch: int


crowds = st.lists(
    st.builds(
        Somebody,
        full_name=st.sampled_from(["", "Ann Lee"]),
        role=st.sampled_from([*Role, Role.ADMINISTRATOR]),
        is_active=st.booleans(),
        hashed_password=st.sampled_from(["no hash", None]),
        version=st.integers(1, 3),
        session_epoch=st.integers(0, 3),
    ),
    max_size=7,
)
selections = st.sets(st.integers(1, 9), max_size=9).map(sorted)  # up to two of them are nobody
# A stranger to the table, or the one of that number, in either role.
actors = st.builds(
    Actor,
    user_id=st.sampled_from([1_000_000, 1, 2, 3, None]),
    name=st.just("Desk"),
    role=st.sampled_from([Role.ADMINISTRATOR, Role.ADMINISTRATOR, Role.SUPPORT]),
)
thorough = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Single = Callable[[int, Actor], object]
WANTED: dict[str, tuple[Callable[[], Change], Single]] = {
    "activation": (Activation, lambda user_id, actor: services.activate_user(get_user(user_id), actor=actor)),
    "deactivation": (
        Deactivation,
        lambda user_id, actor: services.deactivate_user(get_user(user_id), actor=actor),
    ),
    "sign-out": (
        SignOut,
        lambda user_id, actor: services.sign_out_everywhere(get_user(user_id), actor=actor),
    ),
    **{
        f"role {role}": (
            lambda role=role: RoleChange(role),  # type: ignore[misc]
            lambda user_id, actor, role=role: services.update_user(  # type: ignore[misc]
                get_user(user_id), version=get_user(user_id).version, role=role, actor=actor
            ),
        )
        for role in (Role.MEMBER, Role.SUPPORT, Role.ADMINISTRATOR)
    },
}


@atomic
def clear() -> None:
    """As empty_tables(), many times as fast where the tables hold little."""
    for table in (BATCHES, ROWS, NOTES, TRASH, ENTRIES, USERS):
        get_session().execute(table.delete())
    get_session().execute(LANES.update().where(LANES.c.number > 0).values(number=0, hash=START))


@atomic
def insert_people(rows: Iterable[Mapping[str, Any]]) -> None:
    if listed := list(rows):
        insert_users(listed)


def settle(app: Flask, crowd: Iterable[Somebody]) -> None:
    """They alone are there, with ids from 1 on."""
    with app.app_context():
        clear()
    rows = [
        {"id": number, "email": f"p{number}@example.org", **vars(person)}
        for number, person in enumerate(crowd, 1)
    ]
    with app.app_context():
        insert_people(rows)


def take_each(app: Flask, act: Single, user_ids: Iterable[int], actor: Actor) -> dict[int, str]:
    """One by one: who was refused, and why."""
    refused = {}
    for user_id in user_ids:
        with app.app_context():
            try:
                act(user_id, actor)
            except DomainError as refusal:
                refused[user_id] = str(refusal)
    return refused


PEOPLE = select(USERS).where(USERS.c.id < DESK.user_id).order_by(USERS.c.id)


def read_people(app: Flask) -> list[dict[str, Any]]:
    """All of each row but its time; those at the desk, who act, are left out."""
    with app.app_context():
        rows = get_session().execute(PEOPLE).mappings().all()
    return [{name: value for name, value in row.items() if not name.endswith("_at")} for row in rows]


def tell_apart(story: Story) -> tuple[object, ...]:
    """What an entry tells, but for its batch."""
    return (
        *(story.kind, story.subject_id, story.subject_name, story.version, story.changes),
        *(story.actor_id, story.actor_name, story.actor_role),
    )


@thorough
@given(name=st.sampled_from(list(WANTED)), crowd=crowds, user_ids=selections, actor=actors)
def test_many_at_once_are_the_same_as_one_by_one(
    app: Flask, name: str, crowd: list[Somebody], user_ids: list[int], actor: Actor
) -> None:
    make, act = WANTED[name]
    # Oneself and the role for which one lacks the right are asked more strictly of many.
    spared = {actor.user_id} if make is SignOut or "role" in name else set()
    is_stricter = "role" in name and actor.role is Role.SUPPORT

    settle(app, crowd)
    refused = take_each(app, act, [user_id for user_id in user_ids if user_id not in spared], actor)
    people, stories = read_people(app), [tell_apart(story) for story in read_stories(app)]

    settle(app, crowd)
    outcomes = change(app, make(), reversed(user_ids), actor=actor)
    assert read_people(app) == people
    assert [tell_apart(story) for story in read_stories(app)] == stories
    assert [story.facts for story in read_stories(app)] == [FACTS] * len(stories)
    found = {user_id: reason for user_id, reason in reasons(outcomes).items() if user_id not in spared}
    if is_stricter:
        assert refused.keys() <= found.keys()
    else:
        assert found == refused
    changed = {user_id for user_id, outcome in outcomes.items() if outcome.entry_id is not None}
    assert changed == {story[1] for story in stories}
    assert_intact(app)
    with app.app_context():
        assert find_miscounts(get_session(), LISTING) == []


# At once


def settle_crowd(app: Flask, number: int, **columns: object) -> list[int]:
    """With ids from 1 on; who is created afterwards gets a higher one."""
    with app.app_context():
        insert_people(
            [
                {
                    "id": at,
                    "email": f"p{at}@example.org",
                    "full_name": f"Person {at}",
                    "hashed_password": "no hash",
                    "role": Role.MEMBER,
                    **columns,
                }
                for at in range(1, number + 1)
            ]
        )
        if get_session().get_bind().dialect.name == "postgresql":
            get_session().execute(text("SELECT setval(pg_get_serial_sequence('users', 'id'), 100)"))
    return list(range(1, number + 1))


def make_of(wanted: Change, user_ids: Iterable[int]) -> Callable[[], object]:
    return lambda: change_many(wanted, list(user_ids), actor=DESK, facts=FACTS)


def test_two_over_the_same_rows_go_one_after_the_other(file_app: Flask) -> None:
    """None waits crosswise, whatever the order in which they were given and whatever is changed."""
    ids = settle_crowd(file_app, 60)
    roles = [Role.AUDITOR, Role.SUPPORT]
    outcomes = race(
        file_app,
        make_of(Deactivation(), ids),
        make_of(Deactivation(), reversed(ids)),
        *[make_of(RoleChange(role), reversed(ids)) for role in roles],
        make_of(SignOut(), ids),
    )
    assert all(isinstance(outcome, dict) for outcome in outcomes), outcomes
    kinds = [story.kind for story in read_stories(file_app)]
    assert (kinds.count(Kind.DEACTIVATED), kinds.count(Kind.SIGNED_OUT_EVERYWHERE)) == (60, 60)
    assert kinds.count(Kind.EDITED) == 120
    for user_id in (1, 30, 60):
        user = read_present(file_app, user_id)
        assert (user.version, user.session_epoch) == (4, 4), "each change counted"
    assert_intact(file_app)
    with file_app.app_context():
        assert find_miscounts(get_session(), LISTING) == []


def test_single_changes_meanwhile_are_not_lost(file_app: Flask) -> None:
    ids = settle_crowd(file_app, 24)

    def edit_all() -> int:
        for user_id in reversed(ids):
            services.update_user(
                get_user(user_id), version=1, full_name=f"New {user_id}", role="auditor", actor=DESK
            )
        return len(ids)

    outcomes = race(file_app, make_of(Deactivation(), ids), edit_all, make_of(SignOut(), reversed(ids)))
    assert outcomes[1] == 24
    for user_id in ids:
        user = read_present(file_app, user_id)
        assert (user.full_name, user.role, user.is_active) == (f"New {user_id}", Role.AUDITOR, False)
        assert user.version == 3
    assert_intact(file_app)


@pytest.mark.parametrize("round_", range(2))
def test_who_is_deleted_meanwhile_is_changed_before_or_left_out(file_app: Flask, round_: int) -> None:
    ids = settle_crowd(file_app, 24)

    def delete_some() -> int:
        deleted = 0
        for user_id in ids[::3]:
            user = get_user(user_id)
            try:
                trash.delete_user(user, version=user.version, actor=DESK)
                deleted += 1
            except DomainError:
                pass  # changed between the look and the deletion
        return deleted

    changed, deleted = race(file_app, make_of(Deactivation(), reversed(ids)), delete_some)
    assert isinstance(changed, dict)
    stories = read_stories(file_app)
    done = {user_id for user_id, outcome in changed.items() if outcome.entry_id}
    assert {story.subject_id for story in stories if story.kind is Kind.DEACTIVATED} == done
    assert sum(story.kind is Kind.DELETED for story in stories) == deleted
    assert all("no such user" in reason for reason in reasons(changed).values())
    assert len(done) + len(reasons(changed)) == 24
    assert_intact(file_app)


@pytest.mark.parametrize("round_", range(2))
def test_two_who_deactivate_all_administrators_leave_one(file_app: Flask, round_: int) -> None:
    ids = settle_crowd(file_app, 8, role=Role.ADMINISTRATOR)
    race(
        file_app,
        make_of(Deactivation(), ids),
        make_of(Deactivation(), reversed(ids)),
        make_of(RoleChange(Role.MEMBER), ids[4:]),
        lambda: services.deactivate_user(get_user(8), actor=DESK),
    )
    with file_app.app_context():
        assert len(find_administrators()) == 1
    assert_intact(file_app)
