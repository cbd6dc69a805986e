"""Taking a change back: all is as before, with an entry of its own, or it says what stands in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import MakeUser, empty_tables, newest_entry, read_tables, read_user
from tests.history.ways import assert_intact, read_rows, read_stories
from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.services import create_password_link
from webapp.credits.rules import order_grant, order_transfer, order_withdrawal
from webapp.credits.services import move
from webapp.errors import Conflict, DomainError, Forbidden, NotFound, Stale
from webapp.extensions import utc_now
from webapp.history.queries import Story, get_story
from webapp.history.rules import FIELD_LABELS, Kind
from webapp.history.services import Subject, record
from webapp.history.timeline import is_undoable
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.undoing import EDITABLE, UNDOABLE, undo_change

DESK = Actor(user_id=1_000_000, name="Desk Person", role=Role.ADMINISTRATOR)
SUPPORT = Actor(user_id=1_000_001, name="Support Person", role=Role.SUPPORT)


def state_of(app: Flask, user_id: int) -> tuple[object, ...] | None:
    user = read_user(app, user_id)
    return None if user is None else (user.full_name, user.email, user.role, user.is_active)


def edit(user_id: int, **values: str) -> None:
    user = get_user(user_id)
    services.update_user(user, version=user.version, **values, actor=DESK)  # type: ignore[arg-type]


def discard(user_id: int, *, actor: Actor = DESK) -> None:
    user = get_user(user_id)
    trash.delete_user(user, version=user.version, actor=actor)


Act = Callable[[int], object]
# What the row is like before, and what is done to it.
CHANGES: dict[str, tuple[dict[str, object], Act]] = {
    "a name": ({}, lambda user_id: edit(user_id, full_name="New Name")),
    "a name that was none": ({"full_name": ""}, lambda user_id: edit(user_id, full_name="New Name")),
    "a name taken away": ({}, lambda user_id: edit(user_id, full_name="")),
    "an address": ({}, lambda user_id: edit(user_id, email="new@example.org")),
    "a role": ({}, lambda user_id: edit(user_id, role="auditor")),
    "all three": (
        {},
        lambda user_id: edit(user_id, full_name="New Name", email="new@example.org", role="support"),
    ),
    "an activation": (
        {"is_active": False},
        lambda user_id: services.activate_user(get_user(user_id), actor=DESK),
    ),
    "a deactivation": ({}, lambda user_id: services.deactivate_user(get_user(user_id), actor=DESK)),
    "a deletion": ({}, discard),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_taken_back_and_the_taking_back_too(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, act = CHANGES[name]
    user = make_user(**columns)
    before = state_of(app, user.id)
    with app.app_context():
        act(user.id)
    changed, change = state_of(app, user.id), newest_entry(app)
    assert changed != before
    with app.app_context():
        assert is_undoable(get_story(change)), "the page offers it"
        undo_change(change, actor=DESK)
    undo = newest_entry(app)
    assert state_of(app, user.id) == before
    with app.app_context():
        assert get_story(undo).undoes_id == change
        assert is_undoable(get_story(undo))
        undo_change(undo, actor=DESK)
    assert state_of(app, user.id) == changed
    assert [story.undoes_id for story in read_stories(app)] == [None, change, undo]
    assert_intact(app)


def test_a_creation_is_taken_back_into_the_trash(app: Flask) -> None:
    with app.app_context():
        user_id = services.create_user(email="ann@example.org", actor=DESK).id
    created = newest_entry(app)
    with app.app_context():
        assert undo_change(created, actor=DESK) is None
        assert trash.get_trashed(user_id).email == "ann@example.org"
    undo = newest_entry(app)
    with app.app_context():
        restored = undo_change(undo, actor=DESK)
        assert restored is not None
        assert restored.id == user_id


def test_a_restoration_is_taken_back_into_the_trash(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    with app.app_context():
        discard(user.id)
        trash.restore_user(user.id, actor=DESK)
    with app.app_context():
        assert undo_change(newest_entry(app), actor=DESK) is None
    assert read_user(app, user.id) is None


# What stands in the way


@pytest.mark.parametrize("kind", ["created", "restored"])
def test_who_was_changed_since_is_not_taken_away_by_an_undo(
    app: Flask, make_user: MakeUser, kind: str
) -> None:
    with app.app_context():
        user_id = services.create_user(email="ann@example.org", actor=DESK).id
        if kind == "restored":
            discard(user_id)
            trash.restore_user(user_id, actor=DESK)
    entry = newest_entry(app)
    with app.app_context():
        edit(user_id, full_name="Changed")
    refuse(app, entry, "changed since")


def refuse(app: Flask, entry_id: int, *words: str, actor: Actor = DESK) -> None:
    """The undo is a conflict whose message holds these words, and leaves no trace."""
    before, entries = read_tables(app), read_rows(app)
    with app.app_context(), pytest.raises(Conflict) as refusal:
        undo_change(entry_id, actor=actor)
    for word in words:
        assert word in str(refusal.value)
    assert (read_tables(app), read_rows(app)) == (before, entries)


@pytest.mark.parametrize(
    ("first", "later", "field"),
    [
        ({"full_name": "One"}, {"full_name": "Two"}, "Full name"),
        ({"email": "one@example.org"}, {"email": "two@example.org"}, "E-mail"),
        ({"role": "auditor"}, {"role": "support"}, "Role"),
        ({"full_name": "One", "email": "one@example.org"}, {"email": "two@example.org"}, "E-mail"),
    ],
)
def test_a_later_change_of_the_field_stands_in_the_way_and_is_named(
    app: Flask, make_user: MakeUser, first: dict[str, str], later: dict[str, str], field: str
) -> None:
    user = make_user()
    with app.app_context():
        edit(user.id, **first)
    entry = newest_entry(app)
    with app.app_context():
        edit(user.id, **later)
    refuse(app, entry, "changed again since", field)


def test_a_later_change_of_another_field_does_not(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Zero")
    with app.app_context():
        edit(user.id, full_name="One")
    entry = newest_entry(app)
    with app.app_context():
        edit(user.id, email="new@example.org")
        services.deactivate_user(get_user(user.id), actor=DESK)
        undo_change(entry, actor=DESK)
    assert state_of(app, user.id) == ("Zero", "new@example.org", Role.MEMBER, False)


def test_once_the_later_change_is_undone_nothing_stands_in_the_way(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Zero")
    entries = []
    for name in ("One", "Two"):
        with app.app_context():
            edit(user.id, full_name=name)
        entries.append(newest_entry(app))
    refuse(app, entries[0], "changed again since")
    with app.app_context():
        for entry in reversed(entries):
            undo_change(entry, actor=DESK)
    assert state_of(app, user.id) == ("Zero", user.email, Role.MEMBER, True)


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_undone_twice(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, act = CHANGES[name]
    user = make_user(**columns)
    with app.app_context():
        act(user.id)
    entry = newest_entry(app)
    with app.app_context():
        undo_change(entry, actor=DESK)
    refuse(app, entry, "undone already")


@pytest.mark.parametrize("name", CHANGES)
def test_of_two_undos_at_once_one_is_done(file_app: Flask, name: str) -> None:
    columns, act = CHANGES[name]
    with file_app.app_context():
        user_id = services.create_user(email="ann@example.org", full_name="Ann", actor=DESK).id
        if columns.get("is_active") is False:
            services.deactivate_user(get_user(user_id), actor=DESK)
        if columns.get("full_name") == "":
            edit(user_id, full_name="")
    before = state_of(file_app, user_id)
    with file_app.app_context():
        act(user_id)
    entry = newest_entry(file_app)
    outcomes = race(file_app, *[lambda: undo_change(entry, actor=DESK) is not None] * 4)
    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 3
    assert state_of(file_app, user_id) == before
    assert [story.undoes_id for story in read_stories(file_app)].count(entry) == 1
    assert_intact(file_app)


def test_an_undo_and_an_edit_at_once_lose_neither(file_app: Flask) -> None:
    with file_app.app_context():
        user_id = services.create_user(email="ann@example.org", full_name="Zero", actor=DESK).id
        edit(user_id, full_name="One")
    entry = newest_entry(file_app)
    undone, edited = race(
        file_app,
        lambda: undo_change(entry, actor=DESK) is not None,
        lambda: services.update_user(get_user(user_id), version=2, full_name="Two", actor=DESK),
    )
    state = state_of(file_app, user_id)
    assert state is not None
    assert (isinstance(undone, Conflict), edited, state[0]) == (True, True, "Two") or (
        undone is True and isinstance(edited, Stale) and state[0] == "Zero"
    )
    assert_intact(file_app)


def test_an_address_that_somebody_else_has_by_now_is_a_conflict_on_its_field(
    app: Flask, make_user: MakeUser
) -> None:
    user = make_user(email="ann@example.org")
    with app.app_context():
        edit(user.id, email="new@example.org")
    entry = newest_entry(app)
    make_user(email="ANN@example.org")
    before = read_tables(app)
    with app.app_context(), pytest.raises(Conflict) as refusal:
        undo_change(entry, actor=DESK)
    assert refusal.value.field == "email"
    assert read_tables(app) == before


def test_who_is_in_the_trash_is_to_be_restored_first(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    with app.app_context():
        edit(user.id, full_name="One")
    entry = newest_entry(app)
    with app.app_context():
        discard(user.id)
    refuse(app, entry, "in the trash", "Restore")
    with app.app_context():
        trash.restore_user(user.id, actor=DESK)
        undo_change(entry, actor=DESK)
    assert state_of(app, user.id) == (user.full_name, user.email, Role.MEMBER, True)


def test_what_is_forgotten_cannot_be_undone_and_nobody_is_sent_to_the_trash(
    app: Flask, make_user: MakeUser
) -> None:
    user = make_user()
    with app.app_context():
        edit(user.id, full_name="One")
    edited = newest_entry(app)
    with app.app_context():
        trash.erase_user(get_user(user.id), actor=DESK)
    for entry in (edited, edited + 1, edited + 2):  # the edit, the deletion, the purge
        with app.app_context(), pytest.raises((Conflict, NotFound)) as refusal:
            undo_change(entry, actor=DESK)
        assert "Restore" not in str(refusal.value), "there is nobody to restore"


def test_the_deletion_before_the_last_is_not_what_put_one_into_the_trash(
    app: Flask, make_user: MakeUser
) -> None:
    user = make_user()
    with app.app_context():
        discard(user.id)
    first = newest_entry(app)
    with app.app_context():
        trash.restore_user(user.id, actor=DESK)
    with app.app_context(), pytest.raises(DomainError):
        undo_change(first, actor=DESK)
    with app.app_context():
        discard(user.id)
    with app.app_context(), pytest.raises(DomainError):
        undo_change(first, actor=DESK)


NOT_UNDOABLE: dict[str, Act] = {
    "a password": lambda user_id: services.set_password(
        get_user(user_id), password="harbour candle meadow", actor=DESK
    ),
    "signing out": lambda user_id: services.sign_out_everywhere(get_user(user_id), actor=DESK),
    "a link": lambda user_id: create_password_link(get_user(user_id), actor=DESK),
    "a refusal": lambda _user_id: record(Kind.REFUSED, actor=DESK, facts={"rule": "GET /"}),
    "a language": lambda user_id: services.update_own_profile(
        get_user(user_id),
        full_name="Ann",
        language="fr",
        time_zone="",
        version=1,
        actor=Actor(user_id=user_id, name="", role=Role.MEMBER),
    ),
}


@pytest.mark.parametrize("name", NOT_UNDOABLE)
def test_what_cannot_be_taken_back_says_so_and_is_not_offered(
    app: Flask, make_user: MakeUser, name: str
) -> None:
    user = make_user()
    with app.app_context():
        NOT_UNDOABLE[name](user.id)
    entry = newest_entry(app)
    with app.app_context():
        assert not is_undoable(get_story(entry))
    refuse(app, entry, "cannot be undone")


@pytest.mark.parametrize("entry_id", [0, 999, 2**63 - 1, 2**63, 10**40])
def test_what_is_not_there_is_not_found(context: Flask, entry_id: int) -> None:
    with pytest.raises(NotFound):
        undo_change(entry_id, actor=DESK)


# Who may


@pytest.mark.parametrize("name", ["a role", "all three", "a deletion"])
def test_support_cannot_undo_what_it_could_not_do(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, act = CHANGES[name]
    user = make_user(**columns)
    with app.app_context():
        act(user.id)
    forbid(app, newest_entry(app))


def forbid(app: Flask, entry_id: int) -> None:
    before, entries = read_tables(app), read_rows(app)
    with app.app_context(), pytest.raises(Forbidden):
        undo_change(entry_id, actor=SUPPORT)
    assert (read_tables(app), read_rows(app)) == (before, entries)


def test_support_cannot_undo_a_creation_or_a_restoration(app: Flask, make_user: MakeUser) -> None:
    """That would be a deletion."""
    with app.app_context():
        user_id = services.create_user(email="ann@example.org", actor=SUPPORT).id
    forbid(app, newest_entry(app))
    with app.app_context():
        discard(user_id)
        trash.restore_user(user_id, actor=DESK)
    forbid(app, newest_entry(app))


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR])
@pytest.mark.parametrize("name", ["a name", "an address", "an activation", "a deactivation"])
def test_support_cannot_undo_what_was_done_to_a_person_who_works_here(
    app: Flask, make_user: MakeUser, name: str, role: Role
) -> None:
    make_user(role=Role.ADMINISTRATOR)
    columns, act = CHANGES[name]
    user = make_user(**columns, role=role)
    with app.app_context():
        act(user.id)
    forbid(app, newest_entry(app))


@pytest.mark.parametrize("name", ["a name", "an address", "an activation", "a deactivation"])
def test_support_undoes_what_was_done_to_a_member(app: Flask, make_user: MakeUser, name: str) -> None:
    columns, act = CHANGES[name]
    user = make_user(**columns)
    before = state_of(app, user.id)
    with app.app_context():
        act(user.id)
    with app.app_context():
        undo_change(newest_entry(app), actor=SUPPORT)
    assert state_of(app, user.id) == before


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.parametrize("name", CHANGES)
def test_who_changes_nothing_undoes_nothing(app: Flask, make_user: MakeUser, name: str, role: Role) -> None:
    columns, act = CHANGES[name]
    user = make_user(**columns)
    with app.app_context():
        act(user.id)
    with app.app_context(), pytest.raises(Forbidden):
        undo_change(newest_entry(app), actor=Actor(user_id=1, name="", role=role))


def test_an_undo_does_not_make_the_last_administrator_less(app: Flask, make_user: MakeUser) -> None:
    user = make_user(role=Role.AUDITOR)  # who keeps the password, and so is able to let others in
    with app.app_context():
        edit(user.id, role="administrator")
    before = read_tables(app)
    with app.app_context(), pytest.raises(Conflict, match="last administrator"):
        undo_change(newest_entry(app), actor=DESK)
    assert read_tables(app) == before


def test_an_undo_gives_no_password_back_and_takes_one_where_it_promotes(
    app: Flask, make_user: MakeUser
) -> None:
    make_user(role=Role.ADMINISTRATOR)
    promoted, demoted = make_user(), make_user(role=Role.SUPPORT)
    for user, role in ((promoted, "support"), (demoted, "member")):
        with app.app_context():
            edit(user.id, role=role)
            undo_change(newest_entry(app), actor=DESK)
        undone = read_user(app, user.id)
        assert undone is not None
        assert (undone.role, undone.hashed_password, undone.session_epoch) == (user.role, None, 2)


def test_an_undo_of_oneself_s_activation_shuts_nobody_out(app: Flask, make_user: MakeUser) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(role=Role.ADMINISTRATOR, is_active=False)
    with app.app_context():
        services.activate_user(get_user(user.id), actor=DESK)
    own = Actor(user_id=user.id, name="", role=Role.ADMINISTRATOR)
    with app.app_context(), pytest.raises(Conflict, match="yourself"):
        undo_change(newest_entry(app), actor=own)


# Any sequence

names = st.sampled_from(["", "Ann", "Bob", "Zoë"])
emails = st.sampled_from([f"person{number}@example.org" for number in range(4)])
steps = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {}, optional={"full_name": names, "email": emails, "role": st.sampled_from([*Role])}
        ),
        st.sampled_from(["activate", "deactivate", "delete", "undo"]),
    ),
    max_size=10,
)


def take(step: Any, user: User) -> None:
    if step == "activate":
        services.activate_user(user, actor=DESK)
    elif step == "deactivate":
        services.deactivate_user(user, actor=DESK)
    elif step == "delete":
        trash.delete_user(user, version=user.version, actor=DESK)
    elif step != "undo":
        services.update_user(user, version=user.version, **step, actor=DESK)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), steps), min_size=1, max_size=4))
def test_any_changes_undone_from_the_last_to_the_first_leave_the_start(
    app: Flask, make_user: MakeUser, steps: list[tuple[int, list[Any]]]
) -> None:
    """Of two people, who also take each other's address; some changes are undone on the way already."""
    empty_tables(app)
    make_user(role=Role.ADMINISTRATOR)
    ids = [make_user(email=f"start{number}@example.org").id for number in range(2)]
    before = [state_of(app, user_id) for user_id in ids]
    for which, wanted in steps:
        for step in wanted:
            try:
                with app.app_context():
                    if step == "undo":
                        undo_change(newest_entry(app), actor=DESK)
                    else:
                        take(step, get_user(ids[which]))
            except (Conflict, NotFound):
                pass  # an address that is taken, somebody in the trash, nothing to undo yet
    with app.app_context():
        for entry_id in reversed(find_effective(read_stories(app))):
            undo_change(entry_id, actor=DESK)
    assert [state_of(app, user_id) for user_id in ids] == before
    assert_intact(app)


def find_effective(stories: list[Story]) -> list[int]:
    """What is to be undone: a change that was not, or else the last undo of an undo of it and so on."""
    depth: dict[int, int] = {}
    for story in stories:
        depth[story.id] = depth[story.undoes_id] + 1 if story.undoes_id else 0
    undone = {story.undoes_id for story in stories}
    return [story.id for story in stories if story.id not in undone and depth[story.id] % 2 == 0]


FIELDS = (*FIELD_LABELS, "a field that is new to the history")


@pytest.mark.parametrize("kind", Kind)
def test_no_entry_of_any_kind_meets_a_branch_that_does_not_know_it(
    app: Flask, make_user: MakeUser, kind: Kind
) -> None:
    """Whatever fields it tells of: it is undone, or refused with a sentence, and then nothing is written."""
    kinds = frozenset({*UNDOABLE, Kind.NOTE_ADDED, Kind.NOTE_EDITED, Kind.NOTE_DELETED})
    user = make_user()
    facts = {"note_id": 1, "author_id": None, "created_at": utc_now().isoformat()}
    for changed in (*((name,) for name in FIELDS), (), ("full_name", "balance"), ("is_active", "note")):
        with app.app_context():
            changes = dict.fromkeys(changed, ("before", "after"))
            subject = Subject(user.id, user.full_name, 7)
            entry = record(kind, actor=DESK, subject=subject, changes=changes, facts=facts)
        before = read_tables(app)
        with app.app_context():
            try:
                undo_change(entry, actor=DESK)
            except DomainError as refusal:
                told = str(refusal)
            else:
                assert kind in kinds, (kind, changed)
                continue
        assert read_tables(app) == before
        if "balance" in changed:
            assert "make a transfer the other way" in told
        elif kind not in kinds:
            assert told == "This cannot be undone."


def test_what_a_page_offers_to_undo_the_service_knows(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    for kind in Kind:
        for name in FIELDS:
            with app.app_context():
                subject, changes = Subject(user.id, user.full_name, 1), {name: ("old", "new")}
                story = get_story(record(kind, actor=DESK, subject=subject, changes=changes))
                if is_undoable(story) and name in {"is_active", "note", *EDITABLE}:
                    continue
                if is_undoable(story):
                    pytest.fail(f"{kind} of {name} is offered")


@pytest.mark.parametrize("act", ["grant", "withdraw", "transfer"])
def test_a_movement_of_credits_is_taken_back_by_another_one(
    app: Flask, make_user: MakeUser, act: str
) -> None:
    ann, ben = make_user().id, make_user().id
    orders = {
        "grant": order_grant(to_user_id=ann, amount_cents=500, reason="Why"),
        "withdraw": order_withdrawal(from_user_id=ann, amount_cents=300, reason="Why"),
        "transfer": order_transfer(from_user_id=ann, to_user_id=ben, amount_cents=200, reason="Why"),
    }
    with app.app_context():
        for name in ("grant", act) if act != "grant" else ("grant",):
            move(orders[name], actor=DESK)
    refuse(app, newest_entry(app), "make a transfer the other way")
