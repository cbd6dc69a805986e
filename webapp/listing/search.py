"""Search text → folded words → predicate. Never raises: any text is a search, if only for nothing.

Both sides are folded the same way, so that a search ignores case and accents and finds the same
rows on every database. Words are ANDed in any order. A word of three letters or more matches
anywhere; a shorter one matches the beginning of a word (a name, the e-mail).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from sqlalchemy import ColumnElement, and_, true

LONGEST_QUERY = 200
MOST_WORDS = 10
SHORTEST_SUBSTRING = 3


@lru_cache(maxsize=20_000)
def fold_character(character: str) -> str:
    """One character without case, accents or width; empty for marks, controls and formats."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) not in {"Mn", "Me", "Cc", "Cf", "Cs"})


def fold(text: str) -> str:
    """``text`` as it is searched: each character folded, every run of white space one space.

    Folding character by character is what lets ``mark_words`` map a match back to the original.
    """
    spaced = "".join(" " if c.isspace() or c == "\0" else fold_character(c) for c in text)
    return " ".join(spaced.split())


def searchable(*texts: str) -> str:
    """The value of a search column: a space before each word, so that a word's start can be found."""
    return " " + fold(" ".join(texts))


def split_words(query: str) -> tuple[str, ...]:
    """The folded words of what a person typed, each once, in the order typed."""
    return tuple(dict.fromkeys(fold(query[:LONGEST_QUERY]).split()))[:MOST_WORDS]


def pattern_of(word: str) -> str:
    """What of a ``searchable`` text the word must contain."""
    return word if len(word) >= SHORTEST_SUBSTRING else f" {word}"


def matches_words(column: ColumnElement[str], words: tuple[str, ...]) -> ColumnElement[bool]:
    """Every word occurs in ``column``; ``%`` and ``_`` are ordinary characters."""
    return and_(true(), *(column.contains(pattern_of(word), autoescape=True) for word in words))
