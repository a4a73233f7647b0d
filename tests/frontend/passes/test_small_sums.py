"""Functions of sums of few functions are sent by one population, which rounds once."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal


def test_an_amplitude_of_two_parts():
    nodes = [
        node("MatMul", "x w", "s"),
        node("Split", "s", "a b", axis=1),
        node("Pow", "a two", "aa"),
        node("Mul", "b b", "bb"),
        node("Add", "aa bb", "power"),
        node("Sqrt", "power", "r"),
        node("MatMul", "r v", "y"),
    ]
    weights = {"w": normal(4, 6), "v": normal(3, 2), "two": np.array(2, np.float32)}
    found = check_model(model(nodes, {"x": ["N", 4]}, weights))
    (population,) = found.parts.populations
    assert (population.kind, population.ports) == ("Function", 2)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("parts", [2, 3])
def test_the_logarithm_of_a_sum_along_an_axis_behind_moves(keepdims, parts):
    nodes = [
        node("MatMul", "x w", "s"),
        node("Transpose", "s", "t", perm=[0, 2, 1]),
        node("Mul", "t t", "square"),
        node("ReduceSum", "square axis", "power", keepdims=keepdims),
        node("Sqrt", "power", "r"),
        node("Reshape", "r flat", "f"),
        node("Mul", "f f", "again"),
        node("Add", "again small", "positive"),
        node("Log", "positive", "log"),
        node("MatMul", "log v", "y"),
    ]
    weights = {
        "w": normal(4, 5), "axis": ints(2), "flat": ints(0, 5), "v": normal(5, 2),
        "small": np.array(1e-3, np.float32),
    }  # fmt: skip
    found = check_model(model(nodes, {"x": ["N", parts, 4]}, weights))
    (population,) = found.parts.populations
    assert (population.kind, population.ports) == ("Function", parts)


def test_sums_of_many_functions_and_those_that_others_read_stay():
    nodes = [
        node("MatMul", "x w", "s"),
        node("Mul", "s s", "square"),
        node("ReduceSum", "square axis", "power", keepdims=0),
        node("Sqrt", "power", "r"),
        node("Add", "r power", "y"),
    ]
    found = check_model(model(nodes, {"x": ["N", 2, 4]}, {"w": normal(4, 5), "axis": ints(1)}))
    assert [item.ports for item in found.parts.populations] == [1, 1]
    found = check_model(
        model([*nodes[:4], node("Neg", "r", "y")], {"x": ["N", 9, 4]},
              {"w": normal(4, 5), "axis": ints(1)})
    )  # fmt: skip
    assert [item.ports for item in found.parts.populations] == [1, 1]
