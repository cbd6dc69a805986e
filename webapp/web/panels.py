"""Parts of a page that a later feature adds: how sign-in shows its part of a user.

The page's feature names the place and does not import who fills it, so imports keep running downward.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app

# Gets the subject; answers None when it has nothing to show this person.
Panel = Callable[..., str | None]


def add_panel(app: Flask, page: str, panel: Panel) -> None:
    app.extensions.setdefault("panels", {}).setdefault(page, []).append(panel)


def collect_panels(page: str, subject: object) -> list[str]:
    panels: list[Panel] = current_app.extensions.get("panels", {}).get(page, [])
    return [text for panel in panels if (text := panel(subject))]
