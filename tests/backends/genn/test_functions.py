"""Activations other than Relu on GeNN: what the embedded engine sends, all in one network."""

import math
import re

import numpy as np
import pytest
from helpers.onnx_models import ints, model, node, normal, side_by_side

import onnx2genn
import onnx2genn.frontend.operators
from onnx2genn.backends.genn import CONNECTIVITY
from onnx2genn.backends.genn.functions import expression
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.functions import MATRICES
from onnx2genn.ir.registry import REGISTRY

# As onnx2genn's own operators: others are written with these.
CURVES = {entry.op for entry in REGISTRY.values() if entry.kind == "function" and entry.expression}
SOURCES = {
    **dict.fromkeys(("Acosh", "Log", "Reciprocal", "Sqrt"), "b"),  # above 1
    **dict.fromkeys(("Acos", "Asin", "Atanh", "Tan"), "c"),  # within -0.8..0.8
}
SPELLED_OUT = {
    "silu": [node("Sigmoid", "a", "s1"), node("Mul", "a s1", "silu")],
    "gelu": [
        node("Mul", "a half", "g1"),
        node("Erf", "g1", "g2"),
        node("Add", "g2 one", "g3"),
        node("Mul", "a g3", "gelu"),
    ],
    "swish": [
        node("HardSigmoid", "a", "h1", alpha=1 / 6, beta=0.5),
        node("Mul", "a h1", "swish"),
    ],
    "gate": [
        node("Clip", "a zero one", "c1"),
        node("Max", "a half", "c2"),
        node("Div", "c1 c2", "gate"),
    ],
    "case": [
        node("Greater", "a half", "k1"),
        node("Softplus", "a", "k2"),
        node("Where", "k1 a k2", "case"),
    ],
    "between": [
        node("Greater", "a half", "n1"),
        node("Less", "a zero", "n2"),
        node("Or", "n1 n2", "n3"),
        node("Not", "n3", "n4"),
        node("Where", "n4 half a", "between"),
    ],
    "cube": [node("Pow", "a three", "cube")],
    "gelu_of_tanh": [
        node("Pow", "a three", "h2"),
        node("Mul", "h2 half", "h3"),
        node("Add", "a h3", "h4"),
        node("Tanh", "h4", "h5"),
        node("Add", "h5 one", "h6"),
        node("Mul", "a h6", "gelu_of_tanh"),
    ],
    "leaky": [node("LeakyRelu", "a", "leaky")],
    "largest": [  # of signed values, before a border
        node("Unsqueeze", "a axis", "m1"),
        node("MaxPool", "m1", "m2", kernel_shape=[2], pads=[1, 0]),
        node("Squeeze", "m2 axis", "largest"),
    ],
    "bounded": [node("Clip", "a zero one", "bounded")],
}


def network():
    """Let every function read the same sums, or what is in the range that it has values for."""
    attributes = {"Celu": {"alpha": 0.5}, "Elu": {"alpha": 0.7}, "ThresholdedRelu": {"alpha": 0.3}}
    attributes |= {"Mod": {"fmod": 1}, "Shrink": {"lambd": 0.3, "bias": 0.1}}
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "r"), node("Add", "r one", "b")]
    nodes += [node("Tanh", "a", "t"), node("Mul", "t most", "c")]
    made = []
    for op in sorted(CURVES):
        source = SOURCES.get(op, "a")
        extra = " two" if op in ("Mod", "Pow") else ""
        made.append(f"out_{op}")
        nodes.append(node(op, source + extra, made[-1], **attributes.get(op, {})))
    for name, parts in SPELLED_OUT.items():
        nodes += parts
        made.append(name)
    nodes.append(node("Concat", " ".join(made), "all", axis=1))
    nodes.append(node("MatMul", "all v", "y"))
    weights = {"w": normal(6, 4, scale=0.5), "v": normal(4 * len(made), 3, scale=0.2)}
    weights |= {"one": np.ones((), "f4"), "two": np.full((), 2, "f4"), "zero": np.zeros((), "f4")}
    weights["axis"] = ints(1)
    weights["three"] = np.full((), 3, "f4")
    weights["most"] = np.full((), 0.8, "f4")
    weights["half"] = np.full((), 0.5, "f4")
    return model(nodes, {"x": ["N", 6]}, weights, opset=20)


def gated():
    """A gate for each channel times a map: squeeze and excitation."""
    nodes = [
        node("Conv", "x w0", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "f"),
        node("GlobalAveragePool", "f", "m"),
        node("Conv", "m w1", "e"),
        node("HardSigmoid", "e", "s"),
        node("Mul", "f s", "p"),
        node("GlobalAveragePool", "p", "q"),
        node("Flatten", "q", "r"),
        node("MatMul", "r w2", "y"),
    ]
    weights = {"w0": normal(4, 2, 3, 3, scale=0.4), "w1": normal(4, 4, 1, 1), "w2": normal(4, 3)}
    return model(nodes, {"x": ["N", 2, 5, 5]}, weights, opset=20)


def attention():
    """One head of self-attention over tokens, with a residual sum and a normalisation."""
    nodes = [
        node("LayerNormalization", "x scale", "n", axis=-1),
        node("MatMul", "n wq", "q"),
        node("MatMul", "n wk", "k"),
        node("MatMul", "n wv", "v"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights v", "mixed"),
        node("Add", "mixed x", "z"),
        node("ReduceMean", "z axis", "m", keepdims=0),
        node("MatMul", "m wo", "y"),
    ]
    weights = {f"w{name}": normal(6, 6, seed=ord(name), scale=0.4) for name in "qkv"}
    weights |= {"wo": normal(6, 3), "scale": np.ones(6, "f4"), "axis": ints(1)}
    return model(nodes, {"x": ["N", 4, 6]}, weights, opset=20)


@pytest.fixture(scope="module")
def snn():
    """All in one network: what is compiled at once is compiled sooner."""
    parts = {"curves": network(), "gate": gated(), "attention": attention()}
    shapes = {"curves_x": (6,), "gate_x": (2, 5, 5), "attention_x": (4, 6)}
    calibration = {name: normal(256, *shape, seed=4) for name, shape in shapes.items()}
    return onnx2genn.convert(side_by_side(parts, opset=20), calibration)


def with_expressions(snn):
    """Return populations that send a function; products of matrices are neurons of their own."""
    return [item for item in snn.populations if item.is_function and item.kind != MATRICES]


def test_every_curve_has_an_expression(snn):
    functions = with_expressions(snn)
    assert {item.kind for item in functions} == {*CURVES, "Function"}
    for item in functions:
        names = [f"u{port}" for port in range(item.ports)]
        assert all(name in expression(item, names) for name in names)


def test_nothing_that_is_wrong_under_fast_mathematics(snn):
    """Of negative numbers, pow is not a number then; tanh is right to three digits."""
    for item in with_expressions(snn):
        text = expression(item, ["u"] * item.ports)
        assert not {"pow(", "tanh("} & set(re.findall(r"[a-z]*\(", text))


@pytest.mark.parametrize("exponent", [-3.0, -2.0, 1.0, 2.0, 3.0, 9.0, 10.0, 0.0])
def test_whole_powers(exponent):
    write = REGISTRY["", "Pow"].expression
    text = write("(x)", f"({exponent!r})").replace("? ", "and ").replace(" : ", " or ")
    for x in (-1.5, 0.5):
        assert math.isclose(eval(text, {"x": x, "pow": pow, "fabs": abs}), x**exponent)


@pytest.mark.genn
@pytest.mark.parametrize("connectivity", CONNECTIVITY)
def test_equal_to_the_embedded_engine(snn, connectivity):
    assert [item.kind for item in snn.populations].count("Function") > 6
    x = normal(32, *snn.input_shape, seed=5)
    with open_simulator(snn, "onnxruntime") as simulator:
        wanted = simulator.run(x, record=True)
    with open_simulator(snn, "single_threaded_cpu", connectivity=connectivity) as simulator:
        got = simulator.run(x, record=True)
        np.testing.assert_array_equal(simulator.run(x[:5]).logits, got.logits[:5])
    for item in snn.populations:
        difference = np.abs(got.codes[item.name] - wanted.codes[item.name])
        # Two libraries' exp may differ in the last bit, and tip a level, which others follow.
        assert difference.max() <= 1 or not item.tensor.startswith("curves"), item.name
        assert (difference > 0).mean() <= 0.02, item.name
    np.testing.assert_allclose(got.logits, wanted.logits, atol=0.01 * np.abs(wanted.logits).max())
