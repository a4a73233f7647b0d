"""Bounds from the weights alone, against what inputs reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers import grid_networks
from helpers.models import mlp
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn import CalibrationError
from onnx2genn.calibrate.intervals import Interval, received, sent
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner

ONE = np.ones((), np.float32)


def dense(w: np.ndarray, b: np.ndarray, activation: str = "Relu") -> onnx.ModelProto:
    nodes = [
        node("Gemm", "x w b", "z"),
        node(activation, "z", "a", name="act"),
        node("Gemm", "a v", "y"),
    ]
    return model(nodes, {"x": ["N", len(w)]}, {"w": w, "b": b, "v": normal(len(b), 2)})


def intervals(found: Model) -> dict[str, Interval]:
    """Bound what each tensor of pre-activations and the readout can be."""
    sending = dict.fromkeys(found.parts.inputs, (-ONE, ONE))
    arriving = {}
    for item in found.parts.populations:
        arriving[item.segment.target] = received(item.segment, sending)
        sending[item.tensor] = sent(item, arriving[item.segment.target])
    readout = found.parts.readout
    return {**arriving, readout.target: received(readout, sending)}


def leaky() -> onnx.ModelProto:
    """Signed populations, a difference, a shift, and a product with negative constants."""
    nodes = [
        node("Gemm", "x w0 b0", "z0"),
        node("LeakyRelu", "z0", "a0", alpha=0.3),
        node("Gemm", "a0 w1", "z1"),
        node("Tanh", "z1", "a1"),
        node("Mul", "a0 scale", "s0"),
        node("Sub", "a1 s0", "d"),
        node("Relu", "d", "a2"),
        node("Gemm", "a2 w2", "y"),
    ]
    weights = {"w0": normal(6, 8), "b0": normal(8), "w1": normal(8, 8), "scale": normal(8)}
    return model(nodes, {"x": ["N", 6]}, {**weights, "w2": normal(8, 3)})


NETWORKS = {**grid_networks.NETWORKS, "mlp": mlp, "leaky": leaky}
# What a function of one element receives is bounded by what activations of trained networks reach.
del NETWORKS["gates"]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_input_reaches_beyond_the_bound(name: str) -> None:
    found = read(NETWORKS[name]())
    bounds = intervals(found)
    (entry,) = found.parts.inputs
    random = np.random.default_rng(0)
    shape = (500, *found.parts.inputs[entry])
    x = random.uniform(-1, 1, shape).astype(np.float32)
    x[::2] = np.sign(x[::2])
    computed = [tensor for tensor in bounds if tensor != entry]
    values = Runner(found.to_onnx(computed), computed)({entry: x})
    for tensor in computed:
        low, high = bounds[tensor]
        slack = 1e-5 * max(1.0, np.abs(values[tensor]).max())
        assert (values[tensor] <= high + slack).all(), tensor
        assert (values[tensor] >= low - slack).all(), tensor


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_bound_of_a_dense_layer_is_reached(sign: float) -> None:
    weights, bias = sign * np.abs(normal(7, 5)), normal(5)
    found = read(dense(weights, bias))
    (population,) = found.parts.populations
    low, high = received(population.segment, {"x": (-ONE, ONE)})
    np.testing.assert_allclose(high, bias + np.abs(weights).sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(low, bias - np.abs(weights).sum(axis=0), rtol=1e-6)
    low, high = received(population.segment, {"x": (np.float32(0.5) * ONE, 2 * ONE)})
    ends = np.stack([0.5 * weights, 2 * weights])
    np.testing.assert_allclose(high, bias + ends.max(axis=0).sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(low, bias + ends.min(axis=0).sum(axis=0), rtol=1e-5)


def test_a_guess_without_positive_weights_saturates_nothing() -> None:
    """Inputs are signed, so that negative weights excite as well."""
    nodes = [
        node("Gemm", "x w0", "z"),
        node("Relu", "z", "a"),
        node("Gemm", "a w1", "y"),
    ]
    weights = {"w0": -np.abs(normal(6, 8)) * 5, "w1": normal(8, 3)}
    proto = model(nodes, {"x": ["N", 6]}, weights)
    x = np.random.default_rng(0).uniform(-1, 1, (200, 6)).astype(np.float32)
    network = onnx2genn.convert(proto, steps=12)
    wanted = np.maximum(x @ weights["w0"], 0) @ weights["w1"]
    logits = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(logits, wanted, atol=0.01 * np.abs(wanted).max())


def test_without_calibration_thresholds_hold_what_training_samples_reach(digits: Example) -> None:
    guessed = onnx2genn.convert(digits.model)
    measured = onnx2genn.convert(digits.model, digits.x_train, threshold="max")
    for name, bound in guessed.thresholds.items():
        assert bound >= measured.thresholds[name].max()


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_undefined_weights_are_refused_by_name(activation: str, bad: float) -> None:
    weights = normal(3, 4)
    weights[1, 2] = bad
    (population,) = read(dense(normal(3, 4), normal(4), activation)).parts.populations
    constants = {
        name: weights if array.shape == (3, 4) else array
        for name, array in population.segment.constants.items()
    }
    segment = replace(population.segment, constants=constants)
    with pytest.raises(CalibrationError, match="'act'"):
        sent(population, received(segment, {"x": (-ONE, ONE)}))


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "rate"])
def test_denormal_weights_are_refused_by_name(coding: str, calibrated: bool) -> None:
    proto = dense(np.full((3, 4), 1e-40, np.float32), np.zeros(4, np.float32))
    x = normal(50, 3) if calibrated else None
    with pytest.raises(CalibrationError, match="'act'"):
        onnx2genn.convert(proto, x, coding)


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_bound_without_room_for_levels_is_refused_by_name(calibrated: bool) -> None:
    nodes = [
        node("MatMul", "x w", "z"),
        node("Clip", "z low high", "a", name="act"),
        node("MatMul", "a v", "y"),
    ]
    weights = {"w": normal(3, 4), "v": normal(4, 2)}
    ends = {"low": np.float32(0), "high": np.float32(1e-37)}
    proto = model(nodes, {"x": ["N", 3]}, {**weights, **ends})
    with pytest.raises(CalibrationError, match="'act'"):
        onnx2genn.convert(proto, normal(50, 3) if calibrated else None)
