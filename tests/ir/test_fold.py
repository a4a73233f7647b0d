"""Each rule of folding: what it makes, and that the values stay."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, operators

NEXT_TO = {
    "conv": ("Conv", normal(4, 4, 3, 3), {"pads": [1, 1, 1, 1]}),
    "grouped conv": ("Conv", normal(4, 2, 3, 3), {"group": 2}),
    "depthwise conv": ("Conv", normal(4, 1, 3, 3), {"group": 4}),
    "transposed conv": ("ConvTranspose", normal(4, 4, 3, 3), {"strides": [2, 2]}),
    "grouped transposed conv": ("ConvTranspose", normal(4, 2, 1, 1), {"group": 2}),
    "matmul": ("MatMul", normal(5, 4), {}),
}
SCALAR = np.array(1.7, np.float32)
CHANNEL = normal(4, 1, 1)
LAST = normal(5)


def chain(*nodes, **weights):
    return check_model(model(nodes, {"x": ["N", 4, 5, 5]}, weights))


def layer_width(op, weight, attributes):
    """Size of the last axis of a layer's output."""
    return chain(node(op, "x w", "y", **attributes), w=weight).graph.shapes["y"][-1]


@pytest.mark.parametrize("layer", NEXT_TO)
@pytest.mark.parametrize("factor", [SCALAR, CHANNEL, LAST], ids=["scalar", "channel", "last"])
@pytest.mark.parametrize("order", ["before", "behind"])
def test_factor_beside_a_layer(layer, factor, order):
    op, weight, attributes = NEXT_TO[layer]
    folds = factor is SCALAR or (factor is CHANNEL) == (op != "MatMul")
    if factor is LAST and order == "behind":
        factor = normal(layer_width(op, weight, attributes))
    if order == "before":
        nodes = [node("Mul", "x s", "a"), node(op, "a w", "y", **attributes)]
    else:
        nodes = [node(op, "x w", "a", **attributes), node("Mul", "a s", "y")]
    found = chain(*nodes, w=weight, s=factor)
    assert (operators(found) == [op]) == folds


def test_factor_behind_a_conv_scales_its_bias():
    nodes = [node("Conv", "x w b", "a"), node("Mul", "a s", "y")]
    found = chain(*nodes, w=normal(4, 4, 2, 2), b=normal(4), s=CHANNEL)
    assert operators(found) == ["Conv"]


def test_two_factors_become_one():
    found = chain(node("Mul", "x a", "m"), node("Mul", "m b", "y"), a=CHANNEL, b=LAST)
    assert operators(found) == ["Mul"]


def test_factor_behind_a_sum_of_branches():
    nodes = [
        node("Conv", "x w", "a"),
        node("Conv", "x v", "b"),
        node("Add", "a b", "c"),
        node("Mul", "c s", "y"),
    ]
    found = chain(*nodes, w=normal(4, 4, 1, 1), v=normal(4, 4, 1, 1, seed=1), s=CHANNEL)
    assert operators(found) == ["Conv", "Conv", "Add"]


MOVES = {
    "Flatten": {},
    "AveragePool": {"kernel_shape": [2, 2]},
    "GlobalAveragePool": {},
    "Transpose": {"perm": [0, 2, 3, 1]},
}


@pytest.mark.parametrize("op", MOVES)
@pytest.mark.parametrize("factor", [SCALAR, CHANNEL], ids=["scalar", "channel"])
def test_factor_moves_behind_what_moves_data(op, factor):
    layer = [node("Flatten", "m", "f"), node("MatMul", "f w", "y")]
    size = chain(node(op, "x", "y", **MOVES[op])).graph.shapes["y"]
    nodes = [node("Mul", "x s", "a"), node(op, "a", "m", **MOVES[op]), *layer]
    found = chain(*nodes, s=factor, w=normal(int(np.prod(size)), 3))
    assert "Mul" not in operators(found)


def test_a_factor_of_one_pixel_each_stays_before_a_pool():
    nodes = [node("Mul", "x s", "a"), node("AveragePool", "a", "y", kernel_shape=[2, 2])]
    assert "Mul" in operators(chain(*nodes, s=normal(1, 5, 5)))


def test_sum_behind_a_conv_joins_its_bias():
    nodes = [node("Conv", "x w b", "a"), node("Add", "a c", "y")]
    found = chain(*nodes, w=normal(3, 4, 2, 2), b=normal(3), c=normal(3, 1, 1))
    assert operators(found) == ["Conv"]
    (bias,) = [found.graph.constants[name] for name in found.graph.nodes[0].inputs[2:]]
    np.testing.assert_allclose(bias, normal(3) + normal(3, 1, 1).ravel(), rtol=1e-6)


def test_a_bias_for_each_pixel_stays_a_sum():
    nodes = [node("Conv", "x w", "a"), node("Add", "a c", "y")]
    found = chain(*nodes, w=normal(3, 4, 2, 2), c=normal(3, 4, 4))
    assert operators(found) == ["Conv", "Add"]


def test_a_sum_before_a_padded_conv_stays():
    nodes = [node("Add", "x c", "a"), node("Conv", "a w", "y", pads=[1, 1, 1, 1])]
    found = chain(*nodes, w=normal(3, 4, 3, 3), c=CHANNEL)
    assert operators(found) == ["Add", "Conv"]


@pytest.mark.parametrize("group", [1, 2])
def test_a_sum_before_a_conv_joins_its_bias(group):
    nodes = [node("Add", "x c", "a"), node("Conv", "a w b", "y", group=group)]
    found = chain(*nodes, w=normal(6, 4 // group, 2, 2), b=normal(6), c=CHANNEL)
    assert operators(found) == ["Conv"]


def test_a_shifted_and_scaled_input_goes_into_a_conv():
    nodes = [node("Mul", "x s", "a"), node("Add", "a c", "d"), node("Conv", "d w", "y")]
    found = chain(*nodes, w=normal(3, 4, 1, 1), s=CHANNEL, c=CHANNEL)
    assert operators(found) == ["Conv"]


def test_a_sum_before_a_matrix_comes_behind_it():
    nodes = [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f")]
    nodes += [node("Add", "f c", "a"), node("MatMul", "a w", "y")]
    found = chain(*nodes, w=normal(4, 3), c=normal(4))
    assert operators(found)[-2:] == ["MatMul", "Add"]


def test_a_sum_behind_a_skip_joins_the_bias_of_its_conv():
    nodes = [
        node("Conv", "x w", "a", pads=[1] * 4),
        node("Add", "a x", "d"),
        node("Add", "d c", "y"),
    ]
    found = chain(*nodes, w=normal(4, 4, 3, 3), c=CHANNEL)
    assert operators(found) == ["Conv", "Add"]


def test_two_sums_of_which_one_cannot_join_the_bias_stay():
    nodes = [node("Conv", "x w", "a"), node("Add", "a c", "d"), node("Add", "d e", "y")]
    found = chain(*nodes, w=normal(4, 4, 2, 2), c=normal(4, 4, 4), e=CHANNEL)
    assert operators(found)[0] == "Conv"


def test_a_border_of_zeros_joins_the_pads():
    nodes = [node("Pad", "x p", "a"), node("Conv", "a w", "y", pads=[1, 0, 0, 1])]
    found = chain(*nodes, w=normal(3, 4, 3, 3), p=ints(0, 0, 1, 0, 0, 0, 0, 2))
    assert operators(found) == ["Conv"]
    assert found.graph.nodes[0].attributes["pads"] == [2, 0, 0, 3]


@pytest.mark.parametrize("pads", [(0, 1, 0, 0, 0, 0, 0, 0), (0, 0, -1, 0, 0, 0, 0, 0)], ids=str)
def test_other_borders_stay(pads):
    channels = 4 + pads[1]
    nodes = [node("Pad", "x p", "a"), node("Conv", "a w", "y")]
    found = chain(*nodes, w=normal(3, channels, 3, 3), p=ints(*pads))
    assert operators(found) == ["Pad", "Conv"]


def test_the_order_of_a_flattened_image_goes_into_the_matrix():
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("Flatten", "t", "f"),
        node("MatMul", "f w", "y"),
    ]
    assert operators(chain(*nodes, w=normal(100, 3))) == ["Reshape", "MatMul"]


def test_a_tensor_with_two_readers_keeps_its_value():
    nodes = [
        node("Mul", "x s", "a"),
        node("Conv", "a w", "b"),
        node("Add", "a b", "y"),
    ]
    found = chain(*nodes, s=CHANNEL, w=normal(4, 4, 1, 1))
    assert operators(found) == ["Mul", "Conv", "Add"]


def test_a_single_factor_behind_a_change_of_rank():
    nodes = [
        node("Add", "x x", "a"),
        node("ReduceMean", "a", "r", axes=[1, 2], keepdims=0),
        node("Mul", "r s", "y"),
    ]
    found = chain(*nodes, s=normal(1, 1))
    assert found.graph.shapes["y"] == (5,)
