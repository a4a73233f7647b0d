import numpy as np
import pytest
from helpers.onnx_models import check_model, check_op, model, node, normal, one_node, operators

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.evaluate.operations import macs
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


@pytest.mark.parametrize("opset", [9, 11, 13, 21])
@pytest.mark.parametrize("transB", [0, 1])
def test_gemm(opset, transB):
    weight = normal(3, 4) if transB else normal(4, 3)
    check_op("Gemm", [(4,), weight, normal(3)], opset=opset, transB=transB)


@pytest.mark.parametrize("bias", [normal(3), normal(1, 3), normal(1, 1), np.array(0.5, np.float32)])
def test_gemm_scales_product_and_bias(bias):
    check_op("Gemm", [(4,), normal(4, 3), bias], alpha=0.5, beta=2.0)


@pytest.mark.parametrize("rest", [[], [None]])
def test_gemm_without_bias(rest):
    check_op("Gemm", [(4,), normal(4, 3), *rest], opset=13)


def test_gemm_of_the_transposed_batch_is_refused():
    proto = model([node("Gemm", "x w", "y", transA=1)], {"x": [4, "N"]}, {"w": normal(4, 3)})
    with pytest.raises(UnsupportedModelError):
        read(proto)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (1, 4, 1))]
)
def test_matmul_of_two_tensors(shapes):
    found = check_op("MatMul", list(shapes))
    assert len(found.parts.populations) == 1


def test_matmul_of_tensors_of_other_rank_is_refused():
    (problem,) = check(one_node("MatMul", [(1, 3, 4), (4, 5)]))
    assert "3 and 2 axes" in problem.reason


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 5, 4)])
def test_matmul(shape):
    check_op("MatMul", [shape, normal(4, 3)])


def test_matmul_with_a_vector():
    check_op("MatMul", [(5, 4), normal(4)])


def test_matmul_with_leading_ones():
    check_op("MatMul", [(5, 4), normal(1, 4, 3)])


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_matmul_with_the_weight_on_the_left(shape):
    check_op("MatMul", [normal(3, 4), shape])


def test_matmul_over_the_batch_is_refused():
    proto = model([node("MatMul", "w x", "y")], {"x": [6, 5]}, {"w": normal(6, 6)})
    with pytest.raises(UnsupportedModelError):
        read(proto)


@pytest.mark.parametrize(
    ("shape", "weight", "multiplies"),
    [
        ((2, 5, 4), (2, 4, 3), "Conv"),
        ((2, 1, 4), (2, 4, 3), "Conv"),
        ((2, 5, 4), (1, 2, 4, 3), "Conv"),
        ((6, 2, 5, 4), (2, 4, 3), "Conv"),
        ((6, 2, 5, 4), (6, 1, 4, 3), "Conv"),
        ((6, 2, 5, 4), (6, 2, 4, 3), "Conv"),
        ((1, 5, 4), (2, 4, 3), "MatMul"),
        ((6, 1, 5, 4), (6, 2, 4, 3), "Conv"),
    ],
)
def test_matmul_with_a_batch_of_matrices(shape, weight, multiplies):
    assert multiplies in operators(check_op("MatMul", [shape, normal(*weight)]))
    turned = (*shape[:-2], *shape[:-3:-1])
    check_op("MatMul", [normal(*weight[:-2], *weight[:-3:-1]), turned])


def test_matmul_with_a_vector_on_the_left():
    check_op("MatMul", [normal(4), (4, 5)])
    check_op("MatMul", [normal(4), (2, 4, 5)])


@pytest.mark.parametrize("count", [1, 2])
def test_matmul_that_puts_matrices_before_the_batch_is_refused(count):
    (problem,) = check(one_node("MatMul", [(4,), normal(count, 4, 3)]))
    assert "batch as its first axis" in problem.reason


def test_grouped_products_as_spiking_networks():
    """Layers with a matrix for each head, as MatMul and as Einsum."""
    nodes = [
        node("MatMul", "x w0", "a"),
        node("Reshape", "a heads", "h"),
        node("Transpose", "h", "t", perm=[0, 2, 1, 3]),
        node("MatMul", "t w1", "b"),
        node("Add", "b b1", "c"),
        node("Relu", "c", "r"),
        node("Einsum", "r w2", "e", equation="nhmd,hde->nmhe"),
        node("Relu", "e", "s"),
        node("Flatten", "s", "f"),
        node("MatMul", "f w3", "y"),
    ]
    weights = {
        "w0": normal(6, 8),
        "heads": np.array([0, 3, 2, 4]),
        "w1": normal(2, 4, 5),
        "b1": normal(2, 1, 5),
        "w2": normal(2, 5, 3),
        "w3": normal(18, 4),
    }
    proto = model(nodes, {"x": ["N", 3, 6]}, weights)
    found = check_model(proto)
    assert [item.shape for item in found.parts.populations] == [(2, 3, 5), (3, 2, 3)]
    x = normal(50, 3, 6)
    (wanted,) = session(proto).run(None, {"x": x})
    errors = []
    for steps in (4, 8, 12):
        logits = onnx2genn.convert(proto, x, steps=steps).predict(x, backend="onnxruntime")
        errors.append(np.sqrt(((logits - wanted) ** 2).mean()) / wanted.std())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.005
    assert macs(found.graph) == 3 * 6 * 8 + 2 * 3 * 4 * 5 + 2 * 3 * 5 * 3 + 18 * 4


@pytest.mark.parametrize("opset", [9, 11, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 2], "pads": [0, 1, 2, 1]},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID"},
        {"kernel_shape": [3, 2]},
    ],
)
def test_conv(opset, attributes):
    check_op("Conv", [(4, 7, 8), normal(6, 4, 3, 2), normal(6)], opset=opset, **attributes)


@pytest.mark.parametrize("group", [2, 4])
def test_grouped_conv(group):
    check_op("Conv", [(4, 6, 6), normal(8, 4 // group, 3, 3)], group=group)


def test_conv_same_padding_counts_the_dilated_kernel():
    check_op(
        "Conv",
        [(2, 9, 9), normal(3, 2, 3, 3)],
        auto_pad="SAME_UPPER",
        dilations=[1, 1],
        strides=[4, 4],
    )


def test_conv_over_one_and_three_axes():
    check_op("Conv", [(3, 12), normal(5, 3, 4), normal(5)], strides=[3], pads=[1, 2])
    check_op("Conv", [(2, 5, 6, 4), normal(3, 2, 2, 3, 2)], pads=[0, 1, 0, 1, 1, 0])


def test_conv_with_a_bias_of_the_wrong_size_is_refused():
    proto = one_node("Conv", [(2, 5, 5), normal(3, 2, 3, 3), normal(2)])
    with pytest.raises(UnsupportedModelError):
        read(proto)


def test_bias_as_the_first_operand_of_add():
    nodes = [node("MatMul", "x w", "p"), node("Add", "b p", "y")]
    check_model(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3), "b": normal(3)}))


def test_channel_bias_of_a_separate_add_goes_into_the_conv():
    nodes = [node("Conv", "x w", "c"), node("Add", "c b", "y")]
    for shape in [(3, 1, 1), (1, 3, 1, 1)]:
        weights = {"w": normal(3, 2, 3, 3), "b": normal(*shape)}
        found = check_model(model(nodes, {"x": ["N", 2, 5, 5]}, weights))
        assert operators(found) == ["Conv"]


@pytest.mark.parametrize("opset", [9, 11, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 3], "pads": [1, 0, 0, 1]},
        {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]},
        {"dilations": [2, 1]},
    ],
)
def test_conv_transpose(opset, attributes):
    check_op("ConvTranspose", [(4, 5, 6), normal(4, 3, 3, 2), normal(3)], opset=opset, **attributes)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "NOTSET"])
def test_conv_transpose_of_a_given_shape(auto_pad):
    attributes = {"strides": [2, 2], "output_shape": [10, 12], "auto_pad": auto_pad}
    check_op("ConvTranspose", [(4, 5, 6), normal(4, 3, 3, 3)], opset=11, **attributes)


def test_grouped_conv_transpose():
    check_op("ConvTranspose", [(4, 5), normal(4, 3, 3)], group=2, strides=[2])


def test_gemm_with_a_bias_for_each_sample_is_refused():
    nodes = [node("Gemm", "x w b", "y")]
    (problem,) = check(model(nodes, {"x": [2, 3]}, {"w": normal(3, 4), "b": normal(2, 4)}))
    assert "bias C of shape [2, 4] reaches over the batch axis" in problem.reason
