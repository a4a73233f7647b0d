import numpy as np
import onnx
import pytest
from helpers.onnx_models import (
    OLD_ONNXRUNTIME,
    check_model,
    check_op,
    ints,
    model,
    node,
    one_node,
    operators,
)

from onnx2genn.frontend.pipeline import check


def floats(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("transform", ["asymmetric", "half_pixel", "align_corners"])
def test_resize_by_scales(mode, transform):
    check_op(
        "Resize",
        [(2, 4, 5), None, floats(1, 1, 2, 1.5)],
        opset=13,
        mode=mode,
        coordinate_transformation_mode=transform,
    )


def test_nearest_neighbours_move_data():
    found = check_op("Resize", [(2, 4, 5), None, floats(1, 1, 2, 2)], opset=13)
    assert operators(found) == ["Gather", "Gather"]


def test_linear_interpolation_is_a_matrix_for_each_axis():
    found = check_op("Resize", [(2, 4, 5), None, floats(1, 1, 2, 2)], opset=13, mode="linear")
    assert operators(found).count("MatMul") == 2


def test_resize_down_and_with_an_open_batch():
    check_op("Resize", [(2, 8, 6), floats(), floats(1, 1, 0.5, 0.5)], opset=11, mode="linear")
    check_op("Resize", [(2, 4, 5), None, None, ints(1, 2, 7, 9)[2:]], opset=18, axes=[2, 3])
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s zero two", "n"),
        node("Concat", "n size", "sizes", axis=0),
        node("Resize", "x _ _ sizes", "y", mode="linear"),
    ]
    weights = {"zero": ints(0), "two": ints(2), "size": ints(8, 10)}
    check_model(model(nodes, {"x": ["N", 2, 4, 5]}, weights))


def test_resize_of_old_opsets():
    check_op("Resize", [(2, 4, 5), floats(1, 1, 2, 2)], opset=10, mode="nearest")
    check_op("Upsample", [(2, 4, 5), floats(1, 1, 2, 2)], opset=9, mode="nearest")
    check_op("Upsample", [(2, 4, 5), floats(1, 1, 2, 2)], opset=9, mode="linear")
    check_op("Upsample", [(2, 4, 5)], opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])


def test_resize_over_one_axis():
    check_op("Resize", [(2, 6), None, floats(1, 1, 2)], opset=13, mode="linear")


def test_max_pool_behind_nearest_neighbours_reads_spikes():
    nodes = [
        node("Relu", "x", "r"),
        node("Resize", "r _ s", "u", mode="nearest"),
        node("MaxPool", "u", "y", kernel_shape=[3, 3]),
    ]
    found = check_model(model(nodes, {"x": ["N", 2, 4, 5]}, {"s": floats(1, 1, 2, 2)}))
    assert [item.kind for item in found.parts.populations] == ["Relu", "MaxPool"]


def test_tile():
    check_op("Tile", [(2, 3), ints(1, 2, 3)])


def test_tiled_samples_are_refused():
    assert check(one_node("Tile", [(2, 3), ints(2, 1, 1)]))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode):
    check_op("DepthToSpace", [(8, 3, 4)], blocksize=2, mode=mode)


def test_space_to_depth():
    check_op("SpaceToDepth", [(2, 4, 6)], blocksize=2)


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="before opset 28 it has no mode")
@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime has no opset 28")
@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_to_depth_of_both_modes(mode):
    check_op("SpaceToDepth", [(2, 4, 6)], opset=28, blocksize=2, mode=mode)


@pytest.mark.parametrize("policy", ["not_smaller", "not_larger"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_that_keeps_the_aspect_ratio(policy, mode):
    options = {"opset": 18, "mode": mode, "keep_aspect_ratio_policy": policy}
    check_op("Resize", [(2, 3, 4), None, None, ints(7, 8)], axes=[2, 3], **options)
    check_op("Resize", [(2, 3, 10), None, None, ints(4, 7)], axes=[2, 3], **options)


def test_resize_to_the_same_length_may_change_the_values():
    found = check_op("Resize", [(2, 4, 4), None, floats(1, 1, 1.2, 2)], mode="linear")
    assert operators(found).count("MatMul") == 2


def test_a_crop_of_the_same_length():
    check_op(
        "Resize",
        [(2, 4, 5), floats(0, 0, 0.2, 0.1, 1, 1, 0.8, 0.9), floats(1, 1, 1.7, 1.3)],
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    )


def test_interpolation_between_whole_numbers_is_refused():
    proto = one_node("Resize", [(2, 4, 5), None, floats(1, 1, 2, 2)], mode="linear")
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.INT32
    (problem,) = check(proto)
    assert "whole numbers" in problem.reason
