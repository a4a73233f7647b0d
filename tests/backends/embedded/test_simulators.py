"""The embedded backend against neurons that are simulated one equation at a time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.backends.base import Activity
from onnx2genn.backends.registry import open_simulator
from onnx2genn.coding import make
from onnx2genn.errors import BackendError
from onnx2genn.spiking_network import SpikingNetwork


def simulate(network: SpikingNetwork, x: np.ndarray) -> Activity:
    with open_simulator(network, "onnxruntime") as simulator:
        return simulator.run(np.asarray(x, np.float32), record=True)


def grid_mlp(seed: int = 0) -> tuple[SpikingNetwork, list[np.ndarray], list[np.ndarray]]:
    """Build a perceptron with weights on a binary grid, where float sums are exact."""
    random = np.random.default_rng(seed)
    sizes = (6, 8, 5, 3)
    pairs = list(itertools.pairwise(sizes))
    weights = [random.integers(-8, 9, (a, b)).astype(np.float32) / 8 for a, b in pairs]
    biases = [random.integers(-4, 5, b).astype(np.float32) / 16 for _, b in pairs]
    constants = {f"w{i}": w for i, w in enumerate(weights)}
    constants |= {f"b{i}": b for i, b in enumerate(biases)}
    nodes = [
        node("Gemm", "x w0 b0", "z0"),
        node("Relu", "z0", "a0"),
        node("Gemm", "a0 w1 b1", "z1"),
        node("Relu", "z1", "a1"),
        node("Gemm", "a1 w2 b2", "y"),
    ]
    network = onnx2genn.convert(model(nodes, {"x": ["N", 6]}, constants), coding="rate")
    return network, weights, biases


def with_coding(
    network: SpikingNetwork, threshold: float, coding: str, **options: object
) -> SpikingNetwork:
    thresholds = {name: np.full((), threshold, np.float32) for name in network.thresholds}
    return replace(network, coding=make(coding, **options), thresholds=thresholds)


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_rate_equals_its_equation(reset: str) -> None:
    base, weights, biases = grid_mlp()
    theta, steps = 2.0, 16
    network = with_coding(base, theta, "rate", steps=steps, reset=reset, lookahead=0)
    x = np.random.default_rng(1).integers(-8, 9, (9, 6)).astype(np.float32) / 8
    potentials = [np.full((9, n), theta / 2) for n in (8, 5)]
    counts = [np.zeros((9, n)) for n in (8, 5)]
    total = np.zeros((9, 3))
    for _ in range(steps):
        value = x
        for layer in range(2):
            potentials[layer] += value @ weights[layer] + biases[layer]
            fired = potentials[layer] >= theta
            potentials[layer] -= theta * fired
            if reset == "hard":
                potentials[layer][fired] = 0
            counts[layer] += fired
            value = theta * fired
        total += value @ weights[2] + biases[2]
    activity = simulate(network, x)
    assert activity.spikes is not None
    for population, wanted in zip(network.populations, counts, strict=True):
        assert np.array_equal(activity.spikes[population.name], wanted)
    assert np.array_equal(activity.logits, total / steps)
    assert sum(wanted.sum() for wanted in counts) > 100


def test_few_spike_equals_its_equation() -> None:
    base, weights, biases = grid_mlp()
    theta, bits = 4.0, 6
    network = with_coding(base, theta, "few-spike", steps=bits)
    x = np.random.default_rng(1).integers(-8, 9, (9, 6)).astype(np.float32) / 8
    level = theta / 2**bits
    received = x @ weights[0] + biases[0]
    counts = []
    for layer in range(2):
        potential = np.minimum(received / level + 0.5, 2**bits - 0.5)
        received = np.zeros((9, weights[layer + 1].shape[1]))
        count = np.zeros(potential.shape)
        for step in range(bits):
            height = 2.0 ** (bits - 1 - step)
            fired = potential >= height
            potential -= height * fired
            count += fired
            received += (height * level * fired) @ weights[layer + 1]
        received += biases[layer + 1]
        counts.append(count)
    activity = simulate(network, x)
    assert activity.spikes is not None
    for population, wanted in zip(network.populations, counts, strict=True):
        assert np.array_equal(activity.spikes[population.name], wanted)
    assert np.array_equal(activity.logits, received)
    assert activity.logits_by_step is not None
    assert np.array_equal(activity.logits_by_step[-1], received)


@pytest.mark.parametrize("options", [{"coding": "rate", "steps": 8}, {"coding": "few-spike"}])
def test_samples_do_not_depend_on_their_company(digits: Example, options: dict[str, str]) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, **options)
    together = simulate(network, digits.x_test[:70])
    alone = simulate(network, digits.x_test[33:34])
    assert together.spikes is not None
    assert alone.spikes is not None
    for name, spikes in alone.spikes.items():
        assert np.abs(spikes - together.spikes[name][33:34]).mean() < 1e-3
    assert np.allclose(alone.logits, together.logits[33:34], atol=0.05)


def test_poisson_input_has_the_right_rate_and_is_seeded() -> None:
    network = onnx2genn.convert(
        mlp(seed=1), np.eye(6, dtype=np.float32), "rate", steps=4000, input="poisson", seed=3
    )
    x = np.array([[0.0, 1.0, -0.25, 0.5, -1.0, 0.75]], np.float32)
    first = simulate(network, x)
    constant = onnx2genn.convert(mlp(seed=1), np.eye(6, dtype=np.float32), "rate", steps=4000)
    assert np.allclose(first.logits, simulate(constant, x).logits, atol=0.05)
    assert np.array_equal(first.logits, simulate(network, x).logits)
    with open_simulator(network, "onnxruntime") as simulator:
        other = simulator.run(x, first=1)
        stacked = simulator.run(np.repeat(x, 2, axis=0))
    assert not np.array_equal(first.logits, other.logits)
    # The order of float sums depends on the batch; another train would differ far more.
    wanted = np.concatenate([first.logits, other.logits])
    assert np.allclose(stacked.logits, wanted, atol=1e-6)


def test_a_network_without_activations_is_its_readout() -> None:
    linear = mlp(sizes=(6, 3))
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    for coding in ("rate", "few-spike"):
        activity = simulate(onnx2genn.convert(linear, x, coding), x)
        assert activity.logits.shape == (5, 3)
        assert activity.spikes == {}


def test_a_window_that_would_not_fit_is_refused() -> None:
    network = onnx2genn.convert(mlp(), coding="rate", steps=2**28)
    with (
        onnx2genn.memory_budget(1),
        pytest.raises(BackendError, match=r"takes about 48\.0 GiB, of which it may have 1\.0 GiB"),
    ):
        simulate(network, np.zeros((1, 6)))


def test_windows_that_begin_in_the_padding_are_no_outputs() -> None:
    """onnxruntime expects one more of them than it computes."""
    options = {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4, "ceil_mode": 1}
    nodes = [node("AveragePool", "x", "y", count_include_pad=1, **options)]
    proto = model(nodes, {"x": ["N", 1, 2, 2]}, {}, opset=19)
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 2)).astype(np.float32)
    found = onnx2genn.convert(proto, x).predict(x, backend="onnxruntime")
    np.testing.assert_allclose(found, x.sum(axis=(2, 3), keepdims=True) / 9, rtol=1e-5)
