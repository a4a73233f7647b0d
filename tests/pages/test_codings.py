"""The page on codings against the codings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onnx2genn.coding import CODINGS, PRESETS, make
from onnx2genn.coding.base import THRESHOLD_RULES, Coding

PAGE = (Path(__file__).parents[2] / "docs" / "codings.md").read_text()


def test_the_page_names_every_coding_preset_and_rule() -> None:
    for name in (*CODINGS, *PRESETS, *THRESHOLD_RULES):
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("name", CODINGS)
def test_the_page_has_every_option_with_its_default(name: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))
    for option, value in make(name).options().items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert text in rows[option], option


@pytest.mark.parametrize("name", [*CODINGS, *PRESETS])
def test_the_page_has_the_latency(name: str) -> None:
    coding: Coding = make(name)
    for depth in (1, 4):
        expected = depth * (coding.steps + 1)
        if not coding.accumulates:
            ahead = min(coding.options()["lookahead"], coding.steps)
            expected = depth * (ahead + 1) + coding.steps
        assert coding.latency(depth) == expected
