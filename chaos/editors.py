"""Somebody at the desk who edits users over real HTTP, and what became of each edit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from http.client import HTTPException
from time import sleep

from bench.server import Client
from tests.pages.form_reader import read_form
from tests.serving import Server

LABELS = {"full_name": "Full name", "email": "E-mail"}
SHOWN, SAVED, CONFLICT, BUSY = 200, 303, 409, 503
MOST_TIMES = 100
PAUSE_SECONDS = 0.1


class Outcome(StrEnum):
    SAVED = "saved"
    REFUSED = "refused"
    LOST = "lost"  # with the worker that would have answered: it may be saved or not
    WRONG = "wrong"  # any other answer


@dataclass(frozen=True, slots=True)
class Edit:
    """One form that was sent, in which one field was changed from ``seen`` to ``typed``.

    ``theirs`` is what the field holds meanwhile, as the merge page says to who is refused.
    """

    editor_id: int
    user_id: int
    version: int
    field: str
    seen: str
    typed: str
    outcome: Outcome
    theirs: str = ""
    fault: str = ""

    def __str__(self) -> str:
        return (
            f"editor {self.editor_id} changed {self.field} of user {self.user_id} in version {self.version}"
            f" from {self.seen!r} to {self.typed!r}: {self.outcome}"
        )


class Editor:
    """``retries`` counts the answers that said the database is busy: the same is sent again then."""

    def __init__(self, server: Server, editor_id: int, email: str, password: str) -> None:
        self.id = editor_id
        self.retries = 0
        self._client = Client(server.port, server.process)
        self._client.sign_in(email, password)

    def leave(self) -> None:
        self._client.close()

    def open_form(self, user_id: int) -> dict[str, str]:
        """The fields as they stand in the page. Looking changes nothing, so it is asked until it is there."""
        path = f"/users/{user_id}/edit"
        for _ in range(MOST_TIMES):
            if (answer := self._ask("GET", path)) is not None:
                status, page = answer
                if status != SHOWN:
                    raise RuntimeError(f"{path} answered {status}")
                return read_form(page, holding="version").fields
        raise RuntimeError(f"{path} did not answer")

    def send_form(self, user_id: int, form: dict[str, str], field: str, typed: str) -> Edit:
        """Send it once: whoever gets no answer cannot know whether it is saved."""
        answer = self._ask("POST", f"/users/{user_id}/edit", {**form, field: typed})
        outcome, theirs, fault = _judge(answer, field, form[field], typed)
        version = int(form["version"])
        return Edit(self.id, user_id, version, field, form[field], typed, outcome, theirs, fault)

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str] | None:
        """Status and text; None when the answer was lost."""
        for _ in range(MOST_TIMES):
            try:
                status, text = self._client.request(method, path, form)
            except (OSError, HTTPException):
                self._client.renew()
                return None
            if status != BUSY:
                return status, text
            self.retries += 1
            sleep(PAUSE_SECONDS)
        raise RuntimeError(f"{path} was busy {MOST_TIMES} times")


def _judge(answer: tuple[int, str] | None, field: str, seen: str, typed: str) -> tuple[Outcome, str, str]:
    """The outcome, what the merge page says of the others, and what is wrong with the answer."""
    if answer is None:
        return Outcome.LOST, "", ""
    status, page = answer
    if status == SAVED:
        return Outcome.SAVED, "", ""
    if status != CONFLICT:
        return Outcome.WRONG, "", f"answered {status}"
    before, theirs, yours = _read_merge(page, LABELS[field])
    if (before, yours) != (seen, typed) or theirs in {"", seen, typed}:
        return Outcome.WRONG, theirs, f"the merge page shows {before!r}, {theirs!r} and {yours!r}"
    if read_form(page, holding="version").fields[field] != typed:
        return Outcome.WRONG, theirs, "what was typed is gone from the merge page"
    return Outcome.REFUSED, theirs, ""


def _read_merge(page: str, label: str) -> tuple[str, str, str]:
    """Before, theirs and yours, as the page compares them; empty where it does not."""
    row = re.search(rf'<th scope="row">{label}</th>(.*?)</tr>', page, re.DOTALL)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[1], re.DOTALL) if row else []
    texts = [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells]
    return (
        (texts[0], texts[1], texts[2]) if len(texts) == len(("before", "theirs", "yours")) else ("", "", "")
    )
