"""Spikes are counted the same in few bits and in many."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import grid_networks

from onnx2genn.backends.base import Activity
from onnx2genn.evaluate.neurons import Neurons, Tally


@pytest.mark.parametrize("cut", [1, 7, 31, 32, 100])
def test_no_sum_overflows(cut: int) -> None:
    """All fire in every step: 31 samples with 8 spikes fill 8 bits."""
    network = grid_networks.convert(grid_networks.TOGETHER, "few-spike", steps=8)
    population = network.populations[0]
    neurons = Neurons(network, population)
    tally = Tally(neurons, network.coding.steps)
    codes = np.full((100, *population.shape), 255, np.uint8)
    codes[:, 0] = np.arange(100).reshape(100, *[1] * (codes.ndim - 2))
    for at in range(0, 100, cut):
        part = codes[at : at + cut]
        names = {population.name: part}
        spikes = {population.name: network.coding.spike_count(part)}
        tally.add(Activity(logits=np.empty(0), codes=names, spikes=spikes))
    tally.settle()
    expected = network.coding.spike_count(codes).sum(axis=0, dtype=np.int64)
    np.testing.assert_array_equal(neurons.spikes, expected)
    assert expected[1:].min() == 800
