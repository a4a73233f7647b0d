import pytest
from helpers.onnx_models import (
    OLD_ONNXRUNTIME,
    check_model,
    check_op,
    ints,
    model,
    node,
    one_node,
)

from onnx2genn.frontend.pipeline import check


@pytest.mark.parametrize("opset", [9, 11, 19, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2], "count_include_pad": 1},
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ],
)
def test_average_pool(opset, attributes):
    if OLD_ONNXRUNTIME and opset >= 19 and attributes.get("count_include_pad"):
        pytest.skip("this onnxruntime divides wrongly at unequal pads")
    check_op("AveragePool", [(3, 7, 8)], opset=opset, **attributes)


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("size", [(7, 8), (8, 9), (5, 5)])
def test_average_pool_with_a_remainder(count_include_pad, size):
    check_op(
        "AveragePool",
        [(2, *size)],
        opset=19,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        ceil_mode=1,
        count_include_pad=count_include_pad,
    )


def test_dilated_average_pool():
    check_op("AveragePool", [(2, 9, 9)], opset=19, kernel_shape=[2, 2], dilations=[2, 3])


def test_average_pool_over_one_and_three_axes():
    check_op("AveragePool", [(2, 9)], kernel_shape=[3], strides=[2])
    check_op("AveragePool", [(2, 4, 4, 5)], kernel_shape=[2, 2, 2])


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (3, 4, 5, 2)])
def test_global_average_pool(shape):
    check_op("GlobalAveragePool", [shape])


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1], [-1]])
def test_reduction_over_any_axes(op, keepdims, axes):
    old = 11
    check_op(op, [(3, 4, 5)], opset=old, axes=axes, keepdims=keepdims)
    check_op(op, [(3, 4, 5), ints(*axes)], opset=18, keepdims=keepdims)


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime cannot run it")
def test_reduction_over_no_axes():
    check_op("ReduceMean", [(3, 4)], opset=18, noop_with_empty_axes=1)


def test_reduction_over_the_batch_is_refused():
    for axes in ([0], None):
        attributes = {} if axes is None else {"axes": axes}
        assert check(one_node("ReduceMean", [(3, 4)], opset=13, **attributes))


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
def test_pads_that_onnxruntime_takes_for_others_are_refused(op):
    options = {"opset": 22, "auto_pad": "SAME_UPPER", "kernel_shape": [2, 2]}
    (problem,) = check(one_node(op, [(3, 7, 8)], dilations=[2, 2], **options))
    assert "dilated" in problem.reason
    if op == "AveragePool":
        (problem,) = check(one_node(op, [(3, 7, 9)], strides=[3, 3], **options))
        assert "narrower" in problem.reason
        check_op(op, [(3, 7, 8)], strides=[3, 3], **options)


def test_rounding_up_with_unequal_pads():
    options = {"kernel_shape": [2, 3], "pads": [1, 1, 1, 0], "strides": [3, 1], "ceil_mode": 1}
    check_op("AveragePool", [(2, 5, 8)], opset=13, **options)
    check_op("MaxPool", [(2, 5, 8)], opset=13, **options)
    (problem,) = check(one_node("AveragePool", [(2, 5, 8)], count_include_pad=1, **options))
    assert "ceil_mode" in problem.reason
    options = {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2], "ceil_mode": 1}
    check_op("AveragePool", [(2, 6, 8)], opset=13, count_include_pad=1, **options)


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime cannot run them")
@pytest.mark.parametrize("op", ["L1", "L2", "LogSum", "LogSumExp", "SumSquare", "Max", "Mean"])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions_over_no_axis(op, keepdims):
    for inputs in ("e", "e none"):
        nodes = [
            node("Exp", "x", "e"),
            node(f"Reduce{op}", inputs, "y", noop_with_empty_axes=1, keepdims=keepdims),
        ]
        check_model(model(nodes, {"x": ["N", 3, 4]}, {"none": ints()}, opset=18))
