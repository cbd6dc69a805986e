"""How bulk changes are cut in these tests."""

from __future__ import annotations

import pytest

from webapp.batches import preview, running


@pytest.fixture
def in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of more than two are run in steps, and looked at in parts."""
    for module in (running, preview):
        monkeypatch.setattr(module, "AT_ONCE", 2)
