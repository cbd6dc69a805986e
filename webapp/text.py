"""Text from outside: its length is asked before anything that costs more than reading it.

Normalization sorts the combining marks of a letter, by a sort that is quadratic, and lets no other thread run
meanwhile: a letter with a quarter of a million marks takes a minute.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from webapp.errors import N_, Invalid

MAX_TYPED = 4  # code points that one character may be typed as: a decomposed letter of Vietnamese is three
MAX_MARKS = 30  # in a row; no language has as many (UAX #15, Stream-Safe Text Format)
MAX_SORTED = 256  # code points that take less than a tenth of a millisecond, whatever they are


def normalize(text: str, *, most: int, field: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Return ``text`` in that form, which may still be longer than ``most`` characters.

    Raises Invalid on the field for what was typed in more than so many, and for more marks on one letter
    than any language has, where the text is long.
    """
    if len(text) > most * MAX_TYPED:
        raise Invalid(N_("Use at most %(most)s characters."), field=field, most=most)
    refuse_heaps(text, field=field)
    return unicodedata.normalize(form, text)


def refuse_heaps(text: str, *, field: str) -> None:
    """Raises Invalid for a long text with more marks on one letter than any language has."""
    if has_heap(text):
        raise Invalid(N_("Use at most %(most)s accents on one letter."), field=field, most=MAX_MARKS)


def has_heap(text: str, *, longer_than: int = MAX_SORTED) -> bool:
    """Return whether it is so long, and has so many marks in a row that to sort them would take long."""
    if len(text) <= longer_than or text.isascii():
        return False
    # To look for marks beyond the BMP takes ten times as long, and few texts have any.
    is_bmp = len(text.encode("utf-16-le", "surrogatepass")) == 2 * len(text)
    return bool((_HEAP_OF_BMP if is_bmp or _BEYOND_BMP.isdisjoint(text) else _HEAP).search(text))


def _is_mark(character: str) -> bool:
    """Return whether it begins with a mark once it is decomposed."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


def _heap_of(marks: list[int]) -> re.Pattern[str]:
    """Only the first mark of a row begins a match, so that each is looked at once."""
    firsts = [code for code in marks if code - 1 not in marks]
    lasts = [code for code in marks if code + 1 not in marks]
    ranges = "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))
    return re.compile(f"(?<![{ranges}])[{ranges}]{{{MAX_MARKS + 1}}}")


_MARKS = [code for code in range(0x300, 0x1F000) if _is_mark(chr(code))]
_BEYOND_BMP = frozenset(chr(code) for code in _MARKS if code > 0xFFFF)  # noqa: PLR2004
_HEAP = _heap_of(_MARKS)
_HEAP_OF_BMP = _heap_of([code for code in _MARKS if chr(code) not in _BEYOND_BMP])
