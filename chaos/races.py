"""What must hold when people act at the same moment: each race is run again and again, on real threads and
real locks, with what a thief does in a loop on one side and what shuts the thief out on the other.

A race answers what is wrong, in words. The thief comes with a session or a token that lived when their
requests began, as everybody's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import count, cycle
from threading import Event
from typing import NamedTuple

from flask import Flask
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from tests.racing import race
from webapp.access.actor import Actor
from webapp.access.permissions import Permission, Role
from webapp.auth import services as auth
from webapp.auth.queries import find_session, has_open_link, is_session_open
from webapp.config import Settings
from webapp.db import get_session
from webapp.errors import Busy, DomainError
from webapp.tokens import queries as tokens
from webapp.tokens.services import create_token, revoke_token
from webapp.users import services as users
from webapp.users import trash
from webapp.users.many import RoleChange, change_many
from webapp.users.models import User
from webapp.users.passwords import hash_password, verify_password
from webapp.users.queries import get_user

OLD, NEW, THIEFS = "orchard lantern velvet", "harbour candle meadow", "copper willow thunder"
DESK = Actor.command_line()
STRANGER = Actor(user_id=None, name="", role=Role.MEMBER)
THIEVES = 4
MAX_TRIES = 40  # of one thief in one race
_numbers = count(1)

Race = Callable[[Flask], Iterator[str]]


@cache
def hash_once(password: str) -> str:
    return hash_password(password)


class Here(NamedTuple):
    """A person signed in, and the actor of a request that begins now."""

    id: int
    session_id: int
    token: str
    actor: Actor


def put(role: Role = Role.MEMBER, *, hashed: str | None = None) -> User:
    email = f"person{next(_numbers)}@race.example"
    user = users.create_user(
        email=email, role=role, hashed_password=hashed or hash_once(OLD), is_active=True, actor=DESK
    )
    get_session().expunge(user)
    return user


def sign_in(app: Flask, user: User) -> Here:
    epoch = get_user(user.id).session_epoch
    here = enter(app, auth.open_session(user_id=user.id, epoch=epoch, address="", user_agent=""))
    assert here is not None
    return here


def enter(app: Flask, token: str) -> Here | None:
    """Who begins a request with this session now; None where it is dead."""
    get_session().rollback()
    settings: Settings = app.extensions["settings"]
    row = find_session(token, settings)
    if row is None:
        return None
    credential = partial(is_session_open, row.session_id)
    actor = Actor(user_id=row.id, name="", role=row.role, epoch=row.session_epoch, credential=credential)
    return Here(row.id, row.session_id, token, actor)


class Thieves:
    """Several who do ``act`` until they are shut out, and a little longer: what they get after that is one
    thing too many.
    """

    def __init__(self, app: Flask, act: Callable[[], object]) -> None:
        self._app, self._act, self._ended = app, act, Event()

    def race(self, end: Callable[[], object]) -> object:
        """Race them with what shuts them out; answer what that answered."""
        get_session().rollback()  # on SQLite a transaction reads what was there when it began
        outcome, *_thieves = race(self._app, partial(self._end, end), *[self._steal] * THIEVES)
        get_session().rollback()
        return outcome

    def _end(self, end: Callable[[], object]) -> object:
        try:
            return end()
        finally:
            self._ended.set()

    def _steal(self) -> None:
        left = MAX_TRIES
        while left:
            left = min(left - 1, 2) if self._ended.is_set() else left - 1
            with suppress(DomainError):
                self._act()


def make_token(owner_id: int, actor: Actor) -> None:
    scopes = [Permission.USERS_READ]
    create_token(get_user(owner_id), name="Thief", scopes=scopes, days=30, actor=actor)


# Whoever is shut out makes nothing more


def tokens_and_a_new_password(app: Flask) -> Iterator[str]:
    thief = sign_in(app, put(Role.SUPPORT))
    owner = sign_in(app, get_user(thief.id))
    thieves = Thieves(app, lambda: make_token(thief.id, thief.actor))
    yield from refused(thieves.race(lambda: change_password(owner.id, OLD, NEW, owner.actor)))
    yield from living_tokens(thief.id)


def tokens_and_sign_out_everywhere(app: Flask) -> Iterator[str]:
    thief, desk = sign_in(app, put(Role.SUPPORT)), sign_in(app, put(Role.ADMINISTRATOR))
    thieves = Thieves(app, lambda: make_token(thief.id, thief.actor))
    yield from refused(thieves.race(lambda: users.sign_out_everywhere(get_user(thief.id), actor=desk.actor)))
    yield from living_tokens(thief.id)


def tokens_and_signing_out_other_devices(app: Flask) -> Iterator[str]:
    """Which ends sessions alone: the tokens of before stay, but none comes after it."""
    thief = sign_in(app, put(Role.SUPPORT))
    owner = sign_in(app, get_user(thief.id))

    def end() -> set[int]:
        auth.revoke_other_sessions(keep=owner.session_id, actor=owner.actor)
        return token_ids(thief.id)

    there = Thieves(app, lambda: make_token(thief.id, thief.actor)).race(end)
    yield from later(token_ids(thief.id), there, "a token")


def links_and_a_maker_who_is_shut_out(app: Flask) -> Iterator[str]:
    thief, desk = sign_in(app, put(Role.ADMINISTRATOR)), sign_in(app, put(Role.ADMINISTRATOR))
    victims = [put(Role.ADMINISTRATOR).id for _ in range(3)]

    def steal() -> None:
        for victim in victims:
            auth.create_password_link(get_user(victim), actor=thief.actor)

    thieves = Thieves(app, steal)
    yield from refused(thieves.race(lambda: users.deactivate_user(get_user(thief.id), actor=desk.actor)))
    yield from (f"a link of {victim} lives" for victim in victims if has_open_link(get_user(victim)))


def a_link_that_is_used_while_its_maker_is_shut_out(app: Flask) -> Iterator[str]:
    maker, desk = sign_in(app, put(Role.ADMINISTRATOR)), sign_in(app, put(Role.ADMINISTRATOR))
    victim = put(Role.SUPPORT)
    link, _expires_at = auth.create_password_link(get_user(victim.id), actor=maker.actor)

    def end() -> str | None:
        users.deactivate_user(get_user(maker.id), actor=desk.actor)
        return hash_of(victim.id)

    then = Thieves(app, lambda: spend_link(link)).race(end)
    if hash_of(victim.id) != then:
        yield "the link was used after its maker was deactivated"


def roles_and_a_demotion(app: Flask) -> Iterator[str]:
    """By the form, by the bulk change, and as a new user with a password."""
    thief, desk = sign_in(app, put(Role.ADMINISTRATOR)), sign_in(app, put(Role.ADMINISTRATOR))
    helpers = [put().id for _ in range(MAX_TRIES)]
    left = iter(helpers)

    def steal() -> None:
        one, other = next(left, helpers[0]), next(left, helpers[1])
        users.update_user(get_user(one), version=1, role=Role.ADMINISTRATOR, actor=thief.actor)
        change_many(RoleChange(Role.ADMINISTRATOR), [other], actor=thief.actor, facts={})
        email = f"thief{next(_numbers)}@race.example"
        users.create_user(
            email=email, role=Role.ADMINISTRATOR, hashed_password=hash_once(THIEFS), actor=thief.actor
        )

    def end() -> set[int]:
        user = get_user(thief.id)
        users.update_user(user, version=user.version, role=Role.MEMBER, actor=desk.actor)
        return administrators()

    then = Thieves(app, steal).race(end)
    yield from later(administrators(), then, "an administrator")


def activations_and_a_token_that_is_revoked(app: Flask) -> Iterator[str]:
    owner = put(Role.ADMINISTRATOR)
    scopes = [Permission.USERS_READ, Permission.USERS_EDIT, Permission.USERS_SET_STATUS]
    _secret, token = create_token(get_user(owner.id), name="Program", scopes=scopes, days=1, actor=DESK)
    there = partial(tokens.is_token_there, token.id)
    program = Actor(
        user_id=owner.id,
        name="",
        role=Role.ADMINISTRATOR,
        scopes=frozenset(scopes),
        token_id=token.id,
        epoch=0,
        credential=there,
    )
    accomplices = [put(Role.SUPPORT).id for _ in range(MAX_TRIES)]
    for user_id in accomplices:
        users.deactivate_user(get_user(user_id), actor=DESK)
    left = iter(accomplices)

    def end() -> set[int]:
        revoke_token(tokens.get_token(token.id), actor=DESK)
        return active(accomplices)

    def steal() -> None:
        users.activate_user(get_user(next(left, accomplices[0])), actor=program)

    then = Thieves(app, steal).race(end)
    yield from later(active(accomplices), then, "an activation")


# A reset evicts


def a_reset_and_a_thief_who_changes_the_password(app: Flask) -> Iterator[str]:
    """The thief has the old password and a session, and tries to keep both, or to set another password."""
    victim, desk = put(Role.SUPPORT, hashed=hash_password(OLD)), sign_in(app, put(Role.ADMINISTRATOR))
    link, _expires_at = auth.create_password_link(get_user(victim.id), actor=desk.actor)
    held, tries = [sign_in(app, victim).token], cycle(((OLD, OLD), (OLD, THIEFS), (THIEFS, OLD)))

    def steal() -> None:
        password, other = next(tries)
        here = enter(app, held[-1])
        if here is None:
            held.append(try_sign_in(victim.email, password))
        else:
            held.append(change_password(here.id, password, other, here.actor))

    def end() -> object:
        while True:
            with suppress(Busy):
                return auth.use_password_link(link, password=NEW, address="", actor=STRANGER)

    yield from refused(Thieves(app, steal).race(end))
    if not verify_password(hash_of(victim.id), NEW):
        yield "the password is not the one of the reset"
    yield from ("a session of the thief lives" for token in held if enter(app, token) is not None)


# What was read before a change is not written after it


def an_old_hash_and_a_new_password(app: Flask) -> Iterator[str]:
    old = generate_password_hash(OLD, method="pbkdf2:sha256:1000")
    user = put(Role.SUPPORT, hashed=old)
    gained: list[str] = []

    def steal() -> None:
        gained.append(try_sign_in(user.email, OLD))

    hashed = hash_once(NEW)
    thieves = Thieves(app, steal)
    yield from refused(
        thieves.race(lambda: users.store_password(get_user(user.id), hashed=hashed, actor=DESK))
    )
    if hash_of(user.id) != hashed:
        yield "the old password was written back"
    yield from ("a session by the old password lives" for token in gained if enter(app, token) is not None)


def a_promotion_and_a_link_of_before(app: Flask) -> Iterator[str]:
    support, desk = sign_in(app, put(Role.SUPPORT)), sign_in(app, put(Role.ADMINISTRATOR))
    member = put()
    links: list[str] = []

    def steal() -> None:
        if not links:
            links.append(auth.create_password_link(get_user(member.id), actor=support.actor)[0])
        spend_link(links.pop())

    def end() -> object:
        user = get_user(member.id)
        while True:
            try:
                return users.update_user(
                    user, version=user.version, role=Role.ADMINISTRATOR, actor=desk.actor
                )
            except DomainError:  # the password was set meanwhile, which counts as an edit
                user = get_user(member.id)

    yield from refused(Thieves(app, steal).race(end))
    if hash_of(member.id) is not None:
        yield "a password of a member is an administrator's"
    if has_open_link(get_user(member.id)):
        yield "a link of a member is an administrator's"


def two_who_act_on_each_other(app: Flask) -> Iterator[str]:
    """Whatever they do, none waits for the other for ever: a deadlock ends the race with an error."""
    one, other = sign_in(app, put(Role.ADMINISTRATOR)), sign_in(app, put(Role.ADMINISTRATOR))

    def act(by: Here, on: Here) -> None:
        for change in (
            lambda: auth.create_password_link(get_user(on.id), actor=by.actor),
            lambda: users.activate_user(get_user(on.id), actor=by.actor),
            lambda: change_many(RoleChange(Role.ADMINISTRATOR), [on.id, by.id], actor=by.actor, facts={}),
            lambda: make_token(by.id, by.actor),
            lambda: users.sign_out_everywhere(get_user(on.id), actor=by.actor),
            lambda: trash.delete_user(get_user(on.id), version=1, actor=by.actor),
        ):
            with suppress(DomainError):
                change()

    get_session().rollback()
    race(app, *[partial(act, one, other), partial(act, other, one)] * 2)
    yield from ()


RACES: tuple[Race, ...] = (
    tokens_and_a_new_password,
    tokens_and_sign_out_everywhere,
    tokens_and_signing_out_other_devices,
    links_and_a_maker_who_is_shut_out,
    a_link_that_is_used_while_its_maker_is_shut_out,
    roles_and_a_demotion,
    activations_and_a_token_that_is_revoked,
    a_reset_and_a_thief_who_changes_the_password,
    an_old_hash_and_a_new_password,
    a_promotion_and_a_link_of_before,
    two_who_act_on_each_other,
)


def run(app: Flask, number: int, races: tuple[Race, ...] = RACES) -> list[str]:
    """Run each so often; answer what was wrong."""
    wrong = []
    for one in races:
        for _ in range(number):
            with app.app_context():
                wrong += [f"{one.__name__.replace('_', ' ')}: {text}" for text in one(app)]
    return wrong


# What is asked and done


def change_password(user_id: int, current: str, new: str, actor: Actor) -> str:
    return auth.change_password(
        get_user(user_id), current=current, new=new, address=an_address(), user_agent="", actor=actor
    )


def try_sign_in(email: str, password: str) -> str:
    return auth.sign_in(email=email, password=password, address=an_address(), user_agent="", actor=STRANGER)


def an_address() -> str:
    """Another each time: the limits of attempts are not what is raced."""
    high, low = divmod(next(_numbers), 256)
    return f"10.{high // 256 % 256}.{high % 256}.{low}"


def spend_link(link: str) -> None:
    auth._spend_link(link, hashed=hash_once(THIEFS), address="", actor=STRANGER)


def refused(outcome: object) -> Iterator[str]:
    if isinstance(outcome, DomainError):
        yield f"what shuts the thief out was refused: {outcome}"


def later(now: set[int], then: object, what: str) -> Iterator[str]:
    assert isinstance(then, set), then
    yield from (f"{what} came after the end: {number}" for number in now - then)


def living_tokens(user_id: int) -> Iterator[str]:
    if number := tokens.count_living(user_id):
        yield f"{number} tokens of the thief live"


def token_ids(user_id: int) -> set[int]:
    get_session().expire_all()
    return {token.id for token in tokens.list_own_tokens(user_id)}


def hash_of(user_id: int) -> str | None:
    return get_session().scalar(select(User.hashed_password).where(User.id == user_id))


def administrators() -> set[int]:
    return set(get_session().scalars(select(User.id).where(User.role == Role.ADMINISTRATOR)))


def active(user_ids: list[int]) -> set[int]:
    return set(get_session().scalars(select(User.id).where(User.id.in_(user_ids), User.is_active)))
