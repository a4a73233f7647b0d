"""One look at the calibration samples, from which any coding takes its thresholds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.architectures import ARCHITECTURES
from helpers.models import mlp
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn import CalibrationError
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import Observation, observe
from onnx2genn.coding import CODINGS, PRESETS, make
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner


def signed() -> onnx.ModelProto:
    """Functions, whose values have to be counted from the smallest one on."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Tanh", "c", "t"),
        node("Conv", "t v", "d"),
        node("Elu", "d", "e"),
        node("Relu", "e", "r"),
        node("Flatten", "r", "y"),
    ]
    weights = {"w": normal(3, 2, 3, 3), "v": normal(4, 3, 3, 3)}
    return model(nodes, {"x": ["N", 2, 7, 7]}, weights)


@pytest.mark.parametrize("coding", [*CODINGS, *PRESETS])
def test_one_observation_serves_every_coding(coding: str) -> None:
    proto, x = ARCHITECTURES["vgg"](), normal(60, 3, 8, 8)
    chosen = make(coding, steps=8)
    found = encode(observe(read(proto), x, hold_out=chosen.tries), chosen)
    wanted = onnx2genn.convert(proto, x, chosen)
    assert found.calibration_samples == 60
    assert found.input_scales == wanted.input_scales
    # Where channels are merged, a value lies anywhere in its bin.
    tolerance = 1e-7 if chosen.per_channel else 2e-3
    for name, threshold in wanted.thresholds.items():
        np.testing.assert_allclose(found.thresholds[name], threshold, rtol=tolerance)
    for name, correction in wanted.corrections.items():
        scale = np.abs(correction).max()
        np.testing.assert_allclose(found.corrections[name], correction, atol=0.05 * scale)


def test_channels_that_were_not_told_apart_have_no_thresholds() -> None:
    seen = observe(read(mlp()), normal(20, 6), per_channel=False)
    encode(seen, make(per_channel=False))
    with pytest.raises(CalibrationError, match="per_channel=True"):
        encode(seen, make())


def same(found: Observation, wanted: Observation) -> None:
    assert found.populations.keys() == wanted.populations.keys()
    pairs = [(found.populations[name], item) for name, item in wanted.populations.items()]
    for statistics, other in [*pairs, (found.readout, wanted.readout)]:
        for name in ("count", "offset", "maximum", "top", "histogram"):
            assert np.array_equal(getattr(statistics, name), getattr(other, name)), name


@pytest.mark.parametrize("hold_out", [True, False])
def test_workers_and_executors_find_the_same_to_the_last_digit(hold_out: bool) -> None:
    found, x = read(signed()), normal(900, 2, 7, 7)
    calls: list[tuple[int, int]] = []
    alone = observe(found, x, hold_out=hold_out, progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(x) - len(alone.held),) * 2
    assert calls == sorted(calls)
    same(observe(found, x, hold_out=hold_out, workers=2), alone)
    with ThreadPoolExecutor(1) as executor:
        same(observe(found, x, hold_out=hold_out, executor=executor), alone)
    assert not active_children()


def test_an_error_in_a_worker_is_that_of_this_process() -> None:
    x = np.concatenate([normal(400, 6), np.full((1, 6), 3e38, "f4"), normal(200, 6)])
    with pytest.raises(CalibrationError, match="infinite"):
        observe(read(mlp()), x, workers=2)


def test_extremes_are_those_of_the_activations() -> None:
    found, x = read(signed()), normal(130, 2, 7, 7)
    seen = observe(found, x, hold_out=False)
    values = Runner(found.to_onnx(["t", "e"]), ["t", "e"])({"x": x})
    tanh, elu, relu = found.parts.populations
    for item in (tanh, elu):
        array = values[item.tensor]
        statistics = seen.populations[item.name]
        assert np.array_equal(statistics.offset, array.min(axis=(0, 2, 3)))
        np.testing.assert_allclose(
            statistics.offset + statistics.maximum, array.max(axis=(0, 2, 3)), rtol=1e-6
        )
    # What Relu receives is not shifted, though the tensor is that of a signed population.
    assert relu.measured == elu.tensor
    largest = values["e"].max(axis=(0, 2, 3))
    assert np.array_equal(seen.populations[relu.name].positive_maximum, largest)


def test_memory_does_not_grow_with_the_samples(digits: Example) -> None:
    found = read(digits.model)
    few, many = (observe(found, digits.x_train[:count], hold_out=False) for count in (60, 600))
    for name, statistics in many.populations.items():
        assert statistics.histogram.nbytes == few.populations[name].histogram.nbytes
        assert statistics.count == 10 * few.populations[name].count
    assert len(many.samples) == 256


def test_large_samples_are_observed_one_by_one(
    digits: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch shrinks with what is kept of each sample."""
    monkeypatch.setattr("onnx2genn.ir.run._KEPT_BYTES", 4 * 20_000)
    found = read(digits.model)
    sizes = {
        len(next(iter(tensors.values())))
        for tensors in found.activations(list(found.graph.producers), digits.x_train[:20])
    }
    assert max(sizes) < 20


def test_progress_reaches_the_end(digits: Example) -> None:
    calls: list[tuple[int, int]] = []
    observe(
        read(digits.model),
        digits.x_train[:120],
        hold_out=False,
        progress=lambda *call: calls.append(call),
    )
    assert calls[-1] == (120, 120)
    assert len(calls) > 1


def test_no_samples_and_infinite_answers_are_refused() -> None:
    found = read(mlp())
    with pytest.raises(CalibrationError, match="no calibration samples"):
        observe(found, np.zeros((0, 6), np.float32))
    with pytest.raises(CalibrationError, match="infinite"):
        observe(found, np.concatenate([normal(5, 6), np.full((1, 6), 3e38, "f4"), normal(5, 6)]))


SCALARS = [
    ("Tanh", "few-spike", {}),
    ("Tanh", "two-phase", {}),
    ("Tanh", "few-spike", {"per_channel": False}),
    ("Relu", "few-spike", {}),
    ("Relu", "rate", {"steps": 64}),
    ("Relu", "rate", {"steps": 64, "threshold": "spike-norm"}),
]


@pytest.mark.parametrize(("activation", "coding", "options"), SCALARS)
def test_neurons_without_axes(activation: str, coding: str, options: dict[str, bool]) -> None:
    nodes = [node("ReduceMean", "x", "m", axes=[1], keepdims=0), node(activation, "m", "t")]
    nodes.append(node("Mul", "t two", "y"))
    proto = model(nodes, {"x": ["N", 5]}, {"two": np.full((), 2, np.float32)})
    x = normal(40, 5)
    network = onnx2genn.convert(proto, x, coding, **{"steps": 12, **options})
    assert [item.shape for item in network.populations] == [()]
    logits = network.predict(x, backend="onnxruntime").reshape(-1)
    mean = x.mean(axis=1)
    wanted = 2 * (np.tanh(mean) if activation == "Tanh" else np.maximum(mean, 0))
    np.testing.assert_allclose(logits, wanted, atol=0.2)
    assert network.evaluate(x, backend="onnxruntime").logits_error < 0.2


def test_a_model_is_not_changed_by_observing(digits: Example) -> None:
    found = read(digits.model)
    before = found.to_onnx().SerializeToString()
    seen = observe(found, digits.x_train[:60])
    assert isinstance(seen.model, Model)
    assert found.to_onnx().SerializeToString() == before
