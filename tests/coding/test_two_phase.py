"""Two-phase coding: its spike trains against its neuron, simulated step by step."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.coding.two_phase import TwoPhase


@pytest.mark.parametrize("steps", [1, 2, 7, 16, 33])
def test_spike_trains_follow_the_equation(steps: int) -> None:
    coding = TwoPhase(steps=steps)
    total = np.random.default_rng(0).normal(steps / 2, steps, 500).astype(np.float32)
    code = coding.quantiser.code(total)
    potential = np.full(total.shape, steps / 2)
    train = np.zeros((steps, *total.shape))
    for step in range(steps):
        potential += np.clip(np.floor(total + 0.5), 0, steps)
        train[step] = potential >= steps
        potential -= steps * train[step]
    assert np.array_equal(coding.spike_train(code), train)
    assert np.array_equal(train.sum(axis=0), code)
    assert np.array_equal(coding.spike_count(code), code)


@pytest.mark.parametrize("steps", [5, 16])
def test_spikes_are_evenly_spaced(steps: int) -> None:
    coding = TwoPhase(steps=steps)
    for count in range(1, steps + 1):
        (at,) = np.nonzero(coding.spike_train(np.array(count)))
        assert set(np.diff(at)) <= {steps // count, -(-steps // count)}
