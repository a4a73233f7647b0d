"""Max pooling comes to stand behind an activation, wherever that is exact."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, operators

from onnx2genn.frontend.pipeline import check

POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}


def chain(*nodes, **weights):
    return check_model(model(nodes, {"x": ["N", 3, 7, 8]}, weights))


@pytest.mark.parametrize("opset", [9, 11, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 2], "strides": [2, 3], "auto_pad": "SAME_LOWER"},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    ],
)
def test_max_pool(opset, attributes):
    nodes = [node("Relu", "x", "r"), node("MaxPool", "r", "y", **attributes)]
    found = check_model(model(nodes, {"x": ["N", 3, 7, 8]}, opset=opset))
    assert [item.kind for item in found.parts.populations] == ["Relu", "MaxPool"]


def test_max_pool_with_a_remainder_and_with_dilation():
    for attributes in (
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [2, 3], "dilations": [3, 2]},
    ):
        chain(node("Relu", "x", "r"), node("MaxPool", "r", "y", **attributes))


def test_global_maxima():
    for op in ("GlobalMaxPool", "ReduceMax"):
        nodes = [
            node("Relu", "x", "r"),
            node(op, "r", "y", **{"axes": [2, 3]} if op[0] == "R" else {}),
        ]
        assert "MaxPool" in operators(chain(*nodes))


@pytest.mark.parametrize("axes", [[1], [-1], [1, 3], [1, 2, 3]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reduce_max(axes, keepdims):
    nodes = [node("Relu", "x", "r"), node("ReduceMax", "r", "y", axes=axes, keepdims=keepdims)]
    chain(*nodes)
    nodes[1] = node("ReduceMax", "r axes", "y", keepdims=keepdims)
    check_model(model(nodes, {"x": ["N", 3, 7, 8]}, {"axes": ints(*axes)}, opset=18))


def test_an_activation_behind_the_pool_moves_before_it():
    found = chain(
        node("Conv", "x w", "c"),
        node("MaxPool", "c", "p", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "p", "r"),
        node("Conv", "r w", "y"),
        w=normal(3, 3, 2, 2),
    )
    assert operators(found) == ["Conv", "Relu", "MaxPool", "Conv"]


BN = {"s": np.abs(normal(3)) + 0.1, "b": normal(3), "m": normal(3), "v": np.abs(normal(3)) + 0.1}


def test_normalisation_between_pool_and_activation():
    nodes = [
        node("MaxPool", "x", "p", **POOL),
        node("BatchNormalization", "p s b m v", "n"),
        node("Relu", "n", "y"),
    ]
    assert operators(chain(*nodes, **BN)) == ["Mul", "Add", "Relu", "MaxPool"]


def test_a_normalisation_that_turns_the_sign_does_not_move():
    weights = {**BN, "s": BN["s"] * [1, -1, 1]}
    weights["s"] = weights["s"].astype(np.float32)
    nodes = [
        node("Relu", "x", "q"),
        node("MaxPool", "q", "p", **POOL),
        node("BatchNormalization", "p s b m v", "n"),
        node("Relu", "n", "y"),
    ]
    assert operators(chain(*nodes, **weights)) == ["Relu", "MaxPool", "Mul", "Add", "Relu"]


def test_max_pool_of_what_only_moves():
    found = chain(
        node("Relu", "x", "a"),
        node("Neg", "x", "n"),
        node("Relu", "n", "b"),
        node("Concat", "a b", "c", axis=1),
        node("Pad", "c p", "d"),
        node("MaxPool", "d", "e", **POOL),
        node("MaxPool", "e", "y", **POOL),
        p=ints(0, 0, 1, 0, 0, 0, 0, 0),
    )
    pools = [item for item in found.parts.populations if item.pools]
    assert [len(item.segment.sources) for item in pools] == [2, 1]
    assert [item.depth for item in found.parts.populations] == [0, 0, 1, 2]
    assert [item.op for item in pools[0].segment.nodes] == ["Concat", "Pad"]


def test_indices_are_refused():
    nodes = [
        node("Relu", "x", "r"),
        node("MaxPool", "r", "p where", name="pool", **POOL),
        node("MaxUnpool", "p where", "y", **POOL),
    ]
    problems = check(model(nodes, {"x": ["N", 3, 8, 8]}))
    assert "where" in next(item.reason for item in problems if item.node == "pool")
