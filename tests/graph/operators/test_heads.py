import pytest
from helpers.onnx_models import check_op, model, node, normal, one_node, operators

from onnx2genn.graph.reader import check, read


@pytest.mark.parametrize("opset", [9, 11, 13, 22])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax(op, opset):
    check_op(op, [(10,)], opset=opset)
    check_op(op, [(10,)], opset=opset, axis=1)
    check_op(op, [(10,)], opset=opset, axis=-1)


def test_softmax_over_one_of_many_axes():
    check_op("Softmax", [(10, 3, 4)], opset=13, axis=1)
    (problem,) = check(one_node("Softmax", [(10, 3, 4)], opset=9, axis=1))
    assert "opset 13" in problem.reason


def test_old_softmax_over_a_trailing_axis():
    check_op("Softmax", [(10, 3)], opset=9, axis=2)
    check_op("Softmax", [(10, 1, 1)], opset=9, axis=1)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_arg_max(keepdims):
    proto = one_node("ArgMax", [(10,)], axis=1, keepdims=keepdims)
    assert operators(read(proto)) == ["ArgMax"]


def test_heads_come_off_at_the_end():
    nodes = [
        node("MatMul", "x w", "logits"),
        node("Softmax", "logits", "p", axis=1),
        node("ArgMax", "p", "y", axis=1),
    ]
    found = read(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3)}))
    assert found.parts.readout.target == "logits"


def test_a_head_in_the_middle_is_refused():
    nodes = [
        node("MatMul", "x w", "a"),
        node("Softmax", "a", "p", axis=1, name="attention"),
        node("MatMul", "p v", "y"),
    ]
    (problem,) = check(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3), "v": normal(3, 2)}))
    assert problem.node == "attention"
    assert "head" in problem.reason
