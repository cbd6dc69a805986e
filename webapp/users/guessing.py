"""Whether a password is easily guessed: how many bits its cheapest reading takes.

A guesser knows the passwords of published breaches, tries them with letters written as digits, backwards,
repeated and with a year or "123!" behind, knows keyboards, and knows whom they attack. What can be read as a
few such parts is refused; random characters and several unrelated words take many bits.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import inf
from pathlib import Path

_COMMON_PASSWORDS = Path(__file__).parent / "vendor" / "common_passwords.txt.gz"
MIN_BITS = 31.0
MIN_CONTEXT_LETTERS = 4  # shorter ones occur by chance
MAX_CONTEXT_WORDS = 40
MAX_READ = 64  # characters: what is longer, repetitions aside, holds enough in its beginning
MIN_WORD, MAX_WORD = 4, 16  # of the list

WORD_BITS = 12.0  # one of some 50,000, the first of them first
TRICK_BITS = 1.0  # letters as digits, or backwards
WALK_BITS = 6.0
YEAR_BITS = 6.0
CONTEXT_BITS = -6.0  # what the guesser knows anyway: the rest has to be better for it
END_BITS = 1.5  # each digit or sign around a single part
LETTER_BITS, DIGIT_BITS, BLANK_BITS = 4.7, 3.3, 1.5

_WALKS = (
    "01234567890 abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm azertyuiop qsdfghjklm wxcvbn"
    " qwertzuiop yxcvbnm 1q2w3e4r5t6y7u8i9o0p 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/"
    " qazwsxedcrfvtgbyhnujmikolp qweasdzxc 147258369 !@#$%^&*()"
)
_WALKS = f"{_WALKS} {_WALKS[::-1]}"
MIN_WALK = 3
_YEAR = re.compile(r"(?:19|20)\d\d")
# A word twice, a sign three times: "ann" and "banana" stay as they are.
_REPEATED = re.compile(r"(.{3,}?)(?:[\W\d_]{0,4}\1)+|(..?)\2{2,}")
# "1" stands for i, for l, or for itself.
_LEET = tuple(str.maketrans("@430$57+!1", f"aaeosstti{letter}") for letter in "il1")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
# Phrases that are long enough and yet among the first to be tried.
_FAMOUS = (
    "correcthorsebattery",
    "thequickbrownfox",
    "maytheforcebewithyou",
    "tobeornottobe",
    "thisismypassword",
    "supersecretpassword",
    "administrat",  # whom one signs in as, in both languages
    "bienvenue",
)


def is_guessable(password: str, *, context: Iterable[str] = ()) -> bool:
    """``context`` are texts that a guesser would try first: of the product, the host, the person."""
    context = tuple(context)
    readings = [password]
    joined = _BETWEEN_WORDS.sub("", password)
    if any(phrase in joined.casefold() for phrase in _FAMOUS):
        readings.append(joined)
    return any(count_bits(reading, context=context) < MIN_BITS for reading in readings)


def count_bits(password: str, *, context: Iterable[str] = ()) -> float:
    """Return what the cheapest reading of the password takes, part by part from its beginning."""
    text = _REPEATED.sub(_first_of, unicodedata.normalize("NFKC", password).casefold())[:MAX_READ]
    known = tuple({turned for word in _context_words(context) for turned in (word, word[::-1])})
    spellings = list(dict.fromkeys((text, *(text.translate(table) for table in _LEET))))
    letters = [place for place, character in enumerate(text) if character.isalpha()]
    least = [0.0, *(inf for _ in text)]
    dressed = inf
    for start in range(len(text)):
        for length, bits in _read_parts(spellings, start, known):
            end = start + length
            least[end] = min(least[end], least[start] + bits)
            if (
                letters and start <= letters[0] and letters[-1] < end
            ):  # what stands around it is digits and signs
                dressed = min(dressed, bits + END_BITS * (len(text) - length))
    return min(least[-1], dressed)


def _first_of(repeated: re.Match[str]) -> str:
    return repeated[1] or repeated[2]


def _read_parts(spellings: list[str], start: int, known: tuple[str, ...]) -> Iterator[tuple[int, float]]:
    """Yield the length and the bits of each part that begins at ``start``."""
    text = spellings[0]
    yield 1, _character_bits(text, start)
    if _YEAR.match(text, start):
        yield 4, YEAR_BITS
    end = start + MIN_WALK
    while end <= len(text) and text[start:end] in _WALKS:
        yield end - start, WALK_BITS
        end += 1
    for spelling in spellings:
        yield from ((len(word), CONTEXT_BITS) for word in known if spelling.startswith(word, start))
    for length in range(MIN_WORD, min(MAX_WORD, len(text) - start) + 1):
        for number, spelling in enumerate(spellings):
            part = spelling[start : start + length]
            if is_common(part):
                yield length, WORD_BITS + (TRICK_BITS if number else 0)
            elif is_common(part[::-1]):
                yield length, WORD_BITS + TRICK_BITS


def _character_bits(text: str, place: int) -> float:
    character = text[place]
    if character.isspace():
        return BLANK_BITS
    return DIGIT_BITS if place and character.isdigit() and text[place - 1].isdigit() else LETTER_BITS


def _context_words(texts: Iterable[str]) -> list[str]:
    """Each text as a whole and its parts, as far as they are words."""
    folded = (unicodedata.normalize("NFKC", text).casefold() for text in texts)
    words = dict.fromkeys(word for text in folded for word in (text, *_BETWEEN_WORDS.split(text)))
    return [*_FAMOUS, *(word for word in words if len(word) >= MIN_CONTEXT_LETTERS)][
        : MAX_CONTEXT_WORDS + len(_FAMOUS)
    ]


def is_common(word: str) -> bool:
    """Whether it is in the list."""
    digests = load_digests()
    digest = hash(word)
    place = bisect_left(digests, digest)
    return place < len(digests) and digests[place] == digest


@lru_cache(maxsize=1)
def load_digests() -> array[int]:
    """The list as sorted 64-bit digests, half a megabyte: as texts in a set they would take five."""
    with gzip.open(_COMMON_PASSWORDS, "rt", encoding="ascii") as lines:
        return array("q", sorted(hash(line.rstrip("\n")) for line in lines))
