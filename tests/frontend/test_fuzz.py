"""Damaged files, a few of each kind; ``scripts/measure/fuzz.py`` tries them by the thousand."""

from __future__ import annotations

import pytest
from helpers.trials import TRIALS, attempt

COUNTS = {"model": 20, "bytes": 20, "network": 20, "data": 60, "command": 60}


@pytest.mark.parametrize("kind", TRIALS)
def test_a_damaged_file_is_handled_right_or_refused(kind: str) -> None:
    found = [attempt(kind, seed) for seed in range(COUNTS[kind])]
    assert {"right", "refused"} == set(found)
