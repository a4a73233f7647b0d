"""First-spike coding: the times of its spikes against the falling threshold of its neuron."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.coding.first_spike import FirstSpike
from onnx2genn.errors import CodingError
from onnx2genn.evaluate.forecast import Forecast

CODINGS = pytest.mark.parametrize(
    "coding",
    [
        FirstSpike(steps=1),
        FirstSpike(steps=7),
        FirstSpike(steps=16),
        FirstSpike(steps=10, per_octave=1),
        FirstSpike(steps=16, per_octave=2),
        FirstSpike(steps=33, per_octave=4),
        FirstSpike(steps=3, per_octave=8),
    ],
    ids=lambda item: f"{item.steps}-{item.per_octave}",
)


def values_of(coding: FirstSpike) -> list[int]:
    """v(0) to v(T), counted up instead of computed: the gap doubles once in each octave."""
    found, gap = [0], 1
    for index in range(coding.steps):
        octave = coding.per_octave
        if octave and index >= 2 * octave and index % octave == 0:
            gap *= 2
        found.append(found[-1] + gap)
    return found


@CODINGS
def test_values_double_every_octave(coding: FirstSpike) -> None:
    values = values_of(coding)
    assert sorted(set(coding.quantiser.code(np.arange(-3.0, values[-1] + 3)))) == values
    assert coding.quantiser.levels == values[-1]
    if coding.per_octave:
        for small, large in zip(values, values[coding.per_octave :], strict=False):
            assert large == 2 * small or small < coding.per_octave


@CODINGS
def test_spikes_come_when_the_threshold_falls_to_the_potential(coding: FirstSpike) -> None:
    values, steps = values_of(coding), coding.steps
    total = np.random.default_rng(0).uniform(-1, values[-1] * 1.2, 500).astype(np.float32)
    potential = np.clip(np.floor(total + 0.5), 0, values[-1])
    train = np.zeros((steps, total.size))
    fired = np.zeros(total.size, bool)
    for step in range(steps):
        now, later = values[steps - step], values[steps - step - 1]
        spikes = (potential >= (now + later) / 2) & ~fired
        train[step, spikes] = now
        fired |= spikes
    code = coding.quantiser.code(total)
    np.testing.assert_array_equal(coding.spike_train(code), train)
    np.testing.assert_array_equal(train.sum(axis=0), code)
    np.testing.assert_array_equal(coding.spike_count(code), fired)


@CODINGS
def test_values_go_to_the_nearest(coding: FirstSpike) -> None:
    values = np.array(values_of(coding))
    whole = np.arange(values[-1] + 1)
    nearest = np.abs(whole[:, None] - values).min(axis=1)
    np.testing.assert_array_equal(np.abs(coding.quantiser.code(whole) - whole), nearest)


def test_linear_times_have_the_levels_of_two_phase(digits: Example) -> None:
    networks = [
        onnx2genn.convert(digits.model, digits.x_train, name, steps=12)
        for name in ("first-spike", "two-phase")
    ]
    first, two_phase = (
        item.evaluate(digits.x_test[:100], backend="onnxruntime") for item in networks
    )
    assert first.snn_accuracy == two_phase.snn_accuracy
    assert first.spikes_per_sample < 0.6 * two_phase.spikes_per_sample


@pytest.mark.parametrize("per_octave", [0, 4])
def test_a_neuron_spikes_at_most_once_and_gives_the_forecast(
    digits: Example, per_octave: int
) -> None:
    network = onnx2genn.convert(
        digits.model, digits.x_train, "first-spike", steps=24, per_octave=per_octave
    )
    x, y = digits.x_test[:200], digits.y_test[:200]
    found = network.evaluate(x, y, backend="onnxruntime")
    assert found.spikes_per_sample < network.neurons
    assert found.agreement >= 0.98
    same = np.isclose(
        network.predict(x, backend="onnxruntime"), Forecast(network).logits(x), atol=1e-3
    )
    assert same.all(axis=1).mean() > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_octave": -1}, "below 0"),
        ({"steps": 64, "per_octave": 2}, "more for each octave"),
        ({"steps": 10**9, "per_octave": 1}, "Use fewer steps"),
        ({"steps": 2**17}, "Use fewer steps"),
    ],
)
def test_windows_that_values_cannot_span(options: dict[str, int], message: str) -> None:
    with pytest.raises(CodingError, match=message):
        FirstSpike(**options)


def test_octaves_of_few_steps_reach_smaller_values() -> None:
    wide = [FirstSpike(steps=16, per_octave=p).quantiser.levels for p in (1, 2, 4, 8, 16, 0)]
    assert all(large > small for large, small in itertools.pairwise(wide[:4]))
    assert wide[3:] == [16, 16, 16]
