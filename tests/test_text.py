"""Text is bounded before it is normalized, and no language's is refused."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from webapp.errors import Invalid
from webapp.text import MAX_MARKS, MAX_SORTED, MAX_TYPED, _is_mark, normalize, refuse_heaps

MOST = 1_000


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_text_is_normalized(form: str) -> None:
    text = "Zoe\u0308 Ｙ"
    assert normalize(text, most=MOST, field="name", form=form) == unicodedata.normalize(form, text)  # type: ignore[arg-type]


def test_what_was_typed_decomposed_may_be_longer() -> None:
    text = "e\u0323\u0302" * MOST
    assert len(normalize(text, most=MOST, field="name")) == MOST


def test_what_is_longer_than_it_can_be_typed_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        normalize("a" * (MOST * MAX_TYPED + 1), most=MOST, field="name")
    assert (refusal.value.field, refusal.value.params) == ("name", {"most": MOST})


def test_in_a_short_text_a_letter_has_any_marks() -> None:
    text = "a" + "\u0301" * (MAX_SORTED - 1)
    assert len(normalize(text, most=MAX_SORTED, field="name")) > MAX_SORTED - 2


@pytest.mark.parametrize(
    "script",
    ["é", "e\u0323\u0302", "שָׁ", "กำ", "中", "👩\u200d👧", "\U0001118f\U000111c0", "a" + "\u0301" * 30],
)
def test_long_texts_of_any_script_are_fine(script: str) -> None:
    refuse_heaps(script * MAX_SORTED, field="text")


@pytest.mark.parametrize(
    "mark", ["\u0301", "\u0f73", "\u0344", "\u3099", "\U0001d165", "\U0001e94a"], ids=ascii
)
@pytest.mark.parametrize("before", ["a", "", "é" * MAX_SORTED, "\U0001f600" * 9])
def test_a_heap_of_marks_in_a_long_text_is_refused(mark: str, before: str) -> None:
    text = before + mark * (MAX_MARKS + 1) + "a" * MAX_SORTED
    with pytest.raises(Invalid) as refusal:
        refuse_heaps(text, field="text")
    assert refusal.value.field == "text"
    refuse_heaps(text.replace(mark, "", 1), field="text")


def test_each_mark_of_unicode_is_known() -> None:
    """Those of later editions, too, once Python knows them."""
    last = max(code for code in range(sys.maxunicode + 1) if _is_mark(chr(code)))
    with pytest.raises(Invalid):
        refuse_heaps("a" * MAX_SORTED + chr(last) * (MAX_MARKS + 1), field="text")
