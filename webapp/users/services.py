"""Changing users. Every function is one transaction, asks the actor's permission, and counts versions.

The subject comes first and everything else by keyword. Raises Invalid, Conflict, Stale, Forbidden
or NotFound, and then nothing was written. What gives or takes access (a role, a status, a password, a new
user who can get in) raises SignInEnded, too: it decides by the actor as they are now, see standing.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, Protocol

from sqlalchemy import inspect, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InvalidRequestError

from webapp.access.actor import Actor
from webapp.access.permissions import ROLE_LABELS, Permission, Role, may_sign_in
from webapp.db import atomic, get_session, get_settings
from webapp.db.bulk import Value, load_rows
from webapp.errors import N_, Conflict, Forbidden, NotFound, Stale
from webapp.extensions import utc_now
from webapp.history.queries import list_stories_since
from webapp.history.rules import Kind
from webapp.history.services import Subject, record
from webapp.users import passwords, rules
from webapp.users.models import USERS, PasswordMethod, User
from webapp.users.presence import close_form
from webapp.users.queries import Person, lock_administrators
from webapp.users.standing import lock_standing


def create_user(
    *,
    email: str,
    full_name: str = "",
    role: str = Role.MEMBER,
    password: str | None = None,
    hashed_password: str | None = None,
    must_change_password: bool = True,
    is_active: bool = True,
    actor: Actor,
) -> User:
    """Without ``password`` the person is invited: a one-time link sets one later. ``hashed_password`` is for
    a caller that has it from hash_new_password(), before its own transaction. A password that another person
    has chosen must be changed at the first sign-in, unless the caller says otherwise.

    A program gives passwords to members only, and other roles only with the scope to set roles: else whoever
    has its token would make himself a way in that outlives it.
    """
    user = User(
        email=rules.clean_email(email),
        full_name=rules.clean_full_name(full_name),
        role=rules.clean_role(role),
        is_active=is_active,
    )
    _require_creation(user.role, actor, has_password=password is not None or hashed_password is not None)
    if user.role is not Role.MEMBER:
        actor.require_confirmation(
            N_("Create %(name)s with the role %(role)s"),
            name=user.display_name,
            role=(ROLE_LABELS[user.role],),
        )
    if password is not None:
        hashed_password = hash_new_password(  # slow, so before the transaction
            password, role=user.role, email=user.email, full_name=user.full_name
        )
    user.hashed_password = hashed_password
    user.must_change_password = hashed_password is not None and must_change_password
    _add_user(user, actor)
    return user


def _require_creation(role: Role, actor: Actor, *, has_password: bool) -> None:
    actor.require(Permission.USERS_CREATE, on=role)
    if role is Role.MEMBER:
        return
    actor.require(Permission.USERS_SET_ROLE, on=role)
    if actor.token_id is not None and has_password:
        raise Forbidden(
            N_("A program sets no password of who works here. Leave it out, and make a one-time link.")
        )


def hash_new_password(password: str, *, role: Role, email: str, full_name: str = "") -> str:
    """Of a person who is to be created. Raises Invalid on the field ``password``, and Busy."""
    cleaned = rules.clean_password(
        password, role=role, email=email, full_name=full_name, settings=get_settings(), field="password"
    )
    return passwords.hash_password(cleaned)


@atomic
def _add_user(user: User, actor: Actor) -> None:
    if user.hashed_password is not None or user.role is not Role.MEMBER:  # a way in
        actor = lock_standing(actor)
        _require_creation(user.role, actor, has_password=user.hashed_password is not None)
    session = get_session()
    session.add(user)
    session.flush()
    values = {name: getattr(user, name) for name in ("email", "full_name", "role", "is_active")}
    record(Kind.CREATED, actor=actor, subject=about(user), changes={n: (None, v) for n, v in values.items()})


@atomic
def update_user(
    user: User,
    *,
    version: int,
    email: str | None = None,
    full_name: str | None = None,
    role: str | None = None,
    actor: Actor,
    undoes_id: int | None = None,
) -> bool:
    """Change what is given and differs; tells whether anything did. ``version`` is what the editor saw.

    What somebody else changed since stays where this editor left it alone (a three-way merge, with the
    history as its base). Raises Stale when both changed the same field, each to something else.
    """
    administrators: Set[int] = frozenset()
    if role is not None:
        administrators = lock_administrators()
        actor = lock_with_actor(user, actor)
    lock_user(user)
    actor.require(Permission.USERS_EDIT, on=user.role)
    if actor.user_id is not None:
        close_form(user.id, actor=actor)  # whoever has saved has done with the form
    values: dict[str, Any] = {}
    if email is not None:
        values["email"] = rules.clean_email(email)
    if full_name is not None:
        values["full_name"] = rules.clean_full_name(full_name)
    if role is not None:
        values["role"] = rules.clean_role(role)
    changes = {name: value for name, value in values.items() if getattr(user, name) != value}
    if not changes:  # also of a stale version: a form sent twice is no conflict with oneself
        return False
    if version != user.version:
        changes = merge(user, version, changes)
        if not changes:
            return False
    if "role" in changes:
        changes |= role_change(user, changes["role"], actor, administrators)
        actor.require_confirmation(
            N_("Change the role of %(name)s to %(role)s"),
            name=user.display_name,
            role=(ROLE_LABELS[changes["role"]],),
        )
    if "email" in changes and may_sign_in(user.role):  # it is what they sign in with
        actor.require_confirmation(N_("Change the e-mail of %(name)s"), name=user.display_name)
    _apply(user, changes, Kind.EDITED, actor, undoes_id=undoes_id)
    return True


@atomic
def update_own_profile(
    user: User, *, full_name: str, language: str, time_zone: str, version: int, actor: Actor
) -> bool:
    """What everybody may change about himself; an empty language or zone means the browser's."""
    lock_user(user)
    if actor.user_id != user.id:
        raise Forbidden(N_("A profile can only be changed by its owner."))
    values = {
        "full_name": rules.clean_full_name(full_name),
        "language": rules.clean_language(language),
        "time_zone": rules.clean_time_zone(time_zone),
    }
    changes = {name: value for name, value in values.items() if getattr(user, name) != value}
    if changes:
        refuse_stale(user, version)
        _apply(user, changes, Kind.EDITED, actor)
    return bool(changes)


@atomic
def activate_user(user: User, *, actor: Actor, undoes_id: int | None = None) -> bool:
    """Let the person in again; tells whether that changed anything."""
    actor = lock_with_actor(user, actor)
    changes = activation(user, actor)
    if changes and may_sign_in(user.role):  # with the password they had
        actor.require_confirmation(N_("Activate %(name)s"), name=user.display_name)
    return _apply(user, changes, Kind.ACTIVATED, actor, undoes_id=undoes_id)


@atomic
def deactivate_user(user: User, *, actor: Actor, undoes_id: int | None = None) -> bool:
    """Shut the person out at once, on every device; tells whether that changed anything."""
    administrators = lock_administrators()
    actor = lock_with_actor(user, actor)
    changes = deactivation(user, actor, administrators)
    if changes and may_sign_in(user.role):
        actor.require_confirmation(N_("Deactivate %(name)s"), name=user.display_name)
    return _apply(user, changes, Kind.DEACTIVATED, actor, undoes_id=undoes_id)


# What a change writes to whom, for one person as for many (users/many.py): empty when it is so already.
# Raises the refusal, and nothing is written.


def activation(person: User | Person, actor: Actor) -> dict[str, Any]:
    actor.require(Permission.USERS_SET_STATUS, on=person.role)
    return {} if person.is_active else {"is_active": True}


def deactivation(person: User | Person, actor: Actor, administrators: Set[int]) -> dict[str, Any]:
    """``administrators``: see lock_administrators()."""
    actor.require(Permission.USERS_SET_STATUS, on=person.role)
    if not person.is_active:
        return {}
    refuse_own(person, actor, N_("You cannot deactivate yourself. Ask another administrator."))
    refuse_last_administrator(person, administrators)
    return {"is_active": False, "session_epoch": person.session_epoch + 1}


def role_change(person: User | Person, role: Role, actor: Actor, administrators: Set[int]) -> dict[str, Any]:
    """Links and sign-ins made under the old role end with it, and so does the password of a member who comes
    to work here: the staff who could set it for a member must not come in by it as the administrator that
    this person is now. They get a new link, made after.
    """
    actor.require(Permission.USERS_SET_ROLE, on=person.role)
    actor.require(Permission.USERS_SET_ROLE, on=role)
    if role is person.role:
        return {}
    if role is not Role.ADMINISTRATOR:
        refuse_last_administrator(person, administrators, field="role")
    ended: dict[str, Any] = {"hashed_password": None} if person.role is Role.MEMBER else {}
    return {"role": role, "session_epoch": person.session_epoch + 1, **ended}


def check_deletion(person: User | Person, actor: Actor, administrators: Set[int]) -> None:
    actor.require(Permission.USERS_DELETE, on=person.role)
    refuse_own(person, actor, N_("You cannot delete yourself. Ask another administrator."))
    refuse_last_administrator(person, administrators)


def set_password(user: User, *, password: str, actor: Actor, field: str = "new_password") -> None:
    """Give the person a new password; every earlier sign-in and link of his ends with that."""
    store_password(
        user, hashed=passwords.hash_password(clean_password_of(user, password, field=field)), actor=actor
    )


def clean_password_of(user: User, password: str, *, field: str = "new_password") -> str:
    """Return what is to be hashed, by the rules for this person. Raises Invalid."""
    return rules.clean_password(
        password,
        role=user.role,
        email=user.email,
        full_name=user.full_name,
        settings=get_settings(),
        field=field,
    )


@atomic
def store_password(user: User, *, hashed: str, actor: Actor) -> None:
    """The second half of set_password(), for a caller that hashed before its own transaction."""
    actor = lock_with_actor(user, actor)
    if actor.user_id != user.id:
        actor.require(Permission.USERS_PASSWORD_LINK, on=user.role)
    changes = {
        "hashed_password": hashed,
        "session_epoch": user.session_epoch + 1,
        "must_change_password": actor.user_id != user.id,  # two people know it
    }
    _apply(user, changes, Kind.PASSWORD_SET, actor)


@atomic
def sign_out_everywhere(user: User, *, actor: Actor) -> None:
    actor = lock_with_actor(user, actor)
    if actor.user_id != user.id:
        actor.require(Permission.USERS_SET_STATUS, on=user.role)
        actor.require_confirmation(N_("Sign %(name)s out everywhere"), name=user.display_name)
    before = Bond.of(user)
    _set_aside(user, session_epoch=user.session_epoch + 1)
    _follow(user, before, is_own=actor.user_id == user.id)
    record(Kind.SIGNED_OUT_EVERYWHERE, actor=actor, subject=about(user))


@atomic
def note_password_method(method: str) -> None:
    """From now on every sign-in does its work too."""
    session = get_session()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(PasswordMethod).values(method=method).on_conflict_do_nothing())


@atomic
def note_sign_in(user_id: int) -> None:
    get_session().execute(update(User).where(User.id == user_id).values(last_sign_in_at=utc_now()))


@atomic
def renew_hash(user_id: int, *, old: str, new: str) -> None:
    """Write the same password with the present parameters, unless another one was set since it was read."""
    same = update(User).where(User.id == user_id, User.hashed_password == old)
    get_session().execute(same.values(hashed_password=new))


LOADED = (
    *("full_name", "email", "role", "is_active", "hashed_password", "created_at", "updated_at"),
    *("last_sign_in_at", "session_epoch", "version", "email_key", "name_key", "search_text"),
)


@atomic
def load_users(rows: Sequence[tuple[Value, ...]], *, actor: Actor) -> None:
    """The fastest way in, for very many: values of LOADED, clean already, the keys by derive_keys()."""
    load_rows(get_session(), USERS, LOADED, rows)
    record(Kind.LOADED, actor=actor, facts={"count": len(rows)})


def lock_user(user: User) -> None:
    """Read the row anew and keep it from others until the transaction ends. Raises NotFound."""
    try:
        get_session().refresh(user, with_for_update=True)
    except InvalidRequestError:
        raise NotFound(N_("This user was deleted meanwhile.")) from None


def lock_with_actor(user: User, actor: Actor) -> Actor:
    """Do that with the actor's row locked, too; return the actor as they are now. Raises SignInEnded."""
    (user_id,) = inspect(user).identity or (user.id,)  # which is known of a row that is gone, too
    actor = lock_standing(actor, others=[user_id])
    lock_user(user)
    return actor


class Bond(NamedTuple):
    """What the links of a person are bound to: a link that was made under another one is dead."""

    epoch: int
    email_key: str

    @classmethod
    def of(cls, user: User) -> Bond:
        return cls(user.session_epoch, user.email_key)


class Follower(Protocol):
    def __call__(self, user: User, before: Bond, *, is_own: bool) -> None:
        """The bond of ``user`` was ``before``. ``is_own``: they ended their own sign-ins or changed their own
        e-mail. A stolen session can do that as well, and must not end by it what colleagues made to put it
        out.
        """


_followers: list[Follower] = []


def on_new_bond(follow: Follower) -> None:
    """Register what a later feature does with what is bound to the one before."""
    if follow not in _followers:
        _followers.append(follow)


def _follow(user: User, before: Bond, *, is_own: bool) -> None:
    if Bond.of(user) != before:
        for follow in _followers:
            follow(user, before, is_own=is_own)


def about(person: User | Person) -> Subject:
    """The user as the history names him."""
    return Subject(person.id, person.display_name, person.version)


# What the history never tells, or what follows from the rest.
UNTOLD = frozenset({"hashed_password", "session_epoch", "must_change_password"})


def _apply(
    user: User, changes: Mapping[str, Any], kind: Kind, actor: Actor, *, undoes_id: int | None = None
) -> bool:
    if not changes:
        return False
    told = {name: (getattr(user, name), new) for name, new in changes.items() if name not in UNTOLD}
    before = Bond.of(user)
    for name, value in changes.items():
        setattr(user, name, value)
    user.updated_at = utc_now()
    get_session().flush()
    # Another role ends what was made under the one before, whoever it is that changes it.
    _follow(user, before, is_own=actor.user_id == user.id and "role" not in changes)
    record(kind, actor=actor, subject=about(user), changes=told, undoes_id=undoes_id)
    return True


def _set_aside(user: User, **values: object) -> None:
    """Write what is no edit of the person, and so must not disturb somebody's open form."""
    get_session().execute(update(User).where(User.id == user.id).values(**values))
    get_session().refresh(user)


def merge(user: User, version: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``changes`` those that the editor who saw ``version`` made. Raises Stale where both made one."""
    base = find_base(user, version)
    if base is None:
        raise Stale(N_("Somebody else changed this user while you were editing. Nothing was saved."))
    own = {name: value for name, value in changes.items() if value != base.get(name, getattr(user, name))}
    if own.keys() & {name for name, value in base.items() if value != getattr(user, name)}:
        raise Stale(N_("Somebody else changed this user while you were editing. Nothing was saved."))
    return own


def find_base(user: User, version: int) -> dict[str, Any] | None:
    """Field → its value in that version, for all that has changed since; None when nobody can know."""
    if not 0 < version < user.version:  # nobody can have seen that
        return None
    # Where the row is not locked, somebody may have saved since it was read: that is not of its past.
    stories = [it for it in list_stories_since(user.id, version) if (it.version or 0) <= user.version]
    if {story.version for story in stories} != set(range(version + 1, user.version + 1)):
        return None
    base: dict[str, Any] = {}
    for story in stories:
        base |= {name: old for name, (old, _new) in story.changes.items()}
    return base


def refuse_stale(user: User, version: int) -> None:
    if version != user.version:
        raise Stale(N_("Somebody else changed this user while you were editing. Nothing was saved."))


def refuse_own(person: User | Person, actor: Actor, message: str) -> None:
    if actor.user_id == person.id:
        raise Conflict(message)


def refuse_last_administrator(
    person: User | Person, administrators: Set[int], field: str | None = None
) -> None:
    if administrators == {person.id}:
        raise Conflict(
            N_("This is the last administrator who can sign in. Make somebody else one first."), field=field
        )
