"""What can be done to many, how many, and how a pasted list is read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from webapp.access.permissions import Permission
from webapp.errors import N_, Invalid
from webapp.listing.keyset import LARGEST_ID
from webapp.listing.search import fold
from webapp.text import MAX_MARKS, MAX_TYPED, has_heap
from webapp.users.rules import LONGEST_EMAIL, LONGEST_NAME, TOO_LONG, email_key

MOST_ROWS = 100_000
AT_ONCE = 1_000  # up to so many are changed in one transaction: all, or nobody
MAX_DRAFTS = 20  # of one person; each may hold MOST_ROWS
MAX_RUNNING = 2  # of one person at the same time, whichever workers run them
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
# What asks for a fresh proof of who acts, and how it is named then.
CONFIRMED: dict[Action, str] = {
    Action.SET_ROLE: N_("Give the selected users (%(count)s) the role %(role)s"),
    Action.SIGN_OUT: N_("Sign the selected users (%(count)s) out everywhere"),
    Action.ACTIVATE: N_("Activate the selected users (%(count)s)"),
    Action.DEACTIVATE: N_("Deactivate the selected users (%(count)s)"),
    Action.TRASH: N_("Delete the selected users (%(count)s)"),
    Action.RESTORE: N_("Restore the selected users (%(count)s)"),
}
# Of members it is everyday work; only those who may do it to staff are asked.
CONFIRMED_OF_STAFF = frozenset({Action.ACTIVATE, Action.DEACTIVATE, Action.TRASH, Action.RESTORE})
# An undo may be that of an undo: it asks whichever of the two it does.
UNDOES = N_("Undo the change of the selected users (%(count)s)")
UNDOES_ROLES = N_("Undo the role change of the selected users (%(count)s)")
OF_TRASHED = frozenset({Action.RESTORE})
OF_USERS = frozenset(Action) - OF_TRASHED - {Action.UNDO}
WITH_VALUE = frozenset({Action.SET_ROLE, Action.ADD_NOTE})
UNDOABLE = frozenset(Action) - {Action.SIGN_OUT}


def permission_for(action: str, value: str) -> Permission:
    """``value`` of an undo is the action that it takes back."""
    return PERMISSIONS[Action(value if action == Action.UNDO and value else action)]


def clean_action(value: str, source: Source) -> Action:
    """Raises Invalid for an action that these users cannot have."""
    allowed = {Source.TRASH: OF_TRASHED, Source.UNDO: frozenset[Action]()}.get(source, OF_USERS)
    if value not in allowed:
        listed = ", ".join(sorted(allowed))
        raise Invalid(N_("Choose one of: %(choices)s."), field="action", choices=listed)
    return Action(value)


def digest_of(values: Iterable[object]) -> str:
    """Tells whether two sequences are the same."""
    return sha256("\0".join(map(str, values)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Wanted(NamedTuple):
    """One thing of a pasted list: an id, or the key of an e-mail or of a name, and how it was written."""

    kind: str
    key: int | str
    text: str


# What may stand around and between addresses in lists that people copy; a name may hold all of it.
_AROUND = "\"'()[],;:"
_AT = "@\ufe6b\uff20"  # the small and the full-width one are one as well
_APART = re.compile(r"[\s,;<>]+")
_MAILTO = re.compile(r"mailto:", re.IGNORECASE)
_NUMBERS = re.compile(r"#?[0-9]++(?:[\s,;]++#?[0-9]++)*+[,;]?", re.ASCII)
_ENCLOSED = re.compile(r"\"(.*)\"|'(.*)'")
NOBODY = " "  # no folded name is that
LONGEST_SHOWN = 120
MAX_LIST_LENGTH = MOST_ROWS * 100
MAX_ITEMS = MOST_ROWS * 2  # before those that are the same are one


def read_list(text: str) -> list[Wanted]:
    """What is asked for, each once: line by line, a name, or any number of e-mails or of ids.

    ``Ana García <ana@example.org>`` and a line of a table are read by their address. Raises Invalid when
    there is nothing, or too much.
    """
    found: dict[tuple[str, int | str], Wanted] = {}
    if len(text) <= MAX_LIST_LENGTH:
        # The same line, and most of all no line, is read once; what is repeated within them is counted, too.
        for wanted in islice(_read_lines(dict.fromkeys(text.splitlines())), MAX_ITEMS):
            found.setdefault(wanted[:2], wanted)
            if len(found) > MOST_ROWS:
                break
    if len(text) > MAX_LIST_LENGTH or len(found) > MOST_ROWS:
        raise Invalid(N_("At most %(most)s at once. Paste it in parts."), field="text", most=MOST_ROWS)
    if not found:
        raise Invalid(N_("Paste e-mail addresses, names or ids, one on each line."), field="text")
    return list(found.values())


def _read_lines(lines: Iterable[str]) -> Iterator[Wanted]:
    for raw in lines:
        line = raw.strip().strip("\ufeff").strip()
        if any(at in line for at in _AT):
            for word in _split_words(line):
                address = _MAILTO.sub("", word.strip(_AROUND), count=1).rstrip(".")
                if any(at in address for at in _AT):
                    key = email_key(address) if _is_possible(address) else TOO_LONG
                    yield Wanted("email", key, address[:LONGEST_SHOWN])
        elif _NUMBERS.fullmatch(line):
            for number in re.findall(r"[0-9]+", line):
                yield Wanted("id", min(int(number[:20]), LARGEST_ID), number[:LONGEST_SHOWN])
        elif line:
            name = line.rstrip(",;:").rstrip()
            enclosed = _ENCLOSED.fullmatch(name)
            name = (enclosed[1] or enclosed[2] or "") if enclosed else name
            key = fold(name)[:LONGEST_NAME] if len(name) <= LONGEST_NAME else ""
            if name:
                yield Wanted("name", key or NOBODY, name[:LONGEST_SHOWN])


def _split_words(line: str) -> Iterator[str]:
    """Each once and normalized, but for those that are no addresses."""
    for word in dict.fromkeys(_APART.split(line)):
        if word.isascii() or not _is_possible(word):
            yield word
        else:
            yield from _APART.split(unicodedata.normalize("NFKC", word))


def _is_possible(word: str) -> bool:
    """Return whether it need be looked at: there may be many, and none is to take longer than an address."""
    return len(word) <= LONGEST_EMAIL * MAX_TYPED and not has_heap(word, longer_than=MAX_MARKS)
