"""A batch in words: what it does, to how many, and how far it is."""

from __future__ import annotations

from webapp.access.permissions import ROLE_LABELS, Role
from webapp.batches.rules import Action, Result, Source, State
from webapp.errors import N_
from webapp.web.language import gettext, ngettext
from webapp.web.times import format_number

# On a button; the dots say that something is still asked.
BUTTONS: dict[Action, str] = {
    Action.DEACTIVATE: N_("Deactivate"),
    Action.ACTIVATE: N_("Activate"),
    Action.SET_ROLE: N_("Set role…"),
    Action.SIGN_OUT: N_("Sign out"),
    Action.ADD_NOTE: N_("Add a note…"),
    Action.TRASH: N_("Move to the trash"),
    Action.RESTORE: N_("Restore"),
}
STATES: dict[State, str] = {
    State.DRAFT: N_("being prepared"),
    State.RUNNING: N_("running"),
    State.STOPPED: N_("stopped"),
    State.DONE: N_("done"),
}
RESULTS: dict[Result, str] = {
    Result.DONE: N_("Done"),
    Result.SAME: N_("So already"),
    Result.REFUSED: N_("Left out"),
}
SOURCES: dict[Source, str] = {
    Source.SELECTED: N_("selected in the list"),
    Source.MATCHING: N_("all that matched"),
    Source.PASTED: N_("from a pasted list"),
    Source.TRASH: N_("from the trash"),
    Source.UNDO: N_("what was done before"),
}


def name_action(action: str | None, value: str, number: int) -> str:  # noqa: PLR0911 - one line for each
    """Deactivate 412 users."""
    role = gettext(ROLE_LABELS[Role(value)]) if action == Action.SET_ROLE and value else "…"
    count = {"count": format_number(number)}
    match action:
        case Action.ACTIVATE:
            return ngettext("Activate %(count)s user", "Activate %(count)s users", number, **count)
        case Action.DEACTIVATE:
            return ngettext("Deactivate %(count)s user", "Deactivate %(count)s users", number, **count)
        case Action.SET_ROLE:
            return ngettext(
                "Give %(count)s user the role %(role)s",
                "Give %(count)s users the role %(role)s",
                number,
                role=role,
                **count,
            )
        case Action.SIGN_OUT:
            return ngettext("Sign %(count)s user out", "Sign %(count)s users out", number, **count)
        case Action.ADD_NOTE:
            return ngettext("Note on %(count)s user", "Note on %(count)s users", number, **count)
        case Action.TRASH:
            return ngettext(
                "Move %(count)s user to the trash", "Move %(count)s users to the trash", number, **count
            )
        case Action.RESTORE:
            return ngettext("Restore %(count)s user", "Restore %(count)s users", number, **count)
        case Action.UNDO:
            return ngettext("Undo %(count)s change", "Undo %(count)s changes", number, **count)
        case _:
            return ngettext("%(count)s user chosen", "%(count)s users chosen", number, **count)


def explain_action(action: str | None) -> str:
    """What happens, beyond what its name says."""
    texts = {
        Action.DEACTIVATE: N_("They are signed out at once and cannot sign in. Nothing is deleted."),
        Action.ACTIVATE: N_("They can sign in again."),
        Action.SET_ROLE: N_(
            "They are signed out, and sign in again with the new role. Members who become staff lose their"
            " password and need a new password link."
        ),
        Action.SIGN_OUT: N_("On every device. They can sign in again. This cannot be undone."),
        Action.ADD_NOTE: N_("Each gets the same note, under your name."),
        Action.TRASH: N_("They can be restored as before. Their e-mail addresses become free."),
        Action.RESTORE: N_("They come back as before, signed out everywhere."),
        Action.UNDO: N_(
            "Each becomes as before, where nobody changed the same again since. Passwords do not come back."
        ),
    }
    return gettext(texts[Action(action)]) if action else ""


def tell_done(action: str | None, value: str, number: int) -> str:  # noqa: PLR0911 - one line for each
    """412 users are inactive and signed out."""
    role = gettext(ROLE_LABELS[Role(value)]) if action == Action.SET_ROLE and value else ""
    count = {"count": format_number(number)}
    match action:
        case Action.ACTIVATE:
            return ngettext(
                "%(count)s user is active again.", "%(count)s users are active again.", number, **count
            )
        case Action.DEACTIVATE:
            return ngettext(
                "%(count)s user is inactive and signed out.",
                "%(count)s users are inactive and signed out.",
                number,
                **count,
            )
        case Action.SET_ROLE:
            return ngettext(
                "%(count)s user has the role %(role)s now.",
                "%(count)s users have the role %(role)s now.",
                number,
                role=role,
                **count,
            )
        case Action.SIGN_OUT:
            return ngettext(
                "%(count)s user is signed out.", "%(count)s users are signed out.", number, **count
            )
        case Action.ADD_NOTE:
            return ngettext("%(count)s user has the note.", "%(count)s users have the note.", number, **count)
        case Action.TRASH:
            return ngettext(
                "%(count)s user is in the trash.", "%(count)s users are in the trash.", number, **count
            )
        case Action.RESTORE:
            return ngettext("%(count)s user is back.", "%(count)s users are back.", number, **count)
        case _:
            return ngettext("%(count)s change is undone.", "%(count)s changes are undone.", number, **count)
