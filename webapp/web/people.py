"""How a person is drawn: the letters and the colour of the avatar."""

from __future__ import annotations

HUES = 12


def initials(name: str) -> str:
    """The first letters of the first and the last word; of an e-mail its first letter."""
    letters = [word[0] for word in name.split() if word[0].isalnum()]
    if not letters:
        return name[:1].upper() or "?"
    return (letters[0] if len(letters) == 1 else letters[0] + letters[-1]).upper()


def hue(user_id: int) -> int:
    """One of twelve, far apart for neighbours (CSS classes h0 to h11)."""
    return user_id * 7 % HUES
