"""Show why a row was found: wrap what matched in <mark>, also where only the folded text matches."""

from __future__ import annotations

from markupsafe import Markup, escape

from webapp.listing.search import SHORTEST_SUBSTRING, fold_character


def mark_words(text: str, words: tuple[str, ...]) -> Markup:
    """``text`` escaped, with each match of the folded ``words`` in <mark>."""
    spans = _find_spans(text, words) if words else []
    if not spans:
        return escape(text)
    parts: list[Markup] = []
    position = 0
    for start, end in spans:
        parts += [escape(text[position:start]), Markup("<mark>"), escape(text[start:end]), Markup("</mark>")]
        position = end
    parts.append(escape(text[position:]))
    return Markup("").join(parts)


def _find_spans(text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the words stand in ``text``: sorted, without overlaps, as (start, end) of the original."""
    folded = [" "]
    origins = [0]  # origins[i]: which character of text gave the i-th folded character
    for index, character in enumerate(text):
        pieces = " " if character.isspace() else fold_character(character)
        folded.append(pieces)
        origins += [index] * len(pieces)
    haystack = "".join(folded)
    spans: list[tuple[int, int]] = []
    for word in words:
        pattern = word if len(word) >= SHORTEST_SUBSTRING else f" {word}"
        at = haystack.find(pattern)
        while at >= 0:
            end = at + len(pattern) - 1
            first = at + len(pattern) - len(word)
            spans.append((origins[first], _past_marks(text, origins[end] + 1)))
            at = haystack.find(pattern, end + 1)
    return _merge(sorted(spans))


def _past_marks(text: str, end: int) -> int:
    """Take along the combining marks that follow, which fold to nothing."""
    while end < len(text) and not text[end].isspace() and not fold_character(text[end]):
        end += 1
    return end


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
