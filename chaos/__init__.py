"""``make chaos``: thousands of conflicting edits at once, of which none may get lost, and races against
thieves; see the README.
"""
