"""Levels begin where the activations of a channel begin."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.genn import build_on_cpu
from onnx2genn.backends.registry import open_simulator
from onnx2genn.calibrate import ranges
from onnx2genn.calibrate.ranges import raised
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import choose
from onnx2genn.coding import make

SOMEWHERE = np.random.default_rng(0)


def gathered(values: np.ndarray) -> Statistics:
    """Statistics of values [N, channels]."""
    found = Statistics(channels=values.shape[1])
    found.update(values)
    return found.settle()


def squared_error(coding: str, values: np.ndarray, low: float, threshold: float) -> float:
    quantiser = make(coding, steps=4).quantiser
    return float(np.mean((values - low - quantiser.quantise(values - low, threshold)) ** 2))


@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "first-spike"])
def test_far_from_zero_the_error_falls_by_far(coding: str) -> None:
    values = np.stack(
        [SOMEWHERE.normal(3, 0.2, 5000), np.maximum(SOMEWHERE.normal(0, 1, 5000), 0)], axis=1
    )
    chosen, statistics = make(coding, steps=4), gathered(values)
    alone = choose(chosen, statistics, "relu")
    low, threshold = raised(chosen, statistics, alone)
    assert 1.8 < low[0] < 3 and low[1] == 0
    assert threshold[1] == alone[1]
    before = squared_error(coding, values[:, 0], 0, float(alone[0]))
    assert squared_error(coding, values[:, 0], float(low[0]), float(threshold[0])) < before / 4


@pytest.mark.parametrize("coding", ["few-spike", "two-phase"])
def test_no_pair_of_ends_is_left_out_that_would_be_better(coding: str) -> None:
    starts = SOMEWHERE.uniform(-1, 5, 40)
    values = SOMEWHERE.normal(starts, SOMEWHERE.uniform(0.1, 1, 40), (5000, 40))
    chosen, statistics = make(coding, steps=6), gathered(np.maximum(values, 0))
    low, threshold = raised(chosen, statistics, np.ones(40))
    table, _ = ranges._squared_errors(chosen.quantiser, statistics.bins)
    zeros = statistics.count - statistics.histogram.sum(axis=1, keepdims=True)
    errors = np.concatenate([zeros, statistics.histogram], axis=1) @ table.astype(np.float64)
    errors = errors.reshape(40, len(ranges._LOWS), -1)
    least = errors.min(axis=2)
    best = least.argmin(axis=1)
    better = least.min(axis=1) < 0.98 * least[:, 0]
    assert 5 < better.sum() < 35
    wanted = np.where(better, ranges._LOWS[best] * statistics.top, 0)
    np.testing.assert_allclose(low, wanted, rtol=1e-6)
    each = ranges._THRESHOLDS[errors[np.arange(40), best].argmin(axis=1)]
    np.testing.assert_allclose(threshold, np.where(better, each * statistics.top, 1), rtol=1e-6)


def test_few_activations_show_no_lower_end() -> None:
    values = SOMEWHERE.normal(3, 0.2, (100, 1))
    coding, statistics = make("few-spike", steps=4), gathered(values)
    low, threshold = raised(coding, statistics, np.float32([4.0]))
    assert low == 0 and threshold == 4


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_ends_scale_with_the_activations(scale: float) -> None:
    values = SOMEWHERE.normal(3, 0.2, (5000, 1))
    coding = make("few-spike", steps=5)
    found = [raised(coding, gathered(item), np.float32([1.0])) for item in (values, values * scale)]
    np.testing.assert_allclose(np.ravel(found[1]) / np.ravel(found[0]), scale, rtol=1e-5)


@pytest.fixture(scope="module")
def biased() -> onnx2genn.SpikingNetwork:
    """Convolutions with borders of zeros, of which the first is far above 0."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        node("Relu", "c0", "r0"),
        node("Conv", "r0 w1 b1", "c1", pads=[1] * 4),
        node("Relu", "c1", "r1"),
        node("Flatten", "r1", "f"),
        node("Gemm", "f w2", "y"),
    ]
    weights = {
        "w0": normal(4, 2, 3, 3) / 8,
        "b0": np.float32([0, 3, 4, 5]),
        "w1": normal(3, 4, 3, 3) / 4,
        "b1": normal(3),
        "w2": normal(75, 5) / 8,
    }
    proto = model(nodes, {"x": ["N", 2, 5, 5]}, weights)
    return onnx2genn.convert(proto, normal(300, 2, 5, 5, seed=3), steps=5)


@pytest.mark.genn
def test_a_network_with_lower_ends_is_the_same_everywhere(
    biased: onnx2genn.SpikingNetwork, tmp_path
) -> None:
    first = biased.offsets[biased.populations[0].name].ravel()
    assert first[0] == 0 and (first[1:] > 1).all()
    x = normal(16, 2, 5, 5, seed=4)
    with open_simulator(biased, "onnxruntime") as simulator:
        wanted = simulator.run(x, record=True)
    got = build_on_cpu(biased, connectivity="scatter").run(x, record=True)
    assert wanted.codes is not None and got.codes is not None
    for name, codes in wanted.codes.items():
        assert np.mean(codes == got.codes[name]) > 0.998
    np.testing.assert_allclose(got.logits, wanted.logits, atol=0.05)
    biased.save(tmp_path / "saved.onnx")
    again = onnx2genn.load(tmp_path / "saved.onnx").predict(x, backend="onnxruntime")
    np.testing.assert_allclose(again, wanted.logits, atol=1e-5)


def test_lower_ends_save_spikes_and_error(biased: onnx2genn.SpikingNetwork) -> None:
    x = normal(100, 2, 5, 5, seed=5)
    alone = onnx2genn.convert(biased.model.to_onnx(), normal(300, 2, 5, 5, seed=3), steps=5,
                              threshold="max")  # fmt: skip
    found = [item.evaluate(x, backend="onnxruntime") for item in (biased, alone)]
    assert found[0].spikes_per_sample < found[1].spikes_per_sample


def test_what_a_pool_reads_begins_at_zero() -> None:
    nodes = [
        node("Conv", "x w0 b0", "c0"),
        node("Relu", "c0", "r0"),
        node("MaxPool", "r0", "m", kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4),
        node("Flatten", "m", "f"),
        node("Gemm", "f w1", "y"),
    ]
    weights = {
        "w0": normal(4, 2, 3, 3) / 8,
        "b0": np.float32([4] * 4),
        "w1": normal(36, 3),
    }
    proto = model(nodes, {"x": ["N", 2, 6, 6]}, weights)
    network = onnx2genn.convert(proto, normal(300, 2, 6, 6), steps=5)
    assert all(not np.any(low) for low in network.offsets.values())
