"""What can be done to many, how many, and how a pasted list is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from webapp.access.permissions import Permission
from webapp.errors import N_, Invalid
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.search import fold
from webapp.users.rules import LONGEST_EMAIL, LONGEST_NAME, email_key

MOST_ROWS = 100_000
AT_ONCE = 1_000  # up to so many are changed in one transaction: all, or nobody
MOST_UNRESOLVED = 500  # of a pasted list, kept to be shown


class Action(StrEnum):
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    SET_ROLE = "set_role"
    SIGN_OUT = "sign_out"
    ADD_NOTE = "add_note"
    TRASH = "trash"
    RESTORE = "restore"
    UNDO = "undo"


class State(StrEnum):
    DRAFT = "draft"  # chosen; nobody is changed yet
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


class Source(StrEnum):
    """How the users were chosen."""

    SELECTED = "selected"
    MATCHING = "matching"
    PASTED = "pasted"
    TRASH = "trash"
    UNDO = "undo"


class Result(StrEnum):
    """What became of one of them."""

    DONE = "done"
    SAME = "same"  # it was so already
    REFUSED = "refused"


# What one must hold to begin; whom one may change is asked for each of them.
PERMISSIONS: dict[Action, Permission] = {
    Action.ACTIVATE: Permission.USERS_SET_STATUS,
    Action.DEACTIVATE: Permission.USERS_SET_STATUS,
    Action.SET_ROLE: Permission.USERS_SET_ROLE,
    Action.SIGN_OUT: Permission.USERS_SET_STATUS,
    Action.ADD_NOTE: Permission.USERS_EDIT,
    Action.TRASH: Permission.USERS_DELETE,
    Action.RESTORE: Permission.USERS_DELETE,
    Action.UNDO: Permission.USERS_EDIT,
}
OF_TRASHED = frozenset({Action.RESTORE})
OF_USERS = frozenset(Action) - OF_TRASHED - {Action.UNDO}
WITH_VALUE = frozenset({Action.SET_ROLE, Action.ADD_NOTE})
UNDOABLE = frozenset(Action) - {Action.SIGN_OUT}


def clean_action(value: str, source: Source) -> Action:
    """Raises Invalid for an action that these users cannot have."""
    allowed = OF_TRASHED if source is Source.TRASH else OF_USERS
    if value not in allowed:
        listed = ", ".join(sorted(allowed))
        raise Invalid(N_("Choose one of: %(choices)s."), field="action", choices=listed)
    return Action(value)


def digest_of(user_ids: Iterator[int]) -> str:
    """Tells whether two sets of users, each in the order of its ids, are the same."""
    return sha256(",".join(map(str, user_ids)).encode()).hexdigest()[:16]


class Wanted(NamedTuple):
    """One thing of a pasted list: an id, or the key of an e-mail or of a name, and how it was written."""

    kind: str
    key: int | str
    text: str


# What may stand around and between addresses and numbers in lists that people copy.
_AROUND = "\"'<>()[]{},;:"
_APART = re.compile(r"[\s,;<>|]+")
_NUMBERS = re.compile(r"#?[0-9]+(?:[\s,;]+#?[0-9]+)*[,;]?", re.ASCII)
LONGEST_SHOWN = 120


def read_list(text: str) -> list[Wanted]:
    """What is asked for, each once: line by line, a name, or any number of e-mails or of ids.

    ``Ana García <ana@example.org>`` and a line of a table are read by their address. Raises Invalid when
    there is nothing, or too much.
    """
    found: dict[tuple[str, int | str], Wanted] = {}
    for wanted in _read_lines(text):
        found.setdefault(wanted[:2], wanted)
        if len(found) > MOST_ROWS:
            raise Invalid(N_("At most %(most)s at once. Paste it in parts."), field="text", most=MOST_ROWS)
    if not found:
        raise Invalid(N_("Paste e-mail addresses, names or ids, one on each line."), field="text")
    return list(found.values())


def _read_lines(text: str) -> Iterator[Wanted]:
    for raw in text.splitlines():
        line = raw.strip().strip("\ufeff").strip()
        if not line:
            continue
        if "@" in line:
            words = (word.strip(_AROUND).removeprefix("mailto:") for word in _APART.split(line))
            for word in words:
                if "@" in word:
                    yield Wanted("email", email_key(word[: LONGEST_EMAIL + 1]), word[:LONGEST_SHOWN])
        elif _NUMBERS.fullmatch(line):
            for number in re.findall(r"[0-9]+", line):
                yield Wanted("id", min(int(number[:20]), LARGEST_ID), number[:LONGEST_SHOWN])
        else:
            name = line.strip(_AROUND)
            if name:
                key = fold(name)[:LONGEST_NAME] if len(name) <= LONGEST_NAME else ""  # nobody's
                yield Wanted("name", key, name[:LONGEST_SHOWN])
