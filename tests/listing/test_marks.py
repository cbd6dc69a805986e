"""Marking shows why a row was found, and never changes or breaks the text."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup, escape

from webapp.listing.marks import mark_words
from webapp.listing.search import fold, pattern_of, searchable, split_words

MARKED = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
quick = settings(max_examples=60, deadline=None)
# No NUL: no text that can be stored holds one.
texts = st.text("aAbßsSİıiéﬁk< >&\"'\u0301\u0308\u200d ΣςσЖ漢", max_size=20) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)
queries = st.text('aAbßsiıéfkﬁ<&"\u0301 σж漢', max_size=8) | st.text(max_size=8)


@quick
@given(texts, queries)
def test_without_its_marks_it_is_the_escaped_text(text: str, query: str) -> None:
    marked = mark_words(text, split_words(query))
    assert isinstance(marked, Markup)
    assert re.sub("</?mark>", "", marked) == str(escape(text))


@quick
@given(texts, queries)
def test_every_mark_holds_a_word(text: str, query: str) -> None:
    words = split_words(query)
    for piece in MARKED.findall(mark_words(text, words)):
        assert any(word in fold(unescape(piece)) for word in words)


@quick
@given(texts, st.data())
def test_every_word_that_is_found_is_marked(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    words = split_words(text[start : start + data.draw(st.integers(1, 5))])
    pieces = [fold(unescape(piece)) for piece in MARKED.findall(mark_words(text, words))]
    for word in words:
        if pattern_of(word) in searchable(text):
            assert any(word in piece for piece in pieces)


@quick
@given(texts, queries)
def test_marks_neither_nest_nor_touch(text: str, query: str) -> None:
    marked = str(mark_words(text, split_words(query)))
    assert re.sub("[^\0\1]", "", marked.replace("<mark>", "\0").replace("</mark>", "\1")) in {
        "\0\1" * number for number in range(len(text) + 1)
    } or {"\0", "\1"} & set(text)
    assert "</mark><mark>" not in marked
    assert "<mark></mark>" not in marked


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("Ann Lee", "", "Ann Lee"),
        ("Ann Lee", "zoe", "Ann Lee"),
        ("Ann Lee", "lee", "Ann <mark>Lee</mark>"),
        ("Ann Lee", "n", "Ann Lee"),
        ("Ann Nash", "n", "Ann <mark>N</mark>ash"),
        ("Joanna Ann", "ann", "Jo<mark>ann</mark>a <mark>Ann</mark>"),
        ("Zoë Kravitz", "zoe", "<mark>Zoë</mark> Kravitz"),
        ("Zoe\u0308 K", "zoe", "<mark>Zoe\u0308</mark> K"),
        ("Straße", "strass", "<mark>Straß</mark>e"),
        ("Straße", "asse", "Str<mark>aße</mark>"),
        ("İstanbul", "ist", "<mark>İst</mark>anbul"),
        ("ﬁnance", "fin", "<mark>ﬁn</mark>ance"),
        ("ΝΊΚΟΣ", "νικος", "<mark>ΝΊΚΟΣ</mark>"),
        ("aaaa", "aaa", "<mark>aaa</mark>a"),
        ("abcdef", "abc bcd", "<mark>abcd</mark>ef"),
        ("abcdef", "abc def", "<mark>abcdef</mark>"),
        ("<b>Ann</b>", "ann", "&lt;b&gt;<mark>Ann</mark>&lt;/b&gt;"),
        ("R&D &amp", "&am", "R&amp;D <mark>&amp;am</mark>p"),
        ("<mark>x", "mark", "&lt;<mark>mark</mark>&gt;x"),
    ],
)
def test_examples_are_marked_as_people_expect(text: str, query: str, marked: str) -> None:
    assert mark_words(text, split_words(query)) == marked
