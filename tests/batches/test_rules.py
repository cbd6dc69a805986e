"""A pasted list is read whatever it looks like, or refused in words; and an action fits whom it is for."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.access.permissions import PERMISSIONS as OF_ROLES
from webapp.access.permissions import Role
from webapp.batches.rules import (
    LONGEST_SHOWN,
    MOST_ROWS,
    OF_TRASHED,
    OF_USERS,
    PERMISSIONS,
    UNDOABLE,
    Action,
    Source,
    Wanted,
    clean_action,
    digest_of,
    read_list,
)
from webapp.errors import Invalid
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.search import fold
from webapp.users.rules import LONGEST_EMAIL, LONGEST_NAME, email_key


def read_or_refuse(text: str) -> list[Wanted] | None:
    """None where it was refused, in words on its field."""
    with suppress(Invalid):
        return read_list(text)
    with pytest.raises(Invalid) as refusal:
        read_list(text)
    assert refusal.value.field == "text"
    return None


def read(text: str) -> list[tuple[str, int | str]]:
    return [(wanted.kind, wanted.key) for wanted in read_list(text)]


ANN = [("email", "ann@x.org")]


@pytest.mark.parametrize(
    "text",
    [
        "ann@x.org",
        "  ann@x.org\t",
        "ANN@X.ORG",
        "<ann@x.org>",
        "Ann <ann@x.org>",
        '"Lee, Ann" <ann@x.org>;',
        "'Ann' <ann@x.org>, ",
        "(ann@x.org)",
        "[ann@x.org]",
        "mailto:ann@x.org",
        "<mailto:ann@x.org>",
        "Ann Lee,ann@x.org,member,2024-01-01",
        "12;ann@x.org;Ann",
        "| 12 | Ann Lee | ann@x.org |",
        '"12","Ann Lee","ann@x.org"',
        "Ann\tann@x.org\tMember",
        "\ufeffann@x.org",
        "ann@x.org\r\n",
        "\r\n\r\nann@x.org\r\n\r\n",
        "ann@x.org\nANN@x.org\n<Ann@X.org>",
        "ａｎｎ@x.org",
        "ann@x.org\x0b\x0c\x1c",
        "ann@x.org\u2028",
    ],
)
def test_an_address_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert read(text) == ANN


@pytest.mark.parametrize(
    "text",
    [
        "ann＠x.org",  # the @ of a Japanese keyboard
        "ＡＮＮ＠ｘ．ｏｒｇ",
        "MAILTO:ann@x.org",
        "Write to ann@x.org.",
    ],
)
def test_an_address_is_found_in_what_people_copy_as_well(text: str) -> None:
    assert read(text) == ANN


def test_an_address_in_pieces_is_the_same_one() -> None:
    assert read("Zoe\u0308@exa\u0308mple.org") == read("zoë@exämple.org")


@pytest.mark.parametrize("address", ["o'neil@x.org", "a+b@x.org", "a.b-c_d@x.co.uk", "a=b@x.org"])
def test_marks_inside_an_address_are_a_part_of_it(address: str) -> None:
    assert read(address) == [("email", address)]


def test_several_on_a_line_are_several() -> None:
    expected = [("email", f"{name}@x.org") for name in "abc"]
    for text in ("a@x.org b@x.org c@x.org", "a@x.org;b@x.org,c@x.org", "A <a@x.org>, B <b@x.org>, c@x.org"):
        assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3",
        "1,2,3",
        "1, 2, 3,",
        "1;2;3;",
        "#1 #2 #3",
        "1\n2\n3",
        "1\r\n2\r\n\r\n3\r\n",
        "1\t2\t3",
        "1\n2, 3\n1",
    ],
)
def test_ids_are_read_from_lists_of_all_shapes(text: str) -> None:
    assert read(text) == [("id", 1), ("id", 2), ("id", 3)]


@pytest.mark.parametrize("text", ["0", str(2**63 - 1), str(2**63), str(2**64), "9" * 20, "9" * 5_000])
def test_an_id_is_never_larger_than_one_can_be(text: str) -> None:
    [(kind, key)] = read(text)
    assert kind == "id"
    assert key == min(int(text[:20]), LARGEST_ID)


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "٣", "²", "0x10", "1/2", "12 Ann"])
def test_what_is_no_plain_number_is_a_name(text: str) -> None:
    assert [kind for kind, _key in read(text)] == ["name"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Ann Lee", "ann lee"),
        ("  Ann \t  Lee ", "ann lee"),
        ("ÉVA Müller", "eva muller"),
        ("E\u0301va", "eva"),
        ('"Ann Lee"', "ann lee"),
        ("Ann Lee;", "ann lee"),
        ("漢字", "漢字"),
        ("Ann\0Lee", "ann lee"),
        ("Lee, Ann", "lee, ann"),
    ],
)
def test_any_other_line_is_a_whole_name(text: str, key: str) -> None:
    assert read(text) == [("name", key)]


@pytest.mark.parametrize("name", ["Ann (Annie)", "Ann [x]", "O'", "'Abd", "(Ann) Lee", "Ann {Lee}"])
def test_a_name_may_begin_and_end_with_a_mark(name: str) -> None:
    """As clean_full_name() takes it, and so as it may be stored."""
    assert read(name) == [("name", fold(name))]


def test_a_name_that_nobody_can_have_is_nobody_s() -> None:
    """Not even his whose name folds to nothing."""
    [wanted] = read_list("x" * (LONGEST_NAME + 1))
    assert wanted.key not in {"", "x" * LONGEST_NAME}
    assert wanted.text == "x" * LONGEST_SHOWN


def test_each_is_asked_for_once_as_it_was_written_first() -> None:
    assert read_list("Ann@X.org\nann@x.org\n<ANN@x.org>") == [Wanted("email", "ann@x.org", "Ann@X.org")]
    assert read_list("Éva\neva") == [Wanted("name", "eva", "Éva")]


def test_ids_addresses_and_names_may_be_mixed() -> None:
    text = "id,name,email\r\n7\r\nAnn Lee\r\nb@x.org\r\n"
    assert read(text) == [("name", "id,name,email"), ("id", 7), ("name", "ann lee"), ("email", "b@x.org")]


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "\ufeff", "\0", ",;\n;", "\r\n\x0b", '""', "\ufeff\n\ufeff"]
)
def test_a_list_of_nothing_is_refused(text: str) -> None:
    found = read_or_refuse(text) or []
    assert all(fold(wanted.text) == "" for wanted in found), "or stands for nobody"


def test_the_most_are_a_hundred_thousand() -> None:
    lines = list(map(str, range(1, MOST_ROWS + 2)))
    with pytest.raises(Invalid) as refusal:
        read_list("\n".join(lines))
    assert refusal.value.field == "text"
    assert "100000" in str(refusal.value)
    assert len(read_list(" ".join([*lines[1:], *lines[1:50]]))) == MOST_ROWS, "each counted once"


@pytest.mark.parametrize(
    "line",
    [
        "1" * 1_000_000,
        "1," * 500_000,
        "1" + "," * 1_000_000 + "x",
        "1 " * 500_000 + "x",
        "x" * 1_000_000,
        "(" * 1_000_000,
        "a@" * 500_000,
        "@" * 1_000_000,
        "é" * 1_000_000 + "@x.org",
        "#" * 1_000_000,
        " " * 1_000_000,
    ],
    ids=lambda line: repr(line[:4]),
)
def test_a_megabyte_on_one_line_is_read_at_once(line: str) -> None:
    began, found = perf_counter(), list[Wanted]()
    with suppress(Invalid):
        found = read_list(line)
    assert perf_counter() - began < 5
    assert all(len(wanted.text) <= LONGEST_SHOWN for wanted in found)
    assert all(len(str(wanted.key)) <= LONGEST_EMAIL * 4 for wanted in found)


pieces = st.sampled_from(
    [
        *"@,;|<>()[]{}'\"#:.-\0\ufeff\r\n\t \ud800\u202e",
        "ann@x.org",
        "mailto:",
        "42",
        "Ann",
        "é",
        "＠",
        "\u0301",
    ]
)
texts = st.text() | st.lists(pieces | st.text(max_size=3), max_size=12).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_whatever_is_pasted_is_read_or_refused_in_words(text: str) -> None:
    found = read_or_refuse(text)
    if found is None:
        return
    assert found
    assert len({wanted[:2] for wanted in found}) == len(found)
    for wanted in found:
        if wanted.kind == "id":
            assert isinstance(wanted.key, int)
            assert 0 <= wanted.key <= LARGEST_ID
        else:
            assert isinstance(wanted.key, str)
            assert "\0" not in wanted.key, "no database takes it"
            wanted.key.encode()


words = st.text(st.characters(categories=["L", "Nd"], max_codepoint=0x2FF), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    addresses=st.lists(st.builds("{}@{}.org".format, words, words), min_size=1, max_size=5),
    between=st.sampled_from(["\n", "\r\n", ", ", ";", " ", " | ", ">, <"]),
)
def test_addresses_survive_any_separator(addresses: list[str], between: str) -> None:
    keys = list(dict.fromkeys(email_key(address) for address in addresses))
    assert read(between.join(addresses)) == [("email", key) for key in keys]


# Actions


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("value", [*Action, "", "purge", "DEACTIVATE", " trash"])
def test_an_action_fits_where_the_people_are(source: Source, value: str) -> None:
    allowed: frozenset[Action] = OF_TRASHED if source is Source.TRASH else OF_USERS
    if source is Source.UNDO:  # what undoes is no choice
        allowed = frozenset()
    if value in allowed:
        assert clean_action(value, source) is Action(value)
        return
    with pytest.raises(Invalid) as refusal:
        clean_action(value, source)
    assert refusal.value.field == "action"


def test_every_action_has_a_permission_that_somebody_holds() -> None:
    assert set(PERMISSIONS) == set(Action)
    assert set(PERMISSIONS.values()) <= OF_ROLES[Role.ADMINISTRATOR]


def test_all_but_a_sign_out_can_be_undone() -> None:
    assert set(Action) - UNDOABLE == {Action.SIGN_OUT}


def test_a_digest_tells_sets_apart() -> None:
    sets = [[], [1], [2], [1, 2], [12], [1, 23], [12, 3]]
    assert len({digest_of(iter(ids)) for ids in sets}) == len(sets)
    assert digest_of(iter([1, 2])) == digest_of(iter([1, 2]))
