"""Any text is a search; both databases find what a plain reading of the rules finds."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text

from tests.conftest import insert_users
from tests.listing.ways import TUNED, forced, ways
from webapp.db import atomic, get_session
from webapp.listing.counting import Count
from webapp.listing.page import PageRequest, paginate
from webapp.listing.search import (
    LONGEST_QUERY,
    MOST_WORDS,
    fold,
    fold_character,
    pattern_of,
    searchable,
    spell,
    split_words,
)
from webapp.users.models import User
from webapp.users.queries import LISTING, select_users

quick = settings(max_examples=60, deadline=None)
anything = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too
# Few letters of many alphabets, so that words meet; and every character that SQL or LIKE could trip over.
LETTERS = (
    "aAbeéÉsßıİiIñçØœﬁＡｂ ΑαάςσΣ Жжйё 한글 漢字 कि עב عر ไท 🙂 %_\\/'\"`;-*?[]^$.,(){}\u0301\u200d\u00a0\t"
)
crowded = st.text(LETTERS, max_size=25)

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@quick
@given(anything)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_every_character_folds_to_what_stays_as_it_is() -> None:
    tried = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isprintable()]
    fold_once = fold_character.__wrapped__  # past the cache, which a million characters would only churn
    folded = {fold_once(character) for character in tried}
    assert [text for text in folded if "".join(map(fold_once, text)) != text] == []


@quick
@given(anything, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_a_text_folds_alike_however_it_is_encoded(text: str, form: str) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)  # type: ignore[arg-type]


@quick
@given(anything)
def test_case_does_not_count(text: str) -> None:
    assert fold(text.casefold()) == fold(text)
    ordinary = "".join(c for c in text if c not in "ıİ")  # in Turkish these two are letters of their own
    assert fold(ordinary.lower()) == fold(ordinary)


# Not the iota subscript, which is a letter written below another.
accents = st.characters(categories=["Mn"], exclude_characters="\u0345")


@quick
@given(st.text("aeñжα漢", max_size=8), st.text(accents, max_size=4))
def test_accents_do_not_count(text: str, marks: str) -> None:
    assert fold("".join(c + marks for c in text)) == fold(text)


@quick
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_width_does_not_count(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in text)
    assert fold(wide) == fold(text)


@quick
@given(anything)
def test_folded_text_has_single_spaces_and_nothing_invisible(text: str) -> None:
    folded = fold(text)
    assert folded == " ".join(folded.split())
    assert not {unicodedata.category(c) for c in folded} & {"Cc", "Cf", "Cs", "Mn", "Me"}
    folded.encode()  # storable


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Zoë\t O’Neil\n", "zoe o’neil"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁnance Ａｎｎ", "finance ann"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("Ёлка", "елка"),
        ("a\0b", "a b"),
        ("zero\u200bwidth", "zerowidth"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_examples_fold_as_people_expect(text: str, folded: str) -> None:
    assert fold(text) == folded


@quick
@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_any_text_splits_into_few_folded_words(query: str) -> None:
    words = split_words(query)
    assert len(words) <= MOST_WORDS
    assert len(set(words)) == len(words)
    for word in words:
        assert word
        assert fold(word) == word
        assert not re.search(r"\s", word)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ()),
        (" \t\u3000\n", ()),
        ("Ann  Lee ann", ("ann", "lee")),
        ("b A b Á", ("b", "a")),
        (" ".join(f"word{n}" for n in range(30)), tuple(f"word{n}" for n in range(MOST_WORDS))),
        ("x" * 1_000, ("x" * LONGEST_QUERY,)),
    ],
)
def test_words_keep_their_order_and_come_once(query: str, words: tuple[str, ...]) -> None:
    assert split_words(query) == words


def oracle(text: str, words: tuple[str, ...]) -> bool:
    """The rules read plainly: long words anywhere, short ones where a word begins."""
    tokens = fold(text).split()
    return all(
        any(token.startswith(word) for token in tokens) if len(word) <= 2 else word in " ".join(tokens)
        for word in words
    )


@atomic
def store_names(names: list[str]) -> None:
    """The e-mail is searched as well, so it is kept to a letter that no query holds."""
    get_session().execute(delete(User))
    insert_users([{"full_name": name, "email": f"{'z' * (n + 3)}"} for n, name in enumerate(names)])


def find_names(words: tuple[str, ...], way: Mapping[str, int] = TUNED) -> list[str]:
    """Through the list, in the order they were stored in."""
    with forced(way):
        page = paginate(get_session(), LISTING, select_users(words=words), PageRequest(sort="created_at"))
    get_session().rollback()
    assert page.count.value == len(page.rows)
    return [row.full_name for row in page.rows]


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[str], str]:
    """Names, and a query that is often made of pieces of one of them."""
    names = draw(st.lists(crowded, min_size=1, max_size=6))
    pieces = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(names))
        start = draw(st.integers(0, max(0, len(name) - 1)))
        pieces.append(
            draw(st.just(name[start : start + draw(st.integers(1, 5))]) | st.text(LETTERS, max_size=3))
        )
    return names, " ".join(pieces)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(search=searches(), way=ways)
def test_a_database_finds_what_the_rules_find(
    context: Flask, search: tuple[list[str], str], way: dict[str, int]
) -> None:
    names, query = search
    storable = [name.replace("\0", "") for name in names]
    store_names(storable)
    words = split_words(query)
    expected = [name for n, name in enumerate(storable) if oracle(f"{name} {'z' * (n + 3)}", words)]
    assert sorted(find_names(words, way)) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (
            "",
            ["100% Cotton", "100 Percent", "Ann_Lee", "Annie Lee", "Back\\slash", 'O\'Hara "Q"', "Ørsted Ça"],
        ),
        ("100%", ["100% Cotton"]),
        ("%", []),
        ("_", []),
        ("n_l", ["Ann_Lee"]),
        ("k\\s", ["Back\\slash"]),
        ("o'h", ['O\'Hara "Q"']),
        ('"q"', ['O\'Hara "Q"']),
        ('"', ['O\'Hara "Q"']),
        ("lee ann", ["Ann_Lee", "Annie Lee"]),
        ("l", ["Annie Lee"]),
        ("le", ["Annie Lee"]),
        ("ee", []),
        ("nie", ["Annie Lee"]),
        ("100", ["100% Cotton", "100 Percent"]),
        ("ca", ["Ørsted Ça"]),
        ("ØRS", ["Ørsted Ça"]),
        ("ann zzz", ["Ann_Lee", "Annie Lee"]),
    ],
)
def test_examples_are_found_as_people_expect(context: Flask, query: str, found: list[str]) -> None:
    store_names(
        ["100% Cotton", "100 Percent", "Ann_Lee", "Annie Lee", "Back\\slash", 'O\'Hara "Q"', "Ørsted Ça"]
    )
    assert find_names(split_words(query)) == found


# Spelling: marks and symbols become letters of the Yi syllabary


def test_a_searchable_text_begins_every_word_with_two_spaces_and_is_all_letters() -> None:
    assert searchable("Ann Lee", "ann@x.example") == "  ann  lee  ann\ua040x\ua02eexample"


# What is spelled, and what stands for it.
odd = st.text(LETTERS + "\ua000\ua02e\ua040\ua100\ua120\ua48c\ua490", max_size=12)
folded = (odd | anything).map(fold)


@quick
@given(folded)
def test_spelled_text_has_nothing_but_letters_digits_and_spaces(text: str) -> None:
    assert {unicodedata.category(c)[0] for c in spell(text)} <= {"L", "N", "M", "Z"}


@settings(max_examples=300, deadline=None)
@given(folded, st.data())
def test_spelled_text_contains_what_the_text_contained_and_nothing_else(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    piece = text[start : start + data.draw(st.integers(0, 4))] + data.draw(st.just("") | folded)
    assert (spell(piece) in spell(text)) is (piece in text)


@quick
@given(folded, folded)
def test_no_two_texts_are_spelled_alike(one: str, other: str) -> None:
    assert (spell(one) == spell(other)) is (one == other)


@quick
@given(anything | crowded, crowded)
def test_each_pattern_has_a_trigram_and_is_found_where_the_rules_find_the_word(text: str, query: str) -> None:
    for word in split_words(query):
        pattern = pattern_of(word)
        assert len(pattern) >= 3
        assert (pattern in searchable(text)) is oracle(text, (word,))


@on_sqlite
def test_what_has_one_of_two_words_is_not_counted_as_having_both(context: Flask) -> None:
    """The index is asked for the rare one alone, as the list of the other is so much longer."""
    names = ["Bob Net"] * 9_000 + ["Joe Foo"] * 40 + ["Joe Net"] * 20
    insert_users([{"full_name": name, "email": f"{n}@x.example"} for n, name in enumerate(names)])
    get_session().execute(text("INSERT INTO users_search (users_search) VALUES ('optimize')"))
    selection = select_users(words=("joe", "net"))
    with forced({"MUCH_LONGER": 1, "MOST_GATHERED": 30}, most_counted=25):
        page = paginate(get_session(), LISTING, selection, PageRequest(sort="name", size=50))
    assert (page.count, len(page.rows)) == (Count(20), 20)
