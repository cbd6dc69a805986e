"""What a valid user is: two spellings of one address are one person, and nothing invisible gets in."""

from __future__ import annotations

import pytest

from tests.conftest import make_settings
from webapp.access.permissions import Role
from webapp.errors import Invalid
from webapp.users.rules import (
    TOO_LONG,
    clean_email,
    clean_full_name,
    clean_language,
    clean_password,
    clean_role,
    clean_time_zone,
    email_key,
    is_blank,
    password_min_length,
    time_zones,
)

INVISIBLE = {
    "NUL": "\0",
    "escape": "\x1b",
    "soft hyphen": "\u00ad",
    "zero-width space": "\u200b",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "byte order mark": "\ufeff",
    "tag letter": "\U000e0041",
    "private use": "\ue000",
    "unassigned": "\U000e1000",
    "lone surrogate": "\ud800",
    "replacement character": "\ufffd",
}


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        ("   ", ""),
        ("\u200d", ""),
        ("\u200c \u200d", ""),
        ("  Ann\t  Lee\n", "Ann Lee"),
        ("Ann\u00a0Lee", "Ann Lee"),
        ("Rene\u0301", "René"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ක්\u200dෂ", "ක්\u200dෂ"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("%_\\'\"", "%_\\'\""),
        ("é" * 200, "é" * 200),
        ("e\u0301" * 200, "é" * 200),
        ("😀" * 200, "😀" * 200),
        ("n" * 200 + "   ", "n" * 200),
    ],
)
def test_a_name_is_stored_composed_and_with_single_spaces(typed: str, stored: str) -> None:
    assert clean_full_name(typed) == stored


BLANK = {
    "nothing": "",
    "spaces": " \u00a0\u3000",
    "zero-width space": "\u200b",
    "joiners": "\u200c \u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "filler of Hangul": "\u3164",
    "half-width filler": "\uffa0",
    "choseong filler": "\u115f\u1160",
    "inherent vowel of Khmer": "\u17b4",
    "vowel separator of Mongolian": "\u180e",
    "Braille without dots": "\u2800",
    "selector of a variant": "\ufe0f",
    "supplementary selector": "\U000e0100",
    "tag letter": "\U000e0041",
}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_what_nobody_sees_is_blank(text: str) -> None:
    assert is_blank(text)
    assert is_blank(f" {text} {text}\n")
    assert not is_blank(f"{text}.{text}")


@pytest.mark.parametrize(
    "text", ["x", ".", "\u0301", "漢", "👧", "\u2764\ufe0f", "\U0001fae8", "\ue000", "\ufffd"]
)
def test_what_somebody_may_see_is_not(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize("text", ["\u3164", "\u115f \u1160", "\u2800", "\ufe0f", "\u034f"])
def test_a_name_that_nobody_sees_is_none(text: str) -> None:
    assert clean_full_name(text) == ""
    assert clean_full_name(f"Ann{text}") == f"Ann{text}"


@pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE)
def test_a_name_or_address_with_an_invisible_character_is_refused_and_the_character_named(
    character: str,
) -> None:
    for clean, text, field in (
        (clean_full_name, f"Ann{character}Lee", "full_name"),
        (clean_email, f"ann{character}lee@example.org", "email"),
    ):
        with pytest.raises(Invalid, match=f"U\\+{ord(character):04X}") as refusal:
            clean(text)
        assert refusal.value.field == field


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_joiners_belong_to_names_but_not_to_addresses(joiner: str) -> None:
    with pytest.raises(Invalid):
        clean_email(f"an{joiner}n@example.org")


def test_a_name_ends_at_200_characters() -> None:
    with pytest.raises(Invalid, match="200") as refusal:
        clean_full_name("n" * 201)
    assert refusal.value.field == "full_name"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  ann@example.org \r\n", "ann@example.org"),
        ("Ann.Lee@Example.ORG", "Ann.Lee@example.org"),
        ("ann@ｅｘａｍｐｌｅ.org", "ann@example.org"),
        ("Rene\u0301@example.org", "René@example.org"),
        ("ann@xn--mller-kva.de", "ann@müller.de"),
        ("o'neil+news@example.org", "o'neil+news@example.org"),
        ("ann@mail.test", "ann@mail.test"),
        ("ann@desk.internal", "ann@desk.internal"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_an_address_is_stored_as_typed_with_its_domain_normalized(typed: str, stored: str) -> None:
    assert clean_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ann",
        "@example.org",
        "ann@",
        "ann@localhost",
        "ann@test",
        "ann@example",
        "ann@example.org.",
        "ann@-example.org",
        "ann@exa mple.org",
        "a b@example.org",
        "ann..lee@example.org",
        ".ann@example.org",
        "ann@@example.org",
        "ann＠example.org",
        "ann@[127.0.0.1]",
        '"ann lee"@example.org',
        "<script>@example.org",
        "Ann <ann@example.org>",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org,eve@example.org",
        "a" * 64 + "@" + ".".join(["d" * 60] * 4) + ".org",
        "a" * 1_000_000 + "@example.org",
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_address_is_refused_on_its_field(typed: str) -> None:
    with pytest.raises(Invalid) as refusal:
        clean_email(typed)
    assert refusal.value.field == "email"


@pytest.mark.parametrize(
    "other",
    [
        "ANN@EXAMPLE.ORG",
        " ann@example.org ",
        "ａｎｎ@example.org",
        "Ａｎｎ@example.org",
        "ann@EXAMPLE.org",
        "𝒶nn@example.org",
    ],
)
def test_case_space_and_width_do_not_make_another_mailbox(other: str) -> None:
    assert email_key(clean_email(other)) == email_key("ann@example.org")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rené@example.org", "RENE\u0301@example.org"),
        ("straße@example.org", "STRASSE@example.org"),
        ("ﬁn@example.org", "fin@example.org"),
        ("ann@müller.de", "ann@xn--mller-kva.de"),
    ],
)
def test_composition_ligatures_and_punycode_do_not_either(one: str, other: str) -> None:
    assert email_key(clean_email(one)) == email_key(clean_email(other))


@pytest.mark.parametrize(
    "other", ["anne@example.org", "ann@example.com", "änn@example.org", "an.n@example.org"]
)
def test_different_mailboxes_stay_different(other: str) -> None:
    assert email_key(clean_email(other)) != email_key("ann@example.org")


def test_the_key_of_a_key_is_the_key() -> None:
    for email in ("İstanbul@example.org", "ẞ@example.org", "ǅ@example.org", "Σς@example.org"):
        assert email_key(email_key(email)) == email_key(email)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_its_name(role: Role) -> None:
    assert clean_role(role.value) is role


@pytest.mark.parametrize("typed", ["", "Administrator", "admin", "root", "member ", "\0", "__class__"])
def test_another_role_is_refused_and_the_roles_are_named(typed: str) -> None:
    with pytest.raises(Invalid, match="member, auditor, support, administrator") as refusal:
        clean_role(typed)
    assert refusal.value.field == "role"


def clean(typed: str, role: Role = Role.AUDITOR, *, email: str = "", full_name: str = "") -> str:
    settings = make_settings("sqlite://", trusted_hosts=("dossier.orangery.example", "localhost"))
    return clean_password(
        typed, role=role, email=email, full_name=full_name, settings=settings, field="password"
    )


@pytest.mark.parametrize(
    "typed",
    [
        "orchard lantern velvet",
        "tp2k9vqw7x1zb4m",
        "пароль из слов и букв",
        "correct harbour stapler",
        "😀😁😂🤣😃😄😅😆😉😊😋😎🙂😇🥰",
        "with\0NUL and much more",
        "  leading and trailing  ",
        "tp2k9vqw7x1z" * 21,
    ],
)
def test_a_long_password_may_hold_anything(typed: str) -> None:
    assert clean(typed) == typed


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert clean("Rene\u0301 lantern velvet") == clean("René lantern velvet")
    assert clean("ｏｒｃｈａｒｄ lantern velvet") == "orchard lantern velvet"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "at least 15"),
        ("fourteen chars", "at least 15"),
        ("x1y2z3" * 43, "at most 256"),
        ("x" + "\u0301\u0323" * 125_000, "at most 256"),
        ("a" * 15, "easy to guess"),
        ("abababababababab", "easy to guess"),
        ("x1y2z3" * 42, "easy to guess"),
        ("PasswordPassword", "easy to guess"),
        ("CorrectHorseBatteryStaple", "easy to guess"),
        ("i love dossier2026", "easy to guess"),
        ("orangery2026orangery", "easy to guess"),
        ("ann.lee was here", "easy to guess"),
        ("Maximilienne-2026", "easy to guess"),
        ("broken \ud800 character", "broken character"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_a_weak_password_is_refused_with_the_reason(typed: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refusal:
        clean(typed, email="Ann.Lee@example.org", full_name="Ann Maximilienne Lee")
    assert refusal.value.field == "password"


@pytest.mark.parametrize("role", Role)
def test_who_signs_in_here_needs_a_longer_one_than_a_member(role: Role) -> None:
    typed = "tp2k9vqw7x1zb4m"
    assert clean(typed, role) == typed
    if role is Role.MEMBER:
        assert clean(typed[:8], role) == typed[:8]
    with pytest.raises(Invalid):
        clean(typed[: 7 if role is Role.MEMBER else 14], role)


def test_the_shortest_password_depends_on_role_setting_and_second_factor() -> None:
    settings = make_settings("sqlite://", member_password_min_length=10)
    assert password_min_length(Role.MEMBER, settings) == 10
    assert password_min_length(Role.SUPPORT, settings) == 15
    assert password_min_length(Role.SUPPORT, settings, has_second_factor=True) == 8


def test_a_short_local_part_may_occur_in_a_password_by_chance() -> None:
    assert clean("annotated lantern velvet", email="ann@example.org")


@pytest.mark.parametrize(("typed", "stored"), [("", None), ("en", "en"), ("fr", "fr")])
def test_a_language_is_one_we_have_or_the_browsers(typed: str, stored: str | None) -> None:
    assert clean_language(typed) == stored


@pytest.mark.parametrize("typed", ["de", "EN", "fr ", "../fr", "\0"])
def test_another_language_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refusal:
        clean_language(typed)
    assert refusal.value.field == "language"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", None),
        ("  ", None),
        ("UTC", "UTC"),
        (" Europe/Paris ", "Europe/Paris"),
        ("Asia/Kolkata", "Asia/Kolkata"),
    ],
)
def test_a_time_zone_is_a_place_or_the_browsers(typed: str, stored: str | None) -> None:
    assert clean_time_zone(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "Mars/Base",
        "europe/paris",
        "localtime",
        "posixrules",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/Paris\0",
    ],
)
def test_what_is_no_time_zone_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refusal:
        clean_time_zone(typed)
    assert refusal.value.field == "time_zone"


def test_the_offered_zones_are_sorted_places() -> None:
    zones = time_zones()
    assert list(zones) == sorted(set(zones))
    assert {"UTC", "Europe/Paris", "America/New_York"} <= set(zones)


@pytest.mark.parametrize("rest", ["x", "\u0301\u0323", " ", "\ufdfa"], ids=ascii)
def test_what_is_too_long_for_an_address_is_nobodys(rest: str) -> None:
    """It is not looked at, and it is not shortened to the address of another person either."""
    assert email_key("ann@example.org" + rest * 10_000 + "y") == TOO_LONG
    with pytest.raises(Invalid):
        clean_email(TOO_LONG)
