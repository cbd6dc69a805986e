"""How many rows there are, and how that number is to be read."""

from __future__ import annotations

from dataclasses import dataclass

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """``value`` rows; when not ``is_exact`` there are more than ``value``."""

    value: int
    is_exact: bool = True

    @property
    def is_many(self) -> bool:
        """Whether there are more than MOST_COUNTED."""
        return self.value > MOST_COUNTED or not self.is_exact

    @classmethod
    def capped(cls, number: int) -> Count:
        """Of a count that went no further than one beyond MOST_COUNTED, or may have."""
        return cls(number) if number <= MOST_COUNTED else cls(MOST_COUNTED, is_exact=False)
