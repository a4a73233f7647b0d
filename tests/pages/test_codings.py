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
            coding = coding.for_depth(depth)
            ahead = min(coding.options()["lookahead"], coding.steps)
            expected = depth * (ahead + 1) + coding.steps
        assert coding.latency(depth) == expected


@pytest.mark.parametrize(
    ("row", "coding"),
    [
        ("`few-spike`", make("few-spike", steps=6)),
        ("`two-phase`", make("two-phase", steps=6)),
        ("`first-spike`", make("first-spike", steps=6)),
        ("`rate`", make("rate", steps=6)),
        ("`rate` with `bits=b`", make("rate", steps=6, bits=3)),
    ],
)
def test_the_page_has_the_quantiser(row: str, coding: Coding) -> None:
    levels, step = re.findall(
        rf"^\| {re.escape(row)} \| \$(.*?)\$ \| \$\\theta / (.*?)\$ ", PAGE, re.M
    )[0]
    found = [_evaluated(text, coding) for text in (levels, step)]
    assert found == [coding.quantiser.levels + 1, coding.quantiser.parts]


def _evaluated(formula: str, coding: Coding) -> int:
    """Compute a formula of the page, with T steps of b bits."""
    text = formula.replace("^", "**").replace("\\,", "*")
    return eval(text, {"T": coding.steps, "b": coding.options().get("bits")})
