"""What gives or takes access asks for a fresh password: on every page, once, and with the form intact."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from tests.access.test_routes import (
    EDIT,
    ROUTES,
    UNSAFE,
    Route,
    SetStage,
    _nothing_runs_aside,  # noqa: F401 - a fixture that is used by itself
    set_stage,  # noqa: F401 - a fixture
)
from tests.auth.test_browser import age_sessions
from tests.conftest import PASSWORD, MakeUser, SignedIn, newest_entry, read_tables, read_user, user_maker
from tests.corpus import CANARY, TEXTS, encode
from tests.pages.asking import text_of
from tests.pages.batching import begin, choose, press
from tests.pages.form_reader import read_form
from tests.racing import race
from tests.visitor import Visitor, field_error, field_value
from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role
from webapp.auth import services
from webapp.auth.models import Attempts, SignInSession
from webapp.auth.rules import MAX_CONFIRMATION_AGE, MAX_PER_DEVICE, MOST_PER_ACCOUNT
from webapp.auth.throttle import count_attempt
from webapp.batches.locks import require_confirmation
from webapp.batches.models import BATCHES, Batch
from webapp.batches.rules import digest_of
from webapp.db import get_session
from webapp.errors import Busy, ConfirmationRequired, Invalid, SignInEnded
from webapp.extensions import utc_now
from webapp.history.models import ENTRIES
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.users.models import User
from webapp.users.passwords import hash_password
from webapp.users.queries import get_user
from webapp.users.services import deactivate_user, set_password, sign_out_everywhere, update_user
from webapp.users.trash import delete_user

TERMINAL = Actor.command_line()
OLD = {"created_at": MAX_CONFIRMATION_AGE + timedelta(seconds=1)}
PROOF = "confirmation-password"
NEW_PASSWORD = "harbour candle meadow"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An act of a page that asks, and what it says it would do. ``form`` joins that of the route; ``batch``
    is what the bulk change it is about has become by then.
    """

    endpoint: str
    act: str
    form: Mapping[str, str] = field(default_factory=dict)
    batch: Mapping[str, Any] = field(default_factory=dict)

    @property
    def route(self) -> Route:
        route = next(route for route in ROUTES if route.endpoint == self.endpoint)
        return replace(route, form={**route.form, **self.form})


SET_ROLE = {"action": "set_role", "value": "auditor"}
ASKED = (
    Asked(
        endpoint="users.create_user", act="Create New Name with the role Support", form={"role": "support"}
    ),
    Asked(endpoint="users.create_user", act="Create New Name and a password link", form={"create_link": "y"}),
    Asked(
        endpoint="users.edit_user",
        act="Change the role of Person 1 to Auditor",
        form={"full_name": "Person 1", "role": "auditor"},
    ),
    Asked(endpoint="export.export_users", act="Export users"),
    Asked(endpoint="users.sign_out_user", act="Sign Person 1 out everywhere"),
    Asked(endpoint="auth.create_password_link", act="Create a password link for Person 1"),
    Asked(endpoint="tokens.create_token", act="Create the access token Report"),
    Asked(endpoint="tokens.revoke_token", act="Revoke the access token Report of Person 1"),
    Asked(endpoint="trash.purge_user", act="Delete Person 1 for good"),
    Asked(endpoint="credits.grant_credits", act="Grant 1.00 to Person 1"),
    Asked(endpoint="credits.withdraw_credits", act="Withdraw 1.00 from Person 1"),
    Asked(endpoint="credits.export_ledger", act="Export the credits of Person 1"),
    Asked(
        endpoint="batches.run_batch",
        act="Give the selected users (1) the role Auditor",
        form={"seen": digest_of(["set_role", "auditor", "administrator"]) + digest_of([1])},
        batch=SET_ROLE,
    ),
    Asked(
        endpoint="batches.run_batch",
        act="Sign the selected users (1) out everywhere",
        form={"seen": digest_of(["sign_out", "", "administrator"]) + digest_of([1])},
        batch={"action": "sign_out"},
    ),
    Asked(
        endpoint="batches.continue_batch",
        act="Give the selected users (1) the role Auditor",
        batch=SET_ROLE,
    ),
)
# Each by name, so that a new route is one that was thought about.
ASKS_FOR_ITS_OWN = {"auth.sign_in", "auth.change_password", "auth.use_password_link"}
OF_ROLES_ONLY = {"undo.undo_change", "batches.undo_batch"}  # tried below
NOT_ASKED = {
    *("auth.sign_out", "auth.revoke_device", "auth.revoke_other_devices", "auth.edit_profile"),
    "notices.acknowledge_notices",
    *("auth.lift_throttle", "tokens.revoke_own_token"),
    *("users.activate_user", "users.deactivate_user", "users.delete_user", "trash.restore_user"),
    *("notes.add_note", "notes.edit_note", "notes.delete_note", "credits.transfer_credits"),
    *("batches.create_batch", "batches.paste_list", "batches.choose_action", "batches.choose_namesakes"),
    *("batches.stop_batch", "batches.begin_rest", "batches.discard_batch"),
}
# Who holds one of these gives or takes access by it: every act that needs one is asked.
SENSITIVE = {
    *(Permission.CREDITS_ISSUE, Permission.TOKENS_MANAGE, Permission.USERS_EXPORT),
    *(Permission.USERS_PASSWORD_LINK, Permission.USERS_SET_ROLE),
}


def test_of_every_route_it_is_decided() -> None:
    asked = {case.endpoint for case in ASKED}
    rest = [ASKS_FOR_ITS_OWN, OF_ROLES_ONLY, NOT_ASKED]
    assert asked.union(*rest) == {route.endpoint for route in UNSAFE}
    assert len(asked) + sum(map(len, rest)) == len(UNSAFE), "each in one of the sets"
    assert {route.endpoint for route in UNSAFE if route.permission in SENSITIVE} <= asked


each_act = pytest.mark.parametrize("case", ASKED, ids=lambda case: f"{case.endpoint} {case.act}")


def prepare(app: Flask, stand: SetStage, case: Asked) -> tuple[Visitor, str, dict[str, str]]:
    """An administrator who signed in too long ago, where they send the form, and the form."""
    stage = stand(case.route, Role.ADMINISTRATOR, full_name="Person 1", **_columns(case))
    with app.app_context():
        if case.batch:
            get_session().execute(update(BATCHES).values(**case.batch))
            get_session().commit()
    age_sessions(app, **OLD)
    return stage.visitor, stage.path, dict(case.route.form)


def _columns(case: Asked) -> dict[str, Any]:
    return {"role": Role.AUDITOR} if case.endpoint == "tokens.revoke_token" else {}


def confirm(visitor: Visitor, page: TestResponse, password: str = PASSWORD) -> TestResponse:
    """Send the form of the page that asks, as a browser does."""
    form = read_form(page.text, holding=PROOF)
    return visitor.post_raw(form.action, {**form.fields, PROOF: password})


def everything(app: Flask) -> tuple[object, int]:
    return read_tables(app), newest_entry(app)


@each_act
def test_an_old_session_is_asked_once_and_then_it_is_done(
    app: Flask,
    set_stage: SetStage,  # noqa: F811
    case: Asked,
) -> None:
    visitor, path, typed = prepare(app, set_stage, case)
    before = everything(app)
    asked = visitor.post(path, typed)
    assert (asked.status_code, case.act in text_of(asked)) == (401, True), text_of(asked)
    assert everything(app) == before
    form = read_form(asked.text, holding=PROOF)
    assert form.action == path
    assert typed.items() <= form.fields.items()

    wrong = confirm(visitor, asked, "wrong")
    assert (wrong.status_code, case.act in text_of(wrong)) == (422, True)
    assert field_error(wrong.text, PROOF) == "This is not your present password."
    assert "wrong</" not in wrong.text
    assert without(read_form(wrong.text, holding=PROOF).fields) == without(form.fields)
    assert read_tables(app)["users"] == before[0]["users"]  # type: ignore[index]

    done = confirm(visitor, wrong)
    expected = 307 if case.form.get("create_link") else case.route.answers["POST"]
    assert done.status_code == expected, text_of(done)
    assert everything(app) != before


def without(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name != "csrf_token"}


@each_act
def test_a_fresh_session_is_not_asked(app: Flask, set_stage: SetStage, case: Asked) -> None:  # noqa: F811
    visitor, path, typed = prepare(app, set_stage, case)
    age_sessions(app, created_at=MAX_CONFIRMATION_AGE - timedelta(seconds=30))
    assert visitor.post(path, typed).status_code in {307, case.route.answers["POST"]}


def test_once_confirmed_nothing_asks_for_ten_minutes(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    path = f"/users/{user.id}/password-link"
    age_sessions(app, **OLD)
    assert confirm(visitor, visitor.post(path)).status_code == 200
    assert visitor.post("/users/export").status_code == 200
    with app.app_context():
        [session] = get_session().scalars(select(SignInSession))
        assert session.confirmed_at is not None
        assert utc_now() - session.confirmed_at < timedelta(minutes=1)
    age_sessions(app, confirmed_at=MAX_CONFIRMATION_AGE - timedelta(seconds=30))
    assert visitor.post(path).status_code == 200
    age_sessions(app, confirmed_at=MAX_CONFIRMATION_AGE)
    assert visitor.post(path).status_code == 401


def test_another_session_of_the_same_person_is_not_confirmed_by_it(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    assert visitor.user is not None
    other, path = Visitor(app, visitor.user), f"/users/{user.id}/password-link"
    age_sessions(app, **OLD)
    assert confirm(visitor, visitor.post(path)).status_code == 200
    assert other.post(path).status_code == 401


def test_signing_in_and_a_new_password_count_as_confirmed(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    change = {
        "current_password": PASSWORD,
        "new_password": NEW_PASSWORD,
        "confirm_password": NEW_PASSWORD,
    }
    assert visitor.post("/auth/password", change).status_code == 303
    assert visitor.post(f"/users/{user.id}/password-link").status_code == 200
    own = {"email": "administrator@desk.example", "password": NEW_PASSWORD}
    again = Visitor(app)
    assert again.post("/auth/login", own).status_code == 303
    assert again.post(f"/users/{user.id}/password-link").status_code == 200


# Of members some acts are everyday work; of staff they end sessions, or give or change a way in


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.parametrize(
    ("path", "form", "act"),
    [
        ("deactivate", {}, "Deactivate Ann"),
        ("delete", {"version": "1"}, "Delete Ann"),
        (
            "edit",
            {"version": "1", "full_name": "Ann", "email": "other@example.org"},
            "Change the e-mail of Ann",
        ),
    ],
)
def test_of_staff_more_is_asked_than_of_members(
    app: Flask,
    signed_in: SignedIn,
    make_user: MakeUser,
    role: Role,
    path: str,
    form: Mapping[str, str],
    act: str,
) -> None:
    visitor, user = signed_in(), make_user(role=role, full_name="Ann")
    if path == "edit":
        form = {**form, "role": role.value}
    age_sessions(app, **OLD)
    answer = visitor.post(f"/users/{user.id}/{path}", form)
    if role is Role.MEMBER:
        assert answer.status_code == 303
        return
    assert (answer.status_code, act in text_of(answer)) == (401, True)
    assert confirm(visitor, answer).status_code == 303


@pytest.mark.parametrize("desk", ["support", "administrator"])
@pytest.mark.parametrize(
    ("action", "value"),
    [
        *((action, "") for action in ("activate", "deactivate", "trash", "restore")),
        *(("undo", action) for action in ("activate", "deactivate", "trash", "restore")),
    ],
)
def test_who_may_let_staff_in_or_shut_them_out_is_asked_before_many(
    app: Flask, signed_in: SignedIn, desk: str, action: str, value: str
) -> None:
    user = signed_in(desk).user
    assert user is not None
    actor = Actor(user_id=user.id, name="", role=Role(desk), is_confirmed=False)
    batch = Batch(action=action, value=value, total=3, position=1)
    if desk == "support":
        require_confirmation(batch, actor)
        return
    with pytest.raises(ConfirmationRequired) as asked:
        require_confirmation(batch, actor)
    assert asked.value.params["count"] == 2


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
def test_letting_staff_in_again_is_asked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, role: Role
) -> None:
    """A colleague who was shut out still knows their password."""
    visitor = signed_in()
    inactive, trashed = make_user(role=role, full_name="Ann", is_active=False), make_user(role=role)
    with app.app_context():
        delete_user(get_user(trashed.id), version=1, actor=TERMINAL)
    entry_id = newest_entry(app)
    age_sessions(app, **OLD)
    before = read_tables(app)["users"]
    acts = (
        f"/trash/{trashed.id}/restore",
        f"/users/changes/{entry_id}/undo",
        f"/users/{inactive.id}/activate",
    )
    answers = [visitor.post(path, {}) for path in (acts if role is Role.AUDITOR else acts[1:])]
    if role is Role.MEMBER:
        assert {answer.status_code for answer in answers} == {303}
        return
    assert {answer.status_code for answer in answers} == {401}
    assert read_tables(app)["users"] == before
    assert "Activate Ann" in text_of(answers[-1])
    assert confirm(visitor, answers[-1]).status_code == 303
    assert read_user(app, inactive.id).is_active  # type: ignore[union-attr]


@pytest.mark.parametrize("action", ["deactivate", "trash"])
def test_an_undo_of_an_undo_is_asked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, action: str
) -> None:
    """It shuts out again whom the undo let in."""
    desk, users = signed_in(), [make_user(role=Role.AUDITOR) for _ in range(2)]
    path = begin(desk, *(user.id for user in users), action=action)
    press(desk, path, "run")
    undo = desk.post(f"{path}/undo").headers["Location"]
    age_sessions(app, **OLD)
    asked = desk.post(f"{undo}/undo")
    assert "Undo the change of the selected users (2)" in text_of(asked)
    assert all(user and user.is_active for user in (read_user(app, each.id) for each in users))


# Only what changes a role asks


def test_an_edit_that_leaves_the_role_is_not_asked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(role=Role.AUDITOR)
    form = read_form(visitor.get(f"/users/{user.id}/edit").text, holding="full_name").fields
    age_sessions(app, **OLD)
    assert visitor.post(f"/users/{user.id}/edit", {**form, "full_name": "Renamed"}).status_code == 303
    # Neither is one that was begun before another changed the role, and leaves it alone.
    with app.app_context():
        update_user(get_user(user.id), version=2, role="support", actor=TERMINAL)
    late = {**form, "full_name": "Renamed again", "version": "2"}
    assert visitor.post(f"/users/{user.id}/edit", late).status_code == 303
    saved = read_user(app, user.id)
    assert saved is not None
    assert (saved.full_name, saved.role) == ("Renamed again", Role.SUPPORT)


def test_what_is_wrong_with_a_form_is_said_before_the_password_is_asked_for(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    bad = {**EDIT, "email": "no address", "role": "support"}
    assert visitor.post(f"/users/{user.id}/edit", bad).status_code == 422


def test_what_is_only_foreseen_is_not_asked(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    """A grant is shown first and then made: it asks once."""
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    shown = visitor.post(f"/users/{user.id}/credits/grant", {"amount": "5", "reason": "A present"})
    assert (shown.status_code, "Grant 5.00?" in shown.text) == (200, True)
    form = read_form(shown.text, holding="confirmed")
    asked = visitor.post_raw(f"/users/{user.id}/credits/grant", form.fields)
    assert asked.status_code == 401
    assert confirm(visitor, asked).status_code == 303


def test_undoing_a_change_of_the_role_is_asked_and_of_the_name_not(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann")
    entries = []
    for version, change in ((1, {"role": "auditor"}), (2, {"full_name": "Bob"})):
        with app.app_context():
            update_user(get_user(user.id), version=version, actor=TERMINAL, **change)  # type: ignore[arg-type]
        entries.append(newest_entry(app))
    age_sessions(app, **OLD)
    assert visitor.post(f"/users/changes/{entries[1]}/undo").status_code == 303
    asked = visitor.post(f"/users/changes/{entries[0]}/undo")
    assert asked.status_code == 401
    assert "Change the role of Ann to Member" in text_of(asked)
    assert confirm(visitor, asked).status_code == 303
    assert read_user(app, user.id).role is Role.MEMBER  # type: ignore[union-attr]


def test_undoing_a_bulk_change_of_roles_is_asked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, users = signed_in(), [make_user() for _ in range(2)]
    path = begin(desk, *(user.id for user in users), action="set_role")
    choose(desk, path, "set_role", role="auditor", value="auditor")
    press(desk, path, "run")
    assert {read_user(app, user.id).role for user in users} == {Role.AUDITOR}  # type: ignore[union-attr]
    age_sessions(app, **OLD)
    asked = desk.post(f"{path}/undo")
    assert asked.status_code == 401
    assert "Undo the role change of the selected users (2)" in text_of(asked)
    assert {read_user(app, user.id).role for user in users} == {Role.AUDITOR}  # type: ignore[union-attr]
    assert confirm(desk, asked).status_code == 303
    assert {read_user(app, user.id).role for user in users} == {Role.MEMBER}  # type: ignore[union-attr]


def test_a_bulk_change_without_roles_is_not_asked(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk = signed_in("support")
    path = begin(desk, make_user().id, action="deactivate")
    age_sessions(app, **OLD)
    assert press(desk, path, "run").status_code == 303
    assert desk.post(f"{path}/undo").status_code == 303


# The page that asks


def test_values_of_one_name_stay_several_and_no_password_comes_back(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    age_sessions(app, **OLD)
    typed = {
        "name": "Report <1>",
        "days": "30",
        "scopes": ["users.read", "history.read"],
        "new_password": "secret words",
    }
    asked = visitor.post("/tokens/new?a=1", typed)
    assert asked.status_code == 401
    assert asked.text.count('name="scopes"') == 2
    assert "secret words" not in asked.text
    assert "Report &lt;1&gt;" in asked.text
    form = read_form(asked.text, holding=PROOF)
    assert form.action == "/tokens/new?a=1"
    assert field_value(asked.text, PROOF) == ""
    again = {**form.fields, "scopes": typed["scopes"], PROOF: PASSWORD}
    made = visitor.post_raw(form.action, again)
    assert made.status_code == 200
    assert PASSWORD not in made.text


def test_it_names_the_account_to_password_managers_and_leads_back(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    here = f"/users/{user.id}?back=q%3Dann"
    asked = visitor.post(f"/users/{user.id}/sign-out", headers={"Referer": f"http://localhost{here}"})
    assert 'autocomplete="current-password"' in asked.text
    assert 'autocomplete="username"' in asked.text
    assert field_value(asked.text, "confirmation-username") == "administrator@desk.example"
    assert f'href="{here}"' in asked.text
    wrong = confirm(visitor, asked, "wrong")  # sent from an address that answers to no GET
    assert f'href="{here}"' in wrong.text
    form = read_form(wrong.text, holding=PROOF)
    evil = visitor.post_raw(form.action, {**form.fields, "confirmation-from": "//evil.example/", PROOF: ""})
    assert "evil.example" not in evil.text
    assert field_error(evil.text, PROOF) == "Enter your password."


def test_a_user_is_created_with_a_link_by_one_confirmation(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in("support")
    age_sessions(app, **OLD)
    asked = visitor.post("/users/new", {"full_name": "Zoe", "email": "zoe@example.org", "create_link": "y"})
    form = read_form(asked.text, holding=PROOF)
    sent = {**form.fields, PROOF: PASSWORD}
    led_on = visitor.post_raw(form.action, sent)
    assert led_on.status_code == 307
    made = visitor.post_raw(led_on.headers["Location"], sent)
    assert made.status_code == 200
    assert "/auth/set-password/" in made.text


def test_a_form_that_is_too_large_is_not_carried_on(app: Flask, signed_in: SignedIn) -> None:
    visitor = signed_in()
    age_sessions(app, **OLD)
    large = visitor.post("/users/export", {"more": "x" * 300_000})
    assert large.status_code == 413
    assert "xxxx" not in large.text


@pytest.mark.parametrize("field", [PROOF, "confirmation-from", "confirmation-username", "extra"])
def test_any_text_in_any_of_its_fields_is_refused_calmly(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, field: str
) -> None:
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    path, token = f"/users/{user.id}/password-link", visitor.csrf_token()
    before = read_tables(app)["password_links"]
    for name, text in TEXTS.items():
        body = encode({PROOF: "wrong", "csrf_token": token, field: text})
        answer = visitor.post_raw(path, body, content_type="application/x-www-form-urlencoded")
        is_too_large = name == "a megabyte" and field in {"extra", "confirmation-username"}
        assert (name, answer.status_code) == (name, 413 if is_too_large else 422)
        assert CANARY not in answer.text
        assert not re.search(r'href="(//|/\\|javascript)', answer.text)
        with app.app_context():
            get_session().execute(delete(Attempts))
            get_session().commit()
    assert read_tables(app)["password_links"] == before


def test_it_is_in_the_language_of_the_person(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(language="fr"), make_user(full_name="Ann")
    age_sessions(app, **OLD)
    asked = visitor.post(f"/users/{user.id}/edit", {**EDIT, "role": "support"})
    assert "Donner à Ann le rôle Assistance" in text_of(asked)


# Guessing, and what ends meanwhile


def test_wrong_passwords_are_counted_and_stand_in_the_history(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    asked = visitor.post(f"/users/{user.id}/password-link")
    statuses = [
        confirm(visitor, asked, f"guess {number}").status_code for number in range(MAX_PER_DEVICE + 1)
    ]
    assert statuses == [*[422] * MAX_PER_DEVICE, 429]
    blocked = confirm(visitor, asked)
    assert blocked.status_code == 429, "not even the right one"
    assert int(blocked.headers["Retry-After"]) > 0
    assert "Too many attempts." in blocked.text
    with app.app_context():
        failed = select(ENTRIES.c.id).where(ENTRIES.c.kind == Kind.SIGN_IN_FAILED.value)
        kinds = get_session().execute(failed.order_by(ENTRIES.c.id))
        stories = [get_story(row.id) for row in kinds]
    reasons = [story.facts["reason"] for story in stories]
    assert reasons == [*["current_password"] * MAX_PER_DEVICE, "throttled"]
    assert {story.subject_id for story in stories} == {visitor.user and visitor.user.id}
    history = Visitor(app, visitor.user).get("/history/")
    assert "the current password was wrong" in history.text


def test_strangers_who_lock_the_account_hinder_no_one_who_confirms(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    assert visitor.user is not None
    age_sessions(app, **OLD)
    with app.app_context():
        for number in range(MOST_PER_ACCOUNT):
            count_attempt(email=visitor.user.email, address=f"198.51.100.{number}")
    assert confirm(visitor, visitor.post(f"/users/{user.id}/password-link")).status_code == 200


def test_a_password_sent_with_what_asks_for_none_is_not_looked_at_twice(
    app: Flask, signed_in: SignedIn
) -> None:
    """A fresh session is confirmed already: no work, no count, no oracle."""
    visitor = signed_in()
    assert visitor.post("/auth/profile", {"version": "1", PROOF: "wrong"}).status_code == 303
    with app.app_context():
        assert get_session().scalars(select(Attempts)).all() == []


def own_actor(app: Flask, user: User) -> tuple[Actor, int]:
    """What the request of a session begins with."""
    with app.app_context():
        services.open_session(user_id=user.id, epoch=user.session_epoch, address="", user_agent="")
        session_id = max(get_session().scalars(select(SignInSession.id)))
    actor = Actor(
        user_id=user.id,
        name=user.display_name,
        role=user.role,
        epoch=user.session_epoch,
        credential=lambda: get_session().get(SignInSession, session_id, populate_existing=True) is not None,
        is_confirmed=False,
    )
    return actor, session_id


def confirm_late(app: Flask, user: User, meanwhile: Callable[[Actor], object]) -> None:
    """Something happens between the moment in which the user was read and the one in which it is written."""
    actor, session_id = own_actor(app, user)
    with app.app_context():
        meanwhile(actor)
    with app.app_context():
        try:
            services.confirm_identity(user, password=PASSWORD, session_id=session_id, address="", actor=actor)
        finally:
            assert set(get_session().scalars(select(SignInSession.confirmed_at))) <= {None}


def test_a_password_that_was_changed_meanwhile_confirms_nothing(app: Flask, make_user: MakeUser) -> None:
    user = make_user(role=Role.SUPPORT)
    with pytest.raises(SignInEnded):
        confirm_late(
            app,
            user,
            lambda _: set_password(get_user(user.id), password=NEW_PASSWORD, actor=TERMINAL),
        )


def test_nor_does_one_whose_hash_alone_is_another(app: Flask, make_user: MakeUser) -> None:
    def rewrite(_actor: Actor) -> None:
        get_session().execute(update(User).values(hashed_password=hash_password(NEW_PASSWORD)))
        get_session().commit()

    with pytest.raises(Invalid):
        confirm_late(app, make_user(role=Role.SUPPORT), rewrite)


def test_nor_in_a_session_or_an_account_that_has_ended(app: Flask, make_user: MakeUser) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user = make_user(role=Role.SUPPORT)
    with pytest.raises(SignInEnded):
        confirm_late(app, user, lambda actor: services.revoke_other_sessions(keep=0, actor=actor))
    with pytest.raises(SignInEnded):
        confirm_late(app, user, lambda _: deactivate_user(get_user(user.id), actor=TERMINAL))


def test_of_many_at_once_none_confirms_a_session_that_ends(file_app: Flask, hashed_password: str) -> None:
    """A session that was stolen is confirmed by six threads while its owner signs out everywhere."""
    user = user_maker(file_app, hashed_password)(role=Role.SUPPORT)
    actor, session_id = own_actor(file_app, user)

    def confirm_it() -> None:
        services.confirm_identity(
            get_user(user.id), password=PASSWORD, session_id=session_id, address="", actor=actor
        )

    ended: list[datetime] = []

    def end_all() -> None:
        sign_out_everywhere(get_user(user.id), actor=TERMINAL)
        ended.append(utc_now())

    outcomes = race(file_app, *[confirm_it] * 6, end_all)
    assert {type(outcome) for outcome in outcomes} <= {type(None), SignInEnded, Busy}
    with file_app.app_context():
        [confirmed_at] = get_session().scalars(select(SignInSession.confirmed_at))
    assert confirmed_at is None or confirmed_at <= ended[0]


def test_a_cookie_says_nothing_of_it(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    """It is read from the session's row, so what a browser sends cannot make it younger."""
    visitor, user = signed_in(), make_user()
    age_sessions(app, **OLD)
    with visitor.client.session_transaction() as cookie:
        cookie["confirmed_at"] = utc_now().isoformat()
        cookie["is_confirmed"] = True
    assert visitor.post(f"/users/{user.id}/password-link").status_code == 401
