"""How many requests a minute: a token bucket for each key, in the memory of this process.

Counted without the database, and exactly, in whole nanoseconds: a bucket is the one moment at which it will
be full again (GCRA, as ITU-T I.371 has it for cells).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

SECOND = 1_000_000_000
WINDOW_SECONDS = 60
MOST_KEYS = 10_000


class Verdict(NamedTuple):
    """``remaining``: requests that would be admitted at this moment. Both times are rounded up:
    ``full_in_seconds`` until all are there again, ``wait_seconds`` until one is, 0 where there is one.
    """

    is_admitted: bool
    remaining: int
    full_in_seconds: int
    wait_seconds: int


class Rates:
    """``most`` requests at once, which grow again in WINDOW_SECONDS; for each key by itself.

    Of more than MOST_KEYS within one window the one that was quiet for longest is forgotten, and begins anew.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._interval = WINDOW_SECONDS * SECOND // most
        self._capacity = self._interval * most
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()  # in the order of their last request
        self._lock = Lock()

    def take(self, key: Hashable, now: int) -> Verdict:
        """Count a request at ``now``, in nanoseconds of a clock that never goes back."""
        with self._lock:
            full_at = max(self._full_at.pop(key, now), now)
            is_admitted = full_at + self._interval - now <= self._capacity
            if is_admitted:
                full_at += self._interval
            self._full_at[key] = full_at
            self._forget(now)
        return self._judge(full_at, now, is_admitted=is_admitted)

    def look(self, key: Hashable, now: int) -> Verdict:
        """Count nothing."""
        full_at = max(self._full_at.get(key, now), now)
        return self._judge(full_at, now, is_admitted=full_at + self._interval - now <= self._capacity)

    def _judge(self, full_at: int, now: int, *, is_admitted: bool) -> Verdict:
        missing = full_at - now
        return Verdict(
            is_admitted=is_admitted,
            remaining=(self._capacity - missing) // self._interval,
            full_in_seconds=-(-missing // SECOND),
            wait_seconds=-(-max(missing + self._interval - self._capacity, 0) // SECOND),
        )

    def _forget(self, now: int) -> None:
        """What is full again is as good as never seen. Each request adds one key, so few go at once."""
        while True:
            quietest, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= MOST_KEYS:
                return
            del self._full_at[quietest]
