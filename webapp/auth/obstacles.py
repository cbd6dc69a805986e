"""Why somebody cannot sign in: every reason that applies, so that support need not guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webapp.access.permissions import may_sign_in
from webapp.auth.queries import has_open_link
from webapp.auth.throttle import find_wait
from webapp.extensions import utc_now
from webapp.history.queries import Story, list_stories
from webapp.history.rules import Kind
from webapp.users.models import User

LOOKED_AT = 100  # of the latest entries about a person
RECENT = timedelta(days=7)
MOST_FAILURES = 5


class Reason(StrEnum):
    INACTIVE = "inactive"
    NO_PASSWORD = "no_password"  # noqa: S105 - a reason's name
    LINK_OPEN = "link_open"
    ROLE = "role"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """``until`` is when it ends by itself, where it does."""

    reason: Reason
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignInTrouble:
    """What stands in the way now, the latest failures, and when all devices were signed out since."""

    obstacles: list[Obstacle]
    failures: list[Story]
    signed_out_at: datetime | None

    @property
    def is_empty(self) -> bool:
        return not self.obstacles and not self.failures and self.signed_out_at is None


def diagnose_sign_in(user: User) -> SignInTrouble:
    stories = [story for story in list_stories(user.id, most=LOOKED_AT) if utc_now() - story.at < RECENT]
    failures = [story for story in stories if story.kind is Kind.SIGN_IN_FAILED]
    ends = (story.at for story in stories if story.kind is Kind.SIGNED_OUT_EVERYWHERE)
    signed_out_at = next(ends, None)
    if signed_out_at and user.last_sign_in_at and user.last_sign_in_at > signed_out_at:
        signed_out_at = None
    obstacles = list(_find_obstacles(user, failures))
    return SignInTrouble(obstacles, failures[:MOST_FAILURES], signed_out_at)


def _find_obstacles(user: User, failures: Sequence[Story]) -> Iterator[Obstacle]:
    if not user.is_active:
        yield Obstacle(Reason.INACTIVE)
    if user.is_invited:
        yield Obstacle(Reason.LINK_OPEN if has_open_link(user) else Reason.NO_PASSWORD)
    if not may_sign_in(user.role):
        yield Obstacle(Reason.ROLE)
    until = find_wait(email=user.email, addresses={story.address for story in failures})
    if until is not None:
        yield Obstacle(Reason.THROTTLED, until)
