"""Spelled-out Softmax and normalisations, by what they compute."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal

import onnx2genn
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import Runner

SHAPE = {"x": ["N", 5, 8]}
EPSILON = {"eps": np.asarray(np.float32(1e-5))}


def axes(opset, values, name="axes"):
    """The axes of a reduction, as an input or an attribute: extra inputs, weights, attributes."""
    if opset >= 18:
        return f" {name}", {name: ints(*values)}, {}
    return "", {}, {"axes": list(values)}


def squares_of_means(opset):
    """As JAX writes it: E[x^2] - E[x]^2, not below zero, and the scale before x."""
    more, weights, given = axes(opset, [2])
    nodes = [
        node("ReduceMean", f"x{more}", "m", keepdims=1, **given),
        node("Mul", "x x", "xx"),
        node("ReduceMean", f"xx{more}", "mm", keepdims=1, **given),
        node("Mul", "m m", "m2"),
        node("Sub", "mm m2", "raw"),
        node("Relu", "raw", "v"),
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "s"),
        node("Reciprocal", "s", "r"),
        node("Mul", "r g", "rg"),
        node("Sub", "x m", "c"),
        node("Mul", "c rg", "n"),
        node("Add", "n b", "o"),
        node("Relu", "o", "y"),
    ]
    weights |= {"g": normal(8), "b": normal(8, seed=1), **EPSILON}
    return model(nodes, SHAPE, weights, opset=opset)


def root_mean_square(opset):
    more, weights, given = axes(opset, [-1])
    nodes = [
        node("Mul", "x x", "xx"),
        node("ReduceMean", f"xx{more}", "mm", keepdims=1, **given),
        node("Add", "mm eps", "v"),
        node("Pow", "v half", "r"),
        node("Mul", "x r", "y"),
    ]
    return model(nodes, SHAPE, {**weights, **EPSILON, "half": np.float32([-0.5])}, opset=opset)


def softmax(opset, axis=2, bounded=True, log=False):
    more, weights, given = axes(opset, [axis])
    total, sums, attributes = axes(max(opset, 18) if opset >= 13 else opset, [axis], "t")
    largest = [node("ReduceMax", f"x{more}", "m", keepdims=1, **given)]
    if bounded:
        largest += [node("Max", "lowest m", "mb")]
        weights["lowest"] = np.asarray(np.float32(-np.inf))
    nodes = [
        *largest,
        node("Sub", f"x {'mb' if bounded else 'm'}", "d"),
        node("Exp", "d", "e"),
        node("ReduceSum", f"e{total}", "s", keepdims=1, **attributes),
        *([node("Log", "s", "l"), node("Sub", "d l", "p")] if log else [node("Div", "e s", "p")]),
        node("MatMul", "p w", "y"),
    ]
    return model(nodes, SHAPE, {**weights, **sums, "w": normal(8, 3)}, opset=opset)


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_normalisations(opset):
    for proto in (squares_of_means(opset), root_mean_square(opset)):
        found = check_model(proto)
        assert any("recognise" in line and "become" in line for line in found.trace)


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("settings", [{}, {"axis": 1}, {"bounded": False}, {"log": True}], ids=str)
def test_softmax(opset, settings):
    found = check_model(softmax(opset, **settings))
    recognised = opset >= 13 or settings.get("axis") != 1
    assert any("recognise" in line and "become" in line for line in found.trace) == recognised


@pytest.mark.parametrize("settings", [{}, {"bounded": False}, {"log": True}], ids=str)
def test_a_spelled_out_softmax_is_a_head_of_what_the_maximum_is_taken_of(settings):
    proto = softmax(18, **settings)
    del proto.graph.node[-1]
    proto.graph.output[0].name = "p"
    found = check_model(proto)
    assert found.parts.populations == ()
    assert [item.op for item in found.parts.readout.nodes] == []


def test_a_variance_is_not_lost_in_rounding():
    """With a mean that is large beside the deviation, in eight steps."""
    x = normal(300, 5, 8) * 0.5 + 3
    proto = squares_of_means(18)
    network = onnx2genn.convert(proto, x, steps=10)
    wanted = check_model(proto)
    (name,) = wanted.graph.inputs
    exact = Runner(wanted.to_onnx())({name: x})[wanted.graph.output]
    logits = network.predict(x, backend="onnxruntime")
    assert np.corrcoef(logits.ravel(), exact.ravel())[0, 1] > 0.995


@pytest.mark.parametrize("axis", [1, 2])
def test_shapes_may_hold_the_size_of_the_batch(axis):
    """As tf2onnx writes broadcasts of JAX, of a normalisation along any one axis."""
    kept = [size if at != axis else 1 for at, size in enumerate((0, 5, 8))][1:]
    count = (0, 5, 8)[axis]
    nodes = [
        node("Shape", "x", "all"),
        node("Slice", "all zero one", "batch"),
        node("Concat", "batch kept", "single", axis=0),
        node("ReduceSum", "x axis", "t", keepdims=0),
        node("Mul", "t share", "m"),
        node("Mul", "x x", "xx"),
        node("ReduceSum", "xx axis", "tt", keepdims=0),
        node("Mul", "tt share", "mm"),
        node("Mul", "m m", "m2"),
        node("Sub", "mm m2", "raw"),
        node("Max", "nothing raw", "v"),
        node("Reshape", "v single", "vs"),
        node("Expand", "vs single", "ve"),
        node("Add", "ve eps", "vp"),
        node("Sqrt", "vp", "s"),
        node("Reciprocal", "s", "r"),
        node("Reshape", "m single", "ms"),
        node("Expand", "ms single", "me"),
        node("Sub", "x me", "c"),
        node("Mul", "c r", "y"),
    ]
    weights = {
        **EPSILON,
        "zero": ints(0),
        "one": ints(1),
        "kept": ints(*kept),
        "axis": ints(axis),
        "share": np.asarray(np.float32(1 / count)),
        "nothing": np.asarray(np.float32(0)),
    }
    found = check_model(model(nodes, SHAPE, weights, opset=18))
    assert any("recognise" in line and "become" in line for line in found.trace)


def test_limits_before_a_softmax_stay():
    """Random numbers do not reach them."""
    nodes = [
        node("Clip", "x low high", "c"),
        node("ReduceMax", "c axes", "m", keepdims=1),
        node("Sub", "c m", "d"),
        node("Exp", "d", "e"),
        node("ReduceSum", "e axes", "s", keepdims=1),
        node("Div", "e s", "y"),
    ]
    limits = {"low": np.asarray(np.float32(-20)), "high": np.asarray(np.float32(20))}
    found = read(model(nodes, SHAPE, {**limits, "axes": ints(2)}, opset=18))
    x = normal(3, 5, 8, scale=40)
    logits = Runner(found.to_onnx([found.parts.readout.target]))({"x": x})
    assert np.abs(logits[found.parts.readout.target]).max() == 20


def test_what_is_no_softmax_stays():
    """The sum of other exponentials than those that are divided."""
    nodes = [
        node("Exp", "x", "e"),
        node("Mul", "x two", "x2"),
        node("Exp", "x2", "f"),
        node("ReduceSum", "f axes", "s", keepdims=1),
        node("Div", "e s", "y"),
    ]
    proto = model(nodes, SHAPE, {"two": np.asarray(np.float32(2)), "axes": ints(2)}, opset=18)
    found = read(proto)
    assert any("recognise" in line and "stay" in line for line in found.trace)


def test_a_sigmoid_before_a_reshape_is_a_head():
    nodes = [
        node("MatMul", "x w", "z"),
        node("Sigmoid", "z", "p"),
        node("Reshape", "p shape", "r"),
        node("Transpose", "r", "y", perm=[0, 2, 1]),
    ]
    weights = {"w": normal(6, 6), "shape": ints(-1, 2, 3)}
    found = check_model(model(nodes, {"x": ["N", 6]}, weights))
    assert found.parts.populations == ()
    assert found.parts.readout.shape == (3, 2)
