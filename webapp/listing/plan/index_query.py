"""What the search's index is asked for: trigrams of the words, and marks of segments, months and a stretch.

What it gives are *candidates*: every hit is one, and some that are none, so each is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.listing.definition import Listing, Selection
from webapp.listing.search import SHORTEST_SUBSTRING, pattern_of

# Of a word's trigrams the rarest are asked for. Each is a list to go through: one that is so many times as
# long as another of the same word, or of another word, spares less than it costs; and so does a second one of
# a word that so many rows have.
LONGER, MUCH_LONGER = 8, 16
LONGEST_SECOND = 600_000


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """All that is not None must be met; of ``segments`` and ``months`` one each."""

    trigrams: tuple[str, ...] = ()
    segments: tuple[str, ...] | None = None
    months: tuple[str, ...] | None = None
    stretch: str | None = None

    @property
    def match(self) -> str:
        """For FTS5. No trigram or mark holds a quote."""
        terms = [*self.trigrams, *([self.stretch] if self.stretch else [])]
        unions = [marks for marks in (self.segments, self.months) if marks is not None]
        return " AND ".join([*(f'"{term}"' for term in terms), *map(_any_of, unions)])

    @property
    def parameters(self) -> dict[str, Any]:
        """For either database."""
        arrays: Mapping[str, Sequence[str] | None] = {
            "marks_segments": self.segments,
            "marks_months": self.months,
            "marks_stretch": (self.stretch,) if self.stretch else None,
        }
        likes = {f"like_{number}": f"%{trigram}%" for number, trigram in enumerate(self.trigrams)}
        marks = {name: list(marks) for name, marks in arrays.items() if marks is not None}
        return {"match": self.match, **likes, **marks}


def months_of(listing: Listing, selection: Selection, *, is_inside: bool = False) -> tuple[str, ...] | None:
    """The marks of the months and years that the range touches, or of those that lie wholly inside; None when
    the index does not know.
    """
    where, search = selection.range, listing.search
    if where is None or search is None or listing.sorts[where.sort].column is not search.time:
        return None
    order = search.time_order
    return tuple((order.marks_inside if is_inside else order.marks_touching)(where.low, where.before))


def trigrams_of(word: str) -> list[str]:
    """In the order of their letters."""
    pattern = pattern_of(word)
    return [
        pattern[start : start + SHORTEST_SUBSTRING] for start in range(len(pattern) - SHORTEST_SUBSTRING + 1)
    ]


def choose_trigrams(words: Sequence[str], sizes: Mapping[str, int], *, most: int) -> tuple[str, ...]:
    """The rarest, ``most`` of all words together but one of each. ``sizes`` says how many rows have those
    that may be chosen, about.
    """
    share = max(1, most // max(1, len(words)))
    chosen = {trigram for word in words for trigram in _rarest(word, sizes, share)}
    by_size = sorted(chosen, key=lambda trigram: (sizes[trigram], trigram))
    longest = MUCH_LONGER * max(1, sizes[by_size[0]]) if by_size else 0
    return tuple(trigram for trigram in by_size if sizes[trigram] <= longest)


def _rarest(word: str, sizes: Mapping[str, int], most: int) -> list[str]:
    first, *others = sorted(
        (trigram for trigram in trigrams_of(word) if trigram in sizes), key=sizes.__getitem__
    )
    longest = min(LONGEST_SECOND, LONGER * max(1, sizes[first]))
    return [first, *(trigram for trigram in others[: most - 1] if sizes[trigram] <= longest)]


def _any_of(marks: Sequence[str]) -> str:
    return "(" + " OR ".join(f'"{mark}"' for mark in marks) + ")"
