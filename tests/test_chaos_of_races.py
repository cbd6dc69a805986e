"""A few rounds of the races of ``make chaos``, on real threads and real locks."""

from __future__ import annotations

import pytest
from flask import Flask

from chaos.races import RACES, Race, run


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_nothing_that_was_let_in_before_an_end_comes_after_it(file_app: Flask, race: Race) -> None:
    assert run(file_app, 4, (race,)) == []
