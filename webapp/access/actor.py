"""The one who acts, as services see them: passed in by every door, never read from the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from webapp.access.permissions import Permission, Role, may
from webapp.errors import N_, ConfirmationRequired, Forbidden


class Door(StrEnum):
    """Through which door somebody came."""

    PAGE = "page"
    COMMAND = "command"
    API = "api"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """``user_id`` is None for the command line, which acts with its operator's full rights, and for who is
    not signed in. ``role`` is the one they had when the request began; ``address`` and ``request_id`` say
    where from. ``scopes`` narrow what the role allows, for who comes with the token ``token_id``; None is no
    narrowing.

    ``epoch`` is the user's ``session_epoch`` when the request began, and ``credential`` tells whether the
    session or token that they came with is still there: services that give lasting access ask both again
    (users/standing.py), since everything may have ended while the request waited.

    ``is_confirmed`` tells whether they proved lately that it is they who sit there, by their password today;
    a door that has no person in front of it asks for no such proof.
    """

    user_id: int | None
    name: str
    role: Role
    door: Door = Door.PAGE
    address: str = ""
    request_id: str = ""
    scopes: frozenset[Permission] | None = None
    token_id: int | None = None
    epoch: int | None = None
    credential: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    is_confirmed: bool = True

    @classmethod
    def command_line(cls) -> Actor:
        return cls(user_id=None, name="command line", role=Role.ADMINISTRATOR, door=Door.COMMAND)

    def may(self, permission: Permission, *, on: Role | None = None) -> bool:
        return (self.scopes is None or permission in self.scopes) and may(self.role, permission, on=on)

    def require(self, permission: Permission, *, on: Role | None = None) -> None:
        """Raises Forbidden unless the actor holds ``permission`` (over a person of role ``on``)."""
        if self.scopes is not None and permission not in self.scopes and may(self.role, permission):
            raise Forbidden(
                N_("This token lacks the scope %(scope)s. Make one that has it."), scope=permission.value
            )
        if not self.may(permission):
            raise Forbidden(N_("Your role does not allow this. Ask an administrator."))
        if not self.may(permission, on=on):
            raise Forbidden(N_("Only an administrator may change a person who works here."))

    def require_confirmation(self, act: str, **params: object) -> None:
        """Raise ConfirmationRequired unless the actor proved lately who they are.

        ``act`` names what would be done and to whom, as a button would. Services call it last before they
        write, when the act is allowed and valid: so the person is asked once, and for nothing in vain.
        """
        if not self.is_confirmed:
            raise ConfirmationRequired(act, **params)
