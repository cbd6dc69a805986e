"""Changing users: each change works, is refused to whom it must be, and then leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import delete

from tests.conftest import PASSWORD, MakeUser, read_tables, read_user, user_maker
from tests.racing import count_kinds, race
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.auth.services import open_session
from webapp.db import get_session
from webapp.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Stale
from webapp.users import services, trash
from webapp.users.models import User
from webapp.users.passwords import verify_password
from webapp.users.queries import get_user, has_administrator

Service = Callable[[User, Actor], object]

CHANGES: dict[str, Service] = {
    "edit": lambda user, actor: services.update_user(
        user, version=user.version, full_name="Changed", email="changed@example.org", actor=actor
    ),
    "set role": lambda user, actor: services.update_user(
        user, version=user.version, role=other_role(user.role), actor=actor
    ),
    "activate": lambda user, actor: services.activate_user(user, actor=actor),
    "deactivate": lambda user, actor: services.deactivate_user(user, actor=actor),
    "sign out": lambda user, actor: services.sign_out_everywhere(user, actor=actor),
    "delete": lambda user, actor: trash.delete_user(user, version=user.version, actor=actor),
    "set password": lambda user, actor: services.set_password(user, password=PASSWORD, actor=actor),
    "store password": lambda user, actor: services.store_password(user, hashed="$argon2$", actor=actor),
}
# Support changes members and nobody else; what is here it may not even do to them.
NOT_FOR_SUPPORT = {"set role", "delete"}


def other_role(role: Role) -> Role:
    return Role.AUDITOR if role is not Role.AUDITOR else Role.SUPPORT


def actor_of(role: Role, user_id: int = 1_000_000) -> Actor:
    return Actor(user_id=user_id, name=role.value, role=role)


def forbidden_cases() -> Iterator[tuple[str, Role, Role]]:
    for name in CHANGES:
        for target in Role:
            yield name, Role.MEMBER, target
            yield name, Role.AUDITOR, target
            if target is not Role.MEMBER or name in NOT_FOR_SUPPORT:
                yield name, Role.SUPPORT, target


def allowed_cases() -> Iterator[tuple[str, Role, Role]]:
    for name in CHANGES:
        for target in Role:
            yield name, Role.ADMINISTRATOR, target
        if name not in NOT_FOR_SUPPORT:
            yield name, Role.SUPPORT, Role.MEMBER


@pytest.mark.parametrize(("name", "role", "target"), list(forbidden_cases()))
def test_who_may_not_is_refused_and_nothing_changes(
    app: Flask, make_user: MakeUser, name: str, role: Role, target: Role
) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user_id = make_user(role=target, is_active=name != "activate").id
    before = read_tables(app)
    with app.app_context(), pytest.raises(Forbidden):
        CHANGES[name](get_user(user_id), actor_of(role))
    assert read_tables(app) == before


@pytest.mark.parametrize(("name", "role", "target"), list(allowed_cases()))
def test_who_may_is_let(app: Flask, make_user: MakeUser, name: str, role: Role, target: Role) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user_id = make_user(role=target, is_active=name != "activate").id
    before = read_tables(app)
    with app.app_context():
        CHANGES[name](get_user(user_id), actor_of(role))
    assert read_tables(app) != before


def test_a_created_user_has_what_was_given(app: Flask, actor: Actor) -> None:
    with app.app_context():
        user_id = services.create_user(
            email=" Ann@Example.ORG", full_name=" Ann  Lee ", role="support", password=PASSWORD, actor=actor
        ).id
    user = read_user(app, user_id)
    assert user is not None
    assert (user.email, user.full_name, user.role) == ("Ann@example.org", "Ann Lee", Role.SUPPORT)
    assert verify_password(user.hashed_password, PASSWORD)


def test_without_a_password_a_created_user_is_invited(app: Flask, actor: Actor) -> None:
    with app.app_context():
        assert services.create_user(email="ann@example.org", actor=actor).is_invited
    assert len(read_tables(app)["users"]) == 1


@pytest.mark.parametrize(
    ("role", "created"),
    [
        *((Role.MEMBER, created) for created in Role),
        *((Role.AUDITOR, created) for created in Role),
        *((Role.SUPPORT, created) for created in Role if created is not Role.MEMBER),
    ],
)
def test_nobody_creates_a_user_of_a_role_beyond_his_own_reach(
    context: Flask, role: Role, created: Role
) -> None:
    with pytest.raises(Forbidden):
        services.create_user(email="ann@example.org", role=created, actor=actor_of(role))
    assert read_tables(context)["users"] == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": "ann"}, "email"),
        ({"full_name": "a\u202eb"}, "full_name"),
        ({"role": "king"}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "ann.lee is my name", "email": "ann.lee@example.org"}, "password"),
    ],
)
def test_an_invalid_new_user_is_refused_on_the_field(
    context: Flask, actor: Actor, values: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        services.create_user(**{"email": "ann@example.org", **values}, actor=actor)  # type: ignore[arg-type]
    assert refusal.value.field == field
    assert read_tables(context)["users"] == []


@pytest.mark.parametrize("email", ["ANN@example.org", " ann@EXAMPLE.org", "ａｎｎ@example.org"])
def test_a_taken_address_is_a_conflict_on_its_field(
    app: Flask, make_user: MakeUser, actor: Actor, email: str
) -> None:
    make_user(email="ann@example.org")
    other = make_user(email="bob@example.org")
    before = read_tables(app)
    with app.app_context():
        with pytest.raises(Conflict) as refusal:
            services.create_user(email=email, actor=actor)
        assert refusal.value.field == "email"
        with pytest.raises(Conflict) as refusal:
            services.update_user(get_user(other.id), version=1, email=email, actor=actor)
        assert refusal.value.field == "email"
    assert read_tables(app) == before


def test_one_may_spell_ones_own_address_anew(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user_id = make_user(email="ann@example.org").id
    with app.app_context():
        assert services.update_user(get_user(user_id), version=1, email="ANN@example.org", actor=actor)
    stored = read_user(app, user_id)
    assert stored is not None
    assert (stored.email, stored.email_key, stored.version) == ("ANN@example.org", "ann@example.org", 2)


def test_an_edit_changes_what_is_given_and_counts_one_version(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    old = make_user(full_name="Ann Lee", email="ann@example.org")
    with app.app_context():
        assert services.update_user(get_user(old.id), version=1, full_name="Ann Other", actor=actor)
    new = read_user(app, old.id)
    assert new is not None
    assert (new.full_name, new.email, new.role, new.version) == ("Ann Other", old.email, old.role, 2)
    assert new.updated_at > old.updated_at
    assert new.session_epoch == old.session_epoch


UNCHANGING: dict[str, tuple[bool, Service]] = {
    "edit": (
        True,
        lambda user, actor: services.update_user(
            user, version=1, email=user.email, full_name=f" {user.full_name} ", role=user.role, actor=actor
        ),
    ),
    "edit of nothing": (True, lambda user, actor: services.update_user(user, version=1, actor=actor)),
    "activate": (True, lambda user, actor: services.activate_user(user, actor=actor)),
    "deactivate": (False, lambda user, actor: services.deactivate_user(user, actor=actor)),
    "profile": (
        True,
        lambda user, actor: services.update_own_profile(
            user,
            version=1,
            full_name=user.full_name,
            language="",
            time_zone="",
            actor=actor_of(user.role, user.id),
        ),
    ),
}


@pytest.mark.parametrize("name", UNCHANGING)
def test_nothing_is_written_when_nothing_changes(
    app: Flask, make_user: MakeUser, actor: Actor, name: str
) -> None:
    is_active, service = UNCHANGING[name]
    user_id = make_user(is_active=is_active).id
    before = read_tables(app)
    with app.app_context():
        assert service(get_user(user_id), actor) is False
    assert read_tables(app) == before


@pytest.mark.parametrize("version", [0, 2, 2**31 - 1, -1])
def test_a_version_that_nobody_can_have_seen_saves_and_deletes_nothing(
    app: Flask, make_user: MakeUser, actor: Actor, version: int
) -> None:
    user_id = make_user().id
    before = read_tables(app)
    own = actor_of(Role.SUPPORT, user_id)
    with app.app_context():
        for stale in (
            lambda user: services.update_user(user, version=version, full_name="Late", actor=actor),
            lambda user: trash.delete_user(user, version=version, actor=actor),
            lambda user: services.update_own_profile(
                user, version=version, full_name="Late", language="", time_zone="", actor=own
            ),
        ):
            with pytest.raises(Stale):
                stale(get_user(user_id))
    assert read_tables(app) == before


def test_of_two_editors_each_keeps_what_he_alone_changed(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    old = make_user(full_name="Ann Lee", email="ann@example.org", role=Role.SUPPORT)
    form = {"full_name": old.full_name, "email": old.email, "role": old.role}  # both opened it so
    with app.app_context():
        user = get_user(old.id)
        for change in ({"full_name": "Ann Other"}, {"email": "other@example.org"}, {"role": Role.AUDITOR}):
            values: dict[str, str] = {**form, **change}
            assert services.update_user(user, version=1, **values, actor=actor)  # type: ignore[arg-type]
    new = read_user(app, old.id)
    assert new is not None
    assert (new.full_name, new.email, new.role) == ("Ann Other", "other@example.org", Role.AUDITOR)
    assert new.version == 4


@pytest.mark.parametrize(
    ("name", "theirs", "mine"),
    [
        ("full_name", "Theirs", "Mine"),
        ("email", "theirs@example.org", "mine@example.org"),
        ("role", Role.SUPPORT, Role.AUDITOR),
    ],
)
def test_of_two_editors_of_one_field_the_second_is_stale_and_nothing_of_his_is_saved(
    app: Flask, make_user: MakeUser, actor: Actor, name: str, theirs: str, mine: str
) -> None:
    user_id = make_user().id
    also = {"full_name": "Also Mine"} if name != "full_name" else {"email": "also@example.org"}
    with app.app_context():
        services.update_user(get_user(user_id), version=1, **{name: theirs}, actor=actor)  # type: ignore[arg-type]
    before = read_tables(app)
    with app.app_context(), pytest.raises(Stale):
        services.update_user(get_user(user_id), version=1, **{name: mine, **also}, actor=actor)  # type: ignore[arg-type]
    assert read_tables(app) == before


def test_two_editors_who_typed_the_same_are_no_conflict(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    user_id = make_user().id
    with app.app_context():
        assert services.update_user(get_user(user_id), version=1, full_name="Same", actor=actor)
        assert not services.update_user(get_user(user_id), version=1, full_name="Same", actor=actor)


def test_without_a_history_of_the_versions_between_nobody_is_overruled(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    """Somebody whose versions came before the history, or who was forgotten."""
    user_id = make_user(version=5).id
    before = read_tables(app)
    with app.app_context(), pytest.raises(Stale):
        services.update_user(get_user(user_id), version=4, full_name="Late", actor=actor)
    assert read_tables(app) == before


def test_who_cannot_clean_does_not_save_the_other_half(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    """A merged save is one transaction as well: the e-mail that somebody else has undoes the name."""
    make_user(email="taken@example.org")
    user_id = make_user().id
    with app.app_context():
        services.update_user(get_user(user_id), version=1, role=Role.SUPPORT, actor=actor)
    before = read_tables(app)
    with app.app_context(), pytest.raises(Conflict):
        services.update_user(
            get_user(user_id), version=1, full_name="New", email="taken@example.org", actor=actor
        )
    assert read_tables(app) == before


@pytest.mark.parametrize("name", CHANGES)
def test_a_user_who_was_deleted_meanwhile_is_not_found(
    app: Flask, make_user: MakeUser, actor: Actor, name: str
) -> None:
    make_user(role=Role.ADMINISTRATOR)
    user_id = make_user().id
    with app.app_context():
        read_before = get_user(user_id)
        get_session().execute(delete(User).where(User.id == user_id))
        get_session().commit()
        with pytest.raises(NotFound):
            CHANGES[name](read_before, actor)


@pytest.mark.parametrize("name", ["set role", "deactivate", "delete"])
def test_the_last_administrator_stays(app: Flask, make_user: MakeUser, name: str) -> None:
    last = make_user(role=Role.ADMINISTRATOR)
    make_user(role=Role.ADMINISTRATOR, is_active=False)
    make_user(role=Role.ADMINISTRATOR, hashed_password=None)
    make_user(role=Role.SUPPORT)
    before = read_tables(app)
    for who in (Actor.command_line(), actor_of(Role.ADMINISTRATOR, last.id)):
        with app.app_context(), pytest.raises(Conflict):
            CHANGES[name](get_user(last.id), who)
    assert read_tables(app) == before


@pytest.mark.parametrize("name", ["set role", "deactivate", "delete"])
def test_the_last_but_one_may_go(app: Flask, make_user: MakeUser, actor: Actor, name: str) -> None:
    first, _ = make_user(role=Role.ADMINISTRATOR), make_user(role=Role.ADMINISTRATOR)
    with app.app_context():
        CHANGES[name](get_user(first.id), actor)
        assert has_administrator()


@pytest.mark.parametrize("name", ["deactivate", "delete"])
def test_nobody_shuts_himself_out(app: Flask, make_user: MakeUser, name: str) -> None:
    own, _ = make_user(role=Role.ADMINISTRATOR), make_user(role=Role.ADMINISTRATOR)
    before = read_tables(app)
    with app.app_context(), pytest.raises(Conflict):
        CHANGES[name](get_user(own.id), actor_of(Role.ADMINISTRATOR, own.id))
    assert read_tables(app) == before


@pytest.mark.parametrize("name", ["edit", "set role", "sign out"])
def test_support_cannot_raise_or_edit_itself_as_a_user(app: Flask, make_user: MakeUser, name: str) -> None:
    """A person's own row is no exception from "support changes members"; signing oneself out is."""
    own = make_user(role=Role.SUPPORT)
    with app.app_context():
        if name == "sign out":
            CHANGES[name](get_user(own.id), actor_of(Role.SUPPORT, own.id))
        else:
            with pytest.raises(Forbidden):
                CHANGES[name](get_user(own.id), actor_of(Role.SUPPORT, own.id))


@pytest.mark.parametrize(
    ("name", "ends", "counts_version"),
    [
        ("edit", False, True),
        ("activate", False, True),
        ("deactivate", True, True),
        ("sign out", True, False),
        ("set password", True, True),
    ],
)
def test_the_epoch_counts_what_ends_all_sessions(
    app: Flask, make_user: MakeUser, actor: Actor, name: str, ends: bool, counts_version: bool
) -> None:
    user_id = make_user(is_active=name != "activate").id
    with app.app_context():
        CHANGES[name](get_user(user_id), actor)
    user = read_user(app, user_id)
    assert user is not None
    assert (user.session_epoch, user.version) == (int(ends), 1 + counts_version)


def test_deleting_takes_sessions_and_links_along(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user = make_user()
    with app.app_context():
        open_session(user_id=user.id, epoch=0, address="", user_agent="")
        trash.delete_user(get_user(user.id), version=1, actor=actor)
        assert get_session().connection().exec_driver_sql("SELECT count(*) FROM sessions").scalar() == 0
    assert read_user(app, user.id) is None


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.SUPPORT, Role.ADMINISTRATOR])
def test_a_member_who_becomes_staff_loses_the_password_and_staff_keep_theirs(
    app: Flask, make_user: MakeUser, actor: Actor, role: Role
) -> None:
    """Support could set it, or a program: nobody may come in by it as who this person is now."""
    make_user(role=Role.ADMINISTRATOR)
    for before, is_lost in ((Role.MEMBER, True), (other_role(role), False)):
        user = make_user(role=before)
        with app.app_context():
            services.update_user(get_user(user.id), version=1, role=role, actor=actor)
        promoted = read_user(app, user.id)
        assert promoted is not None
        assert promoted.hashed_password == (None if is_lost else user.hashed_password)
        assert (promoted.role, promoted.is_invited, promoted.session_epoch) == (role, is_lost, 1)


def test_who_was_promoted_is_nobody_who_could_let_others_in(
    app: Flask, make_user: MakeUser, actor: Actor
) -> None:
    last, member = make_user(role=Role.ADMINISTRATOR), make_user()
    with app.app_context():
        services.update_user(get_user(member.id), version=1, role=Role.ADMINISTRATOR, actor=actor)
        with pytest.raises(Conflict, match="last administrator"):
            services.update_user(get_user(last.id), version=1, role=Role.SUPPORT, actor=actor)


def test_a_profile_is_changed_by_its_owner_alone(app: Flask, make_user: MakeUser, actor: Actor) -> None:
    user_id = make_user(role=Role.AUDITOR).id
    values = {"full_name": "Ann", "language": "fr", "time_zone": "Europe/Paris", "version": 1}
    with app.app_context():
        with pytest.raises(Forbidden):
            services.update_own_profile(get_user(user_id), **values, actor=actor)  # type: ignore[arg-type]
        own = actor_of(Role.AUDITOR, user_id)
        assert services.update_own_profile(get_user(user_id), **values, actor=own)  # type: ignore[arg-type]
    user = read_user(app, user_id)
    assert user is not None
    assert (user.full_name, user.language, user.time_zone, user.version) == ("Ann", "fr", "Europe/Paris", 2)


def test_a_sign_in_is_noted_without_disturbing_an_open_form(app: Flask, make_user: MakeUser) -> None:
    user_id = make_user().id
    with app.app_context():
        services.note_sign_in(user_id)
    user = read_user(app, user_id)
    assert user is not None
    assert user.last_sign_in_at is not None
    assert user.version == 1


def test_a_hash_is_renewed_where_it_is_still_the_one_that_was_read(app: Flask, make_user: MakeUser) -> None:
    user = make_user()
    with app.app_context():
        services.renew_hash(user.id, old="another", new="$argon2id$late")
    assert read_user(app, user.id).hashed_password == user.hashed_password  # type: ignore[union-attr]
    with app.app_context():
        services.renew_hash(user.id, old=user.hashed_password or "", new="$argon2id$new")
    renewed = read_user(app, user.id)
    assert renewed is not None
    assert (renewed.hashed_password, renewed.version) == ("$argon2id$new", 1)


@pytest.mark.parametrize("name", ["set role", "deactivate", "delete"])
def test_two_administrators_who_shut_each_other_out_at_once_leave_one(
    file_app: Flask, hashed_password: str, name: str
) -> None:
    make = user_maker(file_app, hashed_password)

    def shut_out(target: User, by: User) -> object:
        return CHANGES[name](get_user(target.id), actor_of(Role.ADMINISTRATOR, by.id)) or "done"

    for _ in range(4):
        one, other = make(role=Role.ADMINISTRATOR), make(role=Role.ADMINISTRATOR)
        outcomes = race(file_app, partial(shut_out, other, one), partial(shut_out, one, other))
        refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
        assert len(refused) == 1, outcomes
        with file_app.app_context():
            assert has_administrator()
            for user in (one, other):
                if (row := get_session().get(User, user.id)) is not None:
                    get_session().delete(row)
            get_session().commit()


def test_of_many_edits_at_once_of_one_version_one_is_saved(file_app: Flask, hashed_password: str) -> None:
    user_id = user_maker(file_app, hashed_password)().id

    def edit(number: int) -> object:
        return services.update_user(
            get_user(user_id), version=1, full_name=f"Name {number}", actor=Actor.command_line()
        )

    kinds = count_kinds(race(file_app, *(lambda number=number: edit(number) for number in range(8))))
    assert kinds == {bool: 1, Stale: 7}


def test_what_is_saved_after_a_row_was_read_is_no_part_of_its_past(app: Flask, make_user: MakeUser) -> None:
    """The merge page reads a row without a lock, then its history: on Postgres others may save in between."""
    user = make_user(full_name="One")

    def edit(name: str, version: int) -> None:
        services.update_user(get_user(user.id), version=version, full_name=name, actor=Actor.command_line())

    with app.app_context():
        edit("Two", 1)
        read = get_user(user.id)
        get_session().expunge(read)
        edit("Three", 2)
        assert services.find_base(read, 1) == {"full_name": "One"}


def test_of_many_who_take_one_address_at_once_one_gets_it(file_app: Flask) -> None:
    def create() -> object:
        return services.create_user(email="ann@example.org", actor=Actor.command_line())

    assert count_kinds(race(file_app, *[create] * 8)) == {User: 1, Conflict: 7}
