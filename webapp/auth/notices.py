"""What happened to a person's own account since they were last here, as long as no mail tells them of it.

It is read from the history, when they sign in. Of two who know the password either may sign in again and
again; so "last here" is what this very browser has seen, wherever it can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.auth.queries import find_unread_since
from webapp.auth.rules import WINDOW, network_of
from webapp.history.queries import Story, list_stories_between
from webapp.history.rules import Kind

MAX_SHOWN = 20
MAX_FAILURES = 1_000
MAX_SIGN_INS = 100
MAX_AGE = timedelta(days=30)

NOTICED = frozenset(
    {
        *(Kind.LINK_MADE, Kind.PASSWORD_SET, Kind.TOKEN_MADE, Kind.TOKEN_REVOKED),
        *(Kind.ACTIVATED, Kind.DEACTIVATED, Kind.DELETED, Kind.RESTORED),
        *(Kind.SIGNED_OUT_EVERYWHERE, Kind.DEVICE_SIGNED_OUT),
    }
)
# What gives access, or will by mail. Of a name it is news only that another changed it.
NOTICED_FIELDS = frozenset({"role", "email"})


@dataclass(frozen=True, slots=True)
class Notices:
    """``stories`` come newest first; of failed sign-ins there is only a number, up to MAX_FAILURES."""

    since: datetime
    stories: list[Story]
    is_more: bool
    failures: int

    @property
    def is_empty(self) -> bool:
        return not self.stories and not self.failures


def find_last_here(user_id: int, *, until: datetime, seen: datetime | None) -> datetime | None:
    """Return when the person was last here before ``until``; None where they never were.

    ``seen`` is up to when this browser was told. Where it does not know, it is their sign-in before this one,
    or what another session of theirs has not acknowledged yet.
    """
    oldest = until - MAX_AGE
    if seen is not None:
        return max(seen, oldest)
    sign_ins = list_stories_between(user_id, {Kind.SIGNED_IN}, since=oldest, until=until, most=1)
    if not sign_ins:
        return None
    unread = find_unread_since(user_id)
    return max(oldest, min(sign_ins[0].at, unread) if unread else sign_ins[0].at)


def find_notices(user_id: int, *, since: datetime, until: datetime, address: str) -> Notices:
    """Return what to tell the person who signed in from ``address`` at ``until``.

    What they do from then on is no news to them. Neither is a sign-in from the network they are in, nor a
    slip of theirs in front of the sign-in form.
    """
    own = network_of(address)

    def read(*kinds: Kind, most: int) -> list[Story]:
        return list_stories_between(user_id, kinds, since=since, until=until, most=most)

    found = [
        *read(*NOTICED, most=MAX_SHOWN + 1),
        *(it for it in read(Kind.EDITED, most=MAX_SIGN_INS) if _is_noticed(it, user_id)),
        *_elsewhere(read(Kind.SIGNED_IN, most=MAX_SIGN_INS), own),
    ]
    found.sort(key=lambda story: (story.at, story.id), reverse=True)
    failures = sum(
        not (network_of(it.address) == own and until - it.at < WINDOW)
        for it in read(Kind.SIGN_IN_FAILED, most=MAX_FAILURES)
    )
    return Notices(since, found[:MAX_SHOWN], len(found) > MAX_SHOWN, failures)


def _is_noticed(edit: Story, user_id: int) -> bool:
    return edit.actor_id != user_id or bool(NOTICED_FIELDS & edit.changes.keys())


def _elsewhere(sign_ins: list[Story], own: str) -> Iterator[Story]:
    """Yield the last sign-in from each other network, so that many from one push nothing off the page."""
    networks = {own}
    for story in sign_ins:
        network = network_of(story.address)
        if network not in networks:
            networks.add(network)
            yield story
