"""What an entry is about, and the chain of hashes that shows when one was changed or is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeAlias

from webapp.access.actor import Door
from webapp.access.permissions import Role
from webapp.errors import N_
from webapp.listing.search import searchable

# field → (old, new): texts, numbers, booleans or None. Never a password or a token.
Change: TypeAlias = tuple[Any, Any]
Changes: TypeAlias = Mapping[str, Change]

START = "0" * 64  # what the first entry of a lane follows
LONGEST_REQUEST_ID = 64
# A fact of a deletion for good: what those who are deleted did as staff since then still names them, and what
# they did before does no more.
NAMED_SINCE = "named_since"
# A fact of a refusal: how many like it were counted, and are not told of, since the last that is.
LEFT_OUT = "left_out"


class Kind(StrEnum):
    """What happened. The letter in KIND_LETTERS is stored as well: never give one to another kind."""

    CREATED = "created"
    EDITED = "edited"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    PASSWORD_SET = "password_set"  # noqa: S105 - a kind's name
    LINK_MADE = "link_made"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    DEVICE_SIGNED_OUT = "device_signed_out"
    REFUSED = "refused"
    LOADED = "loaded"
    RESTORED = "restored"
    PURGED = "purged"
    ATTEMPTS_FORGOTTEN = "attempts_forgotten"
    NOTE_ADDED = "note_added"
    NOTE_EDITED = "note_edited"
    NOTE_DELETED = "note_deleted"
    EXPORTED = "exported"
    TOKEN_MADE = "token_made"  # noqa: S105 - a kind's name
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a kind's name
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    TRANSFERRED = "transferred"


KIND_LABELS: dict[Kind, str] = {
    Kind.CREATED: N_("created"),
    Kind.EDITED: N_("edited"),
    Kind.ACTIVATED: N_("activated"),
    Kind.DEACTIVATED: N_("deactivated"),
    Kind.DELETED: N_("moved to the trash"),
    Kind.PASSWORD_SET: N_("set a password"),
    Kind.LINK_MADE: N_("made a password link"),
    Kind.SIGNED_OUT_EVERYWHERE: N_("signed out everywhere"),
    Kind.SIGNED_IN: N_("signed in"),
    Kind.SIGN_IN_FAILED: N_("failed to sign in"),
    Kind.SIGNED_OUT: N_("signed out"),
    Kind.DEVICE_SIGNED_OUT: N_("signed out a device"),
    Kind.REFUSED: N_("was refused"),
    Kind.LOADED: N_("added made-up users"),
    Kind.RESTORED: N_("restored from the trash"),
    Kind.PURGED: N_("deleted for good"),
    Kind.ATTEMPTS_FORGOTTEN: N_("allowed more attempts"),
    Kind.NOTE_ADDED: N_("added a note"),
    Kind.NOTE_EDITED: N_("edited a note"),
    Kind.NOTE_DELETED: N_("deleted a note"),
    Kind.EXPORTED: N_("exported"),
    Kind.TOKEN_MADE: N_("made an access token"),
    Kind.TOKEN_REVOKED: N_("revoked an access token"),
    Kind.GRANTED: N_("granted credits"),
    Kind.WITHDRAWN: N_("withdrew credits"),
    Kind.TRANSFERRED: N_("transferred credits"),
}
FIELD_LABELS = {
    "full_name": N_("Full name"),
    "email": N_("E-mail"),
    "role": N_("Role"),
    "is_active": N_("Status"),
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "note": N_("Note"),
    "balance": N_("Balance"),
}
DOOR_LABELS: dict[Door, str] = {
    Door.PAGE: N_("page"),
    Door.COMMAND: N_("command line"),
    Door.API: N_("API"),
    Door.IMPORT: N_("import"),
}
KIND_LETTERS: dict[Kind, str] = dict(zip(Kind, "abcdefghijklmnopqrstuvwxyz", strict=True))
DOOR_LETTERS: dict[Door, str] = dict(zip(Door, "pcai", strict=True))


def segment_of(kind: Kind, door: Door) -> str:
    return f"#{KIND_LETTERS[kind]}{DOOR_LETTERS[door]}"


def is_staff(role: str | None) -> bool:
    """Whether who acted in that role stays named for a time, though they are deleted for good."""
    return role is not None and role != Role.MEMBER


def read_named_since(details: str | None) -> datetime | None:
    """The fact NAMED_SINCE of a deletion's entry, where it tells one: an earlier version did not."""
    try:
        moment = datetime.fromisoformat(json.loads(details or "{}")[NAMED_SINCE])
    except (ValueError, TypeError, KeyError):
        return None
    return moment if moment.tzinfo else None


def count_left_out(number: int) -> int | None:
    """Of refusals that may come in floods the 1st, the 10th, the 100th and so on are told: how many lie
    between this one and the one that was told before it; None where this is none that is told.
    """
    power = 10 ** (len(str(number)) - 1)
    if number != power:
        return None
    return max(number - number // 10 - 1, 0)


def search_text_of(details: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """By what an entry is found: both names, a note's text, a token's name. It follows from what is told, so
    that it can be made again when one of the two is erased, and checked.
    """
    old, new = details.get("changes", {}).get("note", (None, None))
    token = str(details.get("token", "")).rpartition(" (…")[0]
    names = (told["name"] for told in (details, origin) if told)
    return searchable(*names, new if new is not None else old or "", token)


_write = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def canonical(value: Mapping[str, Any]) -> str:
    """The one way to write it down, so that the same value has the same hash."""
    return _write(value)


def digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def link(previous: str, facts: Mapping[str, Any]) -> str:
    """The hash of an entry that follows the one with the hash ``previous`` in its lane.

    ``facts`` hold the digests of what is personal, not that itself: so a person can be forgotten and the
    chain still be followed.
    """
    written = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in facts.items()
    }
    return digest(f"{previous}\n{canonical(written)}")
