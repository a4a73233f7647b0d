"""Branches that shapes and constants decide, and those that samples decide."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, operators
from onnx import helper, numpy_helper

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read

EMPTY = helper.make_empty_tensor_value_info


def branch(nodes, *outputs, weights=None):
    constants = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    return helper.make_graph(nodes, "branch", [], [EMPTY(name) for name in outputs], constants)


def of_rank(rank):
    """What PyTorch writes for a layer that takes samples with and without a batch axis."""
    then = branch([node("Unsqueeze", "r axis", "inner")], "inner")
    other = branch([node("Identity", "r", "inner")], "inner")
    nodes = [
        node("Relu", "x", "r"),
        node("Shape", "r", "shape"),
        node("Size", "shape", "rank"),
        node("Equal", "rank wanted", "c"),
        node("If", "c", "s", then_branch=then, else_branch=other),
    ]
    return nodes, {"axis": ints(1), "wanted": np.array(rank)}


@pytest.mark.parametrize(("rank", "expected"), [(2, (1, 3)), (3, (3,))])
def test_a_rank_decides(rank, expected):
    nodes, weights = of_rank(rank)
    found = check_model(model([*nodes, node("Neg", "s", "y")], {"x": ["N", 3]}, weights))
    assert found.graph.shapes["y"] == expected


def test_branches_in_branches_with_equal_names_and_weights_of_their_own():
    deep = branch([node("MatMul", "r w", "a")], "a", weights={"w": normal(4, 4)})
    none = branch([node("Identity", "r", "a")], "a")
    outer = branch(
        [node("Not", "no", "yes"), node("If", "yes", "z", then_branch=deep, else_branch=none)], "z"
    )
    again = branch([node("MatMul", "m w", "a")], "a", weights={"w": normal(4, 2, seed=1)})
    nodes = [
        node("Relu", "x", "r"),
        node("If", "no", "m", then_branch=none, else_branch=outer, name="first"),
        node("If", "no", "y", then_branch=none, else_branch=again, name="second"),
    ]
    found = check_model(model(nodes, {"x": ["N", 4]}, {"no": np.array(False)}))
    assert found.graph.shapes["y"] == (2,)
    assert operators(found).count("MatMul") == 2


def test_an_input_of_one_value_that_decides():
    """As a sampling rate does: once the file holds its value, the branch is known."""
    other = branch([node("Neg", "r", "a")], "a")
    nodes = [
        node("Relu", "x", "r"),
        node("Equal", "rate wanted", "c"),
        node("If", "c", "y", then_branch=branch([node("Identity", "r", "a")], "a"),
             else_branch=other),
    ]  # fmt: skip
    proto = model(nodes, {"x": ["N", 4]}, {"wanted": np.array([16000])})
    proto.graph.input.append(helper.make_tensor_value_info("rate", onnx.TensorProto.INT64, ["N"]))
    (problem,) = check(proto)
    assert "'rate'" in problem.reason
    assert "--input-value" in problem.advice
    proto.graph.initializer.append(numpy_helper.from_array(np.array([16000]), "rate"))
    assert operators(check_model(proto))[0] == "Relu"


def test_the_size_of_the_batch_does_not_decide():
    then = branch([node("Identity", "x", "a")], "a")
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "size"),
        node("Equal", "size two", "c"),
        node("If", "c", "s", then_branch=then, else_branch=branch([node("Neg", "x", "a")], "a")),
        node("Relu", "s", "y"),
    ]
    weights = {"zero": np.array(0), "two": np.array(2)}
    with pytest.raises(UnsupportedModelError, match="If"):
        read(model(nodes, {"x": ["N", 3]}, weights))


def test_a_first_state_without_the_size_of_the_batch_can_be_in_the_file():
    proto = model([node("Add", "x s", "y")], {"x": [1, 3], "s": [2, 3]})
    with pytest.raises(UnsupportedModelError, match=r"1 in 'x', 2 in 's'.*--input-value"):
        read(proto)
