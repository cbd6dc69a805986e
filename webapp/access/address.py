"""IP addresses as they are stored, counted and shown: one spelling for each."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

MAX_ADDRESS = 64  # the longest spelling of one is 45 characters, and a zone or port may follow
# As proxies write it (RFC 7239, 6): [2001:db8::1], [2001:db8::1]:443, 203.0.113.7:51008, or the bare address.
_WRITTEN = re.compile(r"\[(?P<six>[^\[\]]+)\](?::[0-9]{1,5})?|(?P<four>[0-9.]+):[0-9]{1,5}|(?P<bare>.+)")


def read_address(text: str) -> str:
    """Return the address in ``text``, spelled in the shortest way; empty where there is none.

    Ports and zones are left out, and IPv4 written as IPv6 (::ffff:…) is IPv4.
    """
    written = _WRITTEN.fullmatch(text.strip(' \t"')) if len(text) <= MAX_ADDRESS else None
    if written is None:
        return ""
    bare, _, _zone = (written["six"] or written["four"] or written["bare"]).partition("%")
    try:
        address = ip_address(bare)
    except ValueError:  # "unknown", "_hidden", and whatever else was sent
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).compressed
