"""Refusals that anyone can bring about as often as they like: a few are told, the others are counted.

Counted in the memory of this process, without the database: a flood fills no table and holds no lock.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any

from flask import Flask, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Actor
from webapp.access.guards import permission_of
from webapp.db import at_once
from webapp.history import services
from webapp.history.rules import LEFT_OUT, Kind, count_left_out
from webapp.history.services import Subject

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60
MAX_KEYS = 10_000
MAX_TOLD = 60  # of one group within a window
_TALLY = "refusals"


@dataclass(slots=True)
class _Count:
    started: float
    seen: int = 0
    left_out: int = 0


class Tally:
    """Of a window the 1st of a key is told, the 10th, the 100th and so on; but of a group, however many keys
    there are in it, no more than MAX_TOLD. What is told says how many of its group were left out before.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, Hashable], _Count] = OrderedDict()  # in the order of their windows
        self._groups: dict[str, _Count] = {}
        self._left_out: defaultdict[str, int] = defaultdict(int)  # of keys whose window is over
        self._lock = Lock()

    def count(self, group: str, key: Hashable, now: float) -> int | None:
        """Answer how many were left out before this one, which is to be told; None for one that is not."""
        with self._lock:
            self._sweep(now)
            one = self._keys.setdefault((group, key), _Count(now))
            one.seen += 1
            if count_left_out(one.seen) is None or not self._has_room(group, now):
                one.left_out += 1
                return None
            left_out, one.left_out = one.left_out + self._left_out.pop(group, 0), 0
            return left_out

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()
            self._groups.clear()
            self._left_out.clear()

    def _sweep(self, now: float) -> None:
        """Each call adds one key at most, so few go at once."""
        while self._keys:
            (group, key), oldest = next(iter(self._keys.items()))
            if oldest.started > now - WINDOW_SECONDS and len(self._keys) < MAX_KEYS:
                return
            self._left_out[group] += oldest.left_out
            del self._keys[group, key]

    def _has_room(self, group: str, now: float) -> bool:
        one = self._groups.get(group)
        if one is None or one.started <= now - WINDOW_SECONDS:
            self._groups = {
                name: it for name, it in self._groups.items() if it.started > now - WINDOW_SECONDS
            }
            one = self._groups[group] = _Count(now)
        one.seen += 1
        return one.seen <= MAX_TOLD


def start_counting(app: Flask) -> None:
    app.extensions[_TALLY] = Tally()


def count_refusal(group: str, key: Hashable) -> Mapping[str, Any] | None:
    """Answer what is to be told besides, of one that is to be told; None for one that is only counted."""
    tally: Tally = current_app.extensions[_TALLY]
    left_out = tally.count(group, key, monotonic())
    if left_out is None:
        return None
    return {LEFT_OUT: left_out} if left_out else {}


def record_refusal(
    kind: Kind, *, actor: Actor, subject: Subject | None = None, facts: Mapping[str, Any]
) -> None:
    """Best effort: who is refused need not wait, nor get another answer, where nothing can be written now."""
    try:
        _record(kind, actor=actor, subject=subject, facts=facts)
    except SQLAlchemyError:
        logger.warning("could not record a refusal: %s %s", kind.value, facts.get("reason"), exc_info=True)


_record = at_once(services.record)


def refuse(reason: str, actor: Actor) -> None:
    """Record that the present request was refused: which, to whom, by which token, on what, and why."""
    rule = f"{request.method} {request.url_rule or ''}".rstrip()
    who = (actor.user_id, actor.token_id) if actor.user_id is not None else actor.address
    group = f"{reason} {actor.user_id or ''}"
    told = count_refusal(group, (who, rule))
    if told is None:
        return
    facts: dict[str, Any] = {"rule": rule, "reason": reason, **told}
    numbers = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, int)}
    if numbers:  # any other argument may be a secret, as a link's is
        facts["object"] = numbers
    view = current_app.view_functions.get(request.endpoint or "")
    permission = permission_of(view) if view is not None else None
    if permission is not None and reason == "permission":
        facts["permission"] = permission.value
    record_refusal(Kind.REFUSED, actor=actor, facts=facts)
