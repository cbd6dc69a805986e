"""Search text → folded words → what a search column must contain. Never raises: any text is a search.

Both sides are folded the same way, so that a search ignores case and accents and finds the same
rows on every database. Words are ANDed in any order. A word of three letters or more matches
anywhere; a shorter one matches the beginning of a word (a name, the e-mail).

A search column holds folded words in *letters only*, two spaces before each. The databases' trigram
indexes know runs of three characters, Postgres even of three letters: with the spaces a word of one
letter has its trigram too (``␣␣m``), and so has every mark and symbol once it is spelled in letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

LONGEST_QUERY = 200
MOST_WORDS = 10
SHORTEST_SUBSTRING = 3
WORD_START = "  "


class _Translation(dict[int, str]):
    """A table for str.translate() that is filled as characters come."""

    MOST_KEPT = 20_000

    def __init__(self, translate: Callable[[str], str]) -> None:
        super().__init__()
        self._translate = translate

    def __missing__(self, code: int) -> str:
        if len(self) >= self.MOST_KEPT:
            self.clear()
        return self.setdefault(code, self._translate(chr(code)))


@lru_cache(maxsize=20_000)
def fold_character(character: str) -> str:
    """One character without case, accents or width; empty for marks, controls and formats."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) not in {"Mn", "Me", "Cc", "Cf", "Cs"})


_FOLDED = _Translation(lambda c: " " if c.isspace() or c == "\0" else fold_character(c))


@lru_cache(maxsize=20_000)  # the same names come again and again
def _fold_word(word: str) -> str:
    return word.lower() if word.isascii() and word.isprintable() else word.translate(_FOLDED)


def fold(text: str) -> str:
    """``text`` as it is searched: each character folded, every run of white space one space.

    Folding character by character is what lets ``mark_words`` map a match back to the original.
    """
    return " ".join(" ".join(map(_fold_word, text.split())).split())


# Letters of the Yi syllabary stand for what is no letter: one for an ASCII mark, five for any other
# symbol (and for a Yi letter itself), so that no two texts are ever spelled alike.
YI, YI_END = 0xA000, 0xA48C
_LEADS, _DIGITS = 0xA100, 0xA120


def _spell_character(character: str) -> str:
    code = ord(character)
    is_yi = YI <= code <= YI_END
    if character.isspace() or (unicodedata.category(character)[0] in "LNM" and not is_yi):
        return character
    if code < 0x80:  # noqa: PLR2004 - ASCII
        return chr(YI + code)
    digits = (code >> 12 & 15, code >> 8 & 15, code >> 4 & 15, code & 15)
    return chr(_LEADS + (code >> 16)) + "".join(chr(_DIGITS + digit) for digit in digits)


_SPELLED = _Translation(_spell_character)
_ASCII_MARKS = [(chr(code), _SPELLED[code]) for code in range(33, 127) if not chr(code).isalnum()]


def spell(word: str) -> str:
    """The folded ``word`` in letters and digits only; it contains what it contained."""
    if not word.isascii():
        return word.translate(_SPELLED)
    if not word.isalnum():
        for mark, letter in _ASCII_MARKS:  # several times as fast as translate()
            if mark in word:
                word = word.replace(mark, letter)
    return word


@lru_cache(maxsize=20_000)
def _searchable_word(word: str) -> str:
    return "".join(WORD_START + spell(part) for part in _fold_word(word).split())


def searchable(*texts: str) -> str:
    """The value of a search column."""
    return "".join(map(_searchable_word, " ".join(texts).split()))


def split_words(query: str) -> tuple[str, ...]:
    """The folded words of what a person typed, each once, in the order typed."""
    return tuple(dict.fromkeys(fold(query[:LONGEST_QUERY]).split()))[:MOST_WORDS]


def has_too_many_words(query: str) -> bool:
    """Whether ``split_words`` would leave some out."""
    return len(set(fold(query[:LONGEST_QUERY]).split())) > MOST_WORDS


def pattern_of(word: str) -> str:
    """What of a ``searchable`` text the folded word must contain: never under three characters."""
    return WORD_START[: max(0, SHORTEST_SUBSTRING - len(word))] + spell(word)
