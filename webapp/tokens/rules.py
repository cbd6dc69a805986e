"""What a token looks like, and what may be said of one; no database, no Flask."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Mapping
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from zlib import crc32

from webapp.access.permissions import Permission, Role, may
from webapp.errors import N_, Invalid
from webapp.text import normalize
from webapp.users.rules import is_blank

LONGEST_NAME = 60
LONGEST_RANGE = 64
LONGEST_LIFE_DAYS = 365
LIFE_DAYS = (7, 30, 90, 365)  # what people choose from
MOST_TOKENS = 50  # of one person
USED_INTERVAL = timedelta(minutes=1)  # last_used_at is written at most this often

# The prefix lets scanners of secrets find a token that was published by mistake, and the checksum lets them
# (and us) know without asking that a text is none: https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
PREFIX = "dossier_"
SECRET_BYTES = 32
SECRET_LENGTH, CHECKSUM_LENGTH, HINT_LENGTH = 43, 6, 4
LONGEST_BEARER = 200  # of a header with one of ours
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORMAT = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")
# RFC 6750, 2.1; the scheme is written in any case (RFC 9110, 11.1).
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)

# What calls of the API can ask for. Tokens, passwords and one's own account are matters of people alone.
SCOPES: Mapping[Permission, str] = {
    Permission.USERS_READ: N_("Read users and notes"),
    Permission.HISTORY_READ: N_("Read the history"),
    Permission.USERS_CREATE: N_("Create users"),
    Permission.USERS_EDIT: N_("Edit users, write notes"),
    Permission.USERS_SET_STATUS: N_("Activate and deactivate users (together with editing)"),
    Permission.USERS_SET_ROLE: N_("Change roles (together with editing)"),
    Permission.USERS_DELETE: N_("Delete and restore users"),
    Permission.CREDITS_READ: N_("Read balances and ledgers"),
    Permission.CREDITS_MOVE: N_("Transfer credits"),
    Permission.CREDITS_ISSUE: N_("Grant and withdraw credits"),
}
_BY_VALUE = {scope.value: scope for scope in SCOPES}
READING = frozenset({Permission.USERS_READ, Permission.HISTORY_READ, Permission.CREDITS_READ})


def new_secret() -> str:
    """256 random bits and their checksum, behind the prefix."""
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_LENGTH)
    return f"{PREFIX}{secret}{checksum(secret)}"


def checksum(secret: str) -> str:
    return _base62(crc32(secret.encode("ascii")), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text.rjust(length, _DIGITS[0])


def label_of(name: str, hint: str) -> str:
    """As the history names a token: it is found there by the name alone (history/rules.py)."""
    return f"{name} (…{hint})"


def digest_of(token_hash: str) -> str:
    """By which a token that was revoked is known again: half of a hash that tells nothing of it."""
    return token_hash[:32]


def is_token(text: str) -> bool:
    """Whether we may have made it: of mistyped and made-up ones the database need not be asked."""
    found = _FORMAT.fullmatch(text)
    return found is not None and checksum(found[1]) == found[2]


def holds_token(text: str) -> bool:
    """Whether a token stands anywhere in it."""
    return any(checksum(found[1]) == found[2] for found in _FORMAT.finditer(text))


def hash_secret(secret: str) -> str:
    """SHA-256: a random token needs no slow hash, and a stolen table opens nothing.

    It is looked up by this hash, whose bytes nobody chooses: how long that takes tells nothing of a secret.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_bearer(header: str) -> str | None:
    """The token of an Authorization header; None where there is none of ours."""
    found = _BEARER.fullmatch(header) if len(header) <= LONGEST_BEARER else None
    return found[1] if found and is_token(found[1]) else None


def clean_name(value: str) -> str:
    """NFC, white space collapsed."""
    text = " ".join(normalize(value, most=LONGEST_NAME, field="name").split())
    if is_blank(text) or not text.isprintable():
        raise Invalid(
            N_("Enter a name in printable characters, such as what the token is for."), field="name"
        )
    if len(text) > LONGEST_NAME:
        raise Invalid(N_("Use at most %(most)s characters."), field="name", most=LONGEST_NAME)
    return text


def clean_scopes(values: Iterable[str], *, role: Role) -> frozenset[Permission]:
    """Those that exist and that ``role`` has; one that changes something only with the one that reads it."""
    wanted = set(values)
    offered = scopes_of(role)
    if not wanted:
        raise Invalid(N_("Choose at least one scope."), field="scopes")
    if not wanted <= {scope.value for scope in SCOPES}:
        raise Invalid(N_("There is no such scope. Choose among those offered."), field="scopes")
    if not wanted <= {scope.value for scope in offered}:
        raise Invalid(
            N_("A token can do no more than its owner’s role. Choose fewer scopes."), field="scopes"
        )
    scopes = frozenset(map(Permission, wanted))
    if lacking := sorted({reading_of(scope) for scope in scopes} - scopes):
        raise Invalid(
            N_("What is changed is shown in the answer. Choose this, too: %(labels)s (%(scopes)s)."),
            field="scopes",
            labels=tuple(SCOPES[scope] for scope in lacking),
            scopes=", ".join(lacking),
        )
    return scopes


def reading_of(scope: Permission) -> Permission:
    """The scope that reads what this one is about."""
    return Permission(f"{scope.partition('.')[0]}.read")


def scopes_of(role: Role) -> tuple[Permission, ...]:
    """The scopes that somebody of that role can give to a token, in the order of SCOPES."""
    return tuple(scope for scope in SCOPES if may(role, scope))


def pack_scopes(scopes: Iterable[Permission]) -> str:
    return " ".join(sorted(scope.value for scope in scopes))


def unpack_scopes(text: str) -> frozenset[Permission]:
    """Those that there are by now: a token made before a permission was renamed must not stop everybody."""
    return frozenset(_BY_VALUE[value] for value in text.split() if value in _BY_VALUE)


def read_days(text: str) -> int:
    """Days, from a form's text."""
    return clean_days(int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0)


def clean_days(value: int) -> int:
    if not 1 <= value <= LONGEST_LIFE_DAYS:
        raise Invalid(
            N_("A token lives from one day to %(most)s days."), field="days", most=LONGEST_LIFE_DAYS
        )
    return value


def clean_range(value: str) -> str:
    """A network in CIDR notation as the standards write it; empty for none."""
    text = value.strip()
    if not text:
        return ""
    try:
        network = ip_network(text, strict=False) if len(text) <= LONGEST_RANGE else None
    except ValueError:
        network = None
    if network is None or getattr(network.network_address, "scope_id", None):
        raise Invalid(
            N_("Enter an address or a range such as 192.0.2.0/24 or 2001:db8::/32."), field="address_range"
        )
    return str(_unmapped_network(network))


def is_within(address: str, address_range: str) -> bool:
    """Whether ``address`` lies in it or it is empty; IPv4 written as IPv6 (::ffff:…) is IPv4."""
    if not address_range:
        return True
    try:
        return _unmapped(ip_address(address)) in ip_network(address_range)
    except ValueError:  # a proxy's unix socket has no address
        return False


MAPPED = IPv6Network("::ffff:0:0/96")


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _unmapped_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        address = network.network_address.ipv4_mapped
        return IPv4Network((int(address or 0), network.prefixlen - MAPPED.prefixlen))
    return network
