"""The rows of the list: every text is safe HTML and stays with its person."""

from __future__ import annotations

import pytest
from markupsafe import escape

from webapp.users.table import escape_all


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", ""],
        ["Ann Lee", "<b>&amp;</b>", 'O\'Hara "x"', "", "Zoë"],
        ["\0", "<", "a\0b\0", ""],
    ],
)
def test_all_are_escaped_as_each_one_alone(texts: list[str]) -> None:
    assert escape_all(texts) == [str(escape(text)) for text in texts]
