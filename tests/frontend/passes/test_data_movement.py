"""Chains of nodes that move the batch away from the first axis and back."""

import numpy as np
from helpers.onnx_models import check_model, ints, model, node, operators

from onnx2genn.frontend.pipeline import check


def test_indices_of_an_axis_before_the_batch():
    """What PyTorch writes for an adaptive pooling whose windows overlap."""
    nodes = [
        node("Transpose", "x", "a", perm=[2, 1, 0]),
        node("GatherND", "a indices", "b"),
        node("Transpose", "b", "c", perm=[2, 1, 0]),
        node("ReduceMean", "c", "y", axes=[2]),
    ]
    found = check_model(model(nodes, {"x": ["N", 2, 5]}, {"indices": np.array([[3], [0], [3]])}))
    assert "GatherND" not in operators(found)


def test_nodes_that_are_called_as_their_outputs():
    """As those are that unrolling writes: no two of what comes in their place are called alike."""
    nodes = [
        node("Transpose", "x", "a", perm=[2, 1, 0]),
        node("GatherND", "a indices", "b"),
        node("Transpose", "b", "c", perm=[2, 1, 0], name="c"),
        node("Relu", "c", "y"),
    ]
    check_model(model(nodes, {"x": ["N", 2, 5]}, {"indices": np.array([[3], [0]])}))


def test_a_choice_from_the_whole_batch_in_one_row():
    """as_strided: the indices grow with the batch."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch"),
        node("Range", "zero batch one", "range"),
        node("Mul", "range size", "first"),
        node("Unsqueeze", "first last", "column"),
        node("Add", "column within", "indices"),
        node("Reshape", "x row", "flat"),
        node("Gather", "flat indices", "r"),
        node("Relu", "r", "y"),
    ]
    scalars = {"zero": np.array(0), "one": np.array(1), "size": np.array(6)}
    weights = {**scalars, "last": ints(1), "within": ints(5, 1, 1, 0), "row": ints(-1)}
    check_model(model(nodes, {"x": ["N", 2, 3]}, weights))


def test_chains_that_mix_samples_are_refused():
    nodes = [
        node("Reshape", "x row", "a", name="flatten"),
        node("Slice", "a start end axis step", "b"),
        node("Reshape", "b back", "y"),
    ]
    weights = {
        "row": ints(-1), "start": ints(-1), "end": ints(-(2**40)), "axis": ints(0),
        "step": ints(-1), "back": ints(-1, 4),
    }  # fmt: skip
    problems = check(model(nodes, {"x": ["N", 4]}, weights))
    assert "flatten" in [item.node for item in problems]
