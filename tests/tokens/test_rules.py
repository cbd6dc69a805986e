"""What a token looks like, and what may be said of one."""

from __future__ import annotations

import ipaddress
import re
import string
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import TEXTS
from tests.users.test_rules import BLANK
from webapp.access.permissions import PERMISSIONS, Permission, Role
from webapp.api.views import all_calls
from webapp.errors import Invalid
from webapp.tokens import rules

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def test_a_token_has_the_form_that_scanners_look_for() -> None:
    token = rules.new_secret()
    assert re.fullmatch(r"dossier_[0-9A-Za-z]{49}", token)
    assert rules.is_token(token)
    assert len({rules.new_secret() for _ in range(1000)}) == 1000


def test_the_checksum_is_crc32_in_base_62_as_scanners_compute_it() -> None:
    """Computed once more, the most significant digit first."""
    token = rules.new_secret()
    secret, ending = token[8:51], token[51:]
    number = 0
    for digit in ending:
        number = number * 62 + ALPHABET.index(digit)
    assert number == crc32(secret.encode())


@given(st.integers(0, 48), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(place: int, other: str) -> None:
    """CRC32 finds every error within 32 bits, so every wrong character of the secret or of itself."""
    token = rules.new_secret()
    at = len(rules.PREFIX) + place
    changed = token[:at] + other + token[at + 1 :]
    assert rules.is_token(changed) is (changed == token)
    assert rules.holds_token(f"x {changed} y") is (changed == token)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_token_is_none(text: str) -> None:
    assert not rules.is_token(text)
    assert not rules.holds_token(text)
    assert rules.read_bearer(text) is None
    assert rules.read_bearer(f"Bearer {text}") is None
    assert re.fullmatch(r"[0-9a-f]{64}", rules.hash_secret(text))


def test_a_header_is_read_as_the_standards_write_it() -> None:
    token = rules.new_secret()
    for header in (f"Bearer {token}", f"bearer {token}", f"BEARER   {token}", f"Bearer {token} "):
        assert rules.read_bearer(header) == token
    for header in (
        token,
        f"Basic {token}",
        f"Bearer{token}",
        f"Bearer {token}, Bearer {token}",
        "Bearer",
        "",
    ):
        assert rules.read_bearer(header) is None


def test_a_name_is_cleaned() -> None:
    assert rules.clean_name("  Nightly \t report ") == "Nightly report"
    assert rules.clean_name("e\N{COMBINING ACUTE ACCENT}") == "é"
    assert rules.clean_name("x" * 60) == "x" * 60
    for wrong in ("", "  ", "a\0b", "x" * 61, "a\N{RIGHT-TO-LEFT OVERRIDE}b", *BLANK.values()):
        with pytest.raises(Invalid) as refused:
            rules.clean_name(wrong)
        assert refused.value.field == "name"


@pytest.mark.parametrize("role", Role)
def test_scopes_are_offered_as_far_as_the_role_goes(role: Role) -> None:
    offered = rules.scopes_of(role)
    assert set(offered) == PERMISSIONS[role] & set(rules.SCOPES)
    for scope in rules.SCOPES:
        if scope in offered:
            granted = {scope, rules.reading_of(scope)}
            assert rules.clean_scopes([it.value for it in granted], role=role) == granted
        else:
            with pytest.raises(Invalid) as refused:
                rules.clean_scopes([scope.value], role=role)
            assert refused.value.field == "scopes"


@pytest.mark.parametrize("wrong", [[], ["nothing"], ["users.read", "USERS.EDIT"], ["users.read", ""], [""]])
def test_scopes_that_are_none_are_refused(wrong: list[str]) -> None:
    with pytest.raises(Invalid):
        rules.clean_scopes(wrong, role=Role.ADMINISTRATOR)


@pytest.mark.parametrize("scope", [scope for scope in rules.SCOPES if scope not in rules.READING])
def test_a_scope_that_changes_something_needs_the_one_that_reads_it(scope: Permission) -> None:
    """Else what is changed in no way would be read by that."""
    others = rules.READING - {rules.reading_of(scope)}
    with pytest.raises(Invalid, match=rf"\({rules.reading_of(scope)}\)") as refused:
        rules.clean_scopes([scope.value, *others], role=Role.ADMINISTRATOR)
    assert refused.value.field == "scopes"


@pytest.mark.parametrize("scope", sorted(rules.READING))
def test_a_scope_that_reads_needs_no_other(scope: Permission) -> None:
    assert rules.clean_scopes([scope.value], role=Role.AUDITOR) == {scope}


@pytest.mark.parametrize(
    "permission",
    [
        Permission.PUBLIC,
        Permission.OWN_ACCOUNT,
        Permission.TOKENS_MANAGE,
        Permission.USERS_PASSWORD_LINK,
    ],
)
def test_what_people_do_themselves_is_no_scope(permission: Permission) -> None:
    assert permission not in rules.SCOPES
    with pytest.raises(Invalid):
        rules.clean_scopes([permission.value], role=Role.ADMINISTRATOR)


@given(st.frozensets(st.sampled_from(sorted(rules.SCOPES))))
def test_scopes_are_stored_and_read_again(scopes: frozenset[Permission]) -> None:
    assert rules.unpack_scopes(rules.pack_scopes(scopes)) == scopes


def test_a_scope_that_there_is_no_more_gives_nothing() -> None:
    assert rules.unpack_scopes("users.read tokens.manage own_account gone") == {Permission.USERS_READ}


@pytest.mark.parametrize("text", ["1", "365", "0365"])
def test_days_are_read(text: str) -> None:
    assert rules.read_days(text) == int(text)


@pytest.mark.parametrize("text", ["", "0", "366", "-1", "1.5", "٣", "99999", "1 ", "one", "1e2"])
def test_days_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.read_days(text)
    assert refused.value.field == "days"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("  ", ""),
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.7/24 ", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::/0", "::/0"),
    ],
)
def test_a_range_is_stored_in_its_one_form(text: str, stored: str) -> None:
    assert rules.clean_range(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "192.0.2",
        "192.0.2.0/33",
        "2001:db8::/129",
        "fe80::1%eth0",
        "1",
        "192.0.2.0/24, 10.0.0.0/8",
        "/",
        "٣.0.0.1",
        "1" * 65,
    ],
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_range(text)
    assert refused.value.field == "address_range"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_is_a_range_by_accident_or_breaks_it(text: str) -> None:
    try:
        stored = rules.clean_range(text)
    except Invalid:
        return
    assert stored == "" or str(ipaddress.ip_network(stored)) == stored


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_an_ipv4_address_is_within_its_networks_alone(
    network: ipaddress.IPv4Address, bits: int, address: ipaddress.IPv4Address
) -> None:
    address_range = rules.clean_range(f"{network}/{bits}")
    expected = int(network) >> (32 - bits) == int(address) >> (32 - bits)
    assert rules.is_within(str(address), address_range) is expected
    assert rules.is_within(f"::ffff:{address}", address_range) is expected, "a dual-stack socket's form"
    assert rules.is_within(str(network), address_range)


@given(st.ip_addresses(v=6), st.integers(0, 128))
def test_an_ipv6_address_is_within_its_own_networks(network: ipaddress.IPv6Address, bits: int) -> None:
    address_range = rules.clean_range(f"{network}/{bits}")
    is_mapped = network.ipv4_mapped is not None
    assert rules.is_within(str(network), address_range) is (not is_mapped or bits >= 96)
    assert not rules.is_within("192.0.2.7", address_range) or is_mapped


def test_without_a_range_every_address_will_do_and_with_one_no_unknown_one() -> None:
    assert rules.is_within("", "")
    assert rules.is_within("unix:", "")
    assert not rules.is_within("", "0.0.0.0/0")
    assert not rules.is_within("unix:", "::/0")
    assert not rules.is_within("2001:db8::1", "0.0.0.0/0")


def test_whatever_a_call_of_the_api_asks_for_can_be_given_to_a_token() -> None:
    asked = {call.permission for call in all_calls()} - {Permission.PUBLIC}
    assert asked
    assert asked <= set(rules.SCOPES)
