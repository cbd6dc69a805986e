"""``make chaos``: thousands of conflicting edits at once, of which none may get lost; see the README."""
