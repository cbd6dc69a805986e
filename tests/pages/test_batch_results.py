"""/batches/<id> once it is run: what became of each, steps that stop and go on, and all of it undone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from flask import Flask

from tests.auth.test_browser import age_sessions
from tests.conftest import MakeUser, SignedIn, read_tables, read_user, user_maker
from tests.corpus import CANARY, TEXTS, encode
from tests.history.ways import assert_intact, read_stories
from tests.pages.asking import assert_get_asks_to_sign_in, assert_get_writes_nothing, assert_refused, text_of
from tests.pages.batching import (
    PATH,
    add_people,
    begin,
    change,
    choose,
    outcomes_of,
    press,
    read_batches,
    read_members,
    run,
)
from tests.pages.form_reader import read_forms
from tests.visitor import Visitor
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.models import SignInSession
from webapp.batches import runner, running, views
from webapp.batches.models import Batch
from webapp.batches.preview import examine
from webapp.batches.rules import State
from webapp.db import get_session
from webapp.extensions import utc_now
from webapp.history.rules import Kind

CountQueries = Callable[[], AbstractContextManager[list[str]]]


def actions_of(page: str, path: str) -> set[str]:
    """Which buttons there are for it, also in a toast."""
    return {form.action.rpartition("/")[2] for form in read_forms(page) if form.action.startswith(f"{path}/")}


def purge(desk: Visitor, user_id: int) -> None:
    """Its toast is read here, on the page that comes."""
    assert desk.post(f"/trash/{user_id}/purge", follow_redirects=True).status_code == 200


def are_active(app: Flask, *user_ids: int) -> list[bool | None]:
    users = [read_user(app, user_id) for user_id in user_ids]
    return [None if user is None else user.is_active for user in users]


# What became of each


def test_each_row_says_what_became_of_it_and_why(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    support = signed_in("support")
    changed, same = make_user(full_name="Ann"), make_user(full_name="Bob", is_active=False)
    staff = make_user(full_name="Cid", role=Role.ADMINISTRATOR)
    path = begin(support, changed.id, same.id, staff.id, 999_999, action="deactivate")
    page = run(support, path)
    assert outcomes_of(page) == [
        f"Ann {changed.email} Done",
        f"Bob {same.email} So already",
        f"Cid {staff.email} Only an administrator may change a person who works here. Left out",
        "a deleted user, #999999 There is no such user (any more). Left out",
    ]
    numbers = {"": 4, "done": 1, "same": 1, "refused": 2}
    for outcome, number in numbers.items():
        shown = text_of(support.get(path, query_string={"outcome": outcome}))
        assert len(outcomes_of(shown)) == number, outcome
        assert len(re.findall(r'<a [^>]*aria-current="true"', shown)) == 1
    assert "Support Desk" in page


def test_who_is_in_the_trash_or_gone_for_good_by_now_is_told(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    users = [make_user(full_name=f"Ann {letter}") for letter in "abc"]
    path = change(desk, "deactivate", *(user.id for user in users))
    change(desk, "trash", users[1].id, users[2].id)
    purge(desk, users[2].id)
    page = text_of(desk.get(path))
    rows = outcomes_of(page)
    assert rows[1].startswith("Ann b in the trash")
    assert rows[2].startswith(f"a deleted user, #{users[2].id}")
    assert "Ann c" not in page
    assert f'href="/users/{users[0].id}"' in page
    assert f'href="/users/{users[1].id}"' not in page, "it would lead to a page that says there is nobody"


def test_names_that_are_markup_are_only_shown(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    ids = [make_user(full_name=f"Ann {CANARY}").id for _ in range(3)]
    path = change(desk, "deactivate", *ids)
    change(desk, "trash", ids[0])
    page = desk.get(path).text
    assert (CANARY in page, page.count("&lt;script&gt;canary")) == (False, 3)


def test_its_pages_lead_through_all_of_an_outcome(app: Flask, signed_in: SignedIn) -> None:
    desk = signed_in()
    add_people(app, 250)
    path = begin(desk, *range(2, 252), action="deactivate")
    run(desk, path)
    seen: list[str] = []
    link: str | None = f"{path}?outcome=done"
    while link:
        page = text_of(desk.get(link))
        seen += outcomes_of(page)
        found = re.search(r'href="([^"]*after=[^"]*)"', page)
        link = found[1] if found else None
    assert len(seen) == len(set(seen)) == 250


def test_any_text_in_all_parameters_shows_a_page(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    path = change(desk, "deactivate", make_user(full_name=f"Ann {CANARY}").id)
    for name, text in TEXTS.items():
        query = encode(dict.fromkeys(("outcome", "after", "before", "page", "back"), text[:10_000]))
        answer = desk.get(path, query_string=query)
        assert answer.status_code == 200, name
        assert CANARY not in answer.text, name


@pytest.mark.parametrize("after", ["-1", "x", "1e3", "٣", "9" * 10, "9" * 40, "", " 1"])
def test_a_place_that_is_none_is_the_beginning(signed_in: SignedIn, make_user: MakeUser, after: str) -> None:
    desk = signed_in()
    path = change(desk, "deactivate", make_user().id)
    assert len(outcomes_of(desk.get(path, query_string={"after": after}).text)) == 1


def test_past_the_end_there_is_nobody(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    path = change(desk, "deactivate", make_user().id)
    for query in ("after=999999999", "after=1", "outcome=refused"):
        page = text_of(desk.get(f"{path}?{query}"))
        assert "There is nobody here." in page


def test_an_unknown_outcome_shows_all(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    path = change(desk, "deactivate", make_user().id)
    assert len(outcomes_of(desk.get(f"{path}?outcome=king").text)) == 1


# The history


def test_each_entry_leads_to_the_batch_and_the_batch_to_each(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    users = [make_user() for _ in range(2)]
    path = change(desk, "deactivate", *(user.id for user in users))
    link = f'<a href="{path}">in a bulk change</a>'
    assert desk.get("/history/").text.count(link) == 2
    page = desk.get(path).text
    for user in users:
        assert desk.get(f"/users/{user.id}").text.count(link) == 1
        assert f'href="/users/{user.id}' in page


def test_who_was_so_already_or_left_out_has_no_entry(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    same = make_user(is_active=False)
    assert desk.user is not None
    path = begin(desk, make_user().id, same.id, desk.user.id, action="deactivate")
    run(desk, path)
    assert len(read_stories(app)) == 1


def test_one_of_many_can_be_undone_alone_and_then_the_rest(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    ids = [make_user().id for _ in range(3)]
    path = change(desk, "deactivate", *ids)
    entry = read_stories(app)[0]
    assert desk.post(f"/users/changes/{entry.id}/undo").status_code == 303
    assert are_active(app, *ids) == [True, False, False]
    answer = press(desk, path, "undo")
    page = text_of(desk.get(answer.headers["Location"]))
    assert "This change was undone already." in page
    run(desk, answer.headers["Location"])
    assert are_active(app, *ids) == [True, True, True]


# Undone as a whole

UNDOABLE = {
    "deactivate": ({}, {}),
    "activate": ({"is_active": False}, {}),
    "set_role": ({}, {"role": "support"}),
    "add_note": ({}, {"note": "A note"}),
    "trash": ({}, {}),
}


def people_of(app: Flask) -> list[tuple[object, ...]]:
    """Who there is and what he is like, and the notes on him."""
    tables = read_tables(app)
    ids = sorted(int(str(row[0])) for row in tables["users"])
    people = [user for user in (read_user(app, user_id) for user_id in ids) if user]
    rows: list[tuple[object, ...]] = [(u.id, u.full_name, u.email, u.role, u.is_active) for u in people]
    return [*rows, ("notes", len(tables["notes"]))]


@pytest.mark.parametrize("action", UNDOABLE)
def test_the_toast_takes_all_of_it_back_and_says_so_on_both_pages(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    columns, value = UNDOABLE[action]
    desk = signed_in()
    ids = [make_user(**columns).id for _ in range(3)]
    before = people_of(app)
    path = begin(desk, *ids, action=action)
    if value:
        choose(desk, path, action, **value)
    page = run(desk, path)
    assert people_of(app) != before
    forms = [form for form in read_forms(page) if form.action == f"{path}/undo"]
    assert len(forms) == 2, "in the toast and on the page"
    answer = desk.post_raw(forms[0].action, forms[0].fields)
    undo = answer.headers["Location"]
    page = text_of(desk.get(undo))
    assert "3 changes are undone." in page
    assert "undoes this bulk change" in page
    assert people_of(app) == before
    page = desk.get(path).text
    assert f'<a href="{undo}">was undone</a>' in page
    assert "undo" not in actions_of(page, path), "it is not offered a second time"
    stories = read_stories(app)
    assert [story.undoes_id for story in stories[3:]] == [story.id for story in stories[:3]]
    assert_intact(app)


def test_undone_twice_it_is_done_once_and_says_so(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user()
    path = change(desk, "deactivate", user.id)
    assert desk.post(f"{path}/undo").headers["Location"] != path
    number = len(read_stories(app))
    answer = assert_refused(desk, f"{path}/undo", status=303)
    assert answer.headers["Location"] == path
    assert "This was undone already." in desk.get(path).text
    assert len(read_stories(app)) == number


def test_where_something_is_in_the_way_it_says_who_and_why_and_undoes_the_rest(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in()
    users = [make_user(full_name=f"Ann {letter}") for letter in "abcd"]
    ids = [user.id for user in users]
    path = change(desk, "set_role", *ids, role="support")
    desk.post(
        f"/users/{ids[1]}/edit",
        {"full_name": "Ann b", "email": users[1].email, "role": "auditor", "version": "2"},
    )
    change(desk, "trash", ids[2])
    stories = len(read_stories(app))
    answer = press(desk, path, "undo")
    undo = answer.headers["Location"]
    assert undo != path
    assert len(read_stories(app)) == stories, "nothing is done yet"
    page = text_of(desk.get(undo))
    assert "Undo 4 changes?" in page
    assert "2 users will be changed." in page
    assert "It was changed again since: Role. Undo the later change first, or edit the user." in page
    assert "There is no such user (any more)." in page
    assert f'<a href="/users/{ids[1]}"><bdi>Ann b</bdi></a>' in page
    page = run(desk, undo)
    assert "2 changes are undone." in page
    roles = [user.role for user in (read_user(app, user_id) for user_id in ids) if user]
    assert roles == [Role.MEMBER, Role.AUDITOR, Role.MEMBER]
    assert "was undone" in desk.get(path).text


def test_a_draft_of_an_undo_that_nobody_ran_stands_in_nobody_s_way(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, other = signed_in(), signed_in(email="other@desk.example")
    ids = [make_user().id for _ in range(2)]
    path = change(desk, "deactivate", *ids)
    desk.post(f"/users/{ids[0]}/activate")
    draft = press(desk, path, "undo").headers["Location"]
    assert "undo" in actions_of(other.get(path).text, path)
    mine = press(other, path, "undo").headers["Location"]
    run(other, mine)
    assert desk.get(draft).status_code == 404
    assert are_active(app, *ids) == [True, True]


@pytest.mark.parametrize("action", UNDOABLE)
def test_who_was_erased_meanwhile_stands_in_nobody_s_way(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    """Of his entry nothing is left but that there was one."""
    columns, value = UNDOABLE[action]
    desk = signed_in()
    ids = [make_user(**columns).id for _ in range(3)]
    path = change(desk, action, *ids, **value)
    if action != "trash":
        change(desk, "trash", ids[0])
    purge(desk, ids[0])
    answer = press(desk, path, "undo")
    assert answer.status_code == 303
    undo = answer.headers["Location"]
    page = text_of(desk.get(undo))
    assert "2 users will be changed." in page
    assert f"#{ids[0]}" in page
    assert "2 changes are undone." in run(desk, undo)


@pytest.mark.parametrize("action", UNDOABLE)
def test_an_undo_is_undone_or_not_offered(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    columns, value = UNDOABLE[action]
    desk = signed_in()
    path = change(desk, action, make_user(**columns).id, **value)
    after = people_of(app)
    undo = press(desk, path, "undo").headers["Location"]
    page = desk.get(undo).text
    if "undo" not in actions_of(page, undo):
        assert action == "add_note"
        before = read_tables(app)
        assert desk.post(f"{undo}/undo").status_code == 303
        assert read_tables(app) == before
        return
    again = press(desk, undo, "undo").headers["Location"]
    assert "1 change is undone." in desk.get(again).text
    assert people_of(app) == after


def test_what_cannot_be_undone_is_not_offered_and_says_so(signed_in: SignedIn, make_user: MakeUser) -> None:
    desk = signed_in()
    path = begin(desk, make_user().id, action="sign_out")
    page = run(desk, path)
    assert "undo" not in actions_of(page, path)
    assert_refused(desk, f"{path}/undo", status=303)
    assert "There is nothing to undo." in desk.get(path).text


def test_where_nobody_was_changed_there_is_nothing_to_undo(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in(), make_user(is_active=False)
    path = begin(desk, user.id, action="deactivate")
    assert "run" not in actions_of(desk.get(path).text, path)
    terminal = Actor.command_line()
    with app.app_context():
        seen = examine(get_session().get_one(Batch, 1), actor=terminal).seen
    assert desk.post(f"{path}/run", {"seen": seen}).status_code == 303
    page = desk.get(path).text
    assert "undo" not in actions_of(page, path)
    assert_refused(desk, f"{path}/undo", status=303)
    assert read_batches(app)[-1].done == 0


@pytest.mark.parametrize("action", ["set_role", "trash"])
def test_support_is_not_offered_to_undo_what_it_could_not_do_and_leaves_nothing_behind(
    signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    path = change(signed_in(), action, make_user().id, **UNDOABLE[action][1])
    support = signed_in("support")
    assert actions_of(support.get(path).text, path) == set()
    assert_refused(support, f"{path}/undo")


def test_support_undoes_what_an_administrator_did_to_members(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, support = signed_in(), signed_in("support")
    member, staff = make_user().id, make_user(role=Role.AUDITOR).id
    path = change(desk, "deactivate", member, staff)
    undo = press(support, path, "undo").headers["Location"]
    assert "Only an administrator may change a person who works here." in text_of(support.get(undo))
    run(support, undo)
    assert are_active(app, member, staff) == [True, False]


# In steps

Aside = list[int]


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> Aside:
    """More than two are many, and whoever would run aside is only written down: the test makes the steps."""
    started: Aside = []
    monkeypatch.setattr(running, "AT_ONCE", 2)
    monkeypatch.setattr(views, "AT_ONCE", 2)

    def note(_app: Flask, batch_id: int, *, actor: Actor, begin: Callable[[], object]) -> None:
        begin()
        started.append(batch_id)

    monkeypatch.setattr(views, "run_aside", note)
    return started


def step(app: Flask, desk: Visitor, path: str, most: int = 2) -> bool:
    assert desk.user is not None
    actor = Actor(user_id=desk.user.id, name=desk.user.full_name, role=desk.user.role)
    with app.app_context():
        return running.run_step(int(path.rpartition("/")[2]), most=most, actor=actor)


def start(desk: Visitor, make_user: MakeUser, number: int = 5) -> tuple[str, list[int]]:
    ids = [make_user(full_name=f"Ann {index}").id for index in range(number)]
    path = begin(desk, *ids, action="deactivate")
    assert "short steps" in desk.get(path).text
    press(desk, path, "run")
    return path, ids


def test_to_watch_it_keeps_no_session_from_being_idle(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, _ids = start(desk, make_user)
    assert aside == [1]
    assert f'hx-get="{path}/progress"' in desk.get(path).text
    age_sessions(app, last_seen_at=timedelta(minutes=119))
    assert 'id="progress"' in desk.get(f"{path}/progress").text
    with app.app_context():
        seen = get_session().query(SignInSession).one().last_seen_at
    assert utc_now() - seen > timedelta(minutes=118)
    age_sessions(app, last_seen_at=timedelta(minutes=121))
    assert desk.get(f"{path}/progress").status_code == 401
    assert desk.get(path).status_code == 303, "the page itself asks to sign in"


def test_many_are_changed_in_steps_that_are_watched_stopped_and_go_on(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, ids = start(desk, make_user)
    assert aside == [1]
    page = desk.get(path).text
    assert "0 of 5" in page
    assert 'id="progress"' in page
    assert "Look again" in page, "for whoever has no scripts"
    assert step(app, desk, path)
    page = desk.get(path).text
    assert "2 of 5" in page
    assert '<progress id="bar" value="2" max="5">' in page
    assert actions_of(page, path) == {"stop"}
    assert press(desk, path, "stop").headers["Location"] == path
    assert not step(app, desk, path)
    page = text_of(desk.get(path))
    assert "It was stopped after 2 of 5. Nothing was done to the others." in page
    assert [row.rsplit(" ", 1)[1] for row in outcomes_of(page)] == ["Done"] * 2 + ["yet"] * 3
    assert are_active(app, *ids) == [False, False, True, True, True]
    press(desk, path, "continue")
    assert aside == [1, 1]
    assert [step(app, desk, path) for _ in range(2)] == [True, False]
    page = desk.get(path).text
    assert "was stopped" not in page
    assert are_active(app, *ids) == [False] * 5
    assert actions_of(page, path) == {"undo"}
    assert_intact(app)


def test_what_is_stopped_is_undone_as_far_as_it_is_done_and_does_not_go_on_then(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, ids = start(desk, make_user)
    step(app, desk, path)
    desk.post(f"{path}/stop")
    assert actions_of(desk.get(path).text, path) == {"continue", "undo"}
    undo = press(desk, path, "undo").headers["Location"]
    assert are_active(app, *ids) == [True] * 5
    assert read_members(app, undo) == ids[:2]
    assert actions_of(desk.get(path).text, path) == set()
    assert_refused(desk, f"{path}/continue", status=303)
    assert "This was undone already." in desk.get(path).text


def test_an_undo_of_many_is_made_in_steps_as_well(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, ids = start(desk, make_user)
    while step(app, desk, path):
        pass
    undo = press(desk, path, "undo").headers["Location"]
    assert "0 of 5" in desk.get(undo).text
    assert aside == [1, 2]
    while step(app, desk, undo):
        pass
    assert are_active(app, *ids) == [True] * 5
    assert "Undo 5 changes" in desk.get(undo).text


def test_what_runs_is_not_begun_a_second_time(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    """Each of these would be a thread."""
    desk = signed_in()
    path, _ids = start(desk, make_user)
    desk.post(f"{path}/stop")
    for _ in range(3):
        assert desk.post(f"{path}/continue").status_code == 303
    assert aside == [1, 1]
    assert 'id="progress"' in desk.get(path).text


@pytest.mark.parametrize(
    ("button", "state", "message"),
    [
        ("stop", State.DONE, "This is not running any more."),
        ("stop", State.STOPPED, "This is not running any more."),
        ("continue", State.DONE, "There is nothing left to do."),
        ("undo", State.RUNNING, "Wait until it is through, or stop it first."),
    ],
)
def test_what_cannot_be_done_in_this_state_is_said(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, button: str, state: State, message: str
) -> None:
    desk = signed_in()
    path = change(desk, "deactivate", make_user().id)
    set_state(app, state)
    answer = assert_refused(desk, f"{path}/{button}", status=303)
    assert answer.headers["Location"] == path
    assert message in text_of(desk.get(path))


def set_state(app: Flask, state: State, *, minutes: int = 0) -> None:
    """Of the first batch; it was touched so many minutes ago."""
    with app.app_context():
        batch = get_session().get_one(Batch, 1)
        batch.state, batch.touched_at = state.value, utc_now() - timedelta(minutes=minutes)
        get_session().commit()


def test_what_was_interrupted_says_so_and_goes_on(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, ids = start(desk, make_user)
    step(app, desk, path)
    set_state(app, State.RUNNING, minutes=5)
    page = desk.get(path).text
    assert "It was interrupted." in page
    assert "hx-get" not in page, "it would ask for ever"
    assert actions_of(page, path) == {"continue", "stop"}
    press(desk, path, "continue")
    assert aside == [1, 1]
    while step(app, desk, path):
        pass
    assert are_active(app, *ids) == [False] * 5


def test_it_stops_when_who_runs_it_may_not_go_on(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    make_user(role=Role.ADMINISTRATOR)
    path, ids = start(desk, make_user)
    step(app, desk, path)
    other = signed_in(email="other@desk.example")
    assert desk.user is not None
    other.post(f"/users/{desk.user.id}/deactivate")
    set_state(app, State.RUNNING, minutes=5)
    interrupted = other.get(path).text
    assert "Administrator Desk, who began this, is inactive." in interrupted
    assert actions_of(interrupted, path) == {"stop"}
    assert_refused(other, f"{path}/continue", status=303)
    assert "is inactive" in text_of(other.get(path))
    assert not step(app, other, path)
    page = text_of(other.get(path))
    assert "It was stopped after 2 of 5." in page
    assert "Administrator Desk, who began this, is inactive. Start a new bulk change for the rest." in page
    assert actions_of(other.get(path).text, path) == {"rest", "undo"}
    rest = press(other, path, "rest").headers["Location"]
    assert read_members(app, rest) == ids[2:]
    press(other, rest, "run")
    while step(app, other, rest):
        pass
    assert are_active(app, *ids) == [False] * 5
    assert {story.actor_id for story in read_stories(app)[-3:]} == {other.user.id if other.user else 0}


def test_support_sees_no_button_to_stop_or_continue_an_administrator_s(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk, support = signed_in(), signed_in("support")
    path, ids = start(desk, make_user)
    assert actions_of(support.get(path).text, path) == set()
    assert_refused(support, f"{path}/stop")
    desk.post(f"{path}/stop")
    assert actions_of(support.get(path).text, path) == {"rest"}
    assert_refused(support, f"{path}/continue")
    own = press(support, path, "rest").headers["Location"]
    assert read_members(app, own) == ids


def test_what_another_continues_is_told_of_each(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk, other = signed_in(), signed_in(email="other@desk.example")
    path, ids = start(desk, make_user)
    other.post(f"{path}/stop")
    press(other, path, "continue")
    while step(app, other, path):
        pass
    assert desk.user
    assert other.user
    assert {story.actor_id for story in read_stories(app)[-5:]} == {desk.user.id}
    assert f"continued by user {other.user.id}" in text_of(other.get(f"/users/{ids[0]}"))


def test_a_worker_whose_threads_are_all_at_work_says_so_and_nothing_is_begun(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 2)
    monkeypatch.setattr(views, "AT_ONCE", 2)
    monkeypatch.setattr(runner, "_at_work", set(range(100, 100 + runner.MAX_THREADS)))
    desk = signed_in()
    path = begin(desk, *[make_user().id for _ in range(3)], action="deactivate")
    before = read_tables(app)
    answer = press(desk, path, "run")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Other bulk changes are running." in text_of(answer)
    assert read_tables(app) == before
    with app.app_context():
        get_session().get_one(Batch, 1).state = State.STOPPED.value
        get_session().commit()
    press(desk, path, "continue")
    assert "Other bulk changes are running." in text_of(desk.get(path))


def test_a_thread_of_the_worker_makes_the_steps(
    file_app: Flask, hashed_password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 2)
    monkeypatch.setattr(views, "AT_ONCE", 2)
    make_user = user_maker(file_app, hashed_password)
    desk = Visitor(file_app, make_user(full_name="Desk", role=Role.ADMINISTRATOR))
    path, ids = start(desk, make_user)
    for thread in threading.enumerate():
        if thread.name.startswith("batch-"):
            thread.join(timeout=30)
    assert len(outcomes_of(desk.get(path, query_string={"outcome": "done"}).text)) == 5
    assert are_active(file_app, *ids) == [False] * 5
    story = read_stories(file_app)[-1]
    assert (story.actor_name, story.door) == ("Desk", "page")
    assert_intact(file_app)


def test_one_who_changed_between_the_steps_is_told_and_stops_nobody_else(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk = signed_in()
    path, ids = start(desk, make_user)
    step(app, desk, path)
    desk.post(f"/users/{ids[3]}/deactivate")
    desk.post(f"/users/{ids[4]}/delete", {"version": "1"})
    while step(app, desk, path):
        pass
    ends = [row.rsplit(" ", 1)[1] for row in outcomes_of(desk.get(path).text)]
    assert ends == ["Done"] * 3 + ["already", "out"]


# As of every page


def test_without_anybody_signed_in_it_asks_to_sign_in(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    assert_get_asks_to_sign_in(app, f"{change(signed_in(), 'deactivate', make_user().id)}?outcome=done")


def test_an_auditor_sees_it_and_has_no_buttons(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside
) -> None:
    desk, auditor = signed_in(), signed_in("auditor")
    done = change(desk, "deactivate", make_user().id)
    assert len(outcomes_of(auditor.get(done).text)) == 1
    running, _ids = start(desk, make_user)
    for path in (done, running):
        assert actions_of(auditor.get(path).text, path) == set()


def test_looking_writes_nothing(app: Flask, signed_in: SignedIn, make_user: MakeUser, aside: Aside) -> None:
    desk = signed_in()
    path, _ids = start(desk, make_user)
    assert_get_writes_nothing(desk, path)
    step(app, desk, path)
    assert_get_writes_nothing(desk, path)
    desk.post(f"{path}/stop")
    assert_get_writes_nothing(desk, f"{path}?outcome=done")
    assert {story.kind for story in read_stories(app)} == {Kind.DEACTIVATED}


def test_it_takes_as_many_queries_however_many_rows_there_are(
    app: Flask, signed_in: SignedIn, count_queries: CountQueries
) -> None:
    """Who is signed in, the batch, its rows, the people, the trash, what undoes it, who made it."""
    desk = signed_in()
    add_people(app, 100)
    for ids in (range(2, 5), range(5, 102)):
        path = begin(desk, *ids, action="deactivate")
        run(desk, path)
        with count_queries() as statements:
            desk.get(path)
        assert len(statements) == 7, statements
    with count_queries() as statements:
        assert desk.get(PATH).status_code == 200
    assert len(statements) <= 4, statements
