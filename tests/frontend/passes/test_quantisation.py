"""Quantised models in QDQ format."""

import numpy as np
import pytest
from helpers.onnx_models import model, node, normal, one_node

import onnx2genn
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


def pair(source, target, scale, zero):
    return [
        node("QuantizeLinear", f"{source} {scale} {zero}", f"{target}_q"),
        node("DequantizeLinear", f"{target}_q {scale} {zero}", target),
    ]


def network(relu, opset=17):
    """Two convolutions with 8-bit weights and activations; relu: whether it is still there."""
    random = np.random.default_rng(0)
    weights = {
        "wq": random.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8),
        "vq": random.integers(-127, 128, (64, 3)).astype(np.int8),
        "ws": np.float32(0.01),
        "vs": np.float32(0.02),
        "z8": np.int8(0),
        "s_in": np.float32(8 / 255),
        "z_in": np.uint8(128),
        "s_a": np.float32(6 / 255),
        "zero": np.uint8(0),
        "s_out": np.float32(0.25),
        "z_out": np.int8(3),
    }
    nodes = [
        *pair("x", "xd", "s_in", "z_in"),
        node("DequantizeLinear", "wq ws z8", "w"),
        node("Conv", "xd w", "c"),
        *([node("Relu", "c", "r")] if relu else []),
        *pair("r" if relu else "c", "a", "s_a", "zero"),
        node("MaxPool", "a", "p", kernel_shape=[3, 3]),
        *pair("p", "pd", "s_a", "zero"),
        node("Flatten", "pd", "f"),
        node("DequantizeLinear", "vq vs z8", "v"),
        node("MatMul", "f v", "l"),
        *pair("l", "y", "s_out", "z_out"),
    ]
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    return model(nodes, {"x": ["N", 2, 8, 8]}, arrays, opset=opset)


@pytest.mark.parametrize("opset", [10, 13, 17, 21])
@pytest.mark.parametrize("relu", [True, False])
def test_ranges_are_bounds(relu, opset):
    found = read(network(relu, opset))
    assert [item.kind for item in found.parts.populations] == ["Clip", "MaxPool"]
    assert found.parts.populations[0].bound == pytest.approx(6)
    assert any("QuantizeLinear" in note for note in found.graph.notes)


@pytest.mark.parametrize("relu", [True, False])
def test_eight_steps_have_the_levels_of_eight_bits_without_calibration(relu):
    snn = onnx2genn.convert(network(relu), coding="few-spike", steps=8)
    first = snn.populations[0]
    np.testing.assert_allclose(snn.units[first.tensor], 6 / 255, rtol=1e-6)
    # Inputs on the levels of the model's own quantisation, whose rounding is left out here.
    x = (np.random.default_rng(1).integers(-100, 101, (64, 2, 8, 8)) * (8 / 255)).astype("f4")
    # As it is written: the integer kernels of an optimised graph may saturate on some processors.
    (quantised,) = session(network(relu), optimise=False).run(["y"], {"x": x})
    logits = snn.predict(x, backend="onnxruntime")
    step = 0.25
    inside = np.abs(quantised) < 100 * step
    assert np.abs(logits - quantised)[inside].max() <= step / 2 * 1.01


def test_integer_operators_are_refused():
    weights = [normal(3, 4).astype(np.int8)]
    proto = one_node("MatMulInteger", [(3,), *weights])
    proto.graph.input[0].type.tensor_type.elem_type = 3
    proto.graph.output[0].type.tensor_type.elem_type = 6
    (problem,) = check(proto)
    assert "QDQ" in problem.advice
