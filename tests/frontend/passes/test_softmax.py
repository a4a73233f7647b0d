"""Softmax within a network, and attention, which is made of it."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, check_op, model, node, normal

import onnx2genn
from onnx2genn.frontend.pipeline import check
from onnx2genn.ir.run import session


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("shape", "axis"), [((5,), 1), ((3, 5), -1), ((4, 3, 2), 1)])
def test_within_a_network(op, shape, axis):
    nodes = [node(op, "x", "p", axis=axis), node("Exp", "p", "y")]
    found = check_model(model(nodes, {"x": ["N", *shape]}))
    assert op not in [item.op for item in found.graph.nodes]


def test_a_head_stays():
    found = check_op("Softmax", [(5,)], axis=1)
    assert found.parts.populations == ()


def attention(tokens=5, width=6):
    """Attention of one head over tokens, from query, key and value to the sum."""
    nodes = [
        node("MatMul", "x wq", "q"),
        node("MatMul", "x wk", "k"),
        node("MatMul", "x wv", "v"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores", name="scores"),
        node("Softmax", "scores", "weights", axis=-1, name="weights"),
        node("MatMul", "weights v", "mixed", name="mix"),
        node("MatMul", "mixed wo", "y"),
    ]
    shapes = {"wq": 4, "wk": 4, "wv": 3}
    weights = {name: normal(width, size, seed=size) for name, size in shapes.items()}
    weights["wk"] = normal(width, 4, seed=9)
    weights["wo"] = normal(3, 2)
    return model(nodes, {"x": ["N", tokens, width]}, weights)


def test_attention_by_spikes():
    proto, x = attention(), normal(256, 5, 6, seed=3)
    check_model(proto)
    network = onnx2genn.convert(proto, x, steps=12)
    (wanted,) = session(proto).run(None, {"x": x})
    got = network.predict(x, backend="onnxruntime")
    assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.999


def masked(hidden):
    """Attention weights from a mask that hides the third row as a whole, the first but for one."""
    mask = np.zeros((5, 5), np.float32)
    mask[2] = mask[0, 1:] = hidden
    nodes = [
        node("MatMul", "x w", "s"),
        node("Add", "s mask", "a"),
        node("Softmax", "a", "p", axis=-1, name="weights"),
        node("MatMul", "p v", "y"),
    ]
    return model(nodes, {"x": ["N", 5, 4]}, {"w": normal(4, 5), "v": normal(5, 3), "mask": mask})


@pytest.mark.parametrize("hidden", [-1e9, np.finfo(np.float32).min])
def test_a_row_that_is_hidden_as_a_whole_is_a_mean(hidden):
    proto, x = masked(hidden), normal(128, 5, 4, seed=5)
    check_model(proto)
    (wanted,) = session(proto).run(None, {"x": x})
    np.testing.assert_allclose(wanted[:, 2], [normal(5, 3).mean(axis=0)] * 128, rtol=1e-5)
    got = onnx2genn.convert(proto, x).predict(x, backend="onnxruntime")
    assert np.abs(got - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("hidden", [-np.inf, -1e6, -1e4])
def test_a_row_that_is_hidden_but_for_some_digits_is_refused(hidden):
    (problem,) = check(masked(hidden))
    assert problem.node == "weights"
    assert "rounds them or makes them NaN" in problem.reason
