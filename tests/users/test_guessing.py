"""What guessers try first is refused, and what is random or several words is not."""

from __future__ import annotations

import random
import secrets
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.users.guessing import _COMMON_PASSWORDS, count_bits, is_common, is_guessable, load_digests
from webapp.users.passwords import generate_password

CONTEXT = ("dossier", "desk.orangery.example", "Maximilienne Durand", "max.durand")
COMMON = ("password", "administrator", "welcome", "letmein", "trustno1", "iloveyou", "sunshine", "qwertyuiop")
TAILS = ("", "1", "!", "123!", "2024!", "1234567", "!!!", "2026", " 1999", "#1")
LEET = str.maketrans("aeiost", "@310$7")
WORDS = tuple("orchard lantern velvet harbour candle meadow copper thunder violin pepper".split())


@pytest.mark.parametrize(
    "password",
    [
        *("password123!", "Password2024!", "administrator!", "P@ssw0rd2024!!!", "qwertyuiop12345"),
        *("123456789012345", "abcdefghijklmnop", "zyxwvutsrqponm", "1q2w3e4r5t6y7u8i", "1qaz2wsx3edc4rfv"),
        *("azertyuiop12345", "asdfghjkl;12345", "!@#$%^&*()12345", "147258369147258"),
        *(
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "passwordpassword",
            "password-password-1",
            "monkeymonkey99",
        ),
        *("drowssap!!2020", "Winter2024Winter", "correcthorsebatterystaple", "CorrectHorseBatteryStaple1!"),
        *("Dossier2024!!abc", "orangery123456!", "Maximilienne2026", "max.durand was in", "dnarud2026!!!!!"),
        *(
            "thequickbrownfox",
            "The quick brown fox jumps",
            "MayTheForceBeWithYou",
            "correct horse battery staple",
        ),
        *("tobeornottobe123", "ThisIsMyPassword1!", "Administrateur1!", "bienvenue2026!!!"),
        *("enneilimixam!99", "M4ximilienne!2024", "D0ss13r-D0ss13r!"),
    ],
)
def test_what_a_guesser_tries_first_is_refused(password: str) -> None:
    assert is_guessable(password, context=CONTEXT)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from((*COMMON, "dossier", "orangery", "durand")),
    st.sampled_from((str, str.upper, str.title, lambda word: word[::-1], lambda word: word.translate(LEET))),
    st.sampled_from(TAILS),
    st.sampled_from(TAILS),
    st.integers(1, 4),
)
def test_a_common_or_own_word_is_refused_however_it_is_dressed(
    word: str, dress: object, before: str, after: str, times: int
) -> None:
    assert callable(dress)
    assert is_guessable(before + dress(word) * times + after, context=CONTEXT)


def test_random_characters_are_never_refused() -> None:
    made = [generate_password() for _ in range(10_000)]
    assert [password for password in made if is_guessable(password, context=CONTEXT)] == []


@settings(max_examples=300, deadline=None)
@given(st.integers(), st.integers(14, 64), st.booleans())
def test_random_characters_of_few_kinds_are_not_either(seed: int, length: int, has_capitals: bool) -> None:
    letters = string.ascii_letters + string.digits if has_capitals else string.ascii_lowercase
    assert not is_guessable("".join(random.Random(seed).choices(letters, k=length)))


@settings(max_examples=300, deadline=None)
@given(st.permutations(WORDS), st.sampled_from(("", " ", "-", ".")), st.integers(3, 6))
def test_several_unrelated_words_are_not_refused(words: list[str], between: str, number: int) -> None:
    assert not is_guessable(between.join(words[:number]), context=CONTEXT)


@pytest.mark.parametrize(
    "password", ["日本語のパスワードです", "пароль из трёх слов", "fermer la porte bleue"]
)
def test_words_of_other_languages_are_not_refused(password: str) -> None:
    assert not is_guessable(password, context=CONTEXT)


def test_the_list_is_a_real_one_and_small_in_memory() -> None:
    digests = load_digests()
    assert len(digests) > 50_000
    assert len(digests) * digests.itemsize < 1_000_000
    assert _COMMON_PASSWORDS.stat().st_size < 200_000
    assert all(map(is_common, ("123456", "password", "qwerty", "welcome")))
    assert not is_common(secrets.token_urlsafe())


@pytest.mark.parametrize(
    "password",
    [
        *(
            "a" * 256,
            "ab" * 128,
            "a" * 255 + "b",
            "a1" * 64 + "a2" * 64,
            "pass1wor" * 32,
            "@" * 256,
            "_" * 256,
        ),
        "".join(chr(33 + number * 7919 % 94) for number in range(256)),
        "".join(random.Random(7).choices("ab", k=256)),
        "x" + "\u0301\u0323" * 255,
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_the_longest_password_costs_little(password: str) -> None:
    """No more than the limit of any request, in processor time, which other load does not lengthen much."""
    context = [f"word{number}x" * 3 for number in range(60)]
    is_guessable(password, context=context)
    started = time.thread_time()
    count_bits(password, context=context)
    assert time.thread_time() - started < 0.05
