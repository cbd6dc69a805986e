"""What a note may hold: any text that can be read, in one form, so that the same words are the same note."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import TEXTS
from tests.users.test_rules import BLANK
from webapp.errors import Invalid
from webapp.notes.rules import LONGEST_NOTE, clean_text

any_text = st.text(st.characters(codec=None), max_size=50)  # surrogates and controls too


def refuse(text: str) -> str:
    """Answer what is said at the field."""
    with pytest.raises(Invalid) as refusal:
        clean_text(text)
    assert refusal.value.field == "text"
    return str(refusal.value)


@pytest.mark.parametrize("length", [1, 2, LONGEST_NOTE - 1, LONGEST_NOTE])
@pytest.mark.parametrize("letter", ["x", "é", "漢", "👧"])
def test_up_to_the_longest_it_is_taken(letter: str, length: int) -> None:
    assert clean_text(letter * length) == letter * length


@pytest.mark.parametrize("length", [LONGEST_NOTE + 1, LONGEST_NOTE * 2, LONGEST_NOTE * 2 + 1, 1_000_000])
def test_a_longer_one_is_told_the_limit(length: int) -> None:
    assert refuse("x" * length) == f"Use at most {LONGEST_NOTE} characters."


@pytest.mark.parametrize("text", ["", " ", "\n", "\r\n\r\n", "\t", "\u00a0\u3000\u2028", *BLANK.values()])
def test_one_with_nothing_to_read_is_refused(text: str) -> None:
    assert refuse(text) == "Write something."


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("a\r\r\nb", "a\n\nb"),
        ("a\n\r\nb", "a\n\nb"),
        ("a\n\n\nb", "a\n\n\nb"),
        ("\r\n a\tb \r\n", "a\tb"),
    ],
)
def test_line_breaks_are_of_one_kind_and_white_space_around_goes(typed: str, kept: str) -> None:
    assert clean_text(typed) == kept


def test_line_breaks_count_once_as_in_the_browser() -> None:
    longest = "x" + "\n" * (LONGEST_NOTE - 2) + "x"
    assert clean_text(longest.replace("\n", "\r\n")) == longest
    assert "at most" in refuse(("x" + "\n" * (LONGEST_NOTE - 1) + "x").replace("\n", "\r\n"))


def test_it_is_counted_as_it_is_composed() -> None:
    assert clean_text("Rene\u0301") == "René"
    assert clean_text("e\u0301" * LONGEST_NOTE) == "é" * LONGEST_NOTE
    # U+FB1D is longer in NFC than it was typed.
    assert "at most" in refuse("\ufb1d" * LONGEST_NOTE)


CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize("control", [character for character in CONTROLS if character not in "\t\n\r"])
def test_a_control_character_inside_is_refused(control: str) -> None:
    assert refuse(f"a{control}b") == "Use printable characters only."


@pytest.mark.parametrize("number", range(0xD800, 0xE000, 0x1FF))
def test_a_lone_surrogate_is_refused(number: int) -> None:
    surrogate = chr(number)
    for text in (surrogate, f"a{surrogate}b", f"a{surrogate}"):
        assert refuse(text) == "Use printable characters only."


@pytest.mark.parametrize("text", ["\0", "a\0", "\0a", "a\0b"])
def test_a_nul_is_refused_wherever_it_is(text: str) -> None:
    assert refuse(text) == "Use printable characters only."


@pytest.mark.parametrize(
    "text", ["👩\u200d👩\u200d👧", "a\u202eb", "شارلوت", "a\ufffdb", "\u200bx", "<b>&amp;</b>"]
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert clean_text(text) == text


def assert_kept_or_refused(text: str) -> None:
    try:
        kept = clean_text(text)
    except Invalid:
        refuse(text)
        return
    assert clean_text(kept) == kept, "saved again it is no change"
    assert kept == unicodedata.normalize("NFC", kept)
    assert 1 <= len(kept) <= LONGEST_NOTE
    assert "\r" not in kept
    assert kept.encode()


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_of_the_corpus_is_kept_or_refused(name: str) -> None:
    assert_kept_or_refused(TEXTS[name])


@given(text=any_text)
def test_any_text_is_kept_or_refused(text: str) -> None:
    assert_kept_or_refused(text)
