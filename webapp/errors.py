"""What can go wrong in the domain, as plain exceptions that every door shows in its own way.

A message is an English template and its parameters apart, so that the page can translate it
and the command line can print it. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Callable


def N_(message: str) -> str:
    """Mark ``message`` for the translators where it is written, without translating it yet."""
    return message


class DomainError(Exception):
    """A refusal with a message fit for the person who asked; ``field`` is the input it is about.

    A parameter that is a tuple holds texts of ours, to be translated one by one.
    """

    def __init__(self, message: str, *, field: str | None = None, **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.params = params

    def __str__(self) -> str:
        params = {name: join(value) for name, value in self.params.items()}
        return self.message % params if params else self.message


def join(value: object, translate: Callable[[str], str] = str) -> object:
    """A tuple of texts as one."""
    return ", ".join(map(translate, value)) if isinstance(value, tuple) else value


class NotFound(DomainError):
    """The thing named does not exist (any more)."""


class Invalid(DomainError):
    """A value that breaks a rule."""


class Malformed(DomainError):
    """What was sent stands where it must not stand: it is not even looked at."""


class Conflict(DomainError):
    """A value that is fine by itself but taken, or a state that forbids the change."""


class Stale(DomainError):
    """The row changed since the person read it; nothing was written."""


class Forbidden(DomainError):
    """The actor may not do this, or not to this person."""


class SignInEnded(DomainError):
    """Everything the actor was let in by ended while the request was under way; nothing was written."""


class ConfirmationRequired(DomainError):
    """The act needs a fresh proof of who acts, and the message names the act; nothing was written."""

    def __init__(self, act: str, **params: object) -> None:
        super().__init__(act)
        self.params = params


class Throttled(DomainError):
    """Too many attempts; ``retry_after`` is in seconds, ``refused`` how many were by now, with this one."""

    def __init__(self, message: str, *, retry_after: int, refused: int = 1, **params: object) -> None:
        super().__init__(message)
        self.params = params
        self.retry_after = retry_after
        self.refused = refused


class Busy(DomainError):
    """The machine is at its limit right now; the same request may succeed in a moment."""


class ConfigurationError(Exception):
    """The environment does not allow the application to start; the message says what to set."""
