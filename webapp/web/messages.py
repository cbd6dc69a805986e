"""The short message after an act (a toast), with an Undo where there is one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from flask import flash, get_flashed_messages

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Message:
    """``undo_url`` is posted to by the toast's Undo button."""

    text: str
    level: Level = "ok"
    undo_url: str | None = None


def tell(text: str, *, level: Level = "ok", undo_url: str | None = None) -> None:
    """Show ``text`` on the next page."""
    message: Any = asdict(Message(text, level, undo_url))  # Flask's type says str, any JSON value will do
    flash(message)


def take_messages() -> list[Message]:
    messages: list[Any] = get_flashed_messages()
    return [Message(**message) for message in messages]
