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

import onnx2genn
from onnx2genn.errors import UnsupportedModelError
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


def detector(*, reshaped=False):
    """Coordinates beside scores, which alone have a Sigmoid."""
    nodes = [
        node("MatMul", "x w1", "a"),
        node("Relu", "a", "r"),
        node("MatMul", "r w2", "boxes"),
        node("MatMul", "r w3", "s"),
        node("Sigmoid", "s", "p"),
        *([node("Reshape", "p shape", "q")] if reshaped else []),
        node("Concat", "boxes q" if reshaped else "boxes p", "y", axis=-1),
    ]
    weights = {"w1": normal(6, 8), "w2": normal(8, 4), "w3": normal(8, 3), "shape": ints(0, 5, 3)}
    return model(nodes, {"x": ["N", 5, 6]}, weights)


@pytest.mark.parametrize("reshaped", [False, True])
def test_a_sigmoid_of_a_part_of_the_output_is_a_head(reshaped):
    found = check_model(detector(reshaped=reshaped))
    assert [item.kind for item in found.parts.populations] == ["Relu"]
    assert found.graph.shapes[found.parts.readout.target] == (5, 7)


def test_heads_of_parts_are_applied_and_judged_by():
    x = normal(60, 5, 6)
    network = onnx2genn.convert(detector(), x, steps=12)
    (wanted,) = session(detector()).run(None, {"x": x})
    got = network.predict(x, heads=True)
    (score,) = network.evaluate(x).scores
    error = np.sqrt(((got - wanted) ** 2).mean()) / wanted.std()
    assert score.to_ann == pytest.approx(error, rel=0.01)
    assert error < 0.01


def test_a_tensor_within_the_model_can_be_the_output():
    nodes = [
        node("MatMul", "x w", "a"),
        node("Relu", "a", "scores"),
        node("ArgMax", "scores", "k", axis=1, name="choice"),
        node("Cast", "k", "c", to=1),
        node("Relu", "c", "y"),
    ]
    proto = model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3)})
    assert operators(read(proto, output="scores"))[-1] == "Relu"
    with pytest.raises(UnsupportedModelError, match="'scores'"):
        read(proto, output="score")


def test_where_the_largest_are():
    """Indices of TopK, alone and beside the values."""
    nodes = [
        node("MatMul", "x w", "r"),
        node("Relu", "r", "s"),
        node("MatMul", "s v", "l"),
        node("TopK", "l k", "y indices", axis=-1),
    ]
    weights = {"w": normal(6, 16), "v": normal(16, 8), "k": ints(3)}
    proto = model(nodes, {"x": ["N", 6]}, weights, outputs=["y", "indices"])
    proto.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    x = normal(50, 6)
    values, indices = session(proto).run(None, {"x": x})
    network = onnx2genn.convert(proto, x, steps=12, output="indices")
    np.testing.assert_array_equal(network.predict(x, heads=True), indices)
    both = onnx2genn.convert(proto, x, steps=12, output=["y", "indices"])
    got = both.predict(x, heads=True)
    np.testing.assert_array_equal(got["indices"], indices)
    np.testing.assert_allclose(got["y"], values, atol=0.05)


def test_where_the_largest_are_within_the_network_is_refused():
    nodes = [
        node("Relu", "x", "r"),
        node("TopK", "r k", "t indices", name="choice"),
        node("GatherElements", "r indices", "y", axis=1),
    ]
    first, _ = check(model(nodes, {"x": ["N", 6]}, {"k": ints(3)}))
    assert first.node == "choice"
    assert "--output" in first.advice
