import numpy as np
import onnx
import pytest
from helpers.onnx_models import (
    check_model,
    check_op,
    ints,
    model,
    node,
    normal,
    one_node,
    operators,
)

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read


@pytest.mark.parametrize("target", [(-1, 60), (0, 60), (0, -1), (0, 12, 5), (-1, 3, 20)])
def test_reshape(target):
    check_op("Reshape", [(3, 4, 5), ints(*target)])


def test_reshape_that_allows_zero():
    check_op("Reshape", [(3, 4), ints(-1, 12)], opset=14, allowzero=1)


@pytest.mark.parametrize("axis", [1, -2])
def test_flatten(axis):
    shape = (3, 4, 5) if axis == 1 else (12,)
    check_op("Flatten", [shape], axis=1 if axis == 1 else -1)


def test_flatten_into_the_batch_is_refused():
    assert check(one_node("Flatten", [(3, 4)], axis=2))


def test_squeeze_and_unsqueeze():
    check_op("Squeeze", [(3, 1, 1)], opset=11, axes=[2, 3])
    check_op("Squeeze", [(3, 1, 1), ints(-1)], opset=13)
    check_op("Squeeze", [(3, 1, 1)], opset=13)
    check_op("Unsqueeze", [(3,)], opset=11, axes=[1, 3])
    check_op("Unsqueeze", [(3,), ints(2, -3)], opset=13)


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 2, 3]])
def test_transpose(perm):
    check_op("Transpose", [(3, 4, 5)], perm=perm)


def test_transpose_of_one_channel_is_a_reshape():
    assert operators(check_op("Transpose", [(1, 4, 5)], perm=[0, 2, 3, 1])) == ["Reshape"]


def test_an_output_with_the_batch_elsewhere_has_it_first_here():
    found = read(one_node("Transpose", [(3, 4)], perm=[1, 0, 2]))
    assert found.graph.shapes[found.graph.output] == (3, 4)
    assert any("its axis 1; here it is the first" in note for note in found.graph.notes)


@pytest.mark.parametrize("axis", [1, -1])
def test_concat(axis):
    check_op("Concat", [(3, 4), (3, 4)], axis=axis)


def test_concat_of_one():
    check_op("Concat", [(3, 4)], axis=1)


def test_concat_with_constants():
    nodes = [node("Expand", "c s", "e"), node("Concat", "e x x", "y", axis=1)]
    weights = {"c": normal(1, 2, 4)}
    shape = [
        node("Shape", "x", "full"),
        node("Slice", "full zero one", "n"),
        node("Concat", "n rest", "s", axis=0),
    ]
    weights |= {"zero": ints(0), "one": ints(1), "rest": ints(2, 4)}
    check_model(model([*shape, *nodes], {"x": ["N", 3, 4]}, weights))


def test_slice():
    check_op("Slice", [(5, 6)], opset=9, starts=[1, -3], ends=[4, 9999], axes=[1, 2])
    check_op("Slice", [(5, 6), ints(4), ints(-9999), ints(1), ints(-2)], opset=13)
    check_op("Slice", [(5, 6), ints(1), ints(-1), ints(-1)], opset=11)
    check_op("Slice", [(5, 6), ints(0, 1), ints(2**31, 4)], opset=13)


def test_slice_of_the_batch_is_refused():
    assert check(one_node("Slice", [(5, 6), ints(1), ints(3), ints(0)], opset=13))
    assert check(one_node("Slice", [(5, 6), ints(0), ints(4), ints(0)], opset=13))


def test_a_slice_that_leaves_nothing_is_refused():
    proto = one_node("Slice", [(5, 6), ints(9), ints(10), ints(1)], opset=13)
    (problem,) = check(proto)
    assert problem.reason == "it has shape [0, 6], which holds nothing."
    proto = model(
        [
            node("Slice", "x nine ten one", "s"),
            node("Relu", "s", "r", name="empty"),
            node("Concat", "x r", "y", axis=1),
        ],
        {"x": ["N", 5]},
        {"nine": ints(9), "ten": ints(10), "one": ints(1)},
    )
    assert "holds nothing" in str(check(proto))


@pytest.mark.parametrize("end", [10**6, 10**9, 2**31 - 1, 2**63 - 1])
def test_an_open_slice_of_the_batch_is_the_whole_batch(end):
    check_op("Slice", [(5, 6), ints(0, 1), ints(end, 4), ints(0, 1)], opset=13)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_split(opset):
    if opset == 11:
        check_op("Split", [(6, 4)], opset=opset, outputs=2, axis=1, split=[2, 4])
    else:
        check_op("Split", [(6, 4), ints(1, 5)], opset=opset, outputs=2, axis=-2)


def test_split_into_equal_parts():
    check_op("Split", [(7, 4)], opset=18, outputs=3, axis=1, num_outputs=3)
    check_op("Split", [(6, 4)], opset=11, outputs=3, axis=1)


@pytest.mark.parametrize(
    "indices", [ints(2, 0), ints(-1), np.array(1), np.array([[0, 1], [2, -2]])], ids=str
)
def test_gather(indices):
    check_op("Gather", [(3, 4), indices], axis=1)
    check_op("Gather", [(4, 3), indices], axis=-1)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad(mode):
    pads = [0, 0, 1, 2, 0, 0, 0, 1]
    check_op("Pad", [(2, 4, 5)], opset=10, mode=mode, pads=pads)
    check_op("Pad", [(2, 4, 5), ints(*pads)], opset=13, mode=mode)


def test_pad_with_a_value_and_axes():
    value = np.array(-1.5, np.float32)
    check_op("Pad", [(2, 4), ints(0, 1, 0, 0, 0, 2), value], opset=13)
    check_op("Pad", [(2, 4), ints(1, 2), None, ints(-1)], opset=18)
    check_op("Pad", [(2, 4), ints(0, -1, 0, 0, 0, 2)], opset=13)
    check_op("Pad", [(3, 4), ints(0, -1, 2, 0, 1, -2), value], opset=13)


@pytest.mark.parametrize("pads", [(0, -2, 0, 3), (0, 2, 0, -3), (0, -1, 0, -2)])
def test_pad_that_crops_and_fills_with_a_value(pads):
    check_op("Pad", [(5,), ints(*pads), np.array(2.5, np.float32)], opset=13)


def test_expand():
    check_op("Expand", [(1, 4), ints(1, 3, 4)])
    check_op("Expand", [(3, 4), ints(1)])


def test_what_does_nothing_is_taken_out():
    assert operators(check_op("Identity", [(3,)])) == ["Identity"]  # gives the output its name
    check_op("Dropout", [(3,)], opset=9, ratio=0.5)
    check_op("Dropout", [(3,), np.array(0.5, np.float32), np.array(False)], opset=13)
    check_op("CastLike", [(3,), normal(1)], opset=15)


def test_dropout_in_training_mode_is_refused():
    proto = one_node("Dropout", [(3,), np.array(0.5, np.float32), np.array(True)], opset=13)
    assert "training" in check(proto)[0].reason


def test_cast():
    nodes = [
        node("Cast", "x", "d", to=onnx.TensorProto.DOUBLE),
        node("Cast", "d", "y", to=onnx.TensorProto.FLOAT),
    ]
    check_model(model(nodes, {"x": ["N", 3]}))


def test_cast_to_whole_numbers_is_refused():
    proto = one_node("Cast", [(3,)], to=onnx.TensorProto.INT32)
    assert "rounds" in check(proto)[0].reason


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE"])
def test_floats_of_other_precision(kind):
    to = getattr(onnx.TensorProto, kind)
    within = [
        node("Cast", "x", "d", to=to),
        node("Tanh", "d", "t"),
        node("Cast", "t", "f", to=onnx.TensorProto.FLOAT),
        node("MatMul", "f w", "y"),
    ]
    check_model(model(within, {"x": ["N", 3]}, {"w": normal(3, 2)}))


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE"])
def test_floats_of_other_precision_at_both_ends(kind):
    to = getattr(onnx.TensorProto, kind)
    nodes = [
        node("Cast", "x", "f", to=onnx.TensorProto.FLOAT),
        node("Tanh", "f", "t"),
        node("Cast", "t", "y", to=to),
    ]
    check_model(model(nodes, {"x": ["N", 3]}, dtype=to))


@pytest.mark.parametrize(("before", "after"), [("INT64", "INT32"), ("UINT8", "INT64")])
def test_casts_between_whole_numbers(before, after):
    nodes = [
        node("Cast", "x", "k", to=getattr(onnx.TensorProto, after)),
        node("Cast", "k", "y", to=onnx.TensorProto.FLOAT),
    ]
    proto = model(nodes, {"x": ["N", 3]})
    proto.graph.input[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, before)
    check_model(proto)


def test_cast_to_the_type_of_whole_numbers_is_refused():
    (problem,) = check(one_node("CastLike", [(3,), ints(1)], opset=15))
    assert "int64 rounds" in problem.reason


def test_text_is_refused():
    proto = model([node("Identity", "x", "y")], {"x": ["N", 3]}, dtype=onnx.TensorProto.STRING)
    with pytest.raises(UnsupportedModelError, match="no tensor of numbers"):
        read(proto)


def test_sequences_are_refused():
    nodes = [
        node("SplitToSequence", "x parts", "s", axis=1),
        node("ConcatFromSequence", "s", "y", axis=1),
    ]
    problems = check(model(nodes, {"x": ["N", 3]}, {"parts": ints(1, 2)}))
    assert [item.operator for item in problems] == ["SplitToSequence", "ConcatFromSequence"]
