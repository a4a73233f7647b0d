"""Architectures with random weights: what they answer as SNN, and how that grows with T."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.architectures import ARCHITECTURES
from helpers.onnx_models import check_model

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import session


def samples(shape, count=48):
    return np.random.default_rng(1).normal(size=(count, *shape)).astype(np.float32)


def relative_error(network, x):
    """Root mean square error of the logits over their standard deviation."""
    (ann,) = session(network.model.to_onnx()).run(["y"], {"x": x})
    error = network.predict(x, backend="onnxruntime") - ann
    return float(np.sqrt((error**2).mean()) / ann.std())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_few_spike(name):
    found = check_model(ARCHITECTURES[name]())
    x = samples(next(iter(found.graph.inputs.values())))
    proto = found.to_onnx()
    errors = [relative_error(onnx2genn.convert(proto, x, steps=k), x) for k in (4, 8, 12)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.005
    result = onnx2genn.convert(proto, x, steps=12).evaluate(x, backend="onnxruntime")
    assert min(item.correlation for item in result.populations) > 0.999


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rate(name):
    proto = ARCHITECTURES[name]()
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim][1:]
    x = samples(shape, 6)
    networks = [
        onnx2genn.convert(proto, x, "rate", steps=steps, threshold="max") for steps in (32, 512)
    ]
    errors = [relative_error(network, x) for network in networks]
    assert errors[1] < errors[0] / 2
    result = networks[1].evaluate(x, backend="onnxruntime")
    assert min(item.correlation for item in result.populations) > 0.99


@pytest.mark.genn
@pytest.mark.parametrize("name", ["inception", "unet", "mobilenet_v2"])
def test_genn(name):
    found = check_model(ARCHITECTURES[name]())
    x = samples(next(iter(found.graph.inputs.values())), 16)
    network = onnx2genn.convert(found.to_onnx(), x, steps=6)
    with open_simulator(network, "onnxruntime") as simulator:
        wanted = simulator.run(x, record=True)
    with open_simulator(network, "single_threaded_cpu") as simulator:
        got = simulator.run(x, record=True)
    for item in network.populations:
        difference = np.abs(got.codes[item.name] - wanted.codes[item.name])
        # Another order of summation may tip a level where a sum lies on its edge.
        assert (difference > 0).mean() < 1e-3, item.name
    np.testing.assert_allclose(got.logits, wanted.logits, atol=0.05 * np.abs(wanted.logits).max())
