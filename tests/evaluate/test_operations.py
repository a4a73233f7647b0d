"""Synaptic operations and multiply-accumulates against explicit matrices."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers.models import mlp
from helpers.onnx_models import model, node

from onnx2genn.evaluate.operations import SynapseCounter, macs
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import session


def test_macs_of_a_perceptron_are_its_weights() -> None:
    assert macs(read(mlp(sizes=(6, 8, 5, 3))).graph) == 6 * 8 + 8 * 5 + 5 * 3


def test_macs_of_a_grouped_convolution() -> None:
    weight = np.ones((8, 2, 3, 3), np.float32)
    conv = node("Conv", "x w", "y", group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    graph = read(model([conv], {"x": ["N", 4, 8, 8]}, {"w": weight})).graph
    assert macs(graph) == 8 * 4 * 4 * 2 * 9


def _network(middle: list[onnx.NodeProto]) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    weight = random.normal(size=(2, 3, 3, 3)).astype(np.float32)
    weight[0, 1] = 0
    weights = {
        "w": weight,
        "b": np.ones(2, np.float32),
        "v": random.normal(size=(4, 2, 3, 3)).astype(np.float32),
        "n": np.zeros(0, np.float32),
        "f": np.array([1, 1, 2, 2], np.float32),
    }
    used = {name for item in middle for name in item.input}
    weights = {name: array for name, array in weights.items() if name in used}
    return model([node("Relu", "x", "a"), *middle], {"x": ["N", 3, 6, 6]}, weights)


@pytest.mark.parametrize(
    "middle",
    [
        [node("Conv", "a w b", "y", strides=[2, 2], pads=[1, 0, 0, 1])],
        [
            node("AveragePool", "a", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", "p w b", "y"),
        ],
        [node("Conv", "a w b", "c"), node("Conv", "c v", "y", pads=[1] * 4)],
        [
            node("Resize", "a n f", "u", mode="nearest"),
            node("Conv", "u w b", "y"),
        ],
        [node("GlobalAveragePool", "a", "y")],
        [node("AveragePool", "a", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)],
        [
            node("Conv", "a w b", "c"),
            node("ReduceMean", "c", "m", axes=[2, 3]),
            node("Sub", "c m", "y"),
        ],
    ],
)
def test_synapses_are_the_entries_of_the_matrix(middle: list[onnx.NodeProto]) -> None:
    readout = read(_network(middle)).parts.readout
    runner = session(readout.to_onnx())
    size = 3 * 6 * 6
    basis = np.eye(size, dtype=np.float32).reshape(size, 3, 6, 6)
    (at_zero,) = runner.run(None, {"a": np.zeros((1, 3, 6, 6), np.float32)})
    matrix = runner.run(None, {"a": basis})[0].reshape(size, -1) - at_zero.reshape(1, -1)
    fan_out = (np.abs(matrix) > 1e-7).sum(axis=1)
    spikes = np.random.default_rng(1).integers(0, 5, (3, 6, 6))
    assert SynapseCounter(readout).count({"a": spikes}) == fan_out @ spikes.ravel()


def test_large_maps_are_counted_on_neurons_that_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    middle = [node("Conv", "a w b", "c"), node("Conv", "c v", "y", pads=[1] * 4)]
    readout = read(_network(middle)).parts.readout
    spikes = {"a": np.random.default_rng(1).integers(0, 5, (3, 6, 6))}
    exact = SynapseCounter(readout).count(spikes)
    monkeypatch.setattr("onnx2genn.streams.synapses._MOST_OPERATIONS", 0)
    monkeypatch.setattr("onnx2genn.streams.synapses._DRAWN_OPERATIONS", 0)
    monkeypatch.setattr("onnx2genn.streams.synapses._FEWEST", 60)
    found = SynapseCounter(readout).count(spikes)
    assert found != exact
    assert found == pytest.approx(exact, rel=0.1)
    assert found == SynapseCounter(readout).count(spikes)
    assert SynapseCounter(readout).count({"a": 0 * spikes["a"]}) == 0


def test_a_constant_input_causes_no_synaptic_operations() -> None:
    (first, *_) = read(mlp()).parts.populations
    assert SynapseCounter(first.segment).count({}) == 0.0
