"""Every service that changes anything, each as a call that a test can make: a later one gets its row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import func, select, update

from tests.conftest import PASSWORD
from tests.history.ways import shift
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.api import keeping
from webapp.api.calls import Answered
from webapp.api.keeping import Ticket
from webapp.api.models import KEPT_ANSWERS
from webapp.auth import services as auth
from webapp.auth import throttle
from webapp.auth.models import SignInSession
from webapp.auth.queries import get_own_session
from webapp.batches import drafts
from webapp.batches import running as batch_runs
from webapp.batches.models import Batch
from webapp.batches.preview import examine
from webapp.batches.queries import Ambiguous, Resolution
from webapp.batches.rules import AT_ONCE, UNDOABLE, Action, Source, State
from webapp.batches.undoing import create_undo
from webapp.credits import export as export_of_credits
from webapp.credits import services as credit
from webapp.credits.rules import order_grant, order_transfer, order_withdrawal
from webapp.db import atomic, get_session
from webapp.db.bulk import stored_time
from webapp.errors import DomainError, Invalid
from webapp.extensions import utc_now
from webapp.history import services as history
from webapp.history.models import ENTRIES
from webapp.history.queries import get_story
from webapp.history.rules import Kind
from webapp.notes import services as notes
from webapp.notes.models import Note
from webapp.tokens import services as tokens
from webapp.tokens.models import Token
from webapp.users import amending, export, trash, undoing
from webapp.users import services as users
from webapp.users.many import Deactivation, change_many
from webapp.users.models import Trashed, User, derive_keys
from webapp.users.passwords import hash_password
from webapp.users.queries import get_user, select_users

DESK = Actor(user_id=1_000_000, name="Desk Person", role=Role.ADMINISTRATOR)
TERMINAL = Actor.command_line()
STRANGER = Actor(user_id=None, name="", role=Role.MEMBER)
NEW_PASSWORD = "harbour candle meadow"
WHERE: dict[str, Any] = {"address": "192.0.2.1", "user_agent": "Test/1"}


@dataclass(frozen=True, slots=True)
class Change:
    """``given`` makes what ``call`` gets; both run in an application context.

    ``entries`` is how many the call writes to the history, ``has_effect`` whether it changes any row at all.
    ``transactions`` is more than one where a service is made of several on purpose; then ``kept`` names the
    tables that the earlier ones may have changed when a later one fails.
    """

    service: Callable[..., object]
    given: Callable[[], Any]
    call: Callable[[Any], object]
    case: str = ""
    entries: int = 1
    has_effect: bool = True
    transactions: int = 1
    kept: frozenset[str] = frozenset()
    raises: type[DomainError] | None = None

    @property
    def name(self) -> str:
        return f"{self.service.__module__}.{self.service.__name__}"

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name.removeprefix("webapp."), self.case)))


# What is there before


@cache
def hashed() -> str:
    return hash_password(PASSWORD)


def put(**columns: object) -> User:
    """Somebody, past the services."""
    user = User(**{"email": "ann@example.org", "full_name": "Ann", "hashed_password": hashed(), **columns})
    get_session().add(user)
    get_session().commit()
    return user


def nobody() -> None:
    """The tables are empty."""


def own(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.display_name, role=user.role)


def inactive() -> User:
    return put(is_active=False)


def edited_meanwhile() -> User:
    """Version 2, of which an editor saw version 1."""
    user = put()
    users.update_user(user, version=1, email="new@example.org", actor=DESK)
    return user


def trashed() -> int:
    """With a session, a link, notes and a history, which all go or are erased."""
    user = put()
    notes.add_note(user, text="Called twice.", actor=DESK)
    auth.create_password_link(user, actor=DESK)
    auth.open_session(user_id=user.id, epoch=user.session_epoch, **WHERE)
    trash.delete_user(user, version=user.version, actor=DESK)
    return user.id


def two_trashed() -> None:
    for user in (put(), put(email="bob@example.org")):
        trash.delete_user(user, version=user.version, actor=DESK)


def long_gone() -> None:
    """One who did something as staff, was deleted for good, and is not to be named any more."""
    user, other = put(role=Role.SUPPORT), put(email="bob@example.org")
    users.deactivate_user(other, actor=own(user))
    trash.erase_user(user, actor=DESK)
    shift(days=400)


def noted() -> Note:
    return notes.add_note(put(), text="Called twice.", actor=DESK)


def signed_in() -> tuple[User, str]:
    """A person on two devices, and the token of the second."""
    user = put(role=Role.AUDITOR)
    first, second = (auth.open_session(user_id=user.id, epoch=0, **WHERE) for _ in range(2))
    assert first != second
    return user, second


def device() -> tuple[SignInSession, Actor]:
    user, _token = signed_in()
    return get_own_session(1, user.id), own(user)


def linked() -> str:
    token, _expires_at = auth.create_password_link(put(), actor=DESK)
    return token


def tried() -> User:
    """Somebody whose password was guessed at."""
    user = put()
    throttle.count_attempt(email=user.email, address=WHERE["address"])
    return user


def newest_entry() -> int:
    return get_session().scalar(select(func.max(ENTRIES.c.id))) or 0


def told_of(given: Callable[[], object]) -> Callable[[], int]:
    """The entry of what ``given`` does last."""

    def make() -> int:
        given()
        return newest_entry()

    return make


# One row for each thing to do

USERS = (
    Change(
        users.create_user,
        nobody,
        lambda _: users.create_user(email="new@example.org", password=NEW_PASSWORD, actor=DESK),
    ),
    Change(
        users.update_user,
        put,
        lambda user: users.update_user(
            user, version=1, full_name="Anna", email="anna@example.org", actor=DESK
        ),
    ),
    Change(
        users.update_user,
        put,
        lambda user: users.update_user(user, version=1, role=Role.SUPPORT, actor=DESK),
        "role",
    ),
    Change(
        users.update_user,
        edited_meanwhile,
        lambda user: users.update_user(
            user, version=1, full_name="Anna", email="ann@example.org", actor=DESK
        ),
        "merged",
    ),
    Change(
        users.update_user,
        put,
        lambda user: users.update_user(user, version=1, full_name="Ann", role=Role.MEMBER, actor=DESK),
        "to the same",
        entries=0,
        has_effect=False,
    ),
    Change(
        amending.amend_user,
        put,
        lambda user: amending.amend_user(
            user, version=1, full_name="Anna", role=Role.SUPPORT, is_active=False, actor=DESK
        ),
        entries=2,
    ),
    Change(
        users.update_own_profile,
        put,
        lambda user: users.update_own_profile(
            user, full_name="Anna", language="fr", time_zone="Europe/Paris", version=1, actor=own(user)
        ),
    ),
    Change(
        users.update_own_profile,
        put,
        lambda user: users.update_own_profile(
            user, full_name="Ann", language="", time_zone="", version=1, actor=own(user)
        ),
        "to the same",
        entries=0,
        has_effect=False,
    ),
    Change(users.activate_user, inactive, lambda user: users.activate_user(user, actor=DESK)),
    Change(
        users.activate_user,
        put,
        lambda user: users.activate_user(user, actor=DESK),
        "who is active",
        entries=0,
        has_effect=False,
    ),
    Change(users.deactivate_user, put, lambda user: users.deactivate_user(user, actor=DESK)),
    Change(
        users.deactivate_user,
        inactive,
        lambda user: users.deactivate_user(user, actor=DESK),
        "who is inactive",
        entries=0,
        has_effect=False,
    ),
    Change(
        users.set_password,
        put,
        lambda user: users.set_password(user, password=NEW_PASSWORD, actor=DESK),
    ),
    Change(
        users.store_password,
        put,
        lambda user: users.store_password(user, hashed=hashed(), actor=DESK),
    ),
    Change(users.sign_out_everywhere, put, lambda user: users.sign_out_everywhere(user, actor=DESK)),
    Change(users.note_sign_in, lambda: put().id, users.note_sign_in, entries=0),
    Change(
        users.renew_hash,
        lambda: put().id,
        lambda user_id: users.renew_hash(user_id, old=hashed(), new="$argon2id$new"),
        entries=0,
    ),
    Change(
        users.note_password_method, nobody, lambda _: users.note_password_method("scrypt:8:8:1"), entries=0
    ),
    Change(users.load_users, nobody, lambda _: users.load_users([made_up(1), made_up(2)], actor=DESK)),
)


def made_up(number: int) -> tuple[Any, ...]:
    """Values of LOADED."""
    email, now = f"person{number}@example.org", stored_time(utc_now())
    keys = derive_keys(full_name="Person", email=email)
    plain = ("Person", email, "member", True, None, now, now, None, 0, 1)
    return (*plain, keys["email_key"], keys["name_key"], keys["search_text"])


TRASH = (
    Change(trash.delete_user, put, lambda user: trash.delete_user(user, version=user.version, actor=DESK)),
    Change(trash.restore_user, trashed, lambda user_id: trash.restore_user(user_id, actor=DESK)),
    Change(
        trash.restore_user,
        trashed,
        lambda user_id: trash.restore_user(user_id, email="new@example.org", actor=DESK),
        "with another e-mail",
    ),
    Change(trash.purge_user, trashed, lambda user_id: trash.purge_user(user_id, actor=DESK)),
    Change(
        trash.purge_older,
        two_trashed,
        lambda _: trash.purge_older(utc_now() + timedelta(days=1), actor=DESK),
        entries=2,
        transactions=3,  # two people, and what the API has kept for its time
        kept=frozenset({"trash", "entries", "entries_search", "lanes"}),
    ),
    Change(trash.erase_user, put, lambda user: trash.erase_user(user, actor=DESK), entries=2),
    Change(export.note_export, nobody, lambda _: export.note_export(select_users(), filters={}, actor=DESK)),
)

# How there comes to be an entry of each kind that can be undone.
UNDONE: Mapping[Kind, Callable[[], object]] = {
    Kind.CREATED: lambda: users.create_user(email="ann@example.org", actor=DESK),
    Kind.EDITED: lambda: users.update_user(put(), version=1, full_name="Anna", role=Role.SUPPORT, actor=DESK),
    Kind.ACTIVATED: lambda: users.activate_user(inactive(), actor=DESK),
    Kind.DEACTIVATED: lambda: users.deactivate_user(put(), actor=DESK),
    Kind.DELETED: trashed,
    Kind.RESTORED: lambda: trash.restore_user(trashed(), actor=DESK),
    Kind.NOTE_ADDED: noted,
    Kind.NOTE_EDITED: lambda: notes.edit_note(noted(), text="Called thrice.", version=1, actor=DESK),
    Kind.NOTE_DELETED: lambda: notes.delete_note(noted(), actor=DESK),
}
UNDOING = tuple(
    Change(
        undoing.undo_change,
        told_of(given),
        lambda entry_id: undoing.undo_change(entry_id, actor=DESK),
        kind.value,
    )
    for kind, given in UNDONE.items()
)

NOTES = (
    Change(notes.add_note, put, lambda user: notes.add_note(user, text="Called twice.", actor=DESK)),
    Change(
        notes.edit_note,
        noted,
        lambda note: notes.edit_note(note, text="Called thrice.", version=1, actor=DESK),
    ),
    Change(
        notes.edit_note,
        noted,
        lambda note: notes.edit_note(note, text="Called twice.", version=1, actor=DESK),
        "to the same",
        entries=0,
        has_effect=False,
    ),
    Change(notes.delete_note, noted, lambda note: notes.delete_note(note, actor=DESK)),
    Change(
        notes.undo_note_change,
        told_of(noted),
        lambda entry_id: notes.undo_note_change(get_story(entry_id), DESK),
    ),
)


def sign_in(password: str) -> str:
    return auth.sign_in(email="ann@example.org", password=password, actor=STRANGER, **WHERE)


def confirm(device: tuple[SignInSession, Actor], password: str) -> None:
    session, actor = device
    auth.confirm_identity(
        get_user(session.user_id),
        password=password,
        session_id=session.id,
        address=WHERE["address"],
        actor=actor,
    )


# An attempt counts also when all that follows fails: it is counted before the password is looked at.
COUNTED = frozenset({"attempts"})

SIGNING_IN = (
    Change(
        auth.sign_in,
        lambda: put(role=Role.AUDITOR),
        lambda _: sign_in(PASSWORD),
        transactions=2,
        kept=COUNTED,
    ),
    Change(
        auth.sign_in,
        put,
        lambda _: sign_in("not the password"),
        "refused",
        transactions=2,
        kept=COUNTED,
        raises=Invalid,
    ),
    Change(
        auth.open_session,
        put,
        lambda user: auth.open_session(user_id=user.id, epoch=user.session_epoch, **WHERE),
        entries=0,
    ),
    Change(auth.sign_out, signed_in, lambda it: auth.sign_out(it[1], actor=own(it[0]))),
    Change(
        auth.sign_out,
        put,
        lambda user: auth.sign_out("no token", actor=own(user)),
        "of a dead session",
        entries=0,
        has_effect=False,
    ),
    Change(auth.revoke_session, device, lambda it: auth.revoke_session(it[0], actor=it[1])),
    Change(
        auth.revoke_other_sessions,
        signed_in,
        lambda it: auth.revoke_other_sessions(keep=2, actor=own(it[0])),
    ),
    Change(
        auth.revoke_other_sessions,
        put,
        lambda user: auth.revoke_other_sessions(keep=2, actor=own(user)),
        "of none",
        entries=0,
        has_effect=False,
    ),
    Change(auth.mark_notices, signed_in, lambda _: auth.mark_notices(1, since=utc_now()), entries=0),
    Change(auth.mark_seen, signed_in, lambda _: auth.mark_seen(1, utc_now()), entries=0),
    Change(
        auth.require_current_password,
        put,
        lambda user: auth.require_current_password(
            user, password="not it", address=WHERE["address"], actor=own(user)
        ),
        "refused",
        transactions=2,
        kept=COUNTED,
        raises=Invalid,
    ),
    Change(
        auth.change_password,
        put,
        lambda user: auth.change_password(user, current=PASSWORD, new=NEW_PASSWORD, actor=own(user), **WHERE),
        transactions=2,
        kept=COUNTED,
    ),
    Change(
        auth.confirm_identity,
        device,
        lambda it: confirm(it, PASSWORD),
        entries=0,
        transactions=2,
        kept=COUNTED,
    ),
    Change(
        auth.confirm_identity,
        device,
        lambda it: confirm(it, "not the password"),
        "refused",
        transactions=2,
        kept=COUNTED,
        raises=Invalid,
    ),
    Change(auth.create_password_link, put, lambda user: auth.create_password_link(user, actor=DESK)),
    Change(
        auth.use_password_link,
        linked,
        lambda token: auth.use_password_link(
            token, password=NEW_PASSWORD, address=WHERE["address"], actor=STRANGER
        ),
    ),
    Change(
        auth.lift_throttle,
        tried,
        lambda user: auth.lift_throttle(user, addresses=[WHERE["address"]], actor=DESK),
    ),
    Change(
        auth.lift_throttle,
        put,
        lambda user: auth.lift_throttle(user, addresses=[WHERE["address"]], actor=DESK),
        "of who never tried",
        entries=0,
        has_effect=False,
    ),
    Change(
        throttle.count_until_refused,
        nobody,
        lambda _: throttle.count_until_refused((("a key", 1), ("another", 1))),
        entries=0,
    ),
    Change(
        throttle.give_back,
        lambda: throttle.count_attempt(email="ann@example.org", address=WHERE["address"]),
        throttle.give_back,
        entries=0,
    ),
    Change(
        throttle.forget_attempts,
        tried,
        lambda user: throttle.forget_attempts(email=user.email, address=WHERE["address"]),
        entries=0,
    ),
    Change(
        throttle.forget_account,
        tried,
        lambda user: throttle.forget_account(email=user.email, addresses=[]),
        entries=0,
    ),
)


def rich() -> None:
    """User 1 has 5.00, user 2 nothing."""
    put(), put(email="bob@example.org")
    credit.move(order_grant(to_user_id=1, amount_cents=500, reason="A present"), actor=DESK)


PAYMENT = order_transfer(from_user_id=1, to_user_id=2, amount_cents=100, reason="Lunch")

CREDITS = (
    Change(credit.move, rich, lambda _: credit.move(PAYMENT, key="a key", actor=DESK), entries=2),
    Change(
        credit.move,
        put,
        lambda _: credit.move(order_grant(to_user_id=1, amount_cents=500, reason="A present"), actor=DESK),
        "grant",
    ),
    Change(
        credit.move,
        rich,
        lambda _: credit.move(
            order_withdrawal(from_user_id=1, amount_cents=500, reason="An error"), actor=DESK
        ),
        "withdrawal",
    ),
    Change(export_of_credits.note_export, rich, lambda _: export_of_credits.note_export(1, actor=DESK)),
)


HISTORY = (
    Change(
        history.record,
        nobody,
        lambda _: history.record(Kind.REFUSED, actor=DESK, facts={"rule": "GET /users/"}),
    ),
    Change(
        history.record_all,
        nobody,
        lambda _: history.record_all(Kind.REFUSED, [history.Happening()] * 3, actor=DESK),
        entries=3,
    ),
    Change(history.forget, edited_meanwhile, lambda user: history.forget(user.id), entries=0),
    Change(
        history.forget_names,
        long_gone,
        lambda _: history.forget_names(actor=DESK),
        transactions=2,  # it tells of itself before it erases
        kept=frozenset({"entries", "entries_search", "lanes"}),
    ),
)

# Tokens


def make_token(user: User) -> Token:
    return tokens.create_token(user, name="Report", scopes=["users.read"], days=7, actor=own(user))[1]


def tokened() -> Token:
    return make_token(put(role=Role.AUDITOR))


TOKENS = (
    Change(tokens.create_token, lambda: put(role=Role.AUDITOR), make_token),
    Change(tokens.revoke_token, tokened, lambda token: tokens.revoke_token(token, actor=DESK)),
    Change(
        tokens.mark_used,
        tokened,
        lambda token: tokens.mark_used(token.id, address="192.0.2.1", now=utc_now()),
        entries=0,
    ),
)

# Many at once


def two() -> list[int]:
    return [put().id, put(email="bob@example.org").id]


def drafted(
    action: Action,
    value: str = "",
    given: Callable[[], Sequence[int]] = two,
    source: Source = Source.SELECTED,
) -> Callable[[], Batch]:
    """Chosen, and told what to do."""

    def make() -> Batch:
        batch = drafts.create_batch(given(), source=source, action=action, actor=TERMINAL)
        if value:
            drafts.choose_action(batch, action=action, value=value, actor=TERMINAL)
        return batch

    return make


def run(batch: Batch) -> bool:
    return batch_runs.run_batch(batch, seen=examine(batch, actor=TERMINAL).seen, actor=TERMINAL)


def two_inactive() -> list[int]:
    return [put(is_active=False).id, put(email="bob@example.org", is_active=False).id]


def two_in_trash() -> list[int]:
    two_trashed()
    return list(get_session().scalars(select(Trashed.user_id)))


def done(given: Callable[[], Batch]) -> Callable[[], Batch]:
    """It has been run."""

    def make() -> Batch:
        batch = given()
        run(batch)
        return batch

    return make


def undo_of(given: Callable[[], Batch]) -> Callable[[], Batch]:
    """What would take it back."""
    return lambda: create_undo(done(given)(), actor=TERMINAL)


def running() -> Batch:
    """Two of so many that they are changed in steps."""
    batch = drafted(Action.DEACTIVATE)()
    batch.state = State.RUNNING.value
    get_session().commit()
    return batch


def stopped() -> Batch:
    batch = running()
    batch_runs.stop(batch, actor=TERMINAL)
    return batch


def part_done() -> Batch:
    batch = running()
    batch_runs.run_step(batch.id, most=1, actor=TERMINAL)
    batch_runs.stop(batch, actor=TERMINAL)
    return batch


def many() -> Batch:
    return drafted(Action.DEACTIVATE, given=lambda: range(1, AT_ONCE + 2))()


def ambiguous() -> Batch:
    """A list with a name that two have."""
    ids = two()
    resolution = Resolution(found={ids[0]}, ambiguous=[Ambiguous("ann", "Ann", 2)], unclear=1)
    return drafts.create_batch(ids[:1], source=Source.PASTED, resolution=resolution, actor=TERMINAL)


# How a batch of each action comes to be run.
RUN: Mapping[Action, Callable[[], Batch]] = {
    Action.ACTIVATE: drafted(Action.ACTIVATE, given=two_inactive),
    Action.DEACTIVATE: drafted(Action.DEACTIVATE),
    Action.SET_ROLE: drafted(Action.SET_ROLE, "support"),
    Action.SIGN_OUT: drafted(Action.SIGN_OUT),
    Action.ADD_NOTE: drafted(Action.ADD_NOTE, "Called twice."),
    Action.TRASH: drafted(Action.TRASH),
    Action.RESTORE: drafted(Action.RESTORE, given=two_in_trash, source=Source.TRASH),
}
UNDO_RUN = {action: undo_of(given) for action, given in RUN.items() if action in UNDOABLE}

BATCHES = (
    Change(
        drafts.create_batch,
        two,
        lambda ids: drafts.create_batch(ids, source=Source.SELECTED, actor=TERMINAL),
        entries=0,
    ),
    Change(
        drafts.choose_action,
        drafted(Action.ACTIVATE),
        lambda batch: drafts.choose_action(batch, action="add_note", value="Called.", actor=TERMINAL),
        entries=0,
    ),
    Change(
        drafts.choose_namesakes,
        ambiguous,
        lambda batch: drafts.choose_namesakes(batch, user_ids=[2], actor=TERMINAL),
        entries=0,
    ),
    *(Change(batch_runs.run_batch, given, run, action.value, entries=2) for action, given in RUN.items()),
    *(
        Change(batch_runs.run_batch, given, run, f"undo {action.value}", entries=2)
        for action, given in UNDO_RUN.items()
    ),
    Change(batch_runs.run_batch, many, run, "in steps", entries=0),
    Change(
        batch_runs.run_step,
        running,
        lambda batch: batch_runs.run_step(batch.id, most=1, actor=TERMINAL),
    ),
    Change(batch_runs.stop, running, lambda batch: batch_runs.stop(batch, actor=TERMINAL), entries=0),
    Change(batch_runs.go_on, stopped, lambda batch: batch_runs.go_on(batch, actor=TERMINAL), entries=0),
    Change(
        drafts.create_rest,
        part_done,
        lambda batch: drafts.create_rest(batch, actor=TERMINAL),
        entries=0,
    ),
    Change(
        drafts.discard,
        drafted(Action.DEACTIVATE),
        lambda batch: drafts.discard(batch, actor=TERMINAL),
        entries=0,
    ),
    Change(
        create_undo,
        done(RUN[Action.DEACTIVATE]),
        lambda batch: create_undo(batch, actor=TERMINAL),
        entries=0,
    ),
    Change(drafts.forget_lists, ambiguous, lambda _: drafts.forget_lists(1), entries=0),
    Change(
        change_many,
        two,
        lambda ids: change_many(Deactivation(), ids, actor=DESK, facts={}),
        entries=2,
    ),
)


TICKET = Ticket(1, "key", "digest")


def create_kept() -> Answered:
    users.create_user(email="new@example.org", actor=DESK)
    return Answered(201, {}, "{}")


def left_behind() -> None:
    """A call in steps, whose request did not come to its end."""
    progress = keeping.begin_steps(TICKET)
    assert isinstance(progress, keeping.KeptProgress)
    progress.let_go()


def kept_for_its_time() -> None:
    @atomic
    def age() -> None:
        get_session().execute(update(KEPT_ANSWERS).values(made_at=utc_now() - 2 * keeping.KEPT_FOR))

    keeping.keep_answer(TICKET, create_kept)
    age()


KEEPING = (
    Change(keeping.keep_answer, nobody, lambda _: keeping.keep_answer(TICKET, create_kept)),
    Change(keeping.begin_steps, nobody, lambda _: keeping.begin_steps(TICKET), entries=0),
    Change(
        keeping.begin_steps, left_behind, lambda _: keeping.begin_steps(TICKET), "gone on with", entries=0
    ),
    Change(keeping.forget_old_answers, kept_for_its_time, lambda _: keeping.forget_old_answers(), entries=0),
)


CHANGES = (
    *USERS,
    *TRASH,
    *UNDOING,
    *NOTES,
    *SIGNING_IN,
    *TOKENS,
    *BATCHES,
    *CREDITS,
    *KEEPING,
    *HISTORY,
)
