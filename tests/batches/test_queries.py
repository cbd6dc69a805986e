"""Whom a pasted list names: found, not found, or several; and what a bulk change shows of each."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.batches.ways import draft, finish
from tests.conftest import MakeUser
from tests.users.test_many import DESK, settle_crowd
from webapp.access.permissions import Role
from webapp.batches import queries
from webapp.batches.queries import Ambiguous, Resolution, list_namesakes, read_reason, resolve, write_reason
from webapp.batches.rules import MOST_UNRESOLVED, Action, Wanted, read_list
from webapp.errors import Conflict, NotFound
from webapp.users import trash
from webapp.users.queries import get_user


def found(app: Flask, text: str) -> Resolution:
    with app.app_context():
        return resolve(read_list(text))


# Pasted lists


@pytest.mark.parametrize(
    "text",
    ["ann.lee@exämple.org", "ANN.LEE@EXÄMPLE.ORG", "Ann.Lee@exa\u0308mple.org", "Ann <ann.lee@exämple.org>",
     "{id}", "#{id}", "Ánn Lée", "ann   lee", "ANN LEE", "A\u0301nn Lee", '"Ann Lee"'],
)  # fmt: skip
def test_one_is_found_by_address_id_or_name(app: Flask, make_user: MakeUser, text: str) -> None:
    make_user(full_name="Ann Leeds", email="ann.leeds@exämple.org")
    user = make_user(full_name="Ánn Lee", email="ann.lee@exämple.org")
    assert found(app, text.format(id=user.id)) == Resolution({user.id})


@pytest.mark.parametrize(
    "text",
    ["bob@example.org", "999", "9" * 30, "0", "Ann", "Lee", "Lee Ann", "x" * 300, "ann@example.org.uk"],
)
def test_who_is_not_there_is_told_as_it_was_written(app: Flask, make_user: MakeUser, text: str) -> None:
    make_user(full_name="Ann Lee", email="ann@example.org")
    assert found(app, text) == Resolution(not_found=[text[:120]], missing=1)


def test_a_name_that_is_too_long_for_anybody_is_not_the_one_of_somebody_without_letters(
    app: Flask, make_user: MakeUser
) -> None:
    make_user(full_name="\u0301")
    assert found(app, "x" * 201).missing == 1


@pytest.mark.parametrize("name", ["Ann (Annie)", "'Abd al-Rahman", "O'", "Lee, Ann", "漢字", "🙂", "X. [y]"])
def test_everybody_is_found_by_the_name_that_is_stored(app: Flask, make_user: MakeUser, name: str) -> None:
    user = make_user(full_name=name)
    assert found(app, name).found == {user.id}


def test_a_full_width_address_is_the_address(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann", email="ann@example.org")
    assert found(app, "ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ").found == {user.id}


def test_namesakes_are_unclear_and_counted(app: Flask, make_user: MakeUser) -> None:
    anns = [make_user(full_name=name).id for name in ("Ann Lee", "ANN LÉE", "ann lee")]
    bob = make_user(full_name="Bob").id
    assert found(app, "Ánn Lee\nBob") == Resolution(
        {bob}, ambiguous=[Ambiguous("ann lee", "Ánn Lee", 3)], unclear=1
    )
    with app.app_context():
        assert {person.id for person in list_namesakes("ann lee")} == set(anns)
        assert list_namesakes("nobody") == []


def test_who_has_no_name_is_found_by_his_address(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="", email="ann@example.org")
    assert found(app, "ann@example.org").found == {user.id}


def test_one_who_is_named_thrice_is_found_once(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    assert found(app, f"Ann Lee\nann@example.org\n{user.id}").found == {user.id}


def test_who_is_in_the_trash_is_not_found(app: Flask, make_user: MakeUser) -> None:
    user = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        trash.delete_user(get_user(user.id), version=1, actor=DESK)
    assert found(app, f"Ann Lee\nann@example.org\n{user.id}").missing == 3


def test_long_lists_are_looked_up_in_parts(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "AT_A_TIME", 7)
    ids = settle_crowd(app, 60)
    assert found(app, "\n".join(f"p{at}@example.org" for at in range(1, 71))).found == set(ids)
    resolution = found(app, " ".join(map(str, range(1, 71))))
    assert (resolution.found, resolution.missing) == (set(ids), 10)
    assert found(app, "\n".join(f"person {at}" for at in ids)).found == set(ids)


def test_of_what_is_unclear_as_much_is_kept_as_can_be_shown(app: Flask) -> None:
    with app.app_context():
        wanted = [Wanted("email", f"x{at}@x.org", "x" * 120) for at in range(MOST_UNRESOLVED + 5)]
        resolution = resolve(wanted)
    assert (resolution.missing, len(resolution.not_found)) == (MOST_UNRESOLVED + 5, MOST_UNRESOLVED)
    assert Resolution.from_json(resolution.to_json()) == resolution


@pytest.mark.parametrize(
    "resolution",
    [
        Resolution(),
        Resolution(not_found=["a\0b", "\ud800", "é", '"'], missing=9),
        Resolution(ambiguous=[Ambiguous("ann", "Ann", 2)], unclear=3),
    ],
)
def test_what_is_unclear_comes_back_from_the_database(resolution: Resolution) -> None:
    text = resolution.to_json()
    assert "\0" not in text
    text.encode()
    assert Resolution.from_json(text) == resolution
    assert (text == "") is (resolution == Resolution())


# What became of each


@pytest.mark.parametrize("batch_id", [-1, 0, 1, 2**63 - 1, 2**63, 10**40])
def test_a_batch_that_is_not_there_is_not_found(context: Flask, batch_id: int) -> None:
    with pytest.raises(NotFound):
        queries.get_batch(batch_id)


def test_rows_are_shown_in_order_and_by_outcome(app: Flask, make_user: MakeUser) -> None:
    done = [make_user(full_name=f"Done {at}", email=f"d{at}@x.org").id for at in range(3)]
    same = make_user(is_active=False).id
    staff = make_user(role=Role.ADMINISTRATOR).id
    batch_id = draft(app, [*done, same, staff, 999], Action.DEACTIVATE)
    finish(app, batch_id)
    with app.app_context():
        trash.delete_user(get_user(done[1]), version=2, actor=DESK)
        trash.erase_user(get_user(done[2]), actor=DESK)
        rows = queries.show_rows(batch_id, outcome=None, after=0, most=10)
        assert [row.user_id for row in rows] == [*done, same, staff, 999]
        assert [row.position for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [(row.name, row.email, row.is_trashed) for row in rows[:3]] == [
            ("Done 0", "d0@x.org", False),
            ("Done 1", "d1@x.org", True),
            ("", "", False),
        ]
        for outcome, ids in {"done": done, "same": [same], "refused": [staff, 999], "x": []}.items():
            found_ids = [row.user_id for row in queries.show_rows(batch_id, outcome=outcome, after=0, most=9)]
            assert found_ids == ids
        assert [row.user_id for row in queries.show_rows(batch_id, outcome=None, after=2, most=2)] == [
            done[2],
            same,
        ]
        assert queries.show_rows(batch_id, outcome=None, after=6, most=9) == []
        parts = list(queries.parts_of(batch_id, size=4))
        assert [len(part) for part in parts] == [4, 2]


@pytest.mark.parametrize(
    "refusal",
    [Conflict("Plain."), Conflict("Of %(fields)s.", fields=("Role", "Status")), NotFound("100 %", field="x")],
)
def test_a_reason_is_kept_with_what_is_filled_in(refusal: Conflict) -> None:
    kept = read_reason(write_reason(refusal))
    assert str(kept) == str(refusal)
    assert kept is not None
    assert kept.params == refusal.params


def test_no_reason_is_none() -> None:
    assert write_reason(None) is None
    assert read_reason(None) is None
