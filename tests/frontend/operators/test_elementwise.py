import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model, check_op, ints, model, node, normal, one_node

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read

FACTORS = [normal(3, 1, 1), normal(1, 3, 4, 5), normal(5), np.array(1.5, np.float32)]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("constant", FACTORS, ids=lambda array: str(array.shape))
def test_arithmetic_with_a_constant(op, constant):
    check_op(op, [(3, 4, 5), constant])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic_with_a_constant_on_the_left(op):
    check_op(op, [normal(3, 1, 1), (3, 4, 5)])


def test_a_constant_of_higher_rank_adds_axes():
    check_op("Add", [(4,), normal(1, 4)])
    check_op("Mul", [(1, 4), normal(3, 4)])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_two_branches(op):
    check_op(op, [(3, 4), (3, 4)])


@pytest.mark.parametrize("op", ["Add", "Mul"])
@pytest.mark.parametrize("shapes", [((3, 4, 5), (3, 1, 1)), ((3, 1, 1), (1, 4, 5))], ids=str)
def test_two_branches_that_broadcast(op, shapes):
    check_op(op, list(shapes))


@pytest.mark.parametrize("op", ["Add", "Mul", "Div"])
def test_branches_of_different_rank_are_refused(op):
    (problem,) = check(one_node(op, [(1, 1, 5), (5,)]))
    assert problem.node == "the_node"
    assert "rank" in problem.reason


def test_division_by_an_activation():
    nodes = [node("MatMul", "x w", "a"), node("Exp", "a", "e"), node("Div", "x e", "y")]
    found = check_model(model(nodes, {"x": ["N", 3]}, {"w": normal(3, 3)}))
    kinds = [item.kind for item in found.parts.populations]
    assert kinds == ["Function"]  # a, and 1 / Exp


def test_neg():
    check_op("Neg", [(3, 4)])


@pytest.mark.parametrize("opset", [9, 14, 15])
@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 4, 5)])
def test_batch_normalization(opset, shape):
    statistics = [normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.5]
    check_op("BatchNormalization", [shape, *statistics], opset=opset, epsilon=0.01)


def test_batch_normalization_in_training_mode_is_refused():
    statistics = [normal(3), normal(3), normal(3), np.abs(normal(3))]
    proto = one_node(
        "BatchNormalization", [(3, 4, 5), *statistics], opset=15, outputs=3, training_mode=1
    )
    (problem,) = check(proto, output="out0")
    assert "training mode" in problem.reason


def test_a_constant_that_differs_between_samples_is_refused():
    proto = model([node("Add", "x c", "y")], {"x": [4, 3]}, {"c": normal(4, 3)})
    with pytest.raises(UnsupportedModelError):
        read(proto)


def test_residual_with_itself():
    check_model(model([node("Add", "x x", "y")], {"x": ["N", 3]}))


@pytest.mark.parametrize("op", ["Sum", "Mean"])
def test_sum_and_mean_of_many(op):
    check_op(op, [(3, 4), normal(4), (3, 4), (3, 1)])
    check_op(op, [(3, 4)])


def test_where_with_a_constant_condition():
    mask = normal(3, 4) > 0
    check_op("Where", [mask, (3, 4), normal(4)])
    check_op("Where", [mask, (3, 4), (3, 4)])


def test_a_step_function():
    nodes = [node("Greater", "x z", "c"), node("Cast", "c", "y", to=1)]
    found = check_model(model(nodes, {"x": ["N", 3]}, {"z": np.zeros(1, np.float32)}))
    assert len(found.parts.populations) == 1


def test_a_condition_that_is_no_number_is_refused():
    nodes = [node("Greater", "x z", "c", name="compare"), node("Expand", "c s", "y")]
    proto = model(nodes, {"x": ["N", 1]}, {"z": np.zeros(1, np.float32), "s": ints(1, 3)})
    (problem,) = check(proto)
    assert problem.node == "compare"


def whole(op, kind, *inputs, **attributes):
    """An operator on whole numbers, read as floats."""
    proto = one_node(op, inputs, **attributes)
    proto.graph.node[0].output[0] = "whole"
    proto.graph.node.append(node("Cast", "whole", "out0", to=onnx.TensorProto.FLOAT))
    for info in proto.graph.input:
        info.type.tensor_type.elem_type = getattr(onnx.TensorProto, kind)
    return proto


@pytest.mark.parametrize("kind", ["INT32", "INT64"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic_of_whole_numbers(op, kind):
    two = np.array([2, 3, 4], kind.lower())
    check_model(whole(op, kind, (3,), two))
    if op != "Mul":
        check_model(whole(op, kind, (3,), (3,)))


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "UINT32"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_whole_numbers_that_wrap_around_are_refused(op, kind):
    (problem,) = check(whole(op, kind, (3,), np.array([100], kind.lower())))
    assert f"{kind.lower()}, which wraps around" in problem.reason


def test_products_and_quotients_of_whole_numbers_are_refused():
    (problem,) = check(whole("Mul", "INT32", (3,), (3,)))
    assert "multiplies whole numbers" in problem.reason
    (problem,) = check(whole("MatMul", "INT32", (3, 3), (3, 3)))
    assert "multiplies whole numbers" in problem.reason
    (problem,) = check(whole("Div", "INT64", (3,), ints(2)))
    assert "drops the rest" in problem.reason
    (problem,) = check(whole("ReduceMean", "INT64", (3, 4), axes=[1]))
    assert "drops the rest" in problem.reason


def test_a_condition_for_each_sample_is_refused():
    mask = np.array([[True], [False]])
    proto = model([node("Where", "m x z", "y")], {"x": [2, 3]}, {"m": mask, "z": np.zeros(1, "f4")})
    (problem,) = check(proto)
    assert "condition of shape [2, 1] reaches over the batch axis" in problem.reason
