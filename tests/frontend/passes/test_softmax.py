"""Softmax within a network, and attention, which is made of it."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, check_op, model, node, normal

import onnx2genn
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
