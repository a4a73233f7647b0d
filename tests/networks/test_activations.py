"""Activations other than Relu, simulated."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.run import session

CALIBRATION = normal(256, 2, 6, 6, seed=3)
SIX = np.array(1.5, np.float32)
ACTIVATIONS = {
    "relu6": [node("Clip", "c zero six", "a")],
    "hard tanh": [node("Clip", "c minus six", "a")],
    "hard sigmoid": [node("HardSigmoid", "c", "a")],
    "leaky relu": [node("LeakyRelu", "c", "a", alpha=0.1)],
    "abs": [node("Abs", "c", "a")],
    "maximum": [node("Max", "c x2", "a"), node("Neg", "c", "x2")][::-1],
    "tanh": [node("Tanh", "c", "a")],
    "sigmoid": [node("Sigmoid", "c", "a")],
    "elu": [node("Elu", "c", "a")],
    "silu": [node("Sigmoid", "c", "s"), node("Mul", "c s", "a")],
    "softplus": [node("Softplus", "c", "a")],
    "max pool of signed values": [node("MaxPool", "c", "a", kernel_shape=[2, 2])],
    "max pool of sigmoids": [
        node("Sigmoid", "c", "s"),
        node("MaxPool", "s", "a", kernel_shape=[2, 2]),
    ],
}
PIECEWISE = ["relu6", "hard tanh", "hard sigmoid", "leaky relu", "abs", "maximum"]
PIECEWISE += ["max pool of signed values"]


def network(activation, coding, **options):
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        *ACTIVATIONS[activation],
        node("Conv", "a v", "d", pads=[1, 1, 1, 1]),
        node("Relu", "d", "e"),
        node("GlobalAveragePool", "e", "g"),
        node("Flatten", "g", "y"),
    ]
    weights = {"w": normal(4, 2, 3, 3, scale=0.4), "b": normal(4), "v": normal(5, 4, 3, 3)}
    weights |= {"six": SIX, "zero": np.zeros((), "f4"), "minus": -SIX}
    proto = model(nodes, {"x": ["N", 2, 6, 6]}, weights)
    return onnx2genn.convert(proto, CALIBRATION, coding, **options)


def relative_error(snn, x):
    (ann,) = session(snn.model.to_onnx()).run(["y"], {"x": x})
    error = snn.predict(x, backend="onnxruntime") - ann
    return float(np.sqrt((error**2).mean()) / ann.std())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_few_spike(activation):
    x = CALIBRATION[:64]
    errors = [relative_error(network(activation, "few-spike", steps=k), x) for k in (4, 8, 12)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[1] < 0.02
    assert errors[2] < 0.002
    result = network(activation, "few-spike").evaluate(x, backend="onnxruntime")
    assert min(item.correlation for item in result.populations) > 0.999


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_simulation_is_what_was_forecast(activation):
    snn = network(activation, "few-spike")
    x = CALIBRATION[:64]
    np.testing.assert_allclose(
        snn.predict(x, backend="onnxruntime"), Forecast(snn).logits(x), rtol=0.02, atol=0.02
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rate(activation):
    """Also functions, which wait for the mean of a window."""
    x = CALIBRATION[:16]
    errors = [
        relative_error(network(activation, "rate", steps=t, threshold="max"), x) for t in (32, 512)
    ]
    assert errors[1] < min(errors[0], 0.03)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saved_and_loaded(activation, tmp_path):
    snn = network(activation, "few-spike")
    snn.save(tmp_path / "net.onnx")
    again = onnx2genn.load(tmp_path / "net.onnx")
    x = CALIBRATION[:16]
    np.testing.assert_array_equal(
        again.predict(x, backend="onnxruntime"), snn.predict(x, backend="onnxruntime")
    )
    (ann,) = session(snn.model.to_onnx()).run(["y"], {"x": x})
    (saved,) = session(onnx.load(tmp_path / "net.onnx")).run(["y"], {"x": x})
    np.testing.assert_allclose(saved, ann, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_calibration(activation):
    nodes = [*ACTIVATIONS[activation], node("Relu", "a", "y")]
    weights = {"six": SIX, "zero": np.zeros((), "f4"), "minus": -SIX}
    snn = onnx2genn.convert(model(nodes, {"c": ["N", 2, 6, 6]}, weights))
    logits = snn.predict(np.clip(normal(8, 2, 6, 6), -1, 1), backend="onnxruntime")
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("coding", "threshold"), [("few-spike", "max"), ("rate", "max"), ("rate", "spike-norm")]
)
def test_no_level_is_above_the_bound(coding, threshold):
    snn = network("relu6", coding, threshold=threshold)
    first = snn.populations[0]
    x = CALIBRATION * 10
    with open_simulator(snn, "onnxruntime") as simulator:
        codes = simulator.run(x[:8], record=True).codes[first.name]
    assert 0.98 * 1.5 < snn.decode(first, codes).max() <= 1.5 * (1 + 1e-6)


def test_bounds_are_thresholds_without_calibration():
    nodes = [node("Clip", "x zero six", "a"), node("MatMul", "a w", "y")]
    weights = {"zero": np.zeros((), "f4"), "six": SIX, "w": normal(5, 3)}
    proto = model(nodes, {"x": ["N", 5]}, weights)
    x = normal(64, 5)
    assert relative_error(onnx2genn.convert(proto), x) < 0.01


@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "first-spike"])
def test_where_a_function_has_no_value_its_neuron_is_silent(coding):
    """1 / 0 and roots below 0 that calibration did not see are bounded, not NaN."""
    nodes = [
        node("Relu", "x", "r"),
        node("Sqrt", "x", "root"),
        node("Div", "r root", "q"),
        node("Log", "x", "l"),
        node("Add", "q l", "y"),
    ]
    seen = np.abs(normal(64, 4)) + 0.1
    snn = onnx2genn.convert(model(nodes, {"x": ["N", 4]}), seen, coding)
    x = np.array([[0, -1, 0, -2], [1, 1, 1, 1]], np.float32)
    got = snn.predict(x, backend="onnxruntime")
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, Forecast(snn).logits(x), rtol=1e-5, atol=1e-5)
    usual = snn.predict(seen, backend="onnxruntime")
    assert got[0].max() <= np.median(usual)
