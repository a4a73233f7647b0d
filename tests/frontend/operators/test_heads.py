import numpy as np
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

from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


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


def test_a_choice_in_the_middle_is_refused():
    nodes = [
        node("MatMul", "x w", "a"),
        node("ArgMax", "a", "k", axis=1, name="choice"),
        node("Cast", "k", "c", to=1),
        node("Relu", "c", "y"),
    ]
    (problem,) = check(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3)}))
    assert problem.node == "choice"
    assert "head" in problem.reason


def test_a_sigmoid_at_the_end_is_a_head():
    nodes = [node("MatMul", "x w", "logit"), node("Sigmoid", "logit", "y")]
    found = read(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 1)}))
    assert found.parts.readout.target == "logit"
    assert found.parts.populations == ()


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceSum"])
def test_a_sigmoid_before_a_reduction_over_one_element_is_a_head(op):
    nodes = [
        node("MatMul", "x w", "logit"),
        node("Sigmoid", "logit", "p"),
        node(op, "p axis" if op == "ReduceSum" else "p", "y", keepdims=0,
             **({} if op == "ReduceSum" else {"axes": [1]})),
    ]  # fmt: skip
    found = check_model(model(nodes, {"x": ["N", 1, 4]}, {"w": normal(4, 3), "axis": ints(1)}))
    assert found.parts.populations == ()
    assert found.parts.readout.target != "y"


def test_probabilities_of_two_classes_have_one_logit():
    nodes = [
        node("MatMul", "x w", "logit"),
        node("Sigmoid", "logit", "p"),
        node("Sub", "one p", "q"),
        node("Concat", "q p", "y", axis=1),
    ]
    weights = {"w": normal(4, 1), "one": np.ones(1, np.float32)}
    found = check_model(model(nodes, {"x": ["N", 4]}, weights))
    assert found.parts.readout.target == "logit"
    assert found.parts.populations == ()


def test_other_sums_of_a_sigmoid_stay():
    nodes = [
        node("MatMul", "x w", "logit"),
        node("Sigmoid", "logit", "p"),
        node("Sub", "two p", "q"),
        node("Concat", "q p", "y", axis=1),
    ]
    weights = {"w": normal(4, 1), "two": np.full(1, 2, np.float32)}
    found = check_model(model(nodes, {"x": ["N", 4]}, weights))
    assert [item.kind for item in found.parts.populations] == ["Sigmoid"]


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "ArgMax"])
def test_heads_over_the_batch_are_refused(op):
    (problem,) = check(one_node(op, [(4,)], axis=0))
    assert "batch axis" in problem.reason


@pytest.mark.parametrize("last", [0, 1])
def test_of_equal_values_the_one_asked_for(last):
    nodes = [
        node("Clip", "x zero zero", "c"),
        node("ArgMax", "c", "k", axis=1, select_last_index=last),
        node("Cast", "k", "y", to=1),
    ]
    found = read(model(nodes[:2], {"x": ["N", 4]}, {"zero": np.zeros((), "f4")}, outputs=["k"]))
    (got,) = session(found.to_onnx()).run(None, {"x": normal(2, 4)})
    np.testing.assert_array_equal(got, 3 * last)
