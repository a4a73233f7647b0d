"""Few-spike coding: its digits against its neuron, simulated step by step."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.coding.few_spike import FewSpike
from onnx2genn.errors import CodingError
from onnx2genn.evaluate.forecast import Forecast


@pytest.mark.parametrize("steps", [1, 3, 8, 16])
def test_spikes_are_binary_digits(steps: int) -> None:
    coding = FewSpike(steps=steps)
    total = np.random.default_rng(0).uniform(-1, 1.2 * 2**steps, 500).astype(np.float32)
    potential = np.clip(np.floor(total + 0.5), 0, 2**steps - 1)
    train = np.zeros((steps, total.size))
    for step in range(steps):
        worth = 2 ** (steps - 1 - step)
        train[step] = worth * (potential >= worth)
        potential -= train[step]
    code = coding.quantiser.code(total)
    np.testing.assert_array_equal(coding.spike_train(code), train)
    np.testing.assert_array_equal(train.sum(axis=0), code)
    np.testing.assert_array_equal(coding.arrived(code), train.cumsum(axis=0))
    np.testing.assert_array_equal(coding.spike_count(code), (train != 0).sum(axis=0))


@pytest.mark.parametrize(("steps", "largest"), [(1, 1), (2, 4), (3, 13), (4, 40), (10, 29524)])
def test_signed_spikes_are_balanced_ternary_digits(steps: int, largest: int) -> None:
    coding = FewSpike(steps=steps, signed=True)
    assert coding.quantiser.levels == coding.quantiser.parts == largest
    total = np.random.default_rng(0).uniform(-1, 1.2 * largest, 500).astype(np.float32)
    potential = np.clip(np.floor(total + 0.5), 0, largest)
    train = np.zeros((steps, total.size))
    for step in range(steps):
        worth = 3 ** (steps - 1 - step)
        train[step] = worth * np.sign(potential) * (2 * np.abs(potential) > worth)
        potential -= train[step]
    assert not potential.any()
    code = coding.quantiser.code(total)
    np.testing.assert_array_equal(coding.spike_train(code), train)
    np.testing.assert_array_equal(coding.arrived(code), train.cumsum(axis=0))
    np.testing.assert_array_equal(coding.spike_count(code), (train != 0).sum(axis=0))


def test_three_signed_steps_are_about_as_close_as_four_binary_ones(digits: Example) -> None:
    x = digits.x_test[:200]
    model = onnx2genn.convert(digits.model, digits.x_train).model
    target = model.parts.readout.target
    wanted = np.concatenate([found[target] for found in model.activations([target], x)])
    errors = {}
    for steps, signed in ((3, False), (4, False), (3, True), (4, True)):
        network = onnx2genn.convert(digits.model, digits.x_train, steps=steps, signed=signed)
        logits = network.predict(x, backend="onnxruntime")
        same = np.isclose(logits, Forecast(network).logits(x), atol=1e-3).all(axis=1)
        assert same.mean() > 0.95
        errors[steps, signed] = np.square(logits - wanted).mean()
    assert errors[3, True] < 0.6 * errors[3, False]
    assert errors[4, True] < 0.5 * errors[4, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 17}, "at most 16 steps, which are 65536 levels; 8 are"),
        ({"steps": 11, "signed": True}, "at most 10 steps, which are 29525 levels; 5 are"),
    ],
)
def test_windows_that_are_too_long(options: dict[str, int], message: str) -> None:
    with pytest.raises(CodingError, match=message):
        FewSpike(**options)
