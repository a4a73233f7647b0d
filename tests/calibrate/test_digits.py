"""Which populations have fewer digits than the window has steps."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks
from helpers.onnx_models import normal

import onnx2genn
from onnx2genn import CodingError
from onnx2genn.calibrate.digits import of_all, together
from onnx2genn.coding import make
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import read


def test_what_a_max_pooling_takes_together_has_the_same_digits() -> None:
    populations = read(grid_networks.branches()).parts.populations
    names = {item.tensor: item.name for item in populations}
    joined = {names["r0"], names["r1"], names["m"]}
    groups = [set(group) for group in together(populations)]
    assert joined in groups
    assert sorted(name for group in groups for name in group) == sorted(names.values())
    coding = make("few-spike", steps=6)
    for given in ({"r0": 2}, {"pool": 2}, {"r1": 2, "r0": 2}):
        assert of_all(populations, coding, given) == dict.fromkeys(joined, 2)
    assert of_all(populations, coding, {"r2": 6}) == {}


@pytest.mark.parametrize(
    ("digits", "coding", "message"),
    [
        ({"nothing": 3}, "few-spike", "no population 'nothing'.* There are .*r2"),
        ({"r2": 7}, "few-spike", "'r2'.*1 to 6 digits, not 7"),
        ({"r2": 0}, "few-spike", "'r2'.*1 to 6 digits, not 0"),
        ({"r2": 2.5}, "few-spike", "'r2'=2.5 is no whole number"),
        ({"r0": 2, "r1": 3}, "few-spike", "one max pooling.* not 2 and 3"),
        ({"r2": 3}, "rate", "'r2'.*fire while they integrate"),
    ],
)
@pytest.mark.parametrize("samples", [0, 20])
def test_digits_that_cannot_be(
    digits: dict[str, int], coding: str, message: str, samples: int
) -> None:
    x = normal(samples, 2, 7, 7) if samples else None
    with pytest.raises(CodingError, match=message):
        onnx2genn.convert(grid_networks.branches(), x, coding, steps=6, digits=digits)


@pytest.mark.parametrize("options", [{}, {"signed": True}, {"coding": "two-phase"}])
def test_levels_are_those_of_a_window_of_so_many_steps(options, digits: Example) -> None:
    """All of d digits in a window of T give the answers of a window of d steps."""
    x, names = digits.x_train[:200], digits.x_test[:100]
    short = onnx2genn.convert(digits.model, x, steps=3, bias_correction=False, **options)
    fewer = onnx2genn.convert(
        digits.model,
        x,
        steps=5,
        bias_correction=False,
        digits={item.name: 3 for item in short.populations},
        **options,
    )
    assert fewer.coding.steps == 5
    for name, threshold in short.thresholds.items():
        np.testing.assert_array_equal(fewer.thresholds[name], threshold)
    logits = short.predict(names, backend="onnxruntime")
    np.testing.assert_allclose(fewer.predict(names, backend="onnxruntime"), logits, atol=1e-5)
    same = np.isclose(Forecast(fewer).logits(names), logits, atol=1e-3).all(axis=1)
    assert same.mean() > 0.95


def test_the_last_steps_fire(digits: Example) -> None:
    plain = onnx2genn.convert(digits.model, digits.x_train[:200], steps=5)
    first, second, last = (item.name for item in plain.populations)
    network = onnx2genn.convert(
        digits.model, digits.x_train[:200], steps=5, digits={first: 2, last: 4}
    )
    (found,) = network.simulate(digits.x_test[:4], backend="onnxruntime")
    assert [int(found.spikes[name].step.min()) for name in (first, second, last)] == [3, 0, 1]
    result = network.evaluate(digits.x_test[:50], backend="onnxruntime")
    assert [item.digits for item in result.populations] == [2, 5, 4]
