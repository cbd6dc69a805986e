"""Many users in one call: each row by itself, with its own outcome, in steps that nobody waits long for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic, sleep
from typing import Any

from pydantic import Field, SkipValidation

from webapp.access.actor import Actor
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission, Role
from webapp.api.bodies import Body, Changes, fill
from webapp.api.calls import Answer, Calls, ProblemShown, Shown
from webapp.api.keeping import Progress
from webapp.api.problems import Refused, describe_refusal
from webapp.api.users import AnyRole, Email, FullName, UserShown, show
from webapp.db import atomic, attempt
from webapp.db.session import is_sqlite
from webapp.errors import N_, DomainError, SignInEnded
from webapp.extensions import sqla
from webapp.listing.keyset import LARGEST_ID
from webapp.users import amending, queries, services
from webapp.users.models import User
from webapp.users.rules import email_key
from webapp.users.standing import lock_standing

calls = Calls("Many users at once")

MOST_ROWS = 1_000
MOST_AT_ONCE = 100
STEP_SECONDS = 0.05
# On SQLite there is one writer: who waits looks again within this time (see webapp/batches/runner.py).
PAUSE_SECONDS = 0.01

Do = Callable[[object, Actor], User]
ENDED = N_(
    "The sign-in behind this token ended after %(done)s of %(total)s rows. What is done stays done: send the"
    " call again under its Idempotency-Key with a valid token, and the rest is done."
)


class NewRow(Body):
    email: Email
    full_name: FullName = ""
    role: AnyRole = Role.MEMBER
    is_active: bool = True


class ChangedRow(Changes):
    """What is left out stays as it is."""

    id: int = Field(ge=1, le=LARGEST_ID)
    version: int = Field(ge=1, le=LARGEST_ID, description="The one that was read; another one is refused.")
    email: Email = ""
    full_name: FullName = ""
    role: AnyRole = Role.MEMBER
    is_active: bool = True


class NewUsers(Body):
    """The rows are looked at one by one: what is wrong with one is no matter to the others."""

    rows: list[SkipValidation[NewRow]] = Field(min_length=1, max_length=MOST_ROWS)


class ChangedUsers(Body):
    rows: list[SkipValidation[ChangedRow]] = Field(min_length=1, max_length=MOST_ROWS)


class RowOutcome(Shown):
    row: int = Field(description="Its place among the rows that were sent, from 0.")
    status: int = Field(description="What a call for this row alone would have answered.")
    user: UserShown | None
    problem: ProblemShown | None


class Outcomes(Shown):
    rows: list[RowOutcome]
    succeeded: int
    failed: int


@calls.post(
    "/users/bulk", permission=Permission.USERS_CREATE, body=NewUsers, answer=Outcomes, goes_in_steps=True
)
def create_users(body: NewUsers, progress: Progress) -> Answer:
    """Create up to 1,000 users.

    Each row is created or refused by itself. There are no passwords: one-time links set them. The rows are
    stored in steps; with an Idempotency-Key the same can be sent again, whatever became of the connection:
    what is done is not done twice, and the rest is done.
    """

    def create(row: object, actor: Actor) -> User:
        return services.create_user(**fill(NewRow, row).model_dump(), actor=actor)

    return _answer(body.rows, create, 201, progress, Permission.USERS_CREATE, order=_email_of)


@calls.patch(
    "/users/bulk", permission=Permission.USERS_EDIT, body=ChangedUsers, answer=Outcomes, goes_in_steps=True
)
def change_users(body: ChangedUsers, progress: Progress) -> Answer:
    """Change up to 1,000 users.

    Each row is changed or refused by itself: what it leaves out stays as it is. A row whose version is not
    the present one has the outcome 412. The rows are stored in steps; with an Idempotency-Key the same can
    be sent again, whatever became of the connection. Another role needs the scope users.set_role too, another
    is_active the scope users.set_status. A member who gets another role loses the password.
    """

    def change(row: object, actor: Actor) -> User:
        values = fill(ChangedRow, row).model_dump(exclude_unset=True)
        user = queries.get_user(values.pop("id"))
        amending.amend_user(user, **values, actor=actor)
        return user

    before = _lock_first(body.rows)
    return _answer(body.rows, change, 200, progress, Permission.USERS_EDIT, order=_id_of, before=before)


def _answer(
    rows: Sequence[object],
    do: Do,
    status: int,
    progress: Progress,
    permission: Permission,
    *,
    order: Callable[[object], Any],
    before: Callable[[], object] = lambda: None,
) -> Answer:
    """``order`` is the same for everybody, so that of two who want the same rows one goes first.

    Raises SignInEnded before the step at which the actor does not stand any more: no answer is kept then, and
    one who comes with another token of the same person goes on from there.
    """
    actor = current_actor()
    places = sorted(range(len(rows)), key=lambda place: order(rows[place]))
    pause = PAUSE_SECONDS if is_sqlite(sqla.engine) else 0
    while left := places[len(progress.done) :]:
        step = [(place, rows[place]) for place in left[:MOST_AT_ONCE]]
        try:
            _run_step(step, partial(_lock_actor, step, actor, permission, before), do, status, progress)
        except SignInEnded:
            raise SignInEnded(ENDED, done=len(progress.done), total=len(rows)) from None
        if len(progress.done) < len(rows):
            sleep(pause)
    outcomes = [RowOutcome.model_validate(it) for it in sorted(progress.done, key=lambda it: it["row"])]
    succeeded = sum(outcome.user is not None for outcome in outcomes)
    value = Outcomes(rows=outcomes, succeeded=succeeded, failed=len(outcomes) - succeeded)
    return Answer(value=value)


@atomic
def _run_step(
    rows: Sequence[tuple[int, object]],
    lock: Callable[[], Actor],
    do: Do,
    status: int,
    progress: Progress,
) -> None:
    """As many of the rows as are done in time, at least one."""
    actor = lock()
    deadline, outcomes = monotonic() + STEP_SECONDS, []
    for place, row in rows:
        outcomes.append({"row": place, **_run_row(partial(do, row, actor), status)})
        if monotonic() > deadline:
            break
    progress.note(outcomes)


def _lock_actor(
    rows: Sequence[tuple[int, object]], actor: Actor, permission: Permission, before: Callable[[], object]
) -> Actor:
    """As they are now, locked together with the rows. Raises SignInEnded, Forbidden."""
    before()
    others = (_id_of(row) for _place, row in rows)
    standing = lock_standing(actor, others=[it for it in others if 0 < it <= LARGEST_ID])
    standing.require(permission)
    return standing


def _run_row(do: Callable[[], User], status: int) -> dict[str, Any]:
    try:
        user = attempt(do)
    except SignInEnded:  # no outcome of this row alone
        raise
    except (Refused, DomainError) as error:
        problem = describe_refusal(error)
        return {"status": problem["status"], "user": None, "problem": problem}
    return {"status": status, "user": show(user).model_dump(mode="json"), "problem": None}


def _email_of(row: object) -> str:
    email = row.get("email") if isinstance(row, dict) else None
    return email_key(email) if isinstance(email, str) else ""


def _id_of(row: object) -> int:
    number = row.get("id") if isinstance(row, dict) else None
    return number if isinstance(number, int) else 0


def _lock_first(rows: Sequence[object]) -> Callable[[], object]:
    """Where a row may touch the administrators, they come before all other rows, as everywhere."""
    is_about_them = any(isinstance(row, dict) and {"role", "is_active"} & row.keys() for row in rows)
    return queries.lock_administrators if is_about_them else lambda: None
