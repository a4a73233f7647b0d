"""The forecast against the spiking network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.run import session
from onnx2genn.spiking_network import SpikingNetwork


def exact_network(coding: str, steps: int) -> SpikingNetwork:
    """Build a residual network with weights and thresholds on a binary grid."""
    random = np.random.default_rng(0)
    shapes = {"w0": (6, 8), "w1": (8, 8), "w2": (8, 3)}
    constants = {
        name: random.integers(-8, 9, shape).astype(np.float32) / 8 for name, shape in shapes.items()
    }
    constants |= {"b0": random.integers(-4, 5, 8).astype(np.float32) / 16}
    layers = [
        node("Gemm", "x w0 b0", "z0"),
        node("Relu", "z0", "a0"),
        node("MatMul", "a0 w1", "z1"),
        node("Relu", "z1", "a1"),
        node("Add", "a0 a1", "sum"),
        node("Relu", "sum", "a2"),
        node("MatMul", "a2 w2", "y"),
    ]
    network = onnx2genn.convert(
        model(layers, {"x": ["N", 6]}, constants), coding=coding, steps=steps
    )
    for threshold in network.thresholds.values():
        threshold[...] = 2.0
    return network


def grid_samples(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-8, 9, (count, 6)).astype(np.float32) / 8


@pytest.mark.parametrize(
    ("coding", "steps"), [("few-spike", 1), ("few-spike", 4), ("two-phase", 8), ("two-phase", 16)]
)
def test_equal_to_the_network_where_sums_are_exact(coding: str, steps: int) -> None:
    network = exact_network(coding, steps)
    x = grid_samples(300)
    assert np.array_equal(Forecast(network).logits(x), network.predict(x, backend="onnxruntime"))


@pytest.mark.parametrize(
    ("coding", "steps"), [("few-spike", 8), ("few-spike", 4), ("two-phase", 16)]
)
def test_equal_to_a_trained_network(digits: Example, coding: str, steps: int) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, coding, steps=steps)
    forecast = Forecast(network).logits(digits.x_test)
    simulated = network.predict(digits.x_test, backend="onnxruntime")
    # Where a sum is within float error of the border of a level, the two may round it apart.
    same = np.isclose(forecast, simulated, rtol=1e-4, atol=1e-4).all(axis=1)
    assert same.mean() > 0.97
    assert (forecast.argmax(axis=1) == simulated.argmax(axis=1)).mean() >= 0.998


def test_a_constant_current_gives_the_rate_that_is_forecast() -> None:
    """A population that sees only the input has no uneven spikes: rate coding is exact there."""
    weight = np.eye(6, dtype=np.float32)
    layers = [node("MatMul", "x w", "z"), node("Relu", "z", "y")]
    network = onnx2genn.convert(
        model(layers, {"x": ["N", 6]}, {"w": weight}), coding="rate", steps=16, initial=0.25
    )
    for threshold in network.thresholds.values():
        threshold[...] = 0.5
    x = np.linspace(-1, 1, 600, dtype=np.float32).reshape(-1, 6)
    forecast = Forecast(network).logits(x)
    assert np.allclose(forecast, network.predict(x, backend="onnxruntime"), atol=1e-6)
    assert len(np.unique(forecast)) == 17


def test_more_levels_come_closer_to_the_ann(digits: Example) -> None:
    x = digits.x_test[:200]
    errors = []
    for steps in (3, 5, 7, 9):
        network = onnx2genn.convert(digits.model, digits.x_train, steps=steps)
        target = network.model.parts.readout.target
        (ann,) = session(network.model.to_onnx([target])).run([target], {network.input_name: x})
        errors.append(np.abs(Forecast(network).logits(x) - ann).mean())
    assert all(after < before / 2 for before, after in itertools.pairwise(errors))


def test_counted_output_spikes_are_rounded(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, "rate", steps=8, readout="spikes")
    counts = Forecast(network).logits(digits.x_test[:50]) / network.readout_threshold.ravel() * 8
    assert np.allclose(counts, counts.round(), atol=1e-4)
    assert counts.min() == 0
