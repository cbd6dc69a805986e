"""GET, POST /users/<id>/edit: a saved change, or everything that was typed and why it was not saved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import product

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import MakeUser, SignedIn, newest_entry, read_tables, read_user
from tests.corpus import TEXTS, encode
from tests.pages.asking import (
    UNKNOWN_IDS,
    assert_get_asks_to_sign_in,
    assert_get_writes_nothing,
    assert_post_asks_to_sign_in,
    assert_refused,
    text_of,
)
from tests.pages.form_reader import PageForm, read_form
from tests.visitor import Visitor, field_error, field_value
from webapp.access.permissions import Role


def path_of(user_id: int | str) -> str:
    return f"/users/{user_id}/edit"


def open_form(visitor: Visitor, user_id: int) -> PageForm:
    return read_form(visitor.get(path_of(user_id)).text, holding="full_name")


def test_the_pages_own_form_saves(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, old = signed_in(), make_user(full_name="Ann Lee", email="ann@example.org", role=Role.AUDITOR)
    form = open_form(visitor, old.id)
    assert {name: form.fields[name] for name in ("full_name", "email", "role", "version")} == {
        "full_name": "Ann Lee",
        "email": "ann@example.org",
        "role": "auditor",
        "version": "1",
    }
    answer = visitor.post_raw(
        path_of(old.id), {**form.fields, "full_name": " Ann  Other ", "role": "support"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{old.id}")
    assert "Ann Other is saved." in visitor.get(answer.headers["Location"]).text
    new = read_user(app, old.id)
    assert new is not None
    assert (new.full_name, new.email, new.role, new.version) == ("Ann Other", old.email, Role.SUPPORT, 2)


def test_a_member_who_becomes_staff_needs_a_new_link_and_the_page_says_so(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, member = signed_in(), make_user()
    form = open_form(visitor, member.id)
    assert "A member who gets one of these roles loses their password" in visitor.get(path_of(member.id)).text
    answer = visitor.post_raw(
        path_of(member.id), {**form.fields, "role": "administrator"}, follow_redirects=True
    )
    assert "They have no password now and need a new password link." in answer.text
    assert "No password is set, and there is no valid link to set one." in answer.text
    form = open_form(visitor, member.id)
    again = visitor.post_raw(path_of(member.id), {**form.fields, "role": "support"}, follow_redirects=True)
    assert "need a new password link" not in again.text, "it was said before"


def test_saving_what_is_there_changes_nothing_and_says_so(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    answer = visitor.post_raw(path_of(user.id), open_form(visitor, user.id).fields, follow_redirects=True)
    assert "Nothing was changed." in answer.text
    same = read_user(app, user.id)
    assert same is not None
    assert (same.version, same.updated_at) == (user.version, user.updated_at)


def test_without_anybody_signed_in_it_asks_to_sign_in(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    assert_get_asks_to_sign_in(app, path_of(user.id))
    assert_post_asks_to_sign_in(app, path_of(user.id), {"full_name": "Eve", "email": "eve@example.org"})


@pytest.mark.parametrize(
    ("role", "target"),
    [("auditor", role) for role in Role] + [("support", role) for role in Role if role is not Role.MEMBER],
)
def test_who_may_not_is_refused(signed_in: SignedIn, make_user: MakeUser, role: str, target: Role) -> None:
    visitor, user = signed_in(role), make_user(role=target)
    assert visitor.get(path_of(user.id)).status_code == 403
    values = {"full_name": "Eve", "email": user.email, "role": "member", "version": "1"}
    assert_refused(visitor, path_of(user.id), values)


def test_support_edits_a_member_and_no_more_than_it_may(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in("support"), make_user()
    form = open_form(visitor, user.id)
    assert "role" not in form.fields
    extra = {
        "role": "administrator",
        "id": "1",
        "is_active": "",
        "hashed_password": "x",
        "session_epoch": "7",
    }
    answer = visitor.post_raw(path_of(user.id), {**form.fields, **extra, "full_name": "Changed"})
    assert answer.status_code == 303
    new = read_user(app, user.id)
    assert new is not None
    assert (new.full_name, new.role, new.is_active, new.session_epoch) == ("Changed", Role.MEMBER, True, 0)
    assert new.hashed_password == user.hashed_password


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_nobody_there_is_said(signed_in: SignedIn, user_id: str) -> None:
    visitor = signed_in()
    assert visitor.get(path_of(user_id)).status_code == 404
    assert_refused(visitor, path_of(user_id), {"full_name": "Eve", "email": "eve@example.org"}, status=404)


def test_opening_the_form_writes_nothing(signed_in: SignedIn, make_user: MakeUser) -> None:
    assert_get_writes_nothing(signed_in(), path_of(make_user().id))


def test_it_takes_three_queries_to_open_and_two_to_note_that(
    signed_in: SignedIn, make_user: MakeUser, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    visitor, user = signed_in(), make_user()
    counts: list[Counter[str]] = []
    for _ in range(2):
        with count_queries() as statements:
            visitor.get(path_of(user.id))
        counts.append(Counter(statement.split()[0] for statement in statements))
    assert counts[0] == {"SELECT": 3, "WITH": 1, "INSERT": 1}, "who is signed in, the user, who else; swept"
    assert counts[1] == {"SELECT": 3}, "noted a moment ago"


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"email": ""}, "email", "Enter an e-mail address."),
        ({"email": "a@b@c"}, "email", "not an e-mail address"),
        ({"full_name": "Ann\0Lee"}, "full_name", "U+0000"),
        ({"role": "king"}, "role", "Choose one of"),
    ],
)
def test_bad_input_is_named_and_what_was_typed_is_kept(
    signed_in: SignedIn, make_user: MakeUser, values: dict[str, str], field: str, text: str
) -> None:
    visitor, user = signed_in(), make_user()
    sent = {**open_form(visitor, user.id).fields, "full_name": "Typed", "back": "q=ann", **values}
    answer = assert_refused(visitor, path_of(user.id), sent, status=422)
    assert text in (field_error(answer.text, field) or "")
    kept = read_form(answer.text, holding="full_name").fields
    for name in {"full_name", "email", "version", "back"} - (
        {"full_name"} if "\0" in sent["full_name"] else set()
    ):
        assert kept[name] == sent[name]


def test_a_taken_address_is_a_conflict_on_its_field(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user, other = signed_in(), make_user(), make_user(email="taken@example.org")
    sent = {**open_form(visitor, user.id).fields, "email": other.email.upper(), "full_name": "Typed"}
    answer = assert_refused(visitor, path_of(user.id), sent, status=409)
    assert field_error(answer.text, "email") == "Another user already has this e-mail."
    kept = read_form(answer.text, holding="full_name").fields
    assert (kept["full_name"], kept["email"], kept["version"]) == ("Typed", other.email.upper(), "1")


def test_the_second_of_two_tabs_sees_both_values_and_may_save_its_own(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee", email="ann@example.org")
    first, second = open_form(visitor, user.id), open_form(visitor, user.id)
    visitor.post_raw(path_of(user.id), {**first.fields, "full_name": "Ann First"})
    answer = assert_refused(
        visitor, path_of(user.id), {**second.fields, "full_name": "Ann Second"}, status=409
    )
    page = text_of(answer)
    assert "Ann First" in page
    assert "Ann Second" in page
    merged = read_form(answer.text, holding="full_name")
    assert (merged.fields["full_name"], merged.fields["version"]) == ("Ann Second", "2")
    assert visitor.post_raw(path_of(user.id), merged.fields).status_code == 303
    new = read_user(app, user.id)
    assert new is not None
    assert (new.full_name, new.email, new.version) == ("Ann Second", "ann@example.org", 3)


def test_a_third_editor_is_noticed_again_after_the_comparison(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    old = open_form(visitor, user.id)
    visitor.post_raw(path_of(user.id), {**old.fields, "full_name": "One"})
    answer = visitor.post_raw(path_of(user.id), {**old.fields, "full_name": "Two"})
    merged = read_form(answer.text, holding="full_name")
    visitor.post_raw(path_of(user.id), {**open_form(visitor, user.id).fields, "full_name": "Three"})
    assert visitor.post_raw(path_of(user.id), merged.fields).status_code == 409
    same = read_user(app, user.id)
    assert same is not None
    assert same.full_name == "Three"


def test_a_form_sent_twice_is_no_conflict_with_oneself(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user()
    sent = {**open_form(visitor, user.id).fields, "full_name": "Changed"}
    statuses = [visitor.post_raw(path_of(user.id), sent).status_code for _ in range(2)]
    assert statuses == [303, 303]
    new = read_user(app, user.id)
    assert new is not None
    assert new.version == 2


def test_the_back_button_does_not_undo_a_later_change(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    """What was not touched in a stale form is not this editor's: it says nothing about the present value."""
    visitor, user = signed_in(), make_user(full_name="Zero")
    old = open_form(visitor, user.id)
    visitor.post_raw(path_of(user.id), {**old.fields, "full_name": "One"})
    before, newest = read_tables(app), newest_entry(app)
    answer = visitor.post_raw(path_of(user.id), old.fields, follow_redirects=True)
    assert "Nothing was changed." in answer.text
    assert (read_tables(app), newest_entry(app)) == (before, newest)


def test_of_two_editors_both_keep_their_changes_and_the_second_is_told(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(full_name="Ann Lee", email="ann@example.org")
    first, second = open_form(visitor, user.id), open_form(visitor, user.id)
    visitor.post_raw(path_of(user.id), {**first.fields, "email": "other@example.org", "role": "support"})
    answer = visitor.post_raw(
        path_of(user.id), {**second.fields, "full_name": "Ann Other"}, follow_redirects=True
    )
    page = text_of(answer)
    assert "Ann Other is saved." in page
    assert "What somebody else changed meanwhile is kept: E-mail, Role." in page
    new = read_user(app, user.id)
    assert new is not None
    assert (new.full_name, new.email, new.role) == ("Ann Other", "other@example.org", Role.SUPPORT)


def test_who_edits_alone_is_not_told_of_somebody_else(signed_in: SignedIn, make_user: MakeUser) -> None:
    visitor, user = signed_in(), make_user()
    for name in ("One", "Two"):
        sent = {**open_form(visitor, user.id).fields, "full_name": name}
        answer = visitor.post_raw(path_of(user.id), sent, follow_redirects=True)
        assert "is saved." in answer.text
        assert "somebody else" not in answer.text


CLASHES = {
    "full_name": ("Before", "Theirs", "Mine"),
    "email": ("before@example.org", "theirs@example.org", "mine@example.org"),
    "role": ("member", "support", "auditor"),
}


def clash(visitor: Visitor, user_id: int, names: Iterable[str]) -> TestResponse:
    """The page that the second of two editors gets who both changed these fields."""
    first, second = open_form(visitor, user_id), open_form(visitor, user_id)
    theirs = {name: CLASHES[name][1] for name in names}
    mine = {name: CLASHES[name][2] for name in names}
    assert visitor.post_raw(path_of(user_id), {**first.fields, **theirs}).status_code == 303
    return assert_refused(visitor, path_of(user_id), {**second.fields, **mine}, status=409)


def start_of(names: Iterable[str] = CLASHES) -> dict[str, object]:
    values = {name: CLASHES[name][0] for name in names}
    return {**values, "role": Role(values["role"])} if "role" in values else dict(values)


@pytest.mark.parametrize("name", CLASHES)
def test_a_field_that_both_changed_is_shown_before_theirs_and_yours(
    signed_in: SignedIn, make_user: MakeUser, name: str
) -> None:
    visitor, user = signed_in(), make_user(**start_of())
    answer = clash(visitor, user.id, [name])
    row = re.search(r"<tbody>.*?</tbody>", text_of(answer), re.DOTALL)
    assert row is not None
    shown = [value.title() if name == "role" else value for value in CLASHES[name]]
    assert re.search(".*".join(map(re.escape, shown)), row[0], re.DOTALL)
    assert {*re.findall(r'name="choice-(\w+)"', answer.text)} == {name}
    assert re.findall(r'value="(theirs|mine)"', answer.text) == ["theirs", "mine"]
    assert "Administrator Desk saved this user" in answer.text


@pytest.mark.parametrize("chosen", list(product(("theirs", "mine"), repeat=3)))
def test_each_field_is_chosen_for_itself(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, chosen: tuple[str, ...]
) -> None:
    visitor, user = signed_in(), make_user(**start_of())
    form = read_form(clash(visitor, user.id, CLASHES).text, holding="full_name")
    choices = {f"choice-{name}": choice for name, choice in zip(CLASHES, chosen, strict=True)}
    answer = visitor.post_raw(path_of(user.id), {**form.fields, **choices}, follow_redirects=True)
    assert ("Nothing was changed." if set(chosen) == {"theirs"} else "is saved.") in answer.text
    new = read_user(app, user.id)
    assert new is not None
    for (name, values), choice in zip(CLASHES.items(), chosen, strict=True):
        assert getattr(new, name) == values[1 if choice == "theirs" else 2], name


def test_what_was_typed_anew_on_the_comparison_is_what_is_saved_as_mine(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(**start_of())
    form = read_form(clash(visitor, user.id, ["full_name"]).text, holding="full_name")
    visitor.post_raw(
        path_of(user.id), {**form.fields, "choice-full_name": "mine", "full_name": "Better still"}
    )
    new = read_user(app, user.id)
    assert new is not None
    assert new.full_name == "Better still"


def test_beside_a_clash_what_only_one_changed_is_kept(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    visitor, user = signed_in(), make_user(**start_of())
    first, second = open_form(visitor, user.id), open_form(visitor, user.id)
    visitor.post_raw(path_of(user.id), {**first.fields, "full_name": "Theirs", "role": "support"})
    mine = {"full_name": "Mine", "email": "mine@example.org"}
    answer = assert_refused(visitor, path_of(user.id), {**second.fields, **mine}, status=409)
    assert {*re.findall(r'name="choice-(\w+)"', answer.text)} == {"full_name"}
    form = read_form(answer.text, holding="full_name")
    assert (form.fields["email"], form.fields["role"]) == ("mine@example.org", "support")
    visitor.post_raw(path_of(user.id), {**form.fields, "choice-full_name": "theirs"})
    new = read_user(app, user.id)
    assert new is not None
    assert (new.full_name, new.email, new.role) == ("Theirs", "mine@example.org", Role.SUPPORT)


def test_support_compares_what_it_may_change(app: Flask, signed_in: SignedIn, make_user: MakeUser) -> None:
    desk, user = signed_in("support"), make_user(full_name="Before")
    old = open_form(desk, user.id)
    desk.post_raw(path_of(user.id), {**old.fields, "full_name": "Theirs"})
    answer = assert_refused(desk, path_of(user.id), {**old.fields, "full_name": "Mine"}, status=409)
    assert "role" not in read_form(answer.text, holding="full_name").fields
    forged = {"choice-role": "theirs", "choice-email": "theirs", "role": "administrator"}
    form = read_form(answer.text, holding="full_name")
    sent = {**form.fields, "choice-full_name": "mine", **forged}
    assert desk.post_raw(path_of(user.id), sent).status_code == 303
    new = read_user(app, user.id)
    assert new is not None
    assert (new.full_name, new.role) == ("Mine", Role.MEMBER)


@pytest.mark.parametrize("choice", [name for name, text in TEXTS.items() if len(text) <= 5_000])
def test_any_other_choice_counts_as_mine(
    app: Flask, signed_in: SignedIn, make_user: MakeUser, choice: str
) -> None:
    """Of the corpus; one must choose "theirs" to lose what one typed."""
    visitor, user = signed_in(), make_user(**start_of())
    form = read_form(clash(visitor, user.id, ["full_name"]).text, holding="full_name")
    body = encode({**form.fields, "choice-full_name": TEXTS[choice]})
    answer = visitor.post_raw(path_of(user.id), body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 303
    new = read_user(app, user.id)
    assert new is not None
    assert new.full_name == "Mine"


@pytest.mark.parametrize(
    "version",
    ["", "0", "2", "99", "-1", "1.0", "x", "2147483647", "2147483648", "9" * 5000, "١", " 1", None],
)
def test_a_version_nobody_can_have_seen_saves_nothing(
    signed_in: SignedIn, make_user: MakeUser, version: str | None
) -> None:
    visitor, user = signed_in(), make_user()
    sent = {**open_form(visitor, user.id).fields, "full_name": "Late"}
    sent.pop("version")
    assert_refused(
        visitor, path_of(user.id), sent | ({} if version is None else {"version": version}), status=409
    )


def test_a_user_deleted_while_being_edited_is_said(
    app: Flask, signed_in: SignedIn, make_user: MakeUser
) -> None:
    """And what was typed is still there."""
    visitor, user = signed_in(), make_user()
    form = open_form(visitor, user.id)
    visitor.post(f"/users/{user.id}/delete", {"version": "1"})
    answer = assert_refused(visitor, path_of(user.id), {**form.fields, "full_name": "Late"}, status=404)
    assert "This user was deleted while you were editing." in answer.text
    assert field_value(answer.text, "full_name") == "Late"
    assert f'"/trash/{user.id}/restore"' in answer.text


def test_support_is_told_of_a_deleted_user_without_a_way_into_the_trash(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    desk, user = signed_in("support"), make_user()
    form = open_form(desk, user.id)
    signed_in().post(f"/users/{user.id}/delete", {"version": "1"})
    answer = assert_refused(desk, path_of(user.id), {**form.fields, "full_name": "Late"}, status=404)
    assert "This user was deleted while you were editing." in answer.text
    assert field_value(answer.text, "full_name") == "Late"
    assert "/trash/" not in answer.text


def test_the_last_administrator_cannot_demote_himself(signed_in: SignedIn) -> None:
    visitor = signed_in()
    assert visitor.user is not None
    sent = {**open_form(visitor, visitor.user.id).fields, "role": "member", "full_name": "Typed"}
    answer = assert_refused(visitor, path_of(visitor.user.id), sent, status=409)
    assert "last administrator" in (field_error(answer.text, "role") or "")
    kept = read_form(answer.text, holding="full_name").fields
    assert (kept["full_name"], kept["role"]) == ("Typed", "member")


def test_who_demotes_himself_has_only_his_new_role_from_then_on(
    signed_in: SignedIn, make_user: MakeUser
) -> None:
    make_user(role=Role.ADMINISTRATOR)
    visitor = signed_in()
    assert visitor.user is not None
    sent = {**open_form(visitor, visitor.user.id).fields, "role": "auditor"}
    answer = visitor.post_raw(path_of(visitor.user.id), sent, follow_redirects=True)
    assert answer.status_code == 200
    assert answer.request.path == "/auth/login"  # a role is signed in to anew
    assert visitor.get(path_of(visitor.user.id)).status_code == 303


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/\\evil.example", "next=//evil.example"]
)
def test_after_saving_one_never_leaves_the_site(signed_in: SignedIn, make_user: MakeUser, back: str) -> None:
    visitor, user = signed_in(), make_user()
    form = open_form(visitor, user.id)
    answer = visitor.post_raw(path_of(user.id), {**form.fields, "full_name": "Changed", "back": back})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/users/")
