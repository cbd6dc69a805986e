"""Notes are changed with an entry in the history each, by who may, and every change can be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from tests.conftest import MakeUser, SignedIn, newest_entry, read_tables
from tests.history.ways import assert_intact, let_names_go, read_rows, read_stories, read_texts
from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.db import atomic, get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Stale
from webapp.history.rules import Kind
from webapp.notes import queries, services
from webapp.notes.models import Note
from webapp.users import trash
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.services import create_user
from webapp.users.undoing import undo_change

DESK = Actor(user_id=1_000_000, name="Desk Person", role=Role.ADMINISTRATOR)
SUPPORT = Actor(user_id=1_000_001, name="Support Person", role=Role.SUPPORT)
OTHER = Actor(user_id=1_000_002, name="Other Person", role=Role.SUPPORT)
AUDITOR = Actor(user_id=1_000_003, name="Auditor Person", role=Role.AUDITOR)
LONG_AGO = datetime(2020, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)


def actor_of(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.display_name, role=user.role)


def add(app: Flask, user_id: int, text: str = "Called twice.", *, actor: Actor = SUPPORT) -> int:
    with app.app_context():
        return services.add_note(get_user(user_id), text=text, actor=actor).id


def edit(app: Flask, note_id: int, text: str, *, version: int = 1, actor: Actor = SUPPORT) -> bool:
    with app.app_context():
        return services.edit_note(queries.get_note(note_id), text=text, version=version, actor=actor)


def remove(app: Flask, note_id: int, *, actor: Actor = SUPPORT) -> None:
    with app.app_context():
        services.delete_note(queries.get_note(note_id), actor=actor)


def undo(app: Flask, entry_id: int, *, actor: Actor = SUPPORT) -> None:
    with app.app_context():
        undo_change(entry_id, actor=actor)


def read_notes(app: Flask, user_id: int) -> list[Note]:
    """The oldest first; the rows are detached."""
    with app.app_context():
        notes = list(get_session().scalars(select(Note).where(Note.user_id == user_id).order_by(Note.id)))
        get_session().expunge_all()
        return notes


def texts_on(app: Flask, user_id: int) -> list[str]:
    return [note.text for note in read_notes(app, user_id)]


def assert_refused(app: Flask, error: type[DomainError], act: Callable[[], object]) -> DomainError:
    """It raises ``error`` and leaves no trace."""
    before, entries = read_tables(app), read_rows(app)
    with pytest.raises(error) as refusal:
        act()
    assert (read_tables(app), read_rows(app)) == (before, entries)
    return refusal.value


# Each change, and what is told of it


def test_a_note_has_its_author_and_its_entry(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee")
    note_id = add(app, user.id, " Called\r\ntwice. ")
    [note] = read_notes(app, user.id)
    assert (note.id, note.text, note.version) == (note_id, "Called\ntwice.", 1)
    assert (note.author_id, note.author_name) == (SUPPORT.user_id, "Support Person")
    [story] = read_stories(app)
    assert (story.kind, story.subject_id, story.subject_name) == (Kind.NOTE_ADDED, user.id, "Ann Lee")
    assert (story.actor_id, story.actor_name) == (SUPPORT.user_id, "Support Person")
    assert story.changes == {"note": (None, "Called\ntwice.")}
    assert (story.facts["note_id"], story.undoes_id) == (note_id, None)
    assert_intact(app)


def test_an_edit_tells_both_texts_and_keeps_whose_and_when(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    [before] = read_notes(app, user.id)
    assert edit(app, note_id, "Two")
    [after] = read_notes(app, user.id)
    assert (after.id, after.text, after.version) == (note_id, "Two", 2)
    assert (after.author_id, after.created_at) == (before.author_id, before.created_at)
    assert after.updated_at >= before.updated_at
    stories = read_stories(app)
    assert [story.kind for story in stories] == [Kind.NOTE_ADDED, Kind.NOTE_EDITED]
    assert stories[-1].changes == {"note": ("One", "Two")}
    assert_intact(app)


def test_a_deletion_tells_what_was_there(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    remove(app, add(app, user.id, "One"))
    assert read_notes(app, user.id) == []
    stories = read_stories(app)
    assert [story.kind for story in stories] == [Kind.NOTE_ADDED, Kind.NOTE_DELETED]
    assert stories[-1].changes == {"note": ("One", None)}
    assert_intact(app)


def test_the_user_s_own_version_is_not_touched(app: Flask, make_user: MakeUser) -> None:
    """Who edits the user meanwhile has no clash with a note."""
    user = make_user()
    note_id = add(app, user.id)
    edit(app, note_id, "Two")
    remove(app, note_id)
    with app.app_context():
        assert get_user(user.id).version == user.version


Act = Callable[[Flask, int, int], object]
ACTS: dict[str, Act] = {
    "add": lambda app, user_id, _note_id: add(app, user_id),
    "edit": lambda app, _user_id, note_id: edit(app, note_id, "Two"),
    "delete": lambda app, _user_id, note_id: remove(app, note_id),
}


@pytest.mark.parametrize("name", ACTS)
def test_the_change_and_its_entry_are_one_transaction(app: Flask, make_user: MakeUser, name: str) -> None:
    """What surrounds them fails, and neither is there."""
    user = make_user()
    note_id = add(app, user.id, "One")
    before, entries = read_tables(app), read_rows(app)

    @atomic
    def act_and_fail() -> None:
        if name == "add":
            services.add_note(get_user(user.id), text="New", actor=SUPPORT)
        elif name == "edit":
            services.edit_note(queries.get_note(note_id), text="Two", version=1, actor=SUPPORT)
        else:
            services.delete_note(queries.get_note(note_id), actor=SUPPORT)
        raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        act_and_fail()
    assert (read_tables(app), read_rows(app)) == (before, entries)


@pytest.mark.parametrize("text", ["One", " One ", "\r\nOne\r\n"])
@pytest.mark.parametrize("version", [1, 0, 7])
def test_the_same_text_is_no_change(app: Flask, make_user: MakeUser, text: str, version: int) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    before, entries = read_tables(app), read_rows(app)
    assert not edit(app, note_id, text, version=version)
    assert (read_tables(app), read_rows(app)) == (before, entries)


@pytest.mark.parametrize("text", ["", " \n ", "x" * 5001, "a\0b", "a\ud800b"])
def test_a_text_against_the_rules_is_not_written(app: Flask, make_user: MakeUser, text: str) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    for act in (lambda: add(app, user.id, text), lambda: edit(app, note_id, text)):
        assert assert_refused(app, Invalid, act).field == "text"


@pytest.mark.parametrize("version", [0, 1, 3, 10**9])
def test_who_saw_another_version_saves_nothing(app: Flask, make_user: MakeUser, version: int) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    edit(app, note_id, "Two")
    refusal = assert_refused(app, Stale, lambda: edit(app, note_id, "Three", version=version))
    assert refusal.field == "text"


@pytest.mark.parametrize("note_id", [0, 999, 2**31, 2**63 - 1, 2**63, 10**40])
def test_a_note_that_is_not_there_is_not_found(context: Flask, note_id: int) -> None:
    with pytest.raises(NotFound):
        queries.get_note(note_id)


@pytest.mark.parametrize("name", ["edit", "delete"])
def test_a_note_that_was_deleted_meanwhile_is_not_found(app: Flask, make_user: MakeUser, name: str) -> None:
    note_id = add(app, make_user().id)
    entries = read_rows(app)
    with app.app_context():
        note = queries.get_note(note_id)
        session = get_session()
        session.execute(delete(Note), execution_options={"synchronize_session": False})
        session.commit()
        acts: dict[str, Callable[[], object]] = {
            "edit": lambda: services.edit_note(note, text="Two", version=1, actor=SUPPORT),
            "delete": lambda: services.delete_note(note, actor=SUPPORT),
        }
        with pytest.raises(NotFound):
            acts[name]()
    assert read_rows(app) == entries


def test_the_latest_is_first_and_only_so_many(app: Flask, make_user: MakeUser) -> None:
    user, other = make_user(), make_user()
    ids = [add(app, user.id, f"Note {number}") for number in range(4)]
    add(app, other.id)
    with app.app_context():
        assert [note.id for note in queries.list_notes(user.id)] == ids[::-1]


# Who may


@pytest.mark.parametrize("actor", [OTHER, DESK, Actor.command_line()], ids=["support", "desk", "command"])
def test_only_the_author_edits(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    note_id = add(app, make_user().id, "One")
    assert_refused(app, Forbidden, lambda: edit(app, note_id, "Two", actor=actor))
    assert_refused(app, Forbidden, lambda: edit(app, note_id, "One", actor=actor))


def test_nobody_is_the_author_of_what_the_command_line_wrote(app: Flask, make_user: MakeUser) -> None:
    command = Actor.command_line()
    note_id = add(app, make_user().id, "One", actor=command)
    assert_refused(app, Forbidden, lambda: edit(app, note_id, "Two", actor=command))


def test_the_author_and_an_administrator_delete_and_nobody_else(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    first, second = add(app, user.id), add(app, user.id)
    for note_id in (first, second):
        assert_refused(app, Forbidden, lambda note_id=note_id: remove(app, note_id, actor=OTHER))  # type: ignore[misc]
    remove(app, first, actor=SUPPORT)
    remove(app, second, actor=DESK)
    assert read_notes(app, user.id) == []
    assert [story.actor_id for story in read_stories(app)][-2:] == [SUPPORT.user_id, DESK.user_id]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.parametrize("name", ACTS)
def test_who_may_not_edit_users_writes_no_notes(
    app: Flask, make_user: MakeUser, role: Role, name: str
) -> None:
    """Not even on what was once his own, from before his role was changed."""
    user = make_user()
    note_id = add(app, user.id)
    lesser = Actor(user_id=SUPPORT.user_id, name="", role=role)
    acts: dict[str, Callable[[], object]] = {
        "add": lambda: add(app, user.id, actor=lesser),
        "edit": lambda: edit(app, note_id, "Two", actor=lesser),
        "delete": lambda: remove(app, note_id, actor=lesser),
    }
    assert_refused(app, Forbidden, acts[name])


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR])
@pytest.mark.parametrize("name", ACTS)
def test_support_writes_none_on_who_works_here(
    app: Flask, make_user: MakeUser, role: Role, name: str
) -> None:
    user = make_user()
    note_id = add(app, user.id)
    with app.app_context():
        get_session().execute(update(User).where(User.id == user.id).values(role=role))
        get_session().commit()
    assert_refused(app, Forbidden, lambda: ACTS[name](app, user.id, note_id))


# Taking it back


def test_adding_is_undone(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    add(app, user.id, "One")
    entry = newest_entry(app)
    undo(app, entry)
    assert read_notes(app, user.id) == []
    story = read_stories(app)[-1]
    assert (story.kind, story.undoes_id) == (Kind.NOTE_DELETED, entry)
    assert story.changes == {"note": ("One", None)}
    assert_intact(app)


def test_editing_is_undone(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    edit(app, note_id, "Two")
    entry = newest_entry(app)
    undo(app, entry)
    [note] = read_notes(app, user.id)
    assert (note.id, note.text, note.version, note.author_id) == (note_id, "One", 3, SUPPORT.user_id)
    story = read_stories(app)[-1]
    assert (story.kind, story.undoes_id) == (Kind.NOTE_EDITED, entry)
    assert story.changes == {"note": ("Two", "One")}
    assert_intact(app)


def age(app: Flask, note_id: int) -> None:
    with app.app_context():
        get_session().execute(update(Note).where(Note.id == note_id).values(created_at=LONG_AGO))
        get_session().commit()


def test_a_deletion_is_undone_with_author_and_time(app: Flask, make_user: MakeUser) -> None:
    user, author = make_user(), make_user(full_name="Bob Writer", role=Role.SUPPORT)
    note_id = add(app, user.id, "One\nand more", actor=actor_of(author))
    age(app, note_id)
    remove(app, note_id, actor=DESK)
    entry = newest_entry(app)
    undo(app, entry, actor=DESK)
    [note] = read_notes(app, user.id)
    assert (note.text, note.author_id, note.author_name) == ("One\nand more", author.id, "Bob Writer")
    assert note.created_at == LONG_AGO
    assert note.id > note_id
    story = read_stories(app)[-1]
    assert (story.kind, story.undoes_id, story.actor_id) == (Kind.NOTE_ADDED, entry, DESK.user_id)
    assert edit(app, note.id, "Two", actor=actor_of(author)), "it is its author's still"
    assert_intact(app)


def test_the_undo_of_an_undo_and_so_on(app: Flask, make_user: MakeUser) -> None:
    user, author = make_user(), make_user(role=Role.SUPPORT)
    age(app, add(app, user.id, "One", actor=actor_of(author)))
    for left in ([], ["One"], [], ["One"]):
        undo(app, newest_entry(app), actor=actor_of(author))
        assert texts_on(app, user.id) == left
    [note] = read_notes(app, user.id)
    assert (note.author_id, note.created_at) == (author.id, LONG_AGO)
    assert_intact(app)


def test_nothing_is_undone_twice(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    edit(app, note_id, "Two")
    edited = newest_entry(app)
    undo(app, edited)
    remove(app, note_id)
    deleted = newest_entry(app)
    undo(app, deleted)
    for entry in (edited, deleted):
        refusal = assert_refused(app, Conflict, lambda entry=entry: undo(app, entry))  # type: ignore[misc]
        assert "undone already" in str(refusal)


def test_what_was_changed_since_is_not_undone(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    added = newest_entry(app)
    edit(app, note_id, "Two")
    edited = newest_entry(app)
    edit(app, note_id, "Three", version=2)
    for entry in (added, edited):
        refusal = assert_refused(app, Conflict, lambda entry=entry: undo(app, entry))  # type: ignore[misc]
        assert "changed again since" in str(refusal)
    undo(app, newest_entry(app))
    undo(app, edited)
    undo(app, added)
    assert read_notes(app, user.id) == []


def test_what_was_deleted_since_is_not_undone(app: Flask, make_user: MakeUser) -> None:
    note_id = add(app, make_user().id, "One")
    added = newest_entry(app)
    edit(app, note_id, "Two")
    edited = newest_entry(app)
    remove(app, note_id)
    for entry in (added, edited):
        refusal = assert_refused(app, Conflict, lambda entry=entry: undo(app, entry))  # type: ignore[misc]
        assert "deleted meanwhile" in str(refusal)


def test_who_could_not_do_it_cannot_undo_it(app: Flask, make_user: MakeUser) -> None:
    """An added note is only its author's or an administrator's to take away; an edit its author's."""
    user = make_user()
    note_id = add(app, user.id, "One")
    added = newest_entry(app)
    for actor in (OTHER, AUDITOR):
        assert_refused(app, Forbidden, lambda actor=actor: undo(app, added, actor=actor))  # type: ignore[misc]
    edit(app, note_id, "Two")
    edited = newest_entry(app)
    for actor in (OTHER, AUDITOR, DESK):
        assert_refused(app, Forbidden, lambda actor=actor: undo(app, edited, actor=actor))  # type: ignore[misc]
    remove(app, note_id)
    deleted = newest_entry(app)
    assert_refused(app, Forbidden, lambda: undo(app, deleted, actor=AUDITOR))
    assert read_notes(app, user.id) == []


@pytest.mark.parametrize("kind", ["added", "edited", "deleted"])
def test_of_two_undos_at_once_one_is_done(file_app: Flask, kind: str) -> None:
    with file_app.app_context():
        user_id = create_user(email="ann@example.org", actor=DESK).id
    note_id = add(file_app, user_id, "One")
    if kind != "added":
        edit(file_app, note_id, "Two")
    if kind == "deleted":
        remove(file_app, note_id)
    entry = newest_entry(file_app)
    outcomes = race(file_app, *[lambda: undo_change(entry, actor=SUPPORT) is not None] * 4)
    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 3
    assert texts_on(file_app, user_id) == {"added": [], "edited": ["One"], "deleted": ["Two"]}[kind]
    assert [story.undoes_id for story in read_stories(file_app)].count(entry) == 1
    assert_intact(file_app)


def test_of_many_edits_at_once_one_is_saved(file_app: Flask) -> None:
    with file_app.app_context():
        user_id = create_user(email="ann@example.org", actor=DESK).id
    note_id = add(file_app, user_id, "One")

    def save(text: str) -> Callable[[], Any]:
        return lambda: services.edit_note(queries.get_note(note_id), text=text, version=1, actor=SUPPORT)

    outcomes = race(file_app, *[save(f"Text {number}") for number in range(4)])
    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 3
    assert texts_on(file_app, user_id) == [f"Text {outcomes.index(True)}"]
    assert [story.kind for story in read_stories(file_app)].count(Kind.NOTE_EDITED) == 1


# The trash


def discard(app: Flask, user_id: int) -> None:
    with app.app_context():
        user = get_user(user_id)
        trash.delete_user(user, version=user.version, actor=DESK)


def test_notes_wait_for_who_is_in_the_trash(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    note_id = add(app, user.id, "One")
    added = newest_entry(app)
    before = read_tables(app)["notes"]
    discard(app, user.id)
    assert_refused(app, NotFound, lambda: edit(app, note_id, "Two"))
    assert_refused(app, NotFound, lambda: remove(app, note_id))
    assert "in the trash" in str(assert_refused(app, Conflict, lambda: undo(app, added)))
    with app.app_context():
        trash.restore_user(user.id, actor=DESK)
    assert read_tables(app)["notes"] == before
    assert edit(app, note_id, "Two")


def test_a_purge_takes_the_notes_on_him_and_his_name_from_his_own(app: Flask, make_user: MakeUser) -> None:
    gone = make_user(full_name="Bob Quixote", email="quixote@example.org", role=Role.SUPPORT)
    user = make_user(full_name="Ann Lee")
    add(app, gone.id, "On Quixote.", actor=DESK)
    remove(app, add(app, gone.id, "Quixote again.", actor=DESK), actor=DESK)
    own = add(app, user.id, "Called twice.", actor=actor_of(gone))
    edit(app, own, "Called thrice.", actor=actor_of(gone))
    others = add(app, user.id, "Wrote a letter.")
    discard(app, gone.id)
    assert "Quixote" in str(read_tables(app)["notes"])
    with app.app_context():
        trash.purge_user(gone.id, actor=DESK)
    assert "quixote" not in str(read_tables(app)).casefold()
    assert {story.actor_name for story in read_stories(app) if story.actor_id == gone.id} == {"Bob Quixote"}
    let_names_go(app)
    assert "quixote" not in read_texts(app).casefold()
    assert read_notes(app, gone.id) == []
    notes = [(note.id, note.text, note.author_name) for note in read_notes(app, user.id)]
    assert notes == [(own, "Called thrice.", ""), (others, "Wrote a letter.", "Support Person")]
    assert "Called thrice." in read_texts(app), "what is told about others stays"
    assert_intact(app)


def test_the_name_of_who_is_purged_does_not_come_back_by_an_undo(app: Flask, make_user: MakeUser) -> None:
    gone, user = make_user(full_name="Bob Quixote", role=Role.SUPPORT), make_user()
    remove(app, add(app, user.id, "One", actor=actor_of(gone)), actor=DESK)
    entry = newest_entry(app)
    with app.app_context():
        trash.erase_user(get_user(gone.id), actor=DESK)
    undo(app, entry, actor=DESK)
    assert [(note.text, note.author_name) for note in read_notes(app, user.id)] == [("One", "")]
    assert "Quixote" not in str(read_tables(app))
    let_names_go(app)
    assert "Quixote" not in read_texts(app)


def test_who_wrote_a_note_stays_named_for_a_time(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    gone, user, desk = make_user(full_name="Bob Quixote", role=Role.SUPPORT), make_user(), signed_in()
    add(app, user.id, "Called twice.", actor=actor_of(gone))
    assert "deleted" not in panel_of(desk.get(f"/users/{user.id}").text)
    with app.app_context():
        trash.erase_user(get_user(gone.id), actor=DESK)
    assert "Bob Quixote (deleted)" in panel_of(desk.get(f"/users/{user.id}").text)
    let_names_go(app)
    assert "a forgotten person" in panel_of(desk.get(f"/users/{user.id}").text)


def panel_of(page: str) -> str:
    """The notes themselves, without the forms for each."""
    found = re.search(r'<li id="note.*?<div class="actions">', page, re.DOTALL)
    assert found is not None
    return found[0]


# The history finds them


def test_they_are_found_by_their_words(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    users = {word: make_user(full_name=f"Subject {word}") for word in ("added", "edited", "deleted", "other")}
    add(app, users["added"].id, "Wants the Zweig papers.")
    edit(app, add(app, users["edited"].id, "First."), "Zweig came.")
    remove(app, add(app, users["deleted"].id, "ZWEIG left."))
    add(app, users["other"].id, "Nothing of it.")
    page = signed_in("auditor").get("/history/?q=zweig").text
    assert [word for word in users if f"Subject {word}" in page] == ["added", "edited", "deleted"]


def test_they_are_found_still_once_their_author_is_forgotten(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    gone, user = make_user(role=Role.SUPPORT), make_user(full_name="Ann Lee")
    add(app, user.id, "Wants the Zweig papers.", actor=actor_of(gone))
    with app.app_context():
        trash.erase_user(get_user(gone.id), actor=DESK)
    assert "Ann Lee" in signed_in("auditor").get("/history/?q=zweig").text
